import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from polysem.tables.passes.embeddings.tag_agreement import agreement


def test_purity_worked_by_hand():
    cluster = np.array([[0, 0, 0, 1, 1, -1], [0, 0, 0, 0, 0, 0], [-1] * 6])
    tag = np.array([[2, 2, -1, 3, 2, 9], [1, 1, 1, 1, 1, 1], [0] * 6])
    found = agreement(cluster, tag)
    np.testing.assert_allclose(found["purity"], [3 / 5, 1, np.nan])
    assert np.isnan(found["adjusted_mutual_information"][1:]).all()


@pytest.mark.parametrize("tags", [2, 5, 40])
def test_agreement_is_that_of_scikit_learn(tags):
    generator = np.random.default_rng(tags)
    size = generator.integers(2, 41, 60)
    cluster, tag = generator.integers(0, 6, (60, 40)), generator.integers(-1, tags, (60, 40))
    tag[::2] = np.where(generator.random((30, 40)) < 0.8, cluster[::2] % tags, tag[::2])
    cluster[np.arange(40) >= size[:, None]] = -1
    cluster[0, : size[0]] = 0
    found = agreement(cluster, tag)
    for feature, count in enumerate(size):
        a, b = cluster[feature, :count], tag[feature, :count]
        best = sum(np.unique(b[a == number], return_counts=True)[1].max() for number in np.unique(a))
        np.testing.assert_allclose(found["purity"][feature], best / count, rtol=1e-6)
        expected = adjusted_mutual_info_score(b, a)
        if len(np.unique(b)) == 1 or (len(np.unique(a)) == len(np.unique(b)) == count):
            expected = np.nan
        np.testing.assert_allclose(found["adjusted_mutual_information"][feature], expected, atol=1e-5)
    assert np.isfinite(found["adjusted_mutual_information"]).sum() > 40
