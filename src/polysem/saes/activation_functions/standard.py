"""ReLU."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.saes.search import Above


@dataclass(frozen=True)
class Function:
    """f = ReLU(pre-activation)."""

    bias: ClassVar[str] = "b_enc"
    elementwise: ClassVar[bool] = True
    tensor_names: ClassVar[tuple[str, ...]] = ()

    def __call__(self, pre: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch feature"]:
        """Features of pre-activations."""
        return torch.relu(pre)

    def rule(self) -> Above:
        """Above 0."""
        return Above()

    def of_active(self, pre: Float[Tensor, " entry"], feature: Int[Tensor, " entry"]) -> Float[Tensor, " entry"]:
        """The pre-activations themselves."""
        return pre

    def config(self) -> dict[str, Any]:
        """Its entries in `cfg.json`."""
        return {"architecture": "standard"}

    def tensors(self) -> dict[str, Tensor]:
        """Nothing of its own is saved."""
        return {}

    def scaled(self, factor: float | Float[Tensor, " feature"]) -> "Function":
        """The function for pre-activations times a factor: the same."""
        return self

    def shifted(self, shift: Float[Tensor, " feature"]) -> "Function":
        """The function has no bias of its own: the same."""
        return self

    @classmethod
    def from_saved(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Function":
        """Nothing in a saved SAE changes it."""
        return cls()
