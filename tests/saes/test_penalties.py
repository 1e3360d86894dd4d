"""Penalties of two tokens with known features, worked by hand."""

import math

import pytest
import torch

from polysem.saes import penalties
from polysem.saes.entries import DenseEntries, SparseEntries

SIZES = torch.tensor([[0.25, 4.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


def dense(sizes):
    return DenseEntries(sizes != 0, sizes)


def sparse(sizes):
    row, feature = torch.nonzero(sizes, as_tuple=True)
    return SparseEntries(row, feature, sizes[row, feature], tuple(sizes.shape))


def listed(entries, values):
    """Values of the entries, token by token."""
    return (values[entries.active] if isinstance(entries, DenseEntries) else values).tolist()


@pytest.mark.parametrize("form", [dense, sparse])
def test_l1_pays_the_sum_of_each_token(form):
    entries = form(SIZES)
    paid = penalties.l1(2.0)(entries, entries.value)
    assert paid.mean == pytest.approx(2 * (0.25 + 4 + 1) / 2)
    assert listed(entries, paid.slope) == [2, 2, 2]


@pytest.mark.parametrize("form", [dense, sparse])
@pytest.mark.parametrize("penalty", [penalties.l1, penalties.sqrt])
def test_no_slope_pulls_at_an_entry_whose_size_is_not_above_0(form, penalty):
    """A gated SAE's features can be active with a size below 0, for which nothing is to be paid."""
    entries = form(torch.tensor([[-0.5, 2.0]], dtype=torch.float64))
    assert listed(entries, penalty(3.0)(entries, entries.value).slope) == [0, 3]


@pytest.mark.parametrize("form", [dense, sparse])
def test_sqrt_pays_the_root_below_1_and_the_size_from_1_on(form):
    entries = form(SIZES)
    paid = penalties.sqrt(2.0)(entries, entries.value)
    assert paid.mean == pytest.approx(2 * (0.5 + 4 + 1) / 2, rel=1e-6)
    assert listed(entries, paid.slope) == pytest.approx([2 * 0.5 / 0.5, 2, 2], rel=1e-6)


@pytest.mark.parametrize("form", [dense, sparse])
def test_hoyer_pays_the_squared_sum_over_the_sum_of_squares(form):
    entries = form(SIZES)
    paid = penalties.hoyer(2.0)(entries, entries.value)
    total, square = 4.25, 16.0625
    ratio = total / square
    assert paid.mean == pytest.approx(2 * (total * ratio + 1) / 2, rel=1e-6)
    slopes = [2 * (2 * ratio - 2 * ratio**2 * size) for size in (0.25, 4)]
    assert listed(entries, paid.slope) == pytest.approx([*slopes, 0], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("form", [dense, sparse])
def test_a_billionth_is_added_under_the_root_and_under_the_fraction(form):
    """The SAEs of document S0 have that number, which bounds the slope where sizes are tiny."""
    entries = form(torch.tensor([[3e-9]], dtype=torch.float64))
    paid = penalties.sqrt(1.0)(entries, entries.value)
    assert paid.mean == pytest.approx(math.sqrt(4e-9))
    assert listed(entries, paid.slope) == pytest.approx([0.5 / math.sqrt(4e-9)])
    entries = form(torch.tensor([[1e-4]], dtype=torch.float64))
    assert penalties.hoyer(1.0)(entries, entries.value).mean == pytest.approx(1e-8 / (1e-8 + 1e-9))


def test_both_is_the_sum_of_two():
    entries = sparse(SIZES)
    first, second = penalties.l1(2.0)(entries, entries.value), penalties.hoyer(0.5)(entries, entries.value)
    paid = penalties.both(penalties.l1(2.0), penalties.hoyer(0.5))(entries, entries.value)
    assert paid.mean == pytest.approx(first.mean + second.mean)
    assert torch.equal(paid.slope, first.slope + second.slope)
