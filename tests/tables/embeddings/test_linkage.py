import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import fcluster, is_valid_linkage, linkage
from scipy.spatial.distance import pdist, squareform
from slow import slow_clusters, slow_measures

from polysem.numerics.cluster_measures import MEASURES, cluster_measures
from polysem.numerics.linkage import average_linkage, cosine_distances, cut_clusters


def several(seed, features=30, examples=25, inputs=9):
    """Features whose examples lie around a few directions, and how many examples each has."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((features, 4, inputs))
    chosen = generator.integers(0, 4, (features, examples))
    e = centres[np.arange(features)[:, None], chosen] + 0.6 * generator.standard_normal((features, examples, inputs))
    return e.astype(np.float32), generator.integers(0, examples + 1, features)


def test_two_pairs_of_examples_worked_by_hand():
    """Directions at 0°, 60°, 90° and 180° from the first: distances 1 − cosine."""
    angle = np.deg2rad([0, 60, 90, 180])
    e = np.stack([np.cos(angle), np.sin(angle)], axis=1)[None].astype(np.float32)
    distances = cosine_distances(e)
    np.testing.assert_allclose(distances[0, 0], [0, 0.5, 1, 2], atol=1e-6)
    merges = average_linkage(distances, np.array([4]))
    near = 1 - np.cos(np.pi / 6)
    joined = [[1, 2, near, 2], [0, 4, 0.75, 3], [3, 5, (2 + 1.5 + 1) / 3, 4]]
    np.testing.assert_allclose(merges[0], joined, atol=1e-6)
    cluster = cut_clusters(merges, np.array([4]), 0.5)
    assert cluster.tolist() == [[1, 0, 0, 2]]
    found = cluster_measures(distances, cluster)
    expected = {
        "max_distance": 2,
        "mean_distance": (0.5 + 1 + 2 + near + 1.5 + 1) / 6,
        "intra_cluster_distance": near,
        "inter_cluster_distance": (0.5 + 1 + 2 + 1.5 + 1) / 5,
        "silhouette": ((0.5 - near) / 0.5 + (1 - near) / 1) / 4,
        "clusters": 3,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], [value], atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("cut", "clusters"), [(0.25, [0, 0, 1, 0]), (0.2499, [0, 0, 1, 2]), (0.75, [0, 0, 0, 0])])
def test_a_merge_at_just_the_cut_is_kept(cut, clusters):
    distances = np.array(
        [[[0, 0.125, 0.75, 0.25], [0.125, 0, 0.75, 0.25], [0.75, 0.75, 0, 0.75], [0.25, 0.25, 0.75, 0]]]
    )
    merges = average_linkage(distances.astype(np.float32), np.array([4]))
    assert merges[0, :, 2].tolist() == [0.125, 0.25, 0.75]
    assert cut_clusters(merges, np.array([4]), cut)[0].tolist() == clusters


@pytest.mark.parametrize("cut", [0.05, 0.5, 1.2])
def test_linkage_clusters_and_measures_are_those_of_scipy_and_scikit_learn(cut):
    e, size = several(0)
    distances = cosine_distances(e)
    merges = average_linkage(distances, size)
    cluster = cut_clusters(merges, size, cut)
    found = cluster_measures(distances, cluster)
    for feature, count in enumerate(size):
        assert (cluster[feature, count:] == -1).all()
        if count > 1:
            expected = linkage(pdist(e[feature, :count], "cosine"), "average")
            np.testing.assert_allclose(merges[feature, : count - 1], expected, atol=1e-5)
            assert np.isnan(merges[feature, count - 1 :]).all()
            assert cluster[feature, :count].tolist() == slow_clusters(e[feature, :count], cut).tolist()
            for name, value in slow_measures(e[feature, :count], cut).items():
                np.testing.assert_allclose(found[name][feature], value, atol=2e-6, err_msg=name)
    few = size < 2
    assert few.any()
    assert all(np.isnan(found[name][few]).all() for name in MEASURES if name != "clusters")
    assert found["clusters"][few].tolist() == size[few].tolist()


def test_weights_are_multiplied_element_by_element():
    e, _ = several(1)
    weights = np.random.default_rng(2).standard_normal((len(e), e.shape[2])).astype(np.float32)
    expected = [squareform(pdist(e[feature] * weights[feature], "cosine")) for feature in range(len(e))]
    np.testing.assert_allclose(cosine_distances(e, weights), expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.just(1), st.integers(2, 12), st.just(3)), elements=st.integers(-2, 2).map(float)),
    st.floats(0.01, 2),
)
def test_ties_and_identical_examples_give_clusters_that_scipy_could_give(e, cut):
    """Among equal distances either may be merged first, so scipy cuts the same merges here."""
    e = e[:, (e[0] != 0).any(axis=1)]
    size = np.array([e.shape[1]])
    if size[0] < 2:
        return
    distances = cosine_distances(e)
    merges = average_linkage(distances, size)
    assert is_valid_linkage(merges[0])
    cluster = cut_clusters(merges, size, cut)[0]
    expected = fcluster(merges[0], cut, "distance")
    assert ((cluster[:, None] == cluster) == (expected[:, None] == expected)).all()
    counts = np.bincount(cluster)
    assert (np.diff(counts) <= 0).all()
    firsts = [int(np.flatnonzero(cluster == number)[0]) for number in range(len(counts))]
    assert all(firsts[i] < firsts[i + 1] for i in np.flatnonzero(np.diff(counts) == 0))


def test_vectors_without_a_direction_have_no_clusters():
    e = np.ones((3, 4, 2), np.float32)
    e[0, 2] = 0
    e[1, 1, 0] = np.nan
    e[2, 3, 1] = np.inf
    size = np.full(3, 4)
    distances = cosine_distances(e)
    assert np.isnan(distances).any(axis=(1, 2)).all()
    merges = average_linkage(distances, size)
    assert np.isnan(merges).all()
    assert (cut_clusters(merges, size, 0.5) == -1).all()


def test_identical_examples_are_one_cluster():
    e = np.repeat(np.random.default_rng(0).standard_normal((2, 1, 50)), 7, axis=1).astype(np.float32)
    distances = cosine_distances(e)
    assert distances.max() < 1e-6
    merges = average_linkage(distances, np.full(2, 7))
    assert (cut_clusters(merges, np.full(2, 7), 0.5) == 0).all()
