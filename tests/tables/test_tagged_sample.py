"""The second look at activations on a sample of the tokens, by a case worked by hand."""

from types import SimpleNamespace

import numpy as np
import torch

from polysem.saes.entries import SparseEntries
from polysem.tables.parts.tagged_sample import Sample, Tokens


def test_of_a_feature_the_tokens_of_the_sample_are_told_and_no_others():
    sample = Sample()
    numbers = np.array([1, 3, 6])
    sample.add(Tokens(numbers, np.zeros(3, np.int64), np.zeros((3, 1), np.uint8), np.zeros(3, np.int32)))
    first = torch.tensor([[0, 2, 9.0], [1, 2, 5.0], [3, 0, 4.0], [3, 2, 7.0]])  # token, feature, activation
    second = torch.tensor([[0, 2, 3.0], [2, 1, 8.0], [2, 2, 6.0]])  # from token 4 on
    looks = [
        SimpleNamespace(first=start, entries=SparseEntries(row.int(), feature.int(), value, (4, 3)))
        for start, (row, feature, value) in ((0, first.T), (4, second.T))
    ]
    found = sample.activations(np.array([2, 1, 2]), lambda: looks)
    assert found.keys() == {1, 2}
    assert (found[2].row.tolist(), found[2].value.tolist()) == ([0, 1, 2], [5.0, 7.0, 6.0])
    assert (found[1].row.tolist(), found[1].value.tolist()) == ([2], [8.0])
