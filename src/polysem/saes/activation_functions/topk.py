"""TopK: the k largest pre-activations of a token stay, where they are above 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.io.errors import InputError
from polysem.saes.search import Largest


@dataclass(frozen=True)
class Function:
    """f = ReLU of the k largest pre-activations, 0 elsewhere."""

    k: int

    bias: ClassVar[str] = "b_enc"
    elementwise: ClassVar[bool] = False
    tensor_names: ClassVar[tuple[str, ...]] = ()

    def __call__(self, pre: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch feature"]:
        """Features of pre-activations."""
        values, indices = pre.topk(min(self.k, pre.shape[-1]), dim=-1, sorted=False)
        return torch.zeros_like(pre).scatter(-1, indices, values.relu())

    def rule(self) -> Largest:
        """The k largest of a token that are above 0."""
        return Largest(self.k)

    def of_active(self, pre: Float[Tensor, " entry"], feature: Int[Tensor, " entry"]) -> Float[Tensor, " entry"]:
        """The pre-activations themselves."""
        return pre

    def config(self) -> dict[str, Any]:
        """Its entries in `cfg.json`."""
        return {"architecture": "topk", "k": self.k}

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
        """InputError if the config has no usable k."""
        k = config.get("k")
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise InputError(f"k is {k!r}; a topk SAE needs a whole number above 0")
        return cls(k)
