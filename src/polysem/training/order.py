"""The order in which training data comes: a pure function of (seed, step)."""

import torch
from torch import Tensor


class EpochOrder:
    """Shuffled numbers 0 … count − 1, epoch after epoch; which ones a step gets depends on (seed, step) alone."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        if batch > count:
            raise ValueError(f"a batch of {batch} cannot be drawn from {count}")
        self.steps_per_epoch = count // batch
        self._count, self._batch, self._seed = count, batch, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> Tensor:
        """Numbers for a step, int64 [batch]; the rest of an epoch that fills no batch is left out of that epoch."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(self._count, generator=generator)
        return self._order[place * self._batch : (place + 1) * self._batch]
