import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.saes.activation_functions import standard
from polysem.saes.dictionary import Neurons, load_dictionary
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.survey import blocks as blocks_module
from polysem.tables.passes.survey.blocks import blocks
from polysem.tables.passes.survey.frequency import BINS, Frequency, bin_edges, bins


def feature_frequency(rows, dictionary):
    frequency = Frequency(dictionary.features, isinstance(dictionary, Neurons))
    for block in blocks(rows, dictionary):
        frequency.add(block)
    return frequency.table()


@pytest.fixture
def counted(activation_store):
    return lambda x, dictionary: feature_frequency(ActivationRows(activation_store(x)), dictionary)


def test_a_case_worked_by_hand(counted):
    x = np.array([[1.0, -2.0, 0.0], [3.0, -1.0, 0.0], [0.0, -4.0, 5.0], [0.0, -3.0, 0.0]], np.float32)
    table = counted(x, Neurons(3))
    assert table.attrs["tokens"] == 4
    assert table["frequency"].values.tolist() == [0.5, 0.0, 0.25]
    assert table["active_tokens"].values.tolist() == [2, 0, 1]
    assert table["active_tokens"].dtype == np.int64
    assert table["mean_active"].values[[0, 2]].tolist() == [2.0, 5.0]
    assert math.isnan(table["mean_active"].values[1])
    assert table["max_activation"].values.tolist() == [3.0, -1.0, 5.0]
    assert table["feature"].values.tolist() == [0, 1, 2]
    assert table["mean"].values.tolist() == [1.0, 0.0, 1.25]
    assert table["standard_deviation"].values.tolist() == [math.sqrt(1.5), 0.0, math.sqrt(25 / 4 - 1.25**2)]
    histogram = table["activation_histogram"].values
    assert histogram.sum() == 3
    assert histogram[0, 80] == histogram[0, 86] == 1  # 1 = 2^0 begins bin 80; 3 lies between 2^(6/4) and 2^(7/4)
    assert histogram[2, 89] == 1  # 5 lies between 2^(9/4) and 2^(10/4)


def test_activations_are_counted_apart_in_two_halves_of_whole_sequences(activation_store, relu_dictionary, monkeypatch):
    """The store has a token per sequence; blocks end anywhere."""
    monkeypatch.setattr(blocks_module, "block_rows", lambda *shape: 77)
    x = np.random.default_rng(2).standard_normal((1000, 4)).astype(np.float32)
    rows, sae = ActivationRows(activation_store(x)), relu_dictionary(4, 6)
    sequence, _ = rows.places(0, rows.length)
    half_b = held_out(sequence)
    assert 0.4 < half_b.mean() < 0.6
    for dictionary in (sae, Neurons(4)):
        table = feature_frequency(rows, dictionary)
        active = dictionary.encode(torch.from_numpy(x)).numpy() > 0
        by_hand = np.stack([active[~half_b].sum(0), active[half_b].sum(0)], axis=1)
        assert table["active_tokens_of_half"].values.tolist() == by_hand.tolist()
        assert table["tokens_of_half"].values.tolist() == [(~half_b).sum(), half_b.sum()]
        assert table["half"].values.tolist() == ["A", "B"]


def test_bins_are_those_of_a_search_among_the_edges():
    edges = bin_edges()
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)]).astype(np.float32)
    drawn = 2 ** np.random.default_rng(0).uniform(-25, 16, 5000)
    value = np.concatenate([near, np.nextafter(near, np.float32(0)), drawn.astype(np.float32)])
    expected = (np.searchsorted(edges, value.astype(np.float64), side="right") - 1).clip(0, BINS - 1)
    assert bins(value).tolist() == expected.tolist()
    assert len(edges) == BINS + 1 == 129
    assert (edges[0], edges[80], edges[84], edges[-1]) == (2**-20, 1, 2, 4096)


def test_frequencies_equal_those_of_plain_loops(counted, relu_dictionary, monkeypatch):
    monkeypatch.setattr(blocks_module, "block_rows", lambda *shape: 64)
    x = np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)
    sae = relu_dictionary(5, 9)
    sae.b_enc[3] = -100.0
    table = counted(x, sae)
    for feature in range(9):
        values = [float(sae.encode(torch.from_numpy(row))[feature]) for row in x]
        active = [value for value in values if value > 0]
        row = table.sel(feature=feature)
        assert int(row["active_tokens"]) == len(active)
        assert float(row["frequency"]) == len(active) / 300
        assert float(row["max_activation"]) == pytest.approx(max(values), rel=1e-5)
        expected = math.fsum(active) / len(active) if active else math.nan
        assert float(row["mean_active"]) == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_an_sae_feature_that_is_never_active_has_no_mean_and_a_maximum_of_0(counted, relu_dictionary):
    sae = relu_dictionary(5, 3)
    sae.b_enc[:] = -100.0
    table = counted(np.ones((4, 5), np.float32), sae)
    assert table["max_activation"].values.tolist() == [0, 0, 0]
    assert np.isnan(table["mean_active"].values).all()


def test_a_feature_with_the_same_activation_on_all_tokens_does_not_deviate(counted, relu_dictionary):
    table = counted(np.full((1000, 5), 0.1, np.float32), relu_dictionary(5, 30))
    assert (table["mean"] > 0).any()
    assert (table["standard_deviation"] == 0).all()


def test_a_small_deviation_from_a_large_mean_is_more_than_rounding(counted):
    x = np.tile(np.array([[1000.0, 1001.0], [1001.0, 1001.0]], np.float32), (500, 1))
    np.testing.assert_allclose(counted(x, Neurons(2))["standard_deviation"], [0.5, 0], rtol=1e-4)


def test_an_sae_is_moved_to_the_device_it_is_asked_for_on(relu_dictionary, tmp_path):
    ours = relu_dictionary(4, 6)
    sae = SAE(ours.W_enc, ours.b_enc, ours.W_dec, torch.zeros(4), standard.Function())
    save_sae(sae, tmp_path, {}, torch.zeros(6))
    moved = load_dictionary(tmp_path, 4, "meta")
    assert isinstance(moved, SAE)
    assert {tensor.device.type for tensor in moved.tensors().values()} == {"meta"}


def test_the_table_does_not_depend_on_where_blocks_end_beyond_rounding(activation_store, relu_dictionary, monkeypatch):
    x = np.random.default_rng(1).standard_normal((2100, 4)).astype(np.float32)
    rows, sae = ActivationRows(activation_store(x)), relu_dictionary(4, 6)
    tables = []
    for size in (2100, 77):
        monkeypatch.setattr(blocks_module, "block_rows", lambda *shape, size=size: size)
        tables.append(feature_frequency(rows, sae))
    one, many = tables
    assert (one["active_tokens"] == many["active_tokens"]).all()
    np.testing.assert_allclose(one["mean_active"], many["mean_active"], rtol=1e-5)


def test_no_tokens_are_an_error_that_says_what_to_raise():
    with pytest.raises(InputError, match="eval_tokens"):
        feature_frequency(SimpleNamespace(length=0, width=3), Neurons(3))
