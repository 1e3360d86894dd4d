import math

import numpy as np
import pytest
import torch
from weight_cases import alignment_of, frequencies, random_sae, sae_of

from polysem.params.analysis import Analysis
from polysem.saes.dictionary import Neurons
from polysem.tables.of_dictionary.alignment import identity_blocks, neuron_alignment
from polysem.tables.of_dictionary.geometry import geometry
from polysem.tables.parts.decoder_cosines import BIN_EDGES, BLOCK
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.null_space import column_space, null_share, random_null_share, seen_rows

SITE = "blocks.0.mlp.hook_post"


def with_output(weights) -> Directions:
    return Directions({f"{SITE}/output_weights": torch.as_tensor(weights, dtype=torch.float32)})


def geometry_of(sae, frequency=None, directions=None, alignment=None, **analysis):
    frequency = frequencies(np.full(sae.features, 0.1) if frequency is None else frequency)
    alignment = alignment_of(sae) if alignment is None else alignment
    return geometry(sae, frequency, alignment, directions or Directions({}), SITE, Analysis(**analysis))


def cosine(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def test_a_case_worked_by_hand():
    """W_out keeps the first two of three neurons. The third decoder row is ultra-low and left out of all scalars."""
    sae = sae_of([[3, 4, 0], [0, 0, 2], [1, 1, 1]], [[1, 0, 0], [0, 3, 4], [0, 0, 1]], [-1, 0, 0.5])
    table = geometry_of(sae, [0.1, 0.2, 0.0], with_output([[1, 0], [0, 2], [0, 0]]))
    np.testing.assert_allclose(table["encoder_decoder_cosine"], [3 / 5, 4 / 5, 1 / 3**0.5], rtol=1e-6)
    assert table["encoder_decoder_product"].values.tolist() == [3, 8, 1]
    assert table["encoder_bias"].values.tolist() == [-1, 0, 0.5]
    np.testing.assert_allclose(table["encoder_norm"], [5, 2, 3**0.5], rtol=1e-6)
    assert table["decoder_norm"].values.tolist() == [1, 5, 1]
    assert float(table["encoder_decoder_cosine_median"]) == pytest.approx(0.7)
    np.testing.assert_allclose(table["null_share_encoder"], [0, 1, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(table["null_share_decoder"], [0, 16 / 25, 1], atol=1e-6)
    assert float(table["null_share_decoder_mean"]) == pytest.approx(8 / 25)
    assert float(table["null_share_decoder_standard_deviation"]) == pytest.approx(8 / 25)
    assert table.attrs["rank"] == 2
    assert float(table["frequent_decoder_rows"]) == 2
    assert float(table["frequent_decoder_cosine_mean"]) == pytest.approx(0, abs=1e-7)
    assert float(table["isotropic_cosine_variance"]) == pytest.approx(1 / 3)


def test_cosines_of_frequent_rows_equal_those_of_all_pairs_one_by_one():
    sae = random_sae(60, 9, seed=3)
    sae.W_dec[::7] = 0.05 * sae.W_dec[::7]
    sae.W_dec[::7, 4] = 2
    frequency = np.where(np.arange(60) % 5 == 0, 5e-5, 1e-4)
    table = geometry_of(sae, frequency)
    rows = [[float(weight) for weight in row] for row in sae.W_dec]
    usual = [feature for feature in range(60) if feature % 5]
    power = [sorted((weight**2 for weight in row), reverse=True) for row in rows]
    dense = [feature for feature in usual if sum(power[feature]) * 0.35 >= sum(power[feature][:10])]
    sparse_only = [feature for feature in usual if power[feature][0] <= 0.35 * sum(power[feature])]
    assert float(table["frequent_dense_decoder_rows"]) == len(dense) == 0
    assert math.isnan(float(table["frequent_dense_decoder_cosine_mean"]))
    assert 0 < len(sparse_only) < len(usual)
    cosines = [cosine(rows[a], rows[b]) for a in usual for b in usual if a < b]
    mean = math.fsum(cosines) / len(cosines)
    variance = math.fsum((value - mean) ** 2 for value in cosines) / len(cosines)
    assert float(table["frequent_decoder_cosine_mean"]) == pytest.approx(mean, rel=1e-5)
    assert float(table["frequent_decoder_cosine_variance"]) == pytest.approx(variance, rel=1e-5)
    counts, _ = np.histogram(cosines, BIN_EDGES)
    assert np.abs(table["decoder_cosine_pairs"].sel(kind="frequent").values - counts).sum() <= 2


def test_neuron_sparse_rows_are_left_out_of_the_dense_ones():
    sae = random_sae(80, 200, seed=1)
    sae.W_dec[:30] = 0
    sae.W_dec[:30, 5] = 1
    table = geometry_of(sae)
    rows = torch.nn.functional.normalize(sae.W_dec[30:].double(), dim=1)
    cosines = (rows @ rows.T).numpy()[np.triu_indices(50, 1)]
    assert float(table["frequent_dense_decoder_rows"]) == 50
    assert float(table["frequent_dense_decoder_cosine_variance"]) == pytest.approx(cosines.var(), rel=1e-5)
    assert float(table["frequent_decoder_cosine_mean"]) > 0.1


def test_moments_of_more_rows_than_a_block_equal_those_of_all_pairs_in_float64():
    sae = random_sae(3 * BLOCK // 2, 40, seed=4)
    sae.W_dec[:] = (sae.W_dec + 3) * torch.rand(sae.features, 1, generator=torch.Generator().manual_seed(0))
    table = geometry_of(sae, np.where(np.arange(sae.features) % 9, 0.1, 0))
    rows = torch.nn.functional.normalize(sae.W_dec[torch.arange(sae.features) % 9 > 0].double(), dim=1)
    cosines = (rows @ rows.T).numpy()[np.triu_indices(len(rows), 1)]
    assert len(rows) > BLOCK
    assert float(table["frequent_decoder_cosine_mean"]) == pytest.approx(cosines.mean(), rel=1e-6)
    assert float(table["frequent_decoder_cosine_variance"]) == pytest.approx(cosines.var(), rel=1e-4)


def test_the_same_rows_with_the_same_seen_part_have_the_same_table():
    sae = random_sae(30, 12)
    directions = with_output(np.random.default_rng(0).standard_normal((12, 5)))
    table = geometry_of(sae, directions=directions)
    alignment, seen = alignment_of(sae), seen_rows(sae, directions, SITE)
    given = geometry(sae, frequencies(np.full(30, 0.1)), alignment, directions, SITE, Analysis(), (), seen)
    assert given.identical(table)


def test_random_directions_have_the_variance_that_geometry_gives_them():
    table = geometry_of(random_sae(10, 300))
    assert float(table["random_decoder_cosine_variance"]) == pytest.approx(1 / 300, rel=0.01)
    assert abs(float(table["random_decoder_cosine_mean"])) < 1e-3


def test_the_null_share_is_what_is_left_of_a_row_by_least_squares():
    random = np.random.default_rng(0)
    weights, rows = random.standard_normal((20, 6)), random.standard_normal((15, 20))
    basis = column_space(torch.as_tensor(weights, dtype=torch.float32))
    share = null_share(np.square(rows @ basis.numpy()).sum(1), np.square(rows).sum(1))
    for row, found in zip(rows, share, strict=True):
        residual = row - weights @ np.linalg.lstsq(weights, row, rcond=None)[0]
        assert float(found) == pytest.approx(residual @ residual / (row @ row), rel=1e-4)


def test_centred_output_weights_have_one_direction_less():
    weights = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    assert column_space(weights).shape == (30, 8)
    assert column_space(weights - weights.mean(1, keepdim=True)).shape == (30, 7)


@pytest.mark.parametrize("weakest", [1e-1, 1e-3, 1e-5, 4e-6])
def test_the_basis_of_weights_that_are_nearly_singular_is_orthonormal_and_holds_them(weakest):
    random = np.random.default_rng(0)
    left, _ = np.linalg.qr(random.standard_normal((12, 4)))
    right, _ = np.linalg.qr(random.standard_normal((4, 4)))
    weights = torch.as_tensor(left * [1, 0.7, 0.2, weakest] @ right, dtype=torch.float32)
    basis = column_space(weights)
    assert basis.shape == (12, 4)
    torch.testing.assert_close(basis.T @ basis, torch.eye(4), rtol=0, atol=1e-6)
    torch.testing.assert_close(basis @ (basis.T @ weights), weights, rtol=0, atol=3e-7)


def test_random_shares_are_those_of_random_rows_and_have_the_published_mean_and_deviation():
    drawn = random_null_share(2048, 512, seed=0)
    assert drawn.mean() == pytest.approx(0.75, abs=0.001)
    assert drawn.std() == pytest.approx(0.0135, abs=0.0005)
    random = np.random.default_rng(1)
    basis, _ = np.linalg.qr(random.standard_normal((40, 10)))
    rows = random.standard_normal((4096, 40))
    slow = np.sort(1 - ((rows @ basis) ** 2).sum(1) / (rows**2).sum(1))
    np.testing.assert_allclose(np.sort(random_null_share(40, 10, seed=0))[200:-200], slow[200:-200], atol=0.015)


def test_a_site_without_output_weights_has_no_null_space_and_says_so():
    table = geometry_of(random_sae(10, 4))
    assert "null_share_decoder" not in table
    assert "no weights of its own behind it" in table.attrs["null_space_not_applicable"]


def test_neurons_have_a_null_share_and_no_encoder():
    weights = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    alignment = neuron_alignment(identity_blocks(12), 12)
    table = geometry_of(Neurons(12), directions=with_output(weights), alignment=alignment)
    basis, _ = torch.linalg.qr(weights)
    torch.testing.assert_close(torch.from_numpy(table["null_share_decoder"].values), 1 - basis.square().sum(1))
    assert "null_share_encoder" not in table
    assert "encoder_decoder_cosine" not in table
    assert "neither an encoder nor a decoder" in table.attrs["not_applicable"]


def test_without_a_frequent_feature_the_scalars_are_nan():
    table = geometry_of(random_sae(10, 4), np.zeros(10), with_output(np.eye(4, 2)))
    for name in ("encoder_decoder_cosine_median", "frequent_decoder_cosine_mean", "null_share_encoder_mean"):
        assert math.isnan(float(table[name]))
    assert np.isfinite(table["encoder_decoder_cosine"]).all()


def test_the_rows_of_chosen_features_are_kept_whole():
    sae = random_sae(10, 4)
    table = geometry(
        sae, frequencies(np.full(10, 0.1)), alignment_of(sae), Directions({}), SITE, Analysis(), showcase=[7, 2]
    )
    assert table["showcase"].values.tolist() == [7, 2]
    assert (table["showcase_decoder"].values == sae.W_dec[[7, 2]].numpy()).all()
