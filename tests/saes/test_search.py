"""What rules expect of a batch before it is searched, and which entries they keep."""

import pytest
import torch

from polysem.saes.entries import SparseEntries
from polysem.saes.search import Above, InsufficientError, Largest, LargestOfBatch


def entries_of(values):
    """All entries of a matrix that are not 0."""
    values = torch.tensor(values)
    row, feature = torch.nonzero(values, as_tuple=True)
    return SparseEntries(row, feature, values[row, feature], tuple(values.shape))


def test_shares_are_counted_where_the_rule_does_not_fix_them():
    above = torch.tensor([[1.0, -1, 0, 2], [-1, -1, -1, 3]])
    assert Above().share(above) == 3 / 8
    assert Largest(1).share(above) == LargestOfBatch(1).share(above) == 1 / 4
    assert Largest(9).share(above) == LargestOfBatch(9).share(above) == 1


def test_a_batch_is_assumed_to_reach_what_half_as_many_again_reach_in_the_rows_seen():
    above = torch.randn(256, 40, generator=torch.Generator().manual_seed(0))
    guessed = LargestOfBatch(3).guessed(above)
    assert int((above >= guessed.assumed).sum()) == 1.5 * 3 * 256 + 64
    assert guessed.exhaustive().assumed == 0
    assert guessed.bound(above).item() == pytest.approx(guessed.assumed)
    few = torch.ones(2, 40)
    assert LargestOfBatch(3).guessed(few).assumed == 1
    assert LargestOfBatch(7).guessed(few[:, :42]).assumed == 0  # 85 of 80 entries
    assert LargestOfBatch(3).guessed(-above.abs() - 1).assumed == 0


def test_the_largest_of_a_batch_are_kept_if_enough_reach_what_was_assumed():
    entries = entries_of([[5.0, 1, 4, 0], [3, 0, 0, 2]])
    bound = torch.zeros(2)
    kept = LargestOfBatch(2, 1.0).trimmed(entries, bound)
    assert kept.value.tolist() == [5, 4, 3, 2]
    assert LargestOfBatch(1, 3.0).trimmed(entries, bound).value.tolist() == [5, 4]
    assert LargestOfBatch(3, 0.0).trimmed(entries, bound) is entries
    assert LargestOfBatch(2, 2.0).trimmed(entries, bound).count() == 4
    with pytest.raises(InsufficientError) as caught:
        LargestOfBatch(2, 2.5).trimmed(entries, bound)
    assert caught.value.tokens.tolist() == [0, 1]


def test_the_largest_of_each_token_are_kept_if_all_are_above_its_bound():
    entries = entries_of([[5.0, 1, 4, 0], [3, 0, 0, 2], [1, 1, 1, 0]])
    kept = Largest(2).trimmed(entries, torch.tensor([4.0, 2.0, 0.0]))
    assert list(zip(kept.row.tolist(), kept.feature.tolist(), strict=True)) == [
        (0, 0),
        (0, 2),
        (1, 0),
        (1, 3),
        (2, 0),
        (2, 1),
    ]
    with pytest.raises(InsufficientError) as caught:
        Largest(2).trimmed(entries, torch.tensor([4.0, 2.1, 0.0]))
    assert caught.value.tokens.tolist() == [1]
    assert Largest(3).trimmed(entries, torch.zeros(3)) is entries


def test_a_token_s_bound_is_the_kth_largest_maximum_of_its_groups():
    """Of 64 features groups of sixteen are made, each with every fourth."""
    pre = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    maxima = pre.view(5, 16, 4).amax(1)
    bound = Largest(2).bound(pre)
    torch.testing.assert_close(bound, maxima.sort(1, descending=True).values[:, 1:2].clamp(min=0))
    assert ((pre >= bound).sum(1) >= 2).all()
    assert Largest(4).bound(pre).shape == (5, 1)
    assert Largest(5).bound(pre).tolist() == [[0]]
    assert Largest(2).bound(-pre.abs()).tolist() == [[0]] * 5


@pytest.mark.parametrize("rule", [Largest(2), LargestOfBatch(2), Above(), Above(torch.tensor([0.0, 1.5, 0, 0]))])
def test_masks_hold_the_active_entries(rule):
    pre = torch.tensor([[5.0, 1, 4, -1], [3, -2, -1, 2.5], [-1, -1, 0, -3]])
    active = {
        Largest: [[1, 0, 1, 0], [1, 0, 0, 1], [0] * 4],
        LargestOfBatch: [[1, 1, 1, 0], [1, 0, 0, 1], [0] * 4],
        Above: [[1, int(rule.floor is None), 1, 0], [1, 0, 0, 1], [0] * 4],
    }
    assert rule.mask(pre).int().tolist() == active[type(rule)]
    assert LargestOfBatch(1).mask(pre).int().tolist() == [[1, 0, 1, 0], [1, 0, 0, 0], [0] * 4]
    assert LargestOfBatch(4).mask(pre).sum() == 5


def test_a_mask_holds_the_largest_of_many_features():
    """Among 640 features the ten largest groups of sixteen are looked at alone."""
    pre = torch.randn(7, 640, generator=torch.Generator().manual_seed(0))
    for k in (1, 10, 20, 21):
        least = pre.sort(1, descending=True).values[:, k - 1 : k]
        assert torch.equal(Largest(k).mask(pre), (pre >= least) & (pre > 0))


@pytest.mark.parametrize("features", [1 << 16, (1 << 16) + 1, 1 << 17])
def test_entries_are_ordered_by_feature_however_many_there_are(features):
    feature = torch.tensor([features - 1, 0, 5, features - 1, 5, 0])
    entries = SparseEntries(torch.tensor([0, 1, 1, 1, 2, 3]), feature, torch.ones(6), (4, features))
    order, row, first = entries.by_feature
    assert order.tolist() == [1, 5, 2, 4, 0, 3]
    assert row.tolist() == [1, 3, 1, 2, 0, 1]
    assert first[[0, 1, 5, 6, features - 1]].tolist() == [0, 2, 2, 4, 4]
