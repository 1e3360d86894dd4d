"""S3.U1: similar clusters of any feature, beside those that the run found."""

import numpy as np
import pytest

from polysem.io.errors import InputError
from polysem.study.similar_clusters import ClusterCentres


def named(table, centre):
    return tuple(table[name].values[centre] for name in ("site", "dictionary", "feature", "cluster"))


def test_clusters_of_the_table_have_the_neighbours_that_it_names(study):
    model = study["stories-1l"]
    table, centres = model.table("cluster_relations").load(), ClusterCentres(model)
    places = {(site, name) for site, name in zip(table["site"].values, table["dictionary"].values, strict=True)}
    assert len(places) > 1
    for site, name in places:
        own = np.flatnonzero((table["site"].values == site) & (table["dictionary"].values == name))
        feature = int(table["feature"].values[own[len(own) // 2]])
        found = centres.like(model[site][name], feature)
        rows = own[table["feature"].values[own] == feature]
        assert len(found) == len(rows)
        for near, row in zip(found, rows, strict=True):
            known = table["neighbour"].values[row]
            assert [one.similarity for one in near] == pytest.approx(
                table["similarity"].values[row][known >= 0].tolist(), abs=1e-5
            )
            assert named(table, known[0]) == near[0][:4]


def test_a_feature_that_is_not_clustered_has_none_and_images_have_their_own(study):
    model = study["stories-1l"]
    table = model.table("cluster_relations").load()
    site = next(iter(model))
    clustered = set(table["feature"].values[table["dictionary"].values == "neurons"].tolist())
    idle = next((number for number in range(model[site].neurons) if number not in clustered), None)
    if idle is not None:
        assert ClusterCentres(model).like(model[site]["neurons"], idle) == []
    with pytest.raises(InputError, match="has no feature"):
        ClusterCentres(model).like(model[site]["neurons"], 10**6)
