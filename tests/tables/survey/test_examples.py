import numpy as np
import torch
import xarray as xr

from polysem.saes.entries import SparseEntries
from polysem.tables.passes.survey.best import Best
from polysem.tables.passes.survey.blocks import Block
from polysem.tables.passes.survey.examples import Examples, quantiles
from polysem.tables.passes.survey.frequency import BINS
from polysem.tables.passes.survey.recording import Recording
from polysem.tables.passes.survey.windows import Window


def block(first, rows, value, feature=None, features=1):
    """A block of consecutive tokens of one sequence with an active feature on some of them."""
    row = torch.tensor(rows)
    feature = torch.zeros(len(rows), dtype=torch.int64) if feature is None else torch.tensor(feature)
    tokens = max(rows) + 1
    entries = SparseEntries(row, feature, torch.tensor(value, dtype=torch.float32), (tokens, features))
    position = first + np.arange(tokens)
    return Block(first, torch.zeros(tokens, 1), entries, np.zeros(tokens, np.int64), position)


def test_earlier_tokens_stay_among_equal_ones():
    best = Best(2, 2)
    keys = np.array([5, 3, 5, 3, 3], np.int32)
    feature, token = np.array([0, 0, 0, 0, 1]), np.arange(5)
    best.add(keys, feature, token, keys.astype(np.float32))
    best.add(np.array([3, 2], np.int32), np.array([0, 1]), np.array([7, 8]), np.array([3, 2], np.float32))
    assert best.token.tolist() == [[1, 3], [8, 4]]
    assert best.value.tolist() == [[3, 3], [2, 3]]


def drawn(seed, size, features, blocks_of):
    """Samples of 30 of 200 active tokens for each of some features."""
    examples = Examples(features, 0, 30, Window(0, 0), seed)
    for first in range(0, 200, blocks_of):
        tokens = np.repeat(np.arange(min(blocks_of, 200 - first)), features)
        value = 1.0 + first + tokens
        examples.add(
            block(first, tokens.tolist(), value.tolist(), np.tile(np.arange(features), 200)[: len(tokens)], features)
        )
    return examples._sorted()[0]


def test_draws_are_uniform_and_differ_between_features_and_seeds():
    samples = drawn(0, 30, 400, 200)
    counts = np.bincount(samples.ravel(), minlength=200)
    assert counts.sum() == 400 * 30
    expected, deviation = 400 * 0.15, np.sqrt(400 * 0.15 * 0.85)
    assert np.abs(counts - expected).max() < 4.5 * deviation
    statistic = ((counts - expected) ** 2).sum() / deviation**2
    assert 120 < statistic < 290  # chi-squared with 199 degrees of freedom
    assert len({tuple(row) for row in samples.tolist()}) == 400
    assert (drawn(1, 30, 400, 200) != samples).any()


def test_draws_do_not_depend_on_where_blocks_end():
    assert (drawn(3, 30, 5, 200) == drawn(3, 30, 5, 7)).all()


def test_samples_are_sorted_like_the_top_examples():
    assert (np.diff(drawn(0, 30, 5, 200), axis=1) < 0).all()  # activations ascend with the token


def test_quantiles_count_what_is_smaller_and_spread_a_bin_evenly():
    histogram = np.zeros((3, BINS), np.int32)
    histogram[0, [80, 84]] = [3, 1]  # three within 1 … 2^(1/4), one at 2 … 2^(5/4)
    histogram[1, 80] = 1
    table = xr.Dataset({"activation_histogram": (("feature", "bin"), histogram)})
    activation = np.array([[2.0, 2 ** (1 / 8), 1.0], [1.1, np.nan, np.nan], [np.nan] * 3], np.float32)
    found = quantiles(activation, table)
    np.testing.assert_allclose(found[0], [0.75, 0.25, 0.0], atol=1e-6)
    assert found[1, 0] == 0
    assert np.isnan(found[1, 1:]).all()
    assert np.isnan(found[2]).all()


def test_a_recording_gives_back_what_it_was_given_as_often_as_asked(tmp_path):
    recording = Recording(tmp_path, 4)
    given = [block(0, [0, 0, 2], [1.5, 2.0, 3.0], [1, 3, 0], 4), block(3, [1], [0.5], [2], 4)]
    for part in given:
        recording.add(part)
    for _ in range(2):
        found = list(recording.blocks())
        assert [look.first for look in found] == [0, 3]
        for look, part in zip(found, given, strict=True):
            assert look.entries.tokens == part.tokens
            for name in ("row", "feature", "value"):
                assert torch.equal(getattr(look.entries, name), getattr(part.entries, name))
    assert list(tmp_path.iterdir()) == []


def test_images_have_no_neighbours_and_no_tokens(activation_store, image_store):
    from surveyed import ExampleChoice, survey

    from polysem.activations.rows import ActivationRows
    from polysem.models.batches import TokenStore
    from polysem.saes.dictionary import Neurons

    x = np.array([[1.0, 0.0], [3.0, -1.0], [2.0, 0.0]], np.float32)
    images = TokenStore(image_store(np.zeros((3, 4), np.float32), np.zeros(3, np.int32), 2))
    choice = ExampleChoice(top=2, sampled=1, window=Window(4, 4), seed=0)
    table = survey(ActivationRows(activation_store(x)), Neurons(2), images, choice).examples
    assert table["offset"].values.tolist() == [0]
    assert table["sequence"].values[0, :2].tolist() == [1, 2]
    assert table["window_activation"].values[0, :2, 0].tolist() == [3.0, 2.0]
    assert (table["token"] == -1).all()
    assert (table["sequence"].values[1] == -1).all()
