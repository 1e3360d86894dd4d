"""The table `quantiles` against all activations of each feature, sorted."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
import torch
from surveyed import ExampleChoice, survey

from polysem.saes.dictionary import Neurons
from polysem.saes.entries import SparseEntries
from polysem.saes.ranking import PER_MILLE
from polysem.tables.passes.survey import blocks as blocks_module
from polysem.tables.passes.survey import order_statistics as module
from polysem.tables.passes.survey.order_statistics import order_statistics
from polysem.tables.passes.survey.recording import Recorded
from polysem.tables.passes.survey.windows import Window

CHOICE = ExampleChoice(top=2, sampled=0, window=Window(0, 0), seed=0)


def look(first, rows, features):
    """A block in which features are active: rows of {feature: activation}."""
    listed = [(row, feature, value) for row, active in enumerate(rows) for feature, value in sorted(active.items())]
    row, feature, value = (torch.tensor(column) for column in zip(*listed, strict=True))
    return Recorded(first, SparseEntries(row, feature, value, (len(rows), features)))


def test_places_in_the_order_worked_by_hand():
    """Feature 0 is active on three tokens of two blocks, feature 1 never, feature 2 once."""
    looks = [look(0, [{0: 5.0}, {0: 1.0, 2: 7.0}], 3), look(2, [{0: 3.0}], 3)]
    found = order_statistics(np.array([3, 0, 1]), lambda: looks, (0, 333, 334, 666, 667, 999, 1000))
    assert found[0].tolist() == [1, 1, 3, 3, 5, 5, 5]
    assert np.isnan(found[1]).all()
    assert found[2].tolist() == [7] * 7


def test_shares_are_counted_without_rounding():
    """0.1 · 30 is a little above 3 as a float, and its place is the third all the same."""
    looks = [look(0, [{0: float(value)} for value in range(1, 31)], 1)]
    assert order_statistics(np.array([30]), lambda: looks, (100, 700)).tolist() == [[3, 21]]


@pytest.mark.parametrize("held", [1 << 22, 200, 1])
def test_activations_are_those_of_all_sorted_whatever_is_held_at_once(text, dictionary, held, monkeypatch):
    monkeypatch.setattr(module, "HELD", held)
    monkeypatch.setattr(blocks_module, "block_rows", lambda *shape: 70)
    surveyed = survey(text.rows, dictionary, text.tokens, CHOICE)
    found = order_statistics(surveyed.frequency["active_tokens"].values, surveyed.again, PER_MILLE)
    f = dictionary.encode(torch.from_numpy(text.x)).numpy()
    assert found.shape == (f.shape[1], len(PER_MILLE))
    for feature in range(f.shape[1]):
        active = sorted(value for value in f[:, feature].tolist() if value > 0)
        if not active:
            assert np.isnan(found[feature]).all()
            continue
        places = [max(1, ceil(Fraction(part, 1000) * len(active))) for part in PER_MILLE]
        np.testing.assert_allclose(found[feature], [active[place - 1] for place in places], rtol=1e-5)
        assert found[feature, -1] == surveyed.frequency["max_activation"].values[feature]
    assert isinstance(dictionary, Neurons) or np.isnan(found[7]).all(), "a feature that is never active"
