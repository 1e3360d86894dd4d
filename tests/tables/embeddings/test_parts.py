"""The small pieces of the table `clusters`."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from polysem.models.batches import TokenStore
from polysem.numerics.plane import plane
from polysem.saes.activation_functions import standard
from polysem.saes.dictionary import Neurons
from polysem.saes.sae import SAE
from polysem.tables.parts.directions import Directions
from polysem.tables.passes.embeddings.first_clusters import first_clusters, rare_secondary
from polysem.tables.passes.embeddings.measured import states
from polysem.tables.passes.embeddings.rank_correlation import agreement_scalars, spearman
from polysem.tables.passes.embeddings.shown import Shown, image_variables, mean_images, shown_features
from polysem.tables.passes.embeddings.windows import random_tokens


def test_a_secondary_behaviour_is_rare_in_a_tenth_of_twenty_examples_or_more():
    size = np.array([20, 20, 20, 19, 100])
    largest = np.array([18, 17, 20, 18, 99])
    assert rare_secondary(size, largest).tolist() == [True, False, False, False, True]


def test_states_tell_what_is_identical_from_what_is_near_and_why_others_have_no_clusters():
    """Distances of float32 vectors that are the same reach some 1e-7."""
    cases = {
        (5, 1e-7, 1.0): "identical examples",
        (5, 1e-5, 1.0): "clustered",
        (5, np.nan, 1.0): "not a number",
        (1, np.nan, 1.0): "one example",
        (0, np.nan, 0.0): "never active",
        (5, 0.5, np.inf): "not a number",
        (0, np.nan, np.nan): "not a number",
    }
    size, distance, largest = (np.array(values) for values in zip(*cases, strict=True))
    assert states(size, distance.astype(np.float32), largest).tolist() == list(cases.values())


def test_points_of_a_plane_keep_their_distances():
    points = np.random.default_rng(0).standard_normal((20, 2)) * [3, 1]
    distances = squareform(pdist(points))
    found = plane(distances)
    np.testing.assert_allclose(squareform(pdist(found)), distances, atol=1e-5)
    assert found[:, 0].std() > found[:, 1].std()
    assert (np.take_along_axis(found, np.abs(found).argmax(axis=0)[None], axis=0) > 0).all()
    assert plane(np.zeros((1, 1))).tolist() == [[0, 0]]


def test_rank_correlations_are_those_of_scipy_with_ties():
    generator = np.random.default_rng(0)
    a = generator.integers(0, 9, 200).astype(float)
    b = a + generator.integers(0, 9, 200)
    a[:5], b[5:8] = np.nan, np.inf
    found, shuffled = spearman(a, b, 0)
    known = np.isfinite(a) & np.isfinite(b)
    assert found == pytest.approx(spearmanr(a[known], b[known]).statistic)
    b = np.where(known, b, 0)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(known.sum()), (200, 1)), axis=1)
    slow = [abs(spearmanr(a[known], b[known][order]).statistic) for order in orders]
    assert shuffled == pytest.approx(np.quantile(slow, 0.95))
    assert spearman(np.array([1.0, 2, 3]), np.array([1.0, 2, 4]), 0)[0] == pytest.approx(1)
    assert np.isnan(spearman(np.array([1.0, 2, np.nan]), np.array([1.0, 2, 4]), 0)[0])
    assert np.isnan(spearman(np.ones(10), np.arange(10.0), 0)).all()


def test_the_residual_is_what_random_tokens_do_not_explain():
    random = np.arange(30.0)
    values = np.random.default_rng(0).standard_normal(30)
    found = agreement_scalars(random + values, random, {"frequency": (values, "frequency")}, 0)
    assert float(found["agreement_frequency_residual"]) == pytest.approx(1)
    assert float(found["agreement_frequency"]) < 0.8
    assert float(found["agreement_frequency_residual_shuffled"]) < 0.6


def test_random_tokens_are_spread_over_the_store_and_belong_to_the_feature():
    size = np.array([100, 3, 7])
    found = random_tokens(np.array([4, 9, 2]), size, 100, 10_000, 5)
    assert ((found[0] // 100) == np.arange(100)).all()
    assert found[1, :3].tolist() == random_tokens(np.array([9]), size[1:2], 50, 10_000, 5)[0, :3].tolist()
    assert found[1, :3].tolist() != random_tokens(np.array([9]), size[1:2], 50, 10_000, 6)[0, :3].tolist()
    assert sorted(random_tokens(np.array([1]), np.array([8]), 8, 8, 0)[0]) == list(range(8))


def test_features_are_shown_for_what_they_are_best_at():
    size = np.array([100, 100, 30, 40, 25, 5, 100])
    clusters = np.array([[50, 50, 0], [98, 2, 0], [29, 1, 0], [1, 1, 1], [25, 0, 0], [5, 0, 0], [99, 1, 0]])
    measures = {
        "silhouette": np.array([0.9, 0.1, 0.2, 0, np.nan, np.nan, 0.5]),
        "clusters": np.array([2, 2, 2, 40, 1, 1, 2]),
        "mean_distance": np.array([0.5, 0.2, 0.3, 0.9, 0.1, 0.01, 0.4]),
    }
    counted = np.array([True] * 6 + [False])
    rare = np.array([False, True, True, False, False, False, True])
    shown = shown_features(size, measures, clusters, rare, np.linspace(0, 0.1, 7), counted)
    assert dict(zip(shown.feature, shown.reason, strict=True)) == {
        0: "two clusters",
        1: "two clusters",
        2: "rare secondary behaviour",
        3: "most clusters",
        4: "tightest",
        5: "most examples",
    }


def test_at_most_six_features_are_shown_and_a_tight_one_has_twenty_examples():
    size = np.array([100, 100, 90, 90, 40, 20, 200, 19])
    clusters = np.array([[60, 40], [70, 30], [81, 9], [83, 7], [1, 1], [20, 0], [200, 0], [19, 0]])
    measures = {
        "silhouette": np.zeros(8),
        "clusters": np.array([2, 2, 2, 2, 40, 1, 1, 1]),
        "mean_distance": np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 0.2, 0.01]),
    }
    rare = np.array([False, False, True, True] + [False] * 4)
    shown = shown_features(size, measures, clusters, rare, np.zeros(8), np.full(8, True))
    assert list(zip(shown.feature, shown.reason, strict=True)) == [
        (0, "two clusters"),
        (1, "two clusters"),
        (3, "rare secondary behaviour"),
        (2, "rare secondary behaviour"),
        (4, "most clusters"),
        (5, "tightest"),
    ]  # 6 has most examples, but comes seventh; 7 is tighter, but has 19 examples


def test_six_clusters_are_shown_with_three_examples_of_each():
    """Eight clusters; the largest has examples 0, 2, 4 and 6 on a line, of which 2 and 4 are the middle."""
    cluster = np.array([[0, 1, 0, 1, 0, 2, 0, 3, 4, 5, 6, 7]])
    line = np.array([0, 50, 4, 51, 5, 60, 7, 70, 80, 90, 100, 110.0])
    found = first_clusters(np.abs(line[:, None] - line)[None].astype(np.float32), cluster)
    assert found.size.tolist() == [[4, 2, 1, 1, 1, 1]]
    assert found.example[0].tolist() == [[2, 0, 4], [1, 3, -1], [5, -1, -1], [7, -1, -1], [8, -1, -1], [9, -1, -1]]


@pytest.fixture
def images(image_store):
    pixels = np.random.default_rng(0).random((2500, 4)).astype(np.float32)
    return pixels, TokenStore(image_store(pixels, np.zeros(2500, np.int32), 2))


def test_the_mean_example_is_that_of_the_images_across_chunks(images):
    pixels, store = images
    sequence = np.array([[0, 2000, 1024, 2499], [7, -1, -1, -1]], np.int32)
    np.testing.assert_allclose(mean_images(sequence, store), [pixels[sequence[0]].mean(0), pixels[7]], rtol=1e-6)


def test_an_activation_map_is_what_each_pixel_adds_before_the_threshold(images):
    generator = torch.Generator().manual_seed(0)
    responses = torch.rand(5, 3, generator=generator)
    W_enc, b_dec = torch.randn(3, 6, generator=generator), torch.randn(3, generator=generator)
    sae = SAE(W_enc, torch.full((6,), -9.0), W_enc.T, b_dec, standard.Function())
    shown, sequence = Shown([4, 1], ["a", "b"]), np.zeros((2, 1), np.int32)
    directions = Directions({"s/pixel_responses": responses})
    found = image_variables(shown, sequence, images[1], sae, directions, "s")["activation_map"]
    expected = [[((responses[p] - responses[4]) @ W_enc[:, f]).item() for p in range(4)] for f in shown.feature]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    of_neurons = image_variables(Shown([2], ["a"]), sequence[:1], images[1], Neurons(3), directions, "s")
    np.testing.assert_allclose(of_neurons["activation_map"], (responses[:4, 2:] - responses[4, 2:]).T, rtol=1e-6)
