import math

import numpy as np
import pytest
import torch

from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.saes.activation_functions import standard
from polysem.saes.dictionary import Neurons, load_dictionary
from polysem.saes.sae import SAE, save_sae
from polysem.tables.frequency import block_rows, feature_frequency


def test_a_case_worked_by_hand():
    x = np.array([[1.0, -2.0, 0.0], [3.0, -1.0, 0.0], [0.0, -4.0, 5.0], [0.0, -3.0, 0.0]], np.float32)
    table = feature_frequency([x[:3], x[3:]], Neurons(3))
    assert table.attrs["tokens"] == 4
    assert table["frequency"].values.tolist() == [0.5, 0.0, 0.25]
    assert table["active_tokens"].values.tolist() == [2, 0, 1]
    assert table["active_tokens"].dtype == np.int64
    assert table["mean_active"].values[[0, 2]].tolist() == [2.0, 5.0]
    assert math.isnan(table["mean_active"].values[1])
    assert table["max_activation"].values.tolist() == [3.0, -1.0, 5.0]
    assert table["feature"].values.tolist() == [0, 1, 2]


def test_frequencies_equal_those_of_plain_loops(relu_dictionary):
    x = np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)
    sae = relu_dictionary(5, 9)
    sae.b_enc[3] = -100.0
    table = feature_frequency((x[start : start + 64] for start in range(0, 300, 64)), sae)
    for feature in range(9):
        values = [float(sae.encode(torch.from_numpy(row))[feature]) for row in x]
        active = [value for value in values if value > 0]
        row = table.sel(feature=feature)
        assert int(row["active_tokens"]) == len(active)
        assert float(row["frequency"]) == len(active) / 300
        assert float(row["max_activation"]) == pytest.approx(max(values), rel=1e-5)
        expected = math.fsum(active) / len(active) if active else math.nan
        assert float(row["mean_active"]) == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_an_sae_feature_that_is_never_active_has_no_mean_and_a_maximum_of_0(relu_dictionary):
    sae = relu_dictionary(5, 3)
    sae.b_enc[:] = -100.0
    table = feature_frequency([np.ones((4, 5), np.float32)], sae)
    assert table["max_activation"].values.tolist() == [0, 0, 0]
    assert np.isnan(table["mean_active"].values).all()


def test_an_sae_is_moved_to_the_device_it_is_asked_for_on(relu_dictionary, tmp_path):
    ours = relu_dictionary(4, 6)
    sae = SAE(ours.W_enc, ours.b_enc, ours.W_dec, torch.zeros(4), standard.Function())
    save_sae(sae, tmp_path, {}, torch.zeros(6))
    moved = load_dictionary(tmp_path, 4, "meta")
    assert isinstance(moved, SAE)
    assert {tensor.device.type for tensor in moved.tensors().values()} == {"meta"}


def test_the_table_does_not_depend_on_where_blocks_end_beyond_rounding(activation_store, relu_dictionary):
    x = np.random.default_rng(1).standard_normal((2100, 4)).astype(np.float32)
    rows, sae = ActivationRows(activation_store(x)), relu_dictionary(4, 6)
    one, many = (feature_frequency(rows.blocks(size), sae) for size in (2100, 77))
    assert (one["active_tokens"] == many["active_tokens"]).all()
    np.testing.assert_allclose(one["mean_active"], many["mean_active"], rtol=1e-5)


def test_no_tokens_are_an_error_that_says_what_to_raise():
    with pytest.raises(InputError, match="eval_tokens"):
        feature_frequency([], Neurons(3))


def test_a_block_holds_fewer_rows_of_more_features():
    assert block_rows(4096) == 256
    assert block_rows(1 << 20) == 64
    assert block_rows(3) == 4096
