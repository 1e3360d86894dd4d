"""S4.X1: the twins of a feature, each a link, out of the model's table `twins`."""

from typing import NamedTuple

import numpy as np

from polysem.io.columns import Columns
from polysem.layout.place import Place
from polysem.report.numbers import ABSENT, in_words

TABLE = "twins"
MOST = 10
"""Twins of one feature that are shown."""
COLUMNS = ("pair_first", "pair_second", "correlation", "shared_contexts", "twin_place", "twin_feature")
NO_TWINS = Columns({name: np.array([]) for name in (*COLUMNS, "place_site", "place_dictionary")}, {})
"""Of a run that looked for none."""


class Twin(NamedTuple):
    """A feature that is active as another one is; numbers in words."""

    place: Place
    feature: int
    correlation: str
    shared_contexts: str


class Twins:
    """The pairs of twins of a model, by member."""

    def __init__(self, table: Columns) -> None:
        self._table = table
        self._members = [self._member(twin) for twin in range(len(table["twin_feature"]))]
        self._pairs: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
        """Of each member its pairs, the closest first, with the place of its twin among the members."""
        first, second = table["pair_first"].tolist(), table["pair_second"].tolist()
        for pair in np.argsort(-table["correlation"], kind="stable").tolist():
            for one, other in ((first[pair], second[pair]), (second[pair], first[pair])):
                self._pairs.setdefault(self._members[one], []).append((pair, other))

    def count(self, place: Place, feature: int) -> int:
        """How many twins a feature has."""
        return len(self._of(place, feature))

    def of(self, place: Place, feature: int) -> list[Twin]:
        """Those of a feature, the closest first, up to `MOST`."""
        return [self._twin(place, pair, other) for pair, other in self._of(place, feature)[:MOST]]

    def _of(self, place: Place, feature: int) -> list[tuple[int, int]]:
        return self._pairs.get((place.site, place.dictionary, feature), [])

    def _twin(self, place: Place, pair: int, other: int) -> Twin:
        site, dictionary, number = self._members[other]
        shared = float(self._table["shared_contexts"][pair])
        return Twin(
            place.at(site, dictionary),
            number,
            in_words(float(self._table["correlation"][pair])),
            ABSENT if np.isnan(shared) else f"{100 * shared:.3g} %",
        )

    def _member(self, twin: int) -> tuple[str, str, int]:
        place = int(self._table["twin_place"][twin])
        site, dictionary = (str(self._table[f"place_{name}"][place]) for name in ("site", "dictionary"))
        return site, dictionary, int(self._table["twin_feature"][twin])
