"""Activations of texts that have the same bits whatever other texts are read beside them.

How a product is summed, and so its last bits, depends on the shapes of the matrices. So a text is read in a batch whose
shape follows from the length of the text alone: a bucket of positions that it is padded to, times a number of slots of
which other texts may fill the rest. That the slots are equal is not promised by anybody, so it is tried out.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.models.subject import Batch, Subject

SLOTS = 16
"""Texts of a batch."""
SHORTEST = 16
"""Positions of the smallest bucket; each next one has twice as many, and the last one the model's context."""

Ids = Int[np.ndarray, " position"]
Read = dict[str, Float[Tensor, "position neuron"]]


class FixedBatches:
    """Reads texts with a model, up to `slots` of one bucket at once."""

    def __init__(self, subject: Subject, context: int, vocabulary: int, slots: int = SLOTS) -> None:
        self._subject, self._context, self._vocabulary, self._wanted = subject, context, vocabulary, slots
        self._slots: dict[int, int] = {}

    def bucket(self, length: int) -> int:
        """Positions that a text of some tokens is padded to."""
        return min(self._context, max(SHORTEST, 1 << (length - 1).bit_length()))

    def read(self, texts: Sequence[Ids], sites: Sequence[str]) -> list[Read]:
        """Activations at some sites, for each text by site; each text has a token at least, and at most the context."""
        found: list[Read] = [{} for _ in texts]
        for bucket, places in self._batches(texts):
            batch = self._run([texts[place] for place in places], bucket, self.slots(bucket), sites)
            for slot, place in enumerate(places):
                found[place] = {site: batch[site][slot, : len(texts[place])] for site in sites}
        return found

    def slots(self, bucket: int) -> int:
        """Texts of a batch of this bucket: as many as were asked for, or one where the slots are not equal."""
        if bucket not in self._slots:
            self._slots[bucket] = self._wanted if self._wanted > 1 and self._are_equal(bucket) else 1
        return self._slots[bucket]

    def _batches(self, texts: Sequence[Ids]) -> Iterator[tuple[int, list[int]]]:
        by_bucket: dict[int, list[int]] = {}
        for place, ids in enumerate(texts):
            by_bucket.setdefault(self.bucket(len(ids)), []).append(place)
        for bucket, places in sorted(by_bucket.items()):
            slots = self.slots(bucket)
            for start in range(0, len(places), slots):
                yield bucket, places[start : start + slots]

    def _run(self, texts: Sequence[Ids], bucket: int, slots: int, sites: Sequence[str]) -> dict[str, Tensor]:
        inputs = torch.zeros(slots, bucket, dtype=torch.int64)
        for slot, ids in enumerate(texts):
            inputs[slot, : len(ids)] = torch.from_numpy(ids)
        everywhere = torch.ones_like(inputs, dtype=torch.bool)
        found = self._subject.activations(Batch(inputs, inputs, everywhere, everywhere), sites)
        return {site: values.float() for site, values in found.items()}

    def _are_equal(self, bucket: int) -> bool:
        """Whether a text has the same bits in every slot, beside copies of itself and beside others."""
        draw = np.random.default_rng(bucket)
        texts = list(draw.integers(0, self._vocabulary, (self._wanted, bucket)))
        sites = list(self._subject.sites)
        beside_others = self._run(texts, bucket, self._wanted, sites)
        for place in range(0, self._wanted, max(1, self._wanted // 4)):
            alike = self._run([texts[place]] * self._wanted, bucket, self._wanted, sites)
            expected = {site: values[place : place + 1].expand_as(values) for site, values in beside_others.items()}
            if any(not torch.equal(alike[site], expected[site]) for site in sites):
                return False
        return True
