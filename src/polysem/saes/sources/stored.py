"""`activations: stored`: rows of an activation store."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polysem.activations.paired import PairedRows
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.params.recipes.base import Recipe
from polysem.training.order import EpochOrder


class StoredRows:
    """Rows of an activation store, epoch after epoch in another order; those of a `target` store stand behind them."""

    def __init__(
        self, store: Path, batch_size: int, seed: int, target: Path | None = None, as_stored: bool = False
    ) -> None:
        """Batches are float32, or `as_stored`. InputError if the store holds fewer rows than a batch, or the target
        other tokens."""
        self._rows = ActivationRows(store) if target is None else PairedRows(store, target)
        if self._rows.length < batch_size:
            raise InputError(
                f"{store} holds {self._rows.length} tokens, fewer than one batch of {batch_size}; "
                "lower the recipe's batch_size or raise the model's activations.train_tokens"
            )
        self.width, self.receipt = self._rows.width, self._rows.receipt
        self._kind = self._rows.dtype if as_stored else np.dtype(np.float32)
        self._order = EpochOrder(self._rows.length, batch_size, seed)

    def batch(self, step: int) -> Float[Tensor, "row neuron"]:
        """See `RowSource.batch`."""
        return torch.from_numpy(self._rows.gather(self._order.at(step).numpy(), self._kind))

    def sample(self, count: int, seed: int) -> Float[Tensor, "row neuron"]:
        """See `RowSource.sample`."""
        generator = np.random.default_rng(seed)
        size = min(count, self._rows.length)
        numbers = np.sort(generator.choice(self._rows.length, size=size, replace=False))
        return torch.from_numpy(self._rows.gather(numbers))


def open_rows(recipe: Recipe, where: dict[str, str], device: str) -> StoredRows:
    """The rows of the store at `where["store"]`, with those of the store at `where["target"]` if there is one."""
    target = Path(where["target"]) if "target" in where else None
    return StoredRows(Path(where["store"]), recipe.batch_size, recipe.seed, target, as_stored=device == "cuda")
