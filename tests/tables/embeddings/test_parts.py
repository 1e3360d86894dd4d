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
from polysem.tables.passes.embeddings.contrast import between_largest, contrast_variables, contrasted, largest_inputs
from polysem.tables.passes.embeddings.feature_variables import DISTANCES, measure_variables
from polysem.tables.passes.embeddings.first_clusters import first_clusters, rare_secondary
from polysem.tables.passes.embeddings.measured import states
from polysem.tables.passes.embeddings.rank_correlation import agreement_scalars, spearman
from polysem.tables.passes.embeddings.shown import Shown, shown_features
from polysem.tables.passes.embeddings.shown_images import drawn_examples, image_enters, image_variables, mean_images
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


def test_a_rare_behaviour_with_three_examples_is_shown_before_a_rarer_one():
    size, clusters = np.full(4, 100), np.array([[60, 40], [60, 40], [99, 1], [97, 3]])
    measures = {"silhouette": np.zeros(4), "clusters": np.ones(4), "mean_distance": np.ones(4)}
    rare, counted = np.array([False, False, True, True]), np.full(4, True)
    shown = shown_features(size, measures, clusters, rare, np.zeros(4), counted)
    assert list(zip(shown.feature, shown.reason, strict=True))[2:] == [
        (3, "rare secondary behaviour"),
        (2, "rare secondary behaviour"),
    ]


def test_at_most_six_features_are_shown_and_a_tight_one_has_twenty_examples():
    size = np.array([100, 100, 90, 60, 40, 20, 200, 19])
    clusters = np.array([[60, 40], [70, 30], [81, 9], [57, 3], [1, 1], [20, 0], [200, 0], [19, 0]])
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
    ]  # 3 has 57 of 60 examples in one cluster, 2 has 81 of 90; 6 comes seventh; 7 is tighter, but has 19 examples


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
    variables = image_variables(shown, sequence, images[1], sae, directions, "s")
    found = variables["activation_map"]
    expected = [[((responses[p] - responses[4]) @ W_enc[:, f]).item() for p in range(4)] for f in shown.feature]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert variables["importance_map"].dtype == np.float64
    np.testing.assert_allclose(variables["importance_map"], np.array(expected) * images[0][0], rtol=1e-5, atol=1e-6)
    of_neurons = image_variables(Shown([2], ["a"]), sequence[:1], images[1], Neurons(3), directions, "s")
    np.testing.assert_allclose(of_neurons["activation_map"], (responses[:4, 2:] - responses[4, 2:]).T, rtol=1e-6)


def test_images_enter_where_every_example_is_its_image_in_another_scale():
    pixels = np.random.default_rng(0).random((4, 5, 9)).astype(np.float32)
    pixels[:, 3:] = np.nan  # three examples each
    entering = 7 * pixels - 2
    entering[1, 2] = pixels[1, 0]  # one example is another image
    entering[2] *= -1
    entering[3] += 0.01 * np.random.default_rng(1).random((5, 9)).astype(np.float32)
    assert image_enters(pixels, entering).values.tolist() == [True, False, False, True]
    assert image_enters(pixels, entering[:, :, :8]).values.tolist() == [False] * 4
    pixels[0, 0], entering[0, 0] = 0.5, 0.5  # without any contrast
    assert not image_enters(pixels, entering).values[0]


def test_eight_examples_are_drawn_without_replacement():
    drawn = drawn_examples(np.array([100, 8, 3, 1]), 0).values
    assert drawn.shape == (4, 8)
    assert len(set(drawn[0].tolist())) == 8 and drawn[0].min() >= 0 and drawn[0].max() < 100
    assert sorted(drawn[1].tolist()) == list(range(8))
    assert sorted(drawn[2, :3].tolist()) == [0, 1, 2] and (drawn[2, 3:] == -1).all()
    assert drawn[3].tolist() == [0, *[-1] * 7]
    assert drawn[0].tolist() != drawn_examples(np.array([100]), 1).values[0].tolist()


def test_central_examples_of_two_clusters_are_contrasted_or_the_most_unlike_in_one():
    embeddings = np.array([[1, 0.1], [1, 0], [-0.5, 9], [1, -0.2]])
    assert contrasted(embeddings, np.array([3, 0, 2, -1])) == (3, 0)
    assert contrasted(embeddings, np.array([1, -1, -1])) == (1, 2)


def test_the_largest_inputs_of_a_pair_and_their_share_of_its_squared_length():
    pair = np.zeros((2, 50))
    pair[0, :10], pair[1, 10:48], pair[1, 3] = 2.0, -1.0, 5.0
    order, share = largest_inputs(pair)
    assert order.tolist() == [3, 0, 1, 2, *range(4, 40)]
    np.testing.assert_allclose(share, [1, (25 + 30) / (25 + 38)])
    few, all_of_it = largest_inputs(pair[:, :4])
    assert few.tolist() == [3, 0, 1, 2] and all_of_it.tolist() == [1, 1]


def test_distances_within_and_between_the_two_largest_clusters():
    """Cluster 0 has the examples 0, 2 and 4, cluster 1 has 1 and 3, and 5 is alone."""
    line = np.array([0, 10, 1, 12, 3, 99.0])
    distances = np.abs(line[:, None] - line)
    intra, inter = between_largest(distances, np.array([0, 1, 0, 1, 0, 2]))
    assert intra == pytest.approx((1 + 3 + 2 + 2) / 4)
    assert inter == pytest.approx((10 + 12 + 9 + 11 + 7 + 9) / 6)
    intra, inter = between_largest(distances[:2, :2], np.array([0, 1]))
    assert np.isnan(intra) and inter == 10
    intra, inter = between_largest(distances[:2, :2], np.array([0, 0]))
    assert intra == 10 and np.isnan(inter)


def test_what_is_contrasted_of_a_feature_is_that_of_its_own_examples_alone():
    random = np.random.default_rng(0)
    entering, weights = random.standard_normal((2, 6, 45)).astype(np.float32), random.standard_normal((2, 45))
    cluster = np.array([[0, 1, 0, 0, -1, -1], [0, 0, 0, 0, 0, 0]])
    entering[0, 4:] = np.nan
    central = np.array([[2, 1, -1], [5, -1, -1]])
    vectors = {"neuron": entering * weights[:, None], "input": entering}
    distances = {of: np.array([squareform(pdist(rows, "cosine")) for rows in both]) for of, both in vectors.items()}
    found = contrast_variables(distances, cluster, central, entering, weights)
    unlike = int(distances["neuron"][1, 5].argmax())
    assert found["contrast_example"].values.tolist() == [[2, 1], [5, unlike]]
    for place, (of, rows) in enumerate(vectors.items()):
        for feature, (one, other) in enumerate(found["contrast_example"].values):
            apart = pdist(rows[feature][[one, other]], "cosine")[0]
            assert found["contrast_distance"].values[feature, place] == pytest.approx(apart)
        of_first = distances[of][0]
        intra, inter = (found[f"two_clusters_{name}_distance"].values[:, place] for name in ("intra", "inter"))
        assert intra[0] == pytest.approx((of_first[0, 2] + of_first[0, 3] + of_first[2, 3]) / 3)
        assert inter[0] == pytest.approx((of_first[1, 0] + of_first[1, 2] + of_first[1, 3]) / 3)
        assert intra[1] == pytest.approx(pdist(rows[1], "cosine").mean()) and np.isnan(inter[1])
    products = entering[0, [2, 1]] * weights[0]
    np.testing.assert_allclose(found["contrast_embedding"].values[0], products, rtol=1e-6)
    order = found["contrast_input"].values[0]
    assert len(order) == 40
    np.testing.assert_allclose(
        found["contrast_input_share"].values[0], (products[:, order] ** 2).sum(1) / (products**2).sum(1), rtol=1e-6
    )


def test_medians_are_over_features_that_count_and_those_that_are_drawn_not_rounded():
    """Of float32 numbers the mean of the two in the middle is that of float64."""
    rows = {name: np.array([0.1, 0.3, np.nan, 0.2, 9.0], np.float32) for name in DISTANCES}
    rows |= {"silhouette": np.zeros(5, np.float32), "clusters": np.arange(5, dtype=np.int32)}
    counted = np.array([True, True, True, False, False])
    found = measure_variables(dict.fromkeys(("neuron", "input", "weighted", "random"), rows), counted)
    middle = (float(np.float32(0.1)) + float(np.float32(0.3))) / 2
    assert found["random_median_distance"].values.tolist() == [middle] * 4
    for name in ("intra_cluster_distance", "inter_cluster_distance"):
        assert found[f"median_{name}"].values.tolist() == [middle] * 3
    assert found["median_mean_distance"].values.tolist() == pytest.approx([middle] * 3)
    assert found["median_clusters"].values.tolist() == [1] * 3
    nothing = measure_variables(dict.fromkeys(("neuron", "input", "weighted", "random"), rows), np.zeros(5, bool))
    assert np.isnan(nothing["random_median_distance"].values).all()


def test_of_features_with_as_many_examples_the_most_frequent_is_shown():
    size, counted = np.array([20, 20, 20]), np.array([True, True, True])
    measures = {"silhouette": np.zeros(3), "clusters": np.ones(3), "mean_distance": np.array([0.1, 0.2, 0.3])}
    clusters = np.array([[20, 0], [20, 0], [20, 0]], np.int32)
    shown = shown_features(size, measures, clusters, np.zeros(3, bool), np.array([0.1, 0.2, 0.3]), counted)
    assert (shown.reason, shown.feature) == (["tightest", "most examples"], [0, 2])
