import math

import numpy as np
import pytest
import scipy.stats
from safetensors.numpy import save_file

from polysem.io.errors import InputError
from polysem.tables.of_dictionary.alignment import (
    BLOCK,
    decoder_blocks,
    identity_blocks,
    neuron_alignment,
)


def aligned(decoder, **options):
    decoder = np.asarray(decoder, np.float32)
    blocks = (decoder[start : start + BLOCK] for start in range(0, len(decoder), BLOCK))
    return neuron_alignment(blocks, decoder.shape[1], **options)


def test_a_case_worked_by_hand():
    table = aligned([[3, 0, -4, 0], [0, -1, 0, 0], [1, 1, -1, -1]])
    assert table["power_top1"].values.tolist() == [16 / 25, 1.0, 0.25]
    np.testing.assert_allclose(table["power_next9"], [9 / 25, 0.0, 0.75])
    assert table["strongest_neuron"].values.tolist() == [2, 1, 0]
    assert table["top_neuron"].values.tolist() == [[2, 0, 1, 3], [1, 0, 2, 3], [0, 1, 2, 3]]
    assert table["top_weight"].values.tolist() == [[-4, 3, 0, 0], [-1, 0, 0, 0], [1, 1, -1, -1]]
    assert table["features_strongest"].values.tolist() == [1, 1, 1, 0]
    # mean 0 and all squares 1: the fourth moment is 1, so the excess is 1 − 3
    assert float(table["kurtosis_excess"][2]) == pytest.approx(-2)
    assert table.attrs["neurons"] == 4


def test_shares_and_kurtosis_equal_those_of_plain_loops_and_scipy():
    decoder = np.random.default_rng(0).standard_t(4, (600, 37)).astype(np.float32)
    table = aligned(decoder)
    for feature in range(0, 600, 7):
        row = [float(weight) for weight in decoder[feature]]
        order = sorted(range(37), key=lambda neuron: -abs(row[neuron]))[:10]
        power = math.fsum(weight**2 for weight in row)
        assert table["top_neuron"].values[feature].tolist() == order
        assert table["top_weight"].values[feature].tolist() == [row[neuron] for neuron in order]
        assert float(table["power_top1"][feature]) == pytest.approx(row[order[0]] ** 2 / power, rel=1e-6)
        next9 = math.fsum(row[neuron] ** 2 for neuron in order[1:])
        assert float(table["power_next9"][feature]) == pytest.approx(next9 / power, rel=1e-6)
    expected = scipy.stats.kurtosis(decoder.astype(np.float64), axis=1, fisher=True)
    np.testing.assert_allclose(table["kurtosis_excess"], expected, rtol=1e-4, atol=1e-5)
    strongest = table["strongest_neuron"].values.tolist()
    assert table["features_strongest"].values.tolist() == [strongest.count(neuron) for neuron in range(37)]


def test_kurtosis_is_right_for_weights_that_are_far_from_0():
    decoder = 100 + np.random.default_rng(0).standard_normal((5, 400))
    expected = scipy.stats.kurtosis(decoder.astype(np.float32).astype(np.float64), axis=1)
    np.testing.assert_allclose(aligned(decoder)["kurtosis_excess"], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [1e-30, 1e-22, 2e-11, 1e-8, 1e8, 1e10, 1e25])
def test_weights_whose_powers_float32_cannot_hold_have_the_same_shares_and_kurtosis(size):
    decoder = np.random.default_rng(0).standard_t(4, (20, 300))
    table, expected = aligned(size * decoder), aligned(decoder)
    for name in ("power_top1", "power_next9", "kurtosis_excess"):
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-5, atol=1e-5)
    constant = aligned(np.full((1, 300), size))
    assert math.isnan(float(constant["kurtosis_excess"][0]))


def test_rows_that_are_all_zeros_are_named():
    decoder = np.ones((600, 4))
    decoder[[5, 300]] = 0
    with pytest.raises(ValueError, match=r"features 5, 300 are all zeros"):
        aligned(decoder)


def test_ten_rows_without_a_direction_are_named_and_the_others_counted():
    decoder = np.ones((40, 4))
    decoder[20:30] = 0
    with pytest.raises(InputError, match=r"features 20, 21, 22, 23, 24, 25, 26, 27, 28, 29 are all zeros"):
        aligned(decoder)
    decoder[20:33] = 0
    with pytest.raises(InputError, match=r"28, 29 and 3 more are all zeros"):
        aligned(decoder)


def test_rows_that_are_not_finite_are_named():
    decoder = np.ones((4, 4))
    decoder[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"features 2 are"):
        aligned(decoder)


def test_the_random_rows_have_the_width_of_the_site_and_follow_the_seed():
    decoder = np.random.default_rng(0).standard_normal((300, 50))
    first, again, other = (aligned(decoder, baseline_seed=seed)["kurtosis_excess_random"] for seed in (3, 3, 4))
    assert first.sizes == {"random_row": 300}
    assert first.equals(again)
    assert not first.equals(other)
    rows = np.random.default_rng(3).standard_normal((256, 50), np.float32)
    np.testing.assert_allclose(first[:256], scipy.stats.kurtosis(rows.astype(np.float64), axis=1), atol=1e-5)


def test_there_are_at_most_4096_random_rows():
    assert aligned(np.ones((5000, 2)) * [1, 2]).sizes["random_row"] == 4096


def test_rows_of_equal_weights_have_no_kurtosis():
    table = aligned([[0.1, 0.1, 0.1], [1, 2, 3]])
    assert np.isnan(table["kurtosis_excess"].values).tolist() == [True, False]


def test_the_blocks_of_the_neurons_are_the_identity_matrix():
    assert (np.concatenate(list(identity_blocks(300))) == np.eye(300)).all()


def test_neurons_are_their_own_strongest_neurons():
    table = neuron_alignment(identity_blocks(300), 300)
    assert (table["strongest_neuron"].values == np.arange(300)).all()
    assert (table["power_top1"].values == 1).all()
    assert (table["features_strongest"].values == 1).all()
    np.testing.assert_allclose(table["kurtosis_excess"], scipy.stats.kurtosis(np.eye(300)[0]), rtol=1e-5)


def test_a_decoder_for_another_width_is_refused(tmp_path):
    save_file({"W_dec": np.ones((3, 4), np.float32)}, tmp_path / "sae_weights.safetensors")
    with pytest.raises(InputError, match="4 neurons, the site has 5"):
        list(decoder_blocks(tmp_path, 5))


def test_a_folder_without_an_sae_is_an_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match="holds no SAE"):
        list(decoder_blocks(tmp_path, 5))
