"""S3.U1: what a sheet says of the clusters of a feature's strong examples."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polysem.io.columns import Columns
from polysem.layout.place import Place
from polysem.report.contexts import Example, ImageContexts, TextContexts
from polysem.report.numbers import in_words

MEASURES = {
    "mean_distance": "mean distance of two examples",
    "max_distance": "largest distance",
    "intra_cluster_distance": "mean distance within clusters",
    "inter_cluster_distance": "mean distance between clusters",
    "clusters": "clusters",
}
"""Measures of the table, in words; each has a baseline `random_…`."""
COLUMNS = ("neuron", "input")
"""Embeddings whose measures stand beside each other."""
WHY_NOT = {
    "never active": "Never active: there are no examples to cluster.",
    "one example": "One strong example alone: there is nothing to cluster.",
    "not a number": "The embeddings of its {size} strong examples are not numbers and cannot be clustered.",
}
Address = Callable[[str, str, int], str | None]
"""The address of the sheet of (site, dictionary, feature), None if it has none."""


class Similar(NamedTuple):
    """The cluster of another feature."""

    name: str
    site: str
    dictionary: str
    address: str | None
    similarity: str


class Like(NamedTuple):
    """A cluster of another feature that is like one."""

    site: str
    dictionary: str
    feature: int
    cluster: int
    """Counted from 0, the largest first."""
    similarity: float
    """Cosine of the neuron embeddings of both central examples."""


class Cluster(NamedTuple):
    """One cluster, counted from 1."""

    number: int
    size: str
    examples: list[Example]
    similar: list[Similar]


class Measure(NamedTuple):
    """A row of numbers in words: by neuron embedding, by what enters, of random examples."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Clusters:
    """The section of one sheet."""

    said: str
    measures: list[Measure]
    clusters: list[Cluster]
    further: str
    importance: bool
    """Whether the importance of tokens is shown."""


class SheetClusters:
    """The sections of all sheets of a dictionary, one by one, out of the rows of its table `clusters`."""

    def __init__(
        self,
        table: Columns,
        contexts: TextContexts | ImageContexts,
        relations: "Relations | None" = None,
        address: Address = lambda *_: None,
    ) -> None:
        """`relations` are the similar clusters, and the importance of tokens, of the dictionary's clusters."""
        self._reason = str(table.attributes.get("not_applicable", ""))
        self._contexts = contexts
        self._address = address
        self._columns = table
        if self._reason:
            return
        self._attributes = table.attributes
        names = [str(name) for name in table["embedding"]]
        self._embeddings = [names.index(name) for name in COLUMNS]
        self._relations = relations

    def of(self, row: int, feature: int, largest: float) -> Clusters:
        """The section of the feature in this row, whose largest activation is given."""
        if self._reason:
            return Clusters(self._reason, [], [], "", importance=False)
        state, size = str(self._columns["state"][row]), int(self._columns["size"][row])
        sizes = self._columns["cluster_size"][row].tolist()
        shown = [self._cluster(row, feature, number, largest) for number, count in enumerate(sizes) if count]
        every = int(self._columns["clusters"][self._embeddings[0], row])
        return Clusters(
            said=self._said(state, size, every),
            measures=self._measures(row) if state in ("clustered", "identical examples") else [],
            clusters=shown,
            further=_further(every - len(shown), size - sum(sizes)) if shown else "",
            importance=self._relations is not None
            and any(
                self._relations.importance(feature, number, self._columns["offset"]) is not None
                for number in range(len(shown))
            ),
        )

    def _said(self, state: str, size: int, clusters: int) -> str:
        if state in WHY_NOT:
            return WHY_NOT[state].format(size=size)
        if state == "identical examples":
            return (
                f"All {size} strong examples have the same embedding: one cluster, which does not make it monosemantic."
            )
        share, cut = (float(self._attributes[name]) for name in ("strong_share", "cluster_cut"))
        strong = f"it reaches {100 * share:.3g} % of its largest activation" if share else "it is active"
        return (
            f"{size} strong examples in {clusters} {'cluster' if clusters == 1 else 'clusters'}: the first "
            f"{self._contexts.unit} met, at most {self._attributes['strong_examples']}, on which {strong}; "
            f"average linkage of cosine distances of neuron embeddings "
            f"(what enters times {self._attributes['weights']}), cut at {cut:.3g}."
        )

    def _measures(self, row: int) -> list[Measure]:
        return [
            Measure(
                words,
                (
                    *(_number(self._columns[name][place, row]) for place in self._embeddings),
                    _number(self._columns[f"random_{name}"][row]),
                ),
            )
            for name, words in MEASURES.items()
        ]

    def _cluster(self, row: int, feature: int, number: int, largest: float) -> Cluster:
        table = self._columns
        count = int(table["cluster_size"][row, number])
        members = table["cluster_example"][row, number].tolist()
        relations = self._relations
        examples = []
        for place, member in enumerate(members):
            if member < 0:
                continue
            sequence = int(table["example_sequence"][row, member])
            tokens = table["cluster_token"][row, number, place]
            importance = None
            if relations is not None and not place:
                importance = relations.importance(feature, number, table["offset"])
            html = self._contexts.example(
                tokens, table["cluster_activation"][row, number, place], table["offset"], largest, sequence, importance
            )
            key = int(tokens[table["offset"] == 0][0])
            where = self._contexts.place(sequence, int(table["example_position"][row, member]))
            examples.append(
                Example(
                    html,
                    self._contexts.name(key) if key >= 0 else None,
                    _number(table["example_activation"][row, member]),
                    f"{where}, the central example" if not place and count > 1 else where,
                    self._contexts.plain(tokens),
                )
            )
        similar = relations.similar(feature, number, self._address) if relations is not None else []
        return Cluster(number + 1, f"{count} example" if count == 1 else f"{count} examples", examples, similar)


class Relations:
    """Rows of the table of a model's cluster centres that belong to one dictionary."""

    def __init__(self, relations: Columns, place: Place) -> None:
        self._columns = relations
        self._measured: dict[tuple[int, int], Mapping[int, float]] = {}
        self._found: dict[tuple[int, int], Sequence[Like]] = {}
        own = np.flatnonzero((relations["site"] == place.site) & (relations["dictionary"] == place.dictionary))
        keys = zip(relations["feature"][own].tolist(), relations["cluster"][own].tolist(), strict=True)
        self._centre = dict(zip(keys, own.tolist(), strict=True))

    def __bool__(self) -> bool:
        """Whether any cluster of the dictionary was held against others."""
        return bool(self._centre)

    def measured(
        self,
        importance: Mapping[tuple[int, int], Mapping[int, float]],
        similar: Mapping[tuple[int, int], Sequence[Like]] = MappingProxyType({}),
    ) -> "Relations":
        """The same with what the table lacks of some clusters of features: the importance of tokens, by offset, and
        clusters that are like them."""
        other = copy(self)
        other._measured, other._found = dict(importance), dict(similar)
        return other

    def similar(self, feature: int, cluster: int, address: Address) -> list[Similar]:
        """The nearest clusters of other features, nearest first."""
        found = []
        for one in self._found.get((feature, cluster)) or self._alike(feature, cluster):
            page = address(one.site, one.dictionary, one.feature)
            link = page and f"{page}#cluster-{one.cluster + 1}"
            name = f"{one.feature}, cluster {one.cluster + 1}"
            found.append(Similar(name, one.site, one.dictionary, link, f"{one.similarity:.2f}"))
        return found

    def _alike(self, feature: int, cluster: int) -> list[Like]:
        """What the table has."""
        centre = self._centre.get((feature, cluster))
        if centre is None:
            return []
        table = self._columns
        near = zip(table["neighbour"][centre].tolist(), table["similarity"][centre].tolist(), strict=True)
        return [
            Like(
                str(table["site"][other]),
                str(table["dictionary"][other]),
                int(table["feature"][other]),
                int(table["cluster"][other]),
                value,
            )
            for other, value in near
            if other >= 0
        ]

    def importance(self, feature: int, cluster: int, offsets: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """How much each token of the central example matters, by its offset, NaN where that was not measured; None if
        it was at no token."""
        known = self._measured.get((feature, cluster)) or self._known(feature, cluster)
        return np.array([known.get(offset, np.nan) for offset in offsets.tolist()]) if known else None

    def _known(self, feature: int, cluster: int) -> Mapping[int, float]:
        centre = self._centre.get((feature, cluster))
        if centre is None:
            return {}
        pairs = zip(self._columns["offset"].tolist(), self._columns["importance"][centre].tolist(), strict=True)
        return {offset: share for offset, share in pairs if np.isfinite(share)}


def _further(clusters: int, examples: int) -> str:
    if clusters <= 0:
        return ""
    one = clusters == 1
    held = "1 example" if examples == 1 else f"{examples} examples"
    return f"{clusters} further cluster{'' if one else 's'} with {held} {'is' if one else 'are'} not shown."


def _number(value: float) -> str:
    return "–" if np.isnan(value) else in_words(float(value))
