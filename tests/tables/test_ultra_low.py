import math

import numpy as np
import pytest
from weight_cases import clustered_sae, frequencies, random_sae, sae_of

from polysem.params.analysis import Analysis
from polysem.saes.dictionary import Neurons
from polysem.tables.collect_metrics import frequency_metrics
from polysem.tables.of_dictionary.ultra_low import _random_cosines, ultra_low
from polysem.tables.parts.singular_directions import random_shares


def table_of(sae, frequency, **analysis):
    return ultra_low(sae, frequencies(frequency), Analysis(**analysis))


def test_a_case_worked_by_hand():
    """The ultra-low encoder rows (2, 0), (0, 2) and (1, 1) have the mean (1, 1), their decoder rows (2/3, 1); the
    never active row is none of them.

    Two of the three decoder rows have one direction.
    """
    encoder = [[2, 0], [0, 2], [1, 1], [5, -5], [7, -7]]
    sae = sae_of(encoder, [[1, 0], [1, 0], [0, 3], [1, 1], [2, 1]])
    table = table_of(sae, [1e-5, 5e-5, 9e-5, 1e-4, 0])
    root = 0.5**0.5
    assert float(table["ultra_low_features"]) == 3
    assert float(table["never_active"]) == 1
    assert float(table["ultra_low_threshold_firings"]) == pytest.approx(10)
    np.testing.assert_allclose(table["mean_direction"], [root, root], rtol=1e-6)
    np.testing.assert_allclose(table["mean_cosine"], [root, root, 1, 0, 0], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(table["mean_projection"], [2 * root, 2 * root, 2 * root, 0, 0], rtol=1e-6, atol=1e-6)
    assert table["frequency_class"].values.tolist() == ["frequent", "ultra-low", "never active"]
    assert table["class_features"].values.tolist() == [1, 3, 1]
    np.testing.assert_allclose(table["class_share"], [0.2, 0.6, 0.2])
    np.testing.assert_allclose(table["mean_projection_median"], [0, 2 * root, 0], rtol=1e-6, atol=1e-6)
    assert float(table["ultra_low_cosine_above_095_share"]) == pytest.approx(1 / 3)
    assert float(table["ultra_low_cosine_median"]) == pytest.approx(root)
    np.testing.assert_allclose(table["variance_share"], [2 / 3, 1 / 3], rtol=1e-6)
    assert table["held_share"].values.tolist() == [0.5, 0.9]
    assert table["variance_share_directions"].values.tolist() == [1, 2]
    assert float(table["ultra_low_first_singular_share"]) == pytest.approx(2 / 3)
    assert float(table["ultra_low_mean_decoder_cosine"]) == pytest.approx(5 / 26**0.5)


def test_a_row_against_the_mean_is_not_like_it_and_one_just_above_095_is():
    """The mean of these rows is (2.949, 0.001) or so: cosines of 1, 1, −1, 0.949 and 0.951 with the first axis."""
    angles = np.arccos([0.949, 0.951])
    rows = [[3, 0], [3, 0], [-2, 0], [0.949, np.sin(angles[0])], [0.951, -np.sin(angles[1])]]
    table = table_of(sae_of(rows, np.eye(2)[[0, 1, 0, 1, 0]]), np.full(5, 2e-5))
    np.testing.assert_allclose(table["mean_cosine"], [1, 1, -1, 0.949, 0.951], atol=1e-3)
    assert float(table["ultra_low_cosine_above_095_share"]) == pytest.approx(3 / 5)


def test_the_baseline_has_as_many_rows_as_the_cluster_and_not_as_the_sae():
    table = table_of(random_sae(400, 256), np.where(np.arange(400) < 4, 5e-5, 0.01))
    assert table.sizes["random_cosine"] == 4
    assert float(table["ultra_low_cosine_median_random"]) == pytest.approx(4**-0.5, rel=0.1)


@pytest.mark.parametrize(("cluster", "neurons"), [(50, 30), (20, 30)])
def test_the_shares_of_singular_directions_are_those_of_a_singular_value_decomposition(cluster, neurons):
    sae = clustered_sae(100, neurons, cluster)
    table = table_of(sae, np.where(np.arange(100) < cluster, 2e-5, 0.1))
    rows = sae.W_dec[:cluster].double().numpy()
    values = np.linalg.svd(rows / np.linalg.norm(rows, axis=1, keepdims=True), compute_uv=False)
    share = values**2 / (values**2).sum()
    np.testing.assert_allclose(table["variance_share"], share, rtol=1e-3, atol=1e-6)
    for held, directions in zip([0.5, 0.9], table["variance_share_directions"].values, strict=True):
        assert share[:directions].sum() >= held > share[: directions - 1].sum()


def test_the_median_projections_are_those_of_each_class():
    frequency = np.where(np.arange(200) < 80, 5e-5, 0.01)
    frequency[70:90] = 0
    table = table_of(clustered_sae(200, 64, 80), frequency)
    projection = table["mean_projection"].values
    classes = (projection[90:], projection[:70], projection[70:90])
    np.testing.assert_allclose(table["mean_projection_median"], [np.median(values) for values in classes], rtol=1e-6)
    without = table_of(clustered_sae(80, 64, 80), np.full(80, 5e-5))["mean_projection_median"]
    assert np.isnan(without.values).tolist() == [True, False, True]


def test_a_cluster_is_seen_where_there_is_one_and_only_there():
    low = np.where(np.arange(200) < 80, 5e-5, 0.01)
    same = table_of(clustered_sae(200, 64, 80), low)
    assert float(same["ultra_low_cosine_above_095_share"]) > 0.9
    assert (np.abs(same["mean_cosine"][80:]) < 0.6).all()
    different = table_of(random_sae(200, 64), low)
    assert float(different["ultra_low_cosine_above_095_share"]) == 0
    expected = float(different["ultra_low_cosine_median_random"])
    assert expected == pytest.approx(80**-0.5, rel=0.2)
    assert float(different["ultra_low_cosine_median"]) == pytest.approx(expected, abs=0.08)


def test_the_random_cosines_of_a_large_cluster_are_those_of_its_own_size():
    sae = random_sae(6000, 12)
    table = table_of(sae, np.full(6000, 2e-5))
    assert table.sizes["random_cosine"] == 1024
    deviation = float(np.std(table["mean_cosine_random"]))
    assert deviation == pytest.approx(12**-0.5, rel=0.05)


def test_random_projections_have_the_norms_of_the_encoder_rows():
    sae = random_sae(1000, 25)
    table = table_of(sae, np.full(1000, 2e-5))
    random, norms = table["mean_projection_random"].values, np.linalg.norm(sae.W_enc.numpy(), axis=0)
    assert (np.abs(random) <= norms).all()
    assert np.mean(random**2) == pytest.approx(np.mean(norms**2) / 25, rel=0.15)


@pytest.mark.parametrize(("rows", "neurons"), [(600, 200), (200, 600), (300, 300)])
def test_the_law_for_random_rows_agrees_with_a_draw(rows, neurons):
    drawn = np.random.default_rng(0).standard_normal((rows, neurons))
    values = np.linalg.svd(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), compute_uv=False) ** 2
    law = random_shares(rows, neurons)
    assert law.sum() == pytest.approx(1)
    np.testing.assert_allclose(law, values / values.sum(), rtol=0.05, atol=0.03 * law[0])


@pytest.mark.parametrize("below", [0, 2])
def test_a_dictionary_without_a_cluster_says_so_with_what_would_change_it(below):
    table = table_of(random_sae(50, 8), np.where(np.arange(50) < below, 2e-5, 0.1))
    assert float(table["ultra_low_features"]) == below
    assert "mean_cosine" not in table
    assert (
        f"{below} of 50 features are active on less than 0.0001 of 100,000 eval tokens (10 of them)"
        in (table.attrs["not_applicable"])
    )


@pytest.mark.parametrize(("tokens", "least"), [(359, "0.036"), (10_000, "1")])
def test_too_few_tokens_to_tell_an_ultra_low_feature_from_one_that_is_never_active_are_called_so(tokens, least):
    rare = np.where(np.arange(200) < 80, 0, np.where(np.arange(200) < 90, 1 / tokens, 0.2))
    table = ultra_low(clustered_sae(200, 64, 80), frequencies(rare, tokens), Analysis())
    assert (int(table["ultra_low_features"]), int(table["never_active"])) == (0, 80)
    np.testing.assert_allclose(table["class_share"], [0.6, 0, 0.4])
    assert f"0.0001 of {tokens:,} eval tokens is {least} of a token" in table.attrs["not_applicable"]
    assert frequency_metrics(frequencies(rare, tokens), Analysis())["ultra_low_share"] is None


def test_neurons_have_no_cluster_of_directions():
    table = table_of(Neurons(6), np.full(6, 2e-5))
    assert float(table["ultra_low_features"]) == 6
    assert "mean_cosine" not in table
    assert "axes" in table.attrs["not_applicable"]


def test_the_baselines_follow_the_seed():
    sae, low = clustered_sae(40, 8, 20), np.full(40, 2e-5)
    first, again, other = (table_of(sae, low, baseline_seed=seed)["mean_cosine_random"].values for seed in (1, 1, 2))
    assert (first == again).all()
    assert not math.isclose(first[0], other[0])


def test_random_rows_that_are_not_drawn_are_in_the_mean_with_their_own_length():
    """Of n random directions each has, on average, a cosine of 1 / √n with their mean."""
    found = _random_cosines(2048, 4096, 0)
    assert len(found) == 1024
    np.testing.assert_allclose(found.mean(), 1 / np.sqrt(2048), rtol=0.05)
