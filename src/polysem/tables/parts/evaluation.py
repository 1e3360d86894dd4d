"""Running a model over the first sequences of a token store."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from polysem.models.batches import TokenStore
from polysem.models.subject import Batch, Evaluation

POSITIONS = 1024
"""Positions per batch: the logits of one batch are this times the vocabulary, 200 MB for 50,000 tokens."""


def leading_batches(store: TokenStore, tokens: int) -> Iterator[Batch]:
    """Whole sequences from the start until `tokens` counted positions are reached; all of them if there are fewer.

    The last sequence may go over by less than its length.
    """
    size = max(1, POSITIONS // store.batch(0, 1).targets.shape[1])
    missing = tokens
    for batch in store.batches(size):
        reached = batch.counted.sum(dim=1).cumsum(dim=0)
        needed = int((reached < missing).sum()) + 1
        if needed < len(reached):
            yield Batch(batch.inputs[:needed], batch.targets[:needed], batch.scored[:needed], batch.counted[:needed])
            return
        yield batch
        missing -= int(reached[-1])
        if missing <= 0:
            return


@dataclass
class Score:
    """Loss and hits, added up over batches."""

    loss: float = 0.0
    hits: int = 0
    scored: int = 0
    by_sequence: list[NDArray[np.float64]] = field(default_factory=list)
    """Per batch: loss and number of scored positions of each sequence, [sequence, 2]."""

    def add(self, batch: Batch, evaluation: Evaluation) -> None:
        """Add the scored positions of a batch."""
        self.loss += float(evaluation.losses[batch.scored].double().sum())
        self.hits += int(evaluation.correct[batch.scored].sum())
        self.scored += int(batch.scored.sum())
        losses = evaluation.losses.double().masked_fill(~batch.scored, 0.0).sum(dim=1)
        self.by_sequence.append(np.stack([losses.cpu().numpy(), batch.scored.sum(dim=1).cpu().numpy()], axis=1))

    def sums(self) -> NDArray[np.float64]:
        """Loss and number of scored positions of each sequence, [sequence, 2]."""
        return np.concatenate(self.by_sequence) if self.by_sequence else np.zeros((0, 2))

    @property
    def cross_entropy(self) -> float:
        """Nats per scored position; NaN if there is none."""
        return self.loss / self.scored if self.scored else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of scored positions at which the most likely prediction is the target; NaN if there is none."""
        return self.hits / self.scored if self.scored else float("nan")
