"""Gated: one affine map decides whether a feature is active, another how strongly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.saes.search import Above


@dataclass(frozen=True)
class Function:
    """With gate = (x − b_dec) W_enc + b_gate: f = ReLU((x − b_dec) W_enc · exp(r_mag) + b_mag) where gate > 0, else 0
    (Rajamanoharan et al. 2024, *Improving Dictionary Learning with Gated Sparse Autoencoders*). The pre-activation that
    the function takes is the gate."""

    b_gate: Float[Tensor, " feature"]
    b_mag: Float[Tensor, " feature"]
    r_mag: Float[Tensor, " feature"]

    bias: ClassVar[str] = "b_gate"
    elementwise: ClassVar[bool] = True
    tensor_names: ClassVar[tuple[str, ...]] = ("b_mag", "r_mag")

    def __call__(self, pre: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch feature"]:
        """Features of gates."""
        return torch.relu((pre - self.b_gate) * self.r_mag.exp() + self.b_mag) * (pre > 0)

    def rule(self) -> Above:
        """Gates above 0."""
        return Above()

    def of_active(self, pre: Float[Tensor, " entry"], feature: Int[Tensor, " entry"]) -> Float[Tensor, " entry"]:
        """Strengths of features whose gates are open; they may be 0."""
        return torch.relu((pre - self.b_gate[feature]) * self.r_mag[feature].exp() + self.b_mag[feature])

    def config(self) -> dict[str, Any]:
        """Its entries in `cfg.json`."""
        return {"architecture": "gated"}

    def tensors(self) -> dict[str, Tensor]:
        """What is saved beside the weights and `b_gate`."""
        return {"b_mag": self.b_mag, "r_mag": self.r_mag}

    def scaled(self, factor: float | Float[Tensor, " feature"]) -> "Function":
        """The function for gates times a factor."""
        return Function(self.b_gate * factor, self.b_mag * factor, self.r_mag)

    def shifted(self, shift: Float[Tensor, " feature"]) -> "Function":
        """The function for an encoder that adds a shift to what goes into both maps."""
        return Function(self.b_gate + shift, self.b_mag + shift * self.r_mag.exp(), self.r_mag)

    @classmethod
    def from_saved(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Function":
        """The function of a saved SAE."""
        return cls(tensors["b_gate"], tensors["b_mag"], tensors["r_mag"])
