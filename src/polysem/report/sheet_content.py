"""S0.F4: what the sheet of one feature says, out of the rows of its dictionary's tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from polysem.params.sheets import SheetChoice
from polysem.report.activation_histogram import histogram
from polysem.report.contexts import ImageContexts, TextContexts
from polysem.report.numbers import in_words
from polysem.report.sheet_clusters import Address, Clusters, Relations, SheetClusters
from polysem.report.sheet_examples import Examples, SheetExamples
from polysem.report.sheet_tables import SheetTables

PATH_WORDS = {"processing": "processing of the model's weights: ", "final_norm": ""}
"""Attributes of the table `logits` that say how its weights were come by."""

Contexts = TextContexts | ImageContexts


class Effect(NamedTuple):
    """A token and how much it is boosted or suppressed."""

    token: Markup
    value: str


class Neighbour(NamedTuple):
    """A neuron or another feature, and numbers about it."""

    number: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """One page; numbers are in words, texts are safe HTML."""

    feature: int
    flag: str
    facts: list[tuple[str, str]]
    power: str
    histogram: Markup
    boosted: list[Effect]
    suppressed: list[Effect]
    no_effects: str
    path: str
    aligned: list[Neighbour]
    neurons: list[Neighbour]
    features: list[Neighbour]
    nearest: list[Neighbour]
    examples: Examples
    clusters: Clusters
    frequency: float
    largest: float


class SheetContents:
    """All sheets of a dictionary, one by one: `of(row)` is that of the row-th feature of the tables."""

    def __init__(
        self,
        tables: SheetTables,
        contexts: Contexts,
        choice: SheetChoice,
        is_neuron: bool,
        relations: Relations | None = None,
        address: Address = lambda *_: None,
    ) -> None:
        """`relations` are the clusters that are like those of these features; `address` says which have sheets."""
        self._clusters = SheetClusters(tables.clusters, contexts, relations, address)
        self._features = tables.features
        self._is_neuron = is_neuron
        self._contexts = contexts
        self._choice = choice
        self._examples = SheetExamples(tables.examples, tables.diverse_examples, contexts)
        self._frequency, self._alignment = tables.frequency, tables.alignment
        self._associations, self._geometry = tables.associations, tables.geometry
        self._logits, self._tags = tables.logits, tables.tags
        self._tokens = int(tables.frequency.attributes["tokens"])
        self._tag_names = [str(name) for name in tables.tags["tag"]] if "tag" in tables.tags else []
        self._path = _path(tables.logits.attributes)
        self._no_effects = str(tables.logits.attributes.get("not_applicable", ""))

    def of(self, row: int) -> Sheet:
        """The sheet of the feature in this row."""
        frequency = self._frequency
        return Sheet(
            feature=self._features[row],
            flag=self._flag(float(frequency["frequency"][row]), int(frequency["active_tokens"][row])),
            facts=self._facts(row),
            power=_share(self._alignment["power_top1"][row]),
            histogram=histogram(
                frequency["activation_histogram"][row], frequency["bin_edge"].astype(np.float64), self._contexts.unit
            ),
            boosted=self._effects(row, "boosted_token", "boost"),
            suppressed=self._effects(row, "suppressed_token", "suppression"),
            no_effects=self._no_effects,
            path=self._path,
            aligned=self._aligned(row),
            neurons=self._neighbours(row, "correlated_neuron", "neuron_correlation"),
            features=self._neighbours(row, "correlated_feature", "feature_correlation"),
            nearest=self._neighbours(row, "nearest_feature", "nearest_cosine"),
            examples=self._examples.of(row, float(frequency["max_activation"][row])),
            clusters=self._clusters.of(row, self._features[row], float(frequency["max_activation"][row])),
            frequency=float(frequency["frequency"][row]),
            largest=float(frequency["max_activation"][row]),
        )

    def _flag(self, frequency: float, active: int) -> str:
        if not active:
            return "never active"
        if frequency < self._choice.ultra_low_frequency:
            return "ultra-low frequency"
        return "rare" if frequency < self._choice.rare_frequency else ""

    def _facts(self, row: int) -> list[tuple[str, str]]:
        unit = self._contexts.unit
        frequency = self._frequency
        active = int(frequency["active_tokens"][row])
        facts = [
            ("frequency", f"{frequency['frequency'][row]:.3g}"),
            ("active on", f"{active:,} of {self._tokens:,} {unit}"),
            ("largest activation", _number(frequency["max_activation"][row])),
            ("mean where active", _number(frequency["mean_active"][row])),
            ("standard deviation", _number(frequency["standard_deviation"][row])),
        ]
        if not self._is_neuron:
            facts.append(("power in the top neuron", _share(self._alignment["power_top1"][row])))
            facts.append(("kurtosis of the decoder (excess)", _number(self._alignment["kurtosis_excess"][row])))
        if "encoder_decoder_cosine" in self._geometry:
            facts.append(("encoder · decoder cosine", _number(self._geometry["encoder_decoder_cosine"][row])))
        if self._tag_names and "main_tag" in self._tags and (tag := int(self._tags["main_tag"][row])) >= 0:
            facts.append(("main tag", self._tag_names[tag]))
            facts.append(("monosemanticity: activation mass in it", _share(self._tags["monosemanticity"][row])))
            facts.append(("share of all tokens that carry it", _share(self._tags["main_tag_base_rate"][row])))
        return facts

    def _effects(self, row: int, tokens: str, values: str) -> list[Effect]:
        if tokens not in self._logits:
            return []
        return [
            Effect(self._contexts.name(token), f"{value:+#.3g}")
            for token, value in zip(self._logits[tokens][row].tolist(), self._logits[values][row].tolist(), strict=True)
            if token >= 0
        ]

    def _aligned(self, row: int) -> list[Neighbour]:
        """Strongest neurons with weight and share of the squared weight; the tables hold the share of the first."""
        neurons = self._alignment["top_neuron"][row].tolist()
        weights = self._alignment["top_weight"][row].astype(np.float64)
        shares = float(self._alignment["power_top1"][row]) * (weights / weights[0]) ** 2
        return [
            Neighbour(neuron, (f"{weight:+#.3g}", _share(share)))
            for neuron, weight, share in zip(neurons, weights.tolist(), shares.tolist(), strict=True)
            if weight
        ]

    def _neighbours(self, row: int, numbers: str, values: str) -> list[Neighbour]:
        return [
            Neighbour(number, (f"{value:+.3f}",))
            for number, value in zip(
                self._associations[numbers][row].tolist(), self._associations[values][row].tolist(), strict=True
            )
            if number >= 0
        ]


def _path(attributes: Mapping[str, Any]) -> str:
    """What the logit weights are, as far as the table says under which treatment of the model's weights they hold."""
    said = [f"{words}{attributes[key]}" for key, words in PATH_WORDS.items() if key in attributes]
    return (
        "; ".join(["Logit weights are those of the direct path, per unit of activation", *said]) + "." if said else ""
    )


def _number(value: float) -> str:
    return "–" if np.isnan(value) else in_words(float(value))


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.3g} %"
