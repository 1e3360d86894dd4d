"""JumpReLU: pre-activations above a threshold of their own pass unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from polysem.saes.search import Above


@dataclass(frozen=True)
class Function:
    """f = pre-activation where it is above both the threshold and 0, else 0 (Rajamanoharan et al. 2024, *JumpReLU*)."""

    threshold: Float[Tensor, " feature"]

    bias: ClassVar[str] = "b_enc"
    elementwise: ClassVar[bool] = True
    tensor_names: ClassVar[tuple[str, ...]] = ("threshold",)

    def __call__(self, pre: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch feature"]:
        """Features of pre-activations."""
        return pre * ((pre > self.threshold) & (pre > 0))

    def rule(self) -> Above:
        """Above the threshold and above 0."""
        return Above(self.threshold.clamp(min=0))

    def of_active(self, pre: Float[Tensor, " entry"], feature: Int[Tensor, " entry"]) -> Float[Tensor, " entry"]:
        """The pre-activations themselves."""
        return pre

    def config(self) -> dict[str, Any]:
        """Its entries in `cfg.json`."""
        return {"architecture": "jumprelu"}

    def tensors(self) -> dict[str, Tensor]:
        """What is saved beside the weights."""
        return {"threshold": self.threshold}

    def scaled(self, factor: float | Float[Tensor, " feature"]) -> "Function":
        """The function for pre-activations times a factor."""
        return Function(self.threshold * factor)

    def shifted(self, shift: Float[Tensor, " feature"]) -> "Function":
        """The function has no bias of its own: the same."""
        return self

    @classmethod
    def from_saved(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Function":
        """The function of a saved SAE."""
        return cls(tensors["threshold"])
