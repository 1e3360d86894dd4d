"""Dictionaries as pages show them: rows of their tables out of the index, and what people said of their features."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from polysem.explorer.pages.twins import NO_TWINS, Twins
from polysem.explorer.pages.twins import TABLE as TWINS
from polysem.io.columns import Columns, read_columns
from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.study.dictionary import Dictionary
from polysem.study.indexed import Indexed
from polysem.study.study import Study

if TYPE_CHECKING:
    from polysem.index.feature_index import FeatureIndex
    from polysem.report.contexts import ImageContexts, TextContexts
    from polysem.report.sheet_clusters import Relations

RELATIONS = "cluster_relations"
NO_CLUSTERS = Columns({name: np.array([]) for name in ("site", "dictionary", "feature", "cluster", "offset")}, {})
UNSAID = FeatureAnnotations()


def feature_address(place: Place, feature: int) -> str:
    """The page of a feature."""
    return f"{dictionary_address(place)}/{feature}"


def word_of(place: Place) -> str:
    """What the features of a dictionary are called."""
    return "neuron" if place.dictionary == NEURONS else "feature"


def dictionary_address(place: Place) -> str:
    """The page of a dictionary."""
    return "/" + quote(place.path)


class Shown:
    """All dictionaries of a study, each opened once, when a page first needs it."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._dictionaries: dict[str, ShownDictionary] = {}
        self._contexts: dict[str, Any] = {}
        self._clusters: dict[str, Columns] = {}
        self._twins: dict[str, Twins] = {}
        self._lock = Lock()

    @cached_property
    def language_models(self) -> list[str]:
        """Models that read text."""
        return [name for name, model in self.study.items() if model.is_language_model]

    @cached_property
    def classifiers(self) -> list[str]:
        """Models that read images."""
        return [name for name in self.study if name not in self.language_models]

    def dictionary(self, model: str, site: str, dictionary: str) -> "ShownDictionary":
        """UnknownNameError, with the nearest name, if there is none of these names."""
        opened = self.study[model][site][dictionary]
        with self._lock:
            key = opened.place.path
            if key not in self._dictionaries:
                self._dictionaries[key] = ShownDictionary(opened, self)
            return self._dictionaries[key]

    def has(self, place: Place) -> bool:
        """Whether the study has a dictionary, which one that was added is not."""
        sites = self.study[place.model]
        return place.site in sites and place.dictionary in sites[place.site]

    def all_dictionaries(self) -> "Iterator[ShownDictionary]":
        """All of them, in the order of the study."""
        for model, sites in self.study.items():
            for site, held in sites.items():
                for name in held:
                    yield self.dictionary(model, site, name)

    def clusters_of(self, model: str) -> Columns:
        """The table of the model's clusters, with those that are like each; an empty one if the run made none."""
        with self._lock:
            if model not in self._clusters:
                self._clusters[model] = self._table(model, RELATIONS) or NO_CLUSTERS
            return self._clusters[model]

    def twins_of(self, model: str) -> Twins:
        """The pairs of twins of a model; none if the run looked for none."""
        with self._lock:
            if model not in self._twins:
                self._twins[model] = Twins(self._table(model, TWINS) or NO_TWINS)
            return self._twins[model]

    def _table(self, model: str, name: str) -> Columns | None:
        """A table of a model; None if there is none."""
        results, path = self.study.results, self.study[model].place.table(name)
        return read_columns(results.bring(path)) if results.has(path) else None

    def contexts(self, model: str) -> "TextContexts | ImageContexts":
        """How examples of a model are shown."""
        from polysem.models.tokenizer import load_tokenizer
        from polysem.models.vocabulary import Vocabulary
        from polysem.report.contexts import ImageContexts, TextContexts

        opened = self.study[model]
        with self._lock:
            if model not in self._contexts:
                bring = opened.results.bring
                self._contexts[model] = (
                    TextContexts(Vocabulary(load_tokenizer(bring(opened.place.tokenizer))))
                    if opened.is_language_model
                    else ImageContexts(bring(opened.place.tokens("eval").store))
                )
            return self._contexts[model]


class ShownDictionary:
    """One dictionary of the study."""

    def __init__(self, dictionary: Dictionary, shown: Shown) -> None:
        self.dictionary = dictionary
        self.place: Place = dictionary.place
        self.is_neurons: bool = dictionary.is_neurons
        self.word: str = word_of(self.place)
        self._shown = shown

    @property
    def features(self) -> int:
        """How many features it has."""
        return self.dictionary.features

    @property
    def contexts(self) -> "TextContexts | ImageContexts":
        """How its examples are shown."""
        return self._shown.contexts(self.place.model)

    @cached_property
    def index(self) -> "FeatureIndex":
        """The rows of its tables. InputError if the run made none, or they are of another SAE than there is now."""
        if wrong := self.dictionary.not_of_one_run:
            raise InputError(wrong)
        found = Indexed(self.dictionary.site.results, self.place).now
        if found is None:
            raise InputError(
                f"the features of {self.place.path} have no index of the tables that there are; "
                "`snakemake --cores all` makes it"
            )
        return found

    @cached_property
    def relations(self) -> "Relations":
        """The clusters that are like those of its features."""
        from polysem.report.sheet_clusters import Relations

        return Relations(self._shown.clusters_of(self.place.model), self.place)

    @property
    def said(self) -> dict[int, FeatureAnnotations]:
        """What people said of its features, read again each time: others write, too."""
        results = self.dictionary.site.results
        found = results.annotations(self.place)
        receipt = results.bring(self.place.tables_receipt) if found.notes else Path()
        return found.about(receipt, self.features)

    def top_example(self, feature: int) -> "TopExample | None":
        """The strongest example of a feature; None if it is never active."""
        column = self.index.column
        slot = self._first_top
        sequence = int(column("examples", "sequence")[feature, slot])
        if sequence < 0:
            return None
        tokens = np.asarray(column("examples", "token")[feature, slot])
        activations = np.asarray(column("examples", "window_activation")[feature, slot])
        contexts = self.contexts
        html = contexts.example(tokens, activations, self._offsets, self.largest(feature), sequence)
        return TopExample(html, float(column("examples", "activation")[feature, slot]), contexts.plain(tokens))

    def top_tokens(self, feature: int) -> Markup:
        """The tokens, or images, that its strongest examples are about."""
        column = self.index.column
        is_top = self._is_top & (column("examples", "sequence")[feature] >= 0)
        tokens = column("examples", "token")[feature, is_top, self._key]
        return self.contexts.subjects(tokens, column("examples", "sequence")[feature, is_top]).shown

    def frequency(self, feature: int) -> float:
        """The share of eval tokens, or images, on which it is active."""
        return float(self.index.column("frequency", "frequency")[feature])

    def largest(self, feature: int) -> float:
        """Its largest activation on them."""
        return float(self.index.column("frequency", "max_activation")[feature])

    @cached_property
    def _offsets(self) -> Any:
        return np.asarray(self.index.column("examples", "offset"))

    @cached_property
    def _key(self) -> int:
        return int(np.flatnonzero(self._offsets == 0)[0])

    @cached_property
    def _is_top(self) -> Any:
        return np.asarray(self.index.column("examples", "kind")).astype(str) == "top"

    @cached_property
    def _first_top(self) -> int:
        return int(np.flatnonzero(self._is_top)[0])


class TopExample(NamedTuple):
    """The place where a feature is most active."""

    html: Markup
    activation: float
    text: str
