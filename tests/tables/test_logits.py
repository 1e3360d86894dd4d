import math

import numpy as np
import pytest
import scipy.stats
import torch
from weight_cases import random_sae, sae_of

from polysem.io.tables import read_table, write_table
from polysem.saes.dictionary import Neurons
from polysem.tables.of_dictionary import logits as module
from polysem.tables.of_dictionary.logits import logits
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.null_space import seen_rows

SITE = "blocks.0.mlp.hook_post"


def directions_of(output, unembedding) -> Directions:
    tensors = {f"{SITE}/output_weights": output, "unembedding": unembedding}
    return Directions(
        {name: torch.as_tensor(value, dtype=torch.float32) for name, value in tensors.items()},
        {"processing": "none", "final_norm": "none"},
    )


def test_a_case_worked_by_hand():
    """Feature 0 writes (1, 0), feature 1 writes (0, 2); the tokens read 1·x, -1·x, 2·y."""
    sae = sae_of([[1, 0], [0, 1]], [[1, 0], [0, 1]])
    table = logits(sae, directions_of([[1, 0], [0, 2]], [[1, -1, 0], [0, 0, 2]]), SITE)
    assert table["boosted_token"].values[:, 0].tolist() == [0, 2]
    assert table["boost"].values.tolist()[0] == [1, 0, -1]
    assert table["suppressed_token"].values[0].tolist() == [1, 2, 0]
    assert table["suppression"].values[0].tolist() == [-1, 0, 1]
    assert table["logit_mean"].values.tolist() == [0, pytest.approx(4 / 3)]
    assert float(table["logit_std"][0]) == pytest.approx((2 / 3) ** 0.5)
    assert float(table["logit_skewness"][0]) == pytest.approx(0, abs=1e-6)
    assert float(table["logit_kurtosis_excess"][0]) == pytest.approx(1.5 - 3)
    assert table.attrs["processing"] == "none"


def test_tokens_and_moments_equal_those_of_plain_loops_and_scipy(monkeypatch):
    monkeypatch.setattr(module, "ENTRIES", 1000)
    random = np.random.default_rng(0)
    sae, output, unembedding = random_sae(50, 8), random.standard_normal((8, 5)), random.standard_gamma(1, (5, 70))
    table = logits(sae, directions_of(output, unembedding), SITE)
    decoder = sae.W_dec.double().numpy()
    for feature in range(50):
        weights = [
            math.fsum(decoder[feature, n] * output[n, d] * unembedding[d, token] for n in range(8) for d in range(5))
            for token in range(70)
        ]
        order = sorted(range(70), key=weights.__getitem__)
        assert table["suppressed_token"].values[feature].tolist() == order[:10]
        assert table["boosted_token"].values[feature].tolist() == order[::-1][:10]
        np.testing.assert_allclose(table["boost"].values[feature], [weights[t] for t in order[::-1][:10]], rtol=1e-4)
        row = table.isel(feature=feature)
        assert float(row["logit_mean"]) == pytest.approx(np.mean(weights), rel=1e-3, abs=1e-4)
        assert float(row["logit_std"]) == pytest.approx(np.std(weights), rel=1e-4)
        assert float(row["logit_skewness"]) == pytest.approx(scipy.stats.skew(weights), rel=1e-3, abs=1e-4)
        assert float(row["logit_kurtosis_excess"]) == pytest.approx(scipy.stats.kurtosis(weights), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(("weakest", "shared"), [(0.1, True), (1e-5, False)])
def test_logit_weights_by_way_of_what_is_seen_equal_those_in_float64(weakest, shared):
    """A direction of W_out too weak to count as seen, and yet no rounding, reaches the logits all the same."""
    random = np.random.default_rng(0)
    basis, _ = np.linalg.qr(random.standard_normal((40, 5)))
    output, unembedding = basis * [3, 2, 2, 1, weakest], random.standard_gamma(1, (5, 70))
    decoder = random.standard_normal((60, 40))
    decoder[0] = basis[:, 4]
    sae, directions = sae_of(decoder, decoder), directions_of(output, unembedding)
    seen = seen_rows(sae, directions, SITE)
    assert (seen.onward(directions.output_weights(SITE)) is not None) == shared
    weights = sae.W_dec.double().numpy() @ output @ unembedding
    table = logits(sae, directions, SITE, seen=seen)
    assert (table["boosted_token"].values[1:] == np.argsort(-weights[1:])[:, :10]).all()
    np.testing.assert_allclose(table["boost"], -np.sort(-weights)[:, :10], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(table["logit_std"], weights.std(1), rtol=1e-5, atol=1e-6)


def test_of_tokens_with_the_same_weight_the_first_comes_first():
    table = logits(sae_of([[1]], [[1]]), directions_of([[1]], [[2, 5, -1, 5, -1]]), SITE)
    assert table["boosted_token"].values.tolist() == [[1, 3, 0, 2, 4]]
    assert table["suppressed_token"].values.tolist() == [[2, 4, 0, 1, 3]]


def test_neurons_have_logit_weights_too():
    random = np.random.default_rng(0)
    output, unembedding = random.standard_normal((6, 3)), random.standard_normal((3, 20))
    table = logits(Neurons(6), directions_of(output, unembedding), SITE)
    weights = output @ unembedding
    assert table["boosted_token"].values[:, 0].tolist() == weights.argmax(1).tolist()
    np.testing.assert_allclose(table["logit_std"], weights.std(1), rtol=1e-5)


def test_a_site_without_a_direct_path_says_so_and_has_no_variables():
    table = logits(random_sae(4, 3), Directions({}), SITE)
    assert not table.data_vars
    assert table.sizes["feature"] == 4
    assert "no direct path" in table.attrs["not_applicable"]


def test_chosen_features_keep_all_their_weights_and_their_tokens_in_words(tmp_path):
    random = np.random.default_rng(0)
    sae, output, unembedding = random_sae(9, 6), random.standard_normal((6, 3)), random.standard_normal((3, 20))
    context = random.random((2, 20)) < 0.3
    names = [f" tökén{token}" for token in range(20)]
    table = logits(
        sae, directions_of(output, unembedding), SITE, [5, 1], [2, 0], context, names.__getitem__, ["dna", ""]
    )
    write_table(tmp_path / "logits.nc", table)
    again = read_table(tmp_path / "logits.nc")
    np.testing.assert_allclose(again["logit_weight"], sae.W_dec[[5, 1]].numpy() @ output @ unembedding, rtol=1e-4)
    np.testing.assert_allclose(again["neuron_logit_weight"], (output @ unembedding)[[2, 0]], rtol=1e-4)
    assert again["showcase_neuron"].values.tolist() == [2, 0]
    pairs = zip(again["logit_weight"].values, again["neuron_logit_weight"].values, strict=True)
    expected = [scipy.stats.pearsonr(ours.astype(float), theirs.astype(float)).statistic for ours, theirs in pairs]
    np.testing.assert_allclose(again["neuron_logit_correlation"], expected)
    assert (again["in_context"].values == context).all()
    assert again["context"].values.tolist() == ["dna", ""]
    for place, feature in enumerate([5, 1]):
        ids = again["boosted_token"].sel(feature=feature).values
        assert again["boosted_text"].values[place].tolist() == [names[token] for token in ids]


def test_equal_weights_have_no_correlation():
    table = logits(sae_of(np.eye(2), np.eye(2)), directions_of(np.eye(2), [[1, 2], [3, 3]]), SITE, [0, 1, 0], [0, 0, 1])
    np.testing.assert_allclose(table["neuron_logit_correlation"], [1, np.nan, np.nan])


def test_equal_weights_have_no_skewness():
    table = logits(sae_of([[1.0]], [[1.0]]), directions_of([[1.0]], [[0.1, 0.1, 0.1]]), SITE)
    assert np.isnan(table["logit_skewness"].values).all()
    assert np.isnan(table["logit_kurtosis_excess"].values).all()
