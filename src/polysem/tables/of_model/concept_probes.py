"""S4.X4: sentences with a slot: features of the base word, on its replacements and on words of equal frequency.

One table for all sites of a model, because the model is loaded once. Over (place, probe, rank), a place being a
dictionary of a site, `feature`, −1 where there is none; over (place, probe, rank, word) its `activation` and numbers of
its controls. Word 0 is the base word.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.activations.left_out import LeftOut, recorded_left_out
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import read_record
from polysem.models.subject import Subject
from polysem.models.text import token_batch
from polysem.models.tokenize_corpus import Front, Tokenization
from polysem.models.tokenizer import load_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.params.probes import Probe, parsed
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import declared_table
from polysem.tables.parts.slot_words import Key, Slotted, WordCounts, slotted, text_of

CATALOGUE = "S4.X4"
READS = ("model", "tokens", "tokenizer", "relatives:weights", "relatives:store")
PARAMS = ("probes", "baseline_seed")
VARIABLES = {
    "sentence": ("probe", "1", "sentence with a slot for a word"),
    "text": ("probe word", "1", "word in the slot, the base word first; '' for none"),
    "state": ("probe word", "1", "measured, or why not; '' for no word"),
    "tokens": ("probe word", "token", "tokens of the word in its sentence, -1: no word"),
    "occurrences": ("probe word", "1", "occurrences of the word in the eval tokens, -1: no word"),
    "control": ("probe word control", "1", "words in the same slot that occur about as often; '' for none"),
    "control_occurrences": ("probe word control", "1", "occurrences of the controls in the eval tokens, -1: none"),
    "site": ("place", "1", "site of the dictionary"),
    "dictionary": ("place", "1", "dictionary"),
    "feature": ("place probe rank", "1", "features of the base word, -1: none"),
    "activation": ("place probe rank word", "activation", "largest activation on a token of the word"),
    "relative": ("place probe rank word", "1", "the same, relative to the base word"),
    "control_median": ("place probe rank word", "1", "median on the word's controls, relative to the base word"),
    "control_high": ("place probe rank word", "1", "95 % quantile on the word's controls, relative to the base word"),
    "controls_below": ("place probe rank word", "1", "share of the controls on which the activation is smaller"),
    "word_share": ("place", "1", "share of features that are more active on the base word than on 95 % of controls"),
    "concept_share": (
        "place",
        "1",
        "share of features and replacements with more activation than on 95 % of the controls",
    ),
}  # fmt: skip
BEST, CANDIDATES = 5, 25
"""Features that are kept of each dictionary and probe, out of those that are most active on the base word: as many as a
search of document S4 shows."""
CONTROLS = 40
ABOVE = 0.95
"""Share of the controls that count as most of them."""
LIMIT = 1_000_000
"""Eval tokens in which words are counted."""
SENTENCES, ROWS = 64, 256
"""Sentences that the model reads at once, and rows that a dictionary encodes at once."""
MEASURED = "measured"
IN_PIECES = "in pieces alone"
"""The tokenizer has the word as several tokens, and it is not among the eval tokens."""
TOO_LONG, BASELESS, ALONE = "longer than the context", "without its base word", "without a replacement"


def measure(inputs: Inputs) -> xr.Dataset:
    """All probes through the neurons and the first SAE of each recipe, at every site.

    A word is known if the tokenizer has it as one token in its sentence, or if it is among the eval tokens; others are
    named in `state` and left out, and so is a probe without its base word. A word's activation is the largest on any
    of its tokens. Of the `CANDIDATES` features that are most active on the base word those come first that are, by
    share of that activation, furthest above the 95 % quantile of its controls: which means that they are about the
    word, and not about the sentence. Replacements have no part in that choice.
    """
    store, probes = TokenStore(inputs.path("tokens")), [parsed(text) for text in inputs.params.probes]
    if not store.is_text:
        return xr.Dataset(attrs={"not_applicable": "a classifier reads no sentences"})
    if not probes:
        return xr.Dataset(attrs={"not_applicable": "analysis.probes names none"})
    subject = load_subject(inputs.path("model"), inputs.device)
    settings = read_record(inputs.path("model")).settings
    tokenizer = load_tokenizer(inputs.path("tokenizer"))
    front = Front(tokenizer, Tokenization(**{key: settings[key] for key in Tokenization.model_fields}).bos_token)
    counts = WordCounts(text_of(store, Vocabulary(tokenizer), LIMIT))
    context, seed = settings["context_length"], inputs.params.baseline_seed
    asked = [ask(probe, partial(slotted, tokenizer, front, probe), counts, context, seed) for probe in probes]
    its = inputs.each("relatives")
    sentences = list({one.key: one for each in asked for one in each.sentences.values()}.values())
    rows = slot_activations(subject, {one.site: recorded_left_out(one.path("store")) for one in its}, sentences)
    found = []
    for one in its:
        dictionary = load_dictionary(one.path("weights"), subject.width(one.site), inputs.device)
        found.append([measured(dictionary, each, rows[one.site]) for each in asked])
    return table(asked, [(one.site, one.place.dictionary) for one in its], found)


@dataclass(frozen=True)
class Asked:
    """A probe, and what is asked of a model because of it."""

    probe: Probe
    states: list[str]
    """Of each word."""
    occurrences: list[int]
    controls: list[list[tuple[str, int]]]
    """Of each word, with their occurrences; none of words that are not measured."""
    sentences: dict[str, Slotted]
    """By the word in the slot: the probe's words, and the controls of those that are measured."""

    @property
    def measured(self) -> list[int]:
        """Numbers of the words that are measured; the base word is among them, or there is none."""
        return [number for number, state in enumerate(self.states) if state == MEASURED]


def ask(probe: Probe, tokens: Callable[[str], Slotted], counts: WordCounts, context: int, seed: int) -> Asked:
    """Which words of a probe are known, and their controls."""
    sentences = {word: tokens(word) for word in probe.words}
    occurrences = [counts.of(word) for word in probe.words]
    states = [
        TOO_LONG if len(sentence.ids) > context else MEASURED if len(sentence.slot) == 1 or occurs else IN_PIECES
        for sentence, occurs in zip(sentences.values(), occurrences, strict=True)
    ]
    missing = BASELESS if states[0] != MEASURED else ALONE if states.count(MEASURED) < 2 else MEASURED
    states = [missing if state == MEASURED else state for state in states]
    controls: list[list[tuple[str, int]]] = []
    for word, state in zip(probe.words, states, strict=True):
        drawn = counts.alike(probe, word, CONTROLS, seed) if state == MEASURED else []
        sentences |= {other: tokens(other) for other in drawn if other not in sentences}
        controls.append([(other, counts.of(other)) for other in drawn if len(sentences[other].ids) <= context])
    kept = {word: one for word, one in sentences.items() if len(one.ids) <= context}
    return Asked(probe, states, occurrences, controls, kept)


def slot_activations(
    subject: Subject, left_out: Mapping[str, LeftOut], sentences: Sequence[Slotted]
) -> dict[str, dict[Key, Float[torch.Tensor, "token neuron"]]]:
    """Activations at the slots of some sentences, by site and by the key of the sentence, in float32; those of tokens
    that are left out at the site are missing. `left_out` names the sites, each with its rule."""
    found: dict[str, dict[Key, torch.Tensor]] = {site: {} for site in left_out}
    ordered = sorted(sentences, key=lambda one: len(one.ids))
    with torch.inference_mode():
        for _, alike in groupby(ordered, key=lambda one: len(one.ids)):
            for several in _parts(list(alike), SENTENCES):
                ids = np.stack([one.ids for one in several])
                values = subject.activations(token_batch(ids, np.ones(ids.shape, bool)), list(left_out))
                for site, rule in left_out.items():
                    kept = ~rule.of(values[site])
                    for number, one in enumerate(several):
                        found[site][one.key] = values[site][number, one.slot][kept[number, one.slot]].float()
    return found


@dataclass(frozen=True)
class Found:
    """The features of a probe in one dictionary; NaN for words that are not measured."""

    feature: Int[np.ndarray, " rank"]
    activation: Float[np.ndarray, "rank word"]
    controls: list[Float[np.ndarray, "rank control"]]
    """Of each word."""


def measured(dictionary: Dictionary, asked: Asked, rows: Mapping[Key, Float[torch.Tensor, "token neuron"]]) -> Found:
    """The features of the base word, at most `BEST`, and their activations on all words and controls; `rows` are the
    neurons' activations at the slots of the sentences."""
    if not asked.measured:
        return Found(np.zeros(0, np.int64), np.zeros((0, len(asked.states))), [np.zeros((0, 0))] * len(asked.states))
    on_base = _encoded(dictionary, [rows[asked.sentences[asked.probe.words[0]].key]], None)[0]
    candidates = np.argsort(-on_base, kind="stable")[:CANDIDATES]
    candidates = candidates[on_base[candidates] > 0]
    names = list(asked.sentences)
    on_names = _encoded(dictionary, [rows[asked.sentences[name].key] for name in names], candidates)
    of = {name: on_names[number].astype(np.float64) for number, name in enumerate(names)}
    activation = np.full((len(candidates), len(asked.states)), np.nan)
    controls = []
    for number, (word, drawn) in enumerate(zip(asked.probe.words, asked.controls, strict=True)):
        if number in asked.measured:
            activation[:, number] = of[word]
        controls.append(np.array([of[name] for name, _ in drawn]).reshape(len(drawn), len(candidates)).T)
    order = best_first(activation[:, 0], controls[0])[:BEST]
    return Found(candidates[order], activation[order], [each[order] for each in controls])


def best_first(
    on_base: Float[np.ndarray, " candidate"], controls: Float[np.ndarray, "candidate control"]
) -> Int[np.ndarray, " candidate"]:
    """The order of features by how far the activation on the base word is above the 95 % quantile of those on its
    controls, as a share of it; by activation, as they come, where they are equal or there are no controls."""
    if not controls.size:
        return np.arange(len(on_base))
    return np.argsort(np.quantile(controls, ABOVE, axis=1) / on_base, kind="stable")


def _encoded(
    dictionary: Dictionary, sentences: Sequence[Float[torch.Tensor, "token neuron"]], chosen: NDArray[np.int64] | None
) -> Float[np.ndarray, "sentence feature"]:
    """The largest activation of each feature, or of the chosen ones, on a token of each sentence; 0 where there is
    none, as all are left out."""
    owner = np.repeat(np.arange(len(sentences)), [len(one) for one in sentences])
    rows = torch.cat(list(sentences))
    width = dictionary.features if chosen is None else len(chosen)
    largest = np.full((len(sentences), width), -np.inf, np.float32)
    with torch.inference_mode():
        for start in range(0, len(rows), ROWS):
            f = dictionary.encode(rows[start : start + ROWS]).float()
            part = (f if chosen is None else f[:, torch.from_numpy(chosen).to(f.device)]).cpu().numpy()
            np.maximum.at(largest, owner[start : start + ROWS], part)
    return np.where(np.isneginf(largest), np.float32(0), largest)


def table(asked: Sequence[Asked], places: Sequence[tuple[str, str]], found: Sequence[Sequence[Found]]) -> xr.Dataset:
    """The table of all probes in the dictionaries of these places (site, dictionary)."""
    words = max(len(each.states) for each in asked)
    by_word = (len(asked), words)
    text, state = (np.full(by_word, "", object) for _ in range(2))
    tokens, occurrences = (np.full(by_word, -1, np.int32) for _ in range(2))
    control = np.full((*by_word, CONTROLS), "", object)
    control_occurrences = np.full((*by_word, CONTROLS), -1, np.int32)
    for number, each in enumerate(asked):
        for place, word in enumerate(each.probe.words):
            text[number, place], state[number, place] = word, each.states[place]
            occurrences[number, place] = each.occurrences[place]
            tokens[number, place] = len(each.sentences[word].slot) if word in each.sentences else -1
            for rank, (name, occurs) in enumerate(each.controls[place]):
                control[number, place, rank], control_occurrences[number, place, rank] = name, occurs
    feature = np.full((len(places), len(asked), BEST), -1, np.int32)
    numbers = {name: np.full((*feature.shape, words), np.nan, np.float32) for name in NUMBERS}
    for row, of_place in enumerate(found):
        for number, own in enumerate(of_place):
            feature[row, number, : len(own.feature)] = own.feature
            for name, values in _numbers(own).items():
                numbers[name][row, number, : values.shape[0], : values.shape[1]] = values
    made = {
        "sentence": np.array([f"{one.probe.before}[…]{one.probe.after}" for one in asked], object),
        "text": text, "state": state, "tokens": tokens, "occurrences": occurrences,
        "control": control, "control_occurrences": control_occurrences,
        "site": np.array([site for site, _ in places], object),
        "dictionary": np.array([name for _, name in places], object),
        "feature": feature, **numbers, **shares(numbers["controls_below"]),
    }  # fmt: skip
    return declared_table(VARIABLES, made, {"controls": CONTROLS, "candidates": CANDIDATES, "above": ABOVE})


NUMBERS = ("activation", "relative", "control_median", "control_high", "controls_below")


def _numbers(found: Found) -> dict[str, Float[np.ndarray, "rank word"]]:
    numbers = {name: np.full(found.activation.shape, np.nan) for name in NUMBERS}
    numbers["activation"] = found.activation
    numbers["relative"] = found.activation / found.activation[:, :1]
    for word, controls in enumerate(found.controls):
        if controls.size:
            numbers["control_median"][:, word] = np.median(controls, axis=1) / found.activation[:, 0]
            numbers["control_high"][:, word] = np.quantile(controls, ABOVE, axis=1) / found.activation[:, 0]
            numbers["controls_below"][:, word] = (controls < found.activation[:, word, None]).mean(axis=1)
    return numbers


def shares(below: Float[np.ndarray, "place probe rank word"]) -> dict[str, Float[np.ndarray, " place"]]:
    """Of all features, and of all features and replacements, that were held against controls, those above most."""
    return {"word_share": _share_above(below[..., :1]), "concept_share": _share_above(below[..., 1:])}


def _share_above(below: Float[np.ndarray, "place probe rank word"]) -> Float[np.ndarray, " place"]:
    counted = (~np.isnan(below)).sum(axis=(1, 2, 3))
    above = (below >= ABOVE).sum(axis=(1, 2, 3))
    return np.where(counted > 0, above / np.maximum(counted, 1), np.nan).astype(np.float32)


def _parts(items: list[Slotted], size: int) -> Iterable[list[Slotted]]:
    return (items[start : start + size] for start in range(0, len(items), size))
