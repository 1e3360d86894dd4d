"""S3.U1: clusters of other features that are like those of any feature, found now where the run did not look."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.report.sheet_clusters import Like
from polysem.tables.parts.directions import Directions
from polysem.tables.passes.embeddings.centres import Centres, read_centres, rows_at, space, unit_embeddings
from polysem.tables.passes.embeddings.entering import entering
from polysem.tables.passes.embeddings.similar import NEIGHBOURS

if TYPE_CHECKING:
    from polysem.study.dictionary import Dictionary
    from polysem.study.model import Model


class ClusterCentres:
    """The clusters that the table `cluster_relations` of a language model holds against each other, as points."""

    def __init__(self, model: "Model") -> None:
        self._model = model
        table = model.table("cluster_relations")
        if "site" not in table:
            raise InputError(f"the run held no clusters of {model.name} against each other")
        pairs = zip(table["site"].values.tolist(), table["dictionary"].values.tolist(), strict=True)
        self._members = [model[site][name] for site, name in dict.fromkeys(pairs)]

    def like(self, dictionary: "Dictionary", feature: int) -> list[list[Like]]:
        """Of each cluster of a feature those of other features with the largest cosines, at most `NEIGHBOURS`, nearest
        first; as the table has them of dictionaries that are in it. Empty for a feature that is not clustered.

        Raises UnknownNameError for a feature that there is not, InputError for neurons without input weights.
        """
        number = dictionary.feature(feature).number
        own = self._points(dictionary, number)
        found: list[list[Like]] = []
        for point in own.embedding:
            near: list[Like] = []
            for member in self._members:
                points = self._all[member.place.path]
                if points.space == own.space:
                    other = np.flatnonzero((points.centres.feature != number) | (member.place != dictionary.place))
                    cosine = points.embedding[other] @ point
                    for place in np.argsort(-cosine, kind="stable")[:NEIGHBOURS].tolist():
                        centre = other[place]
                        where = int(points.centres.feature[centre]), int(points.centres.cluster[centre])
                        near.append(Like(member.site.name, member.name, *where, float(cosine[place])))
            found.append(sorted(near, key=lambda one: -one.similarity)[:NEIGHBOURS])
        return found

    @cached_property
    def _all(self) -> dict[str, "Points"]:
        """The points of all dictionaries of the table, by path."""
        return {one.place.path: self._points(one) for one in self._members}

    @cached_property
    def _directions(self) -> Directions:
        return Directions.read(Path(self._model.results.bring(self._model.place.directions)))

    def _points(self, dictionary: "Dictionary", feature: int | None = None) -> "Points":
        """The clusters of a dictionary, or of one feature of it."""
        site, bring = dictionary.site.name, self._model.results.bring
        table = Path(bring(dictionary.place.tables)) / "clusters.nc"
        centres = read_centres(table, site, dictionary.name)
        if centres is None:
            raise InputError(f"{dictionary.place.path} has no neuron embeddings, and so no clusters")
        if feature is not None:
            centres = of_feature(centres, feature)
        store = Path(bring(dictionary.site.place.activations("eval").store))
        into = entering(store, dictionary.weights, self._directions, site)
        token = rows_at(ActivationRows(store), centres.sequence, centres.position)
        named = space(dictionary.weights, self._directions, site)
        return Points(centres, named, unit_embeddings(centres.feature, token, into))


class Points(NamedTuple):
    """Clusters with the neuron embeddings of their central examples, of length 1."""

    centres: Centres
    space: str
    embedding: Float[np.ndarray, "centre input"]


def of_feature(centres: Centres, feature: int) -> Centres:
    """The clusters of one feature."""
    own: Int[np.ndarray, " own"] = np.flatnonzero(centres.feature == feature)
    columns = ("feature", "cluster", "sequence", "position", "shown")
    return Centres(centres.site, centres.dictionary, *(getattr(centres, name)[own] for name in columns))
