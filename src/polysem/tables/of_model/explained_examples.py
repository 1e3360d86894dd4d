"""S1.F10: examples that features are explained by, and others that put explanations to the test.

One table for all sites of a model. A place is a dictionary of a site; over `explained` stand the features of all of
them that are explained. Half A of the sequences is shown, half B is held out, so that no example that tests an
explanation has a text in common with one that made it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.io.tables import read_arrays
from polysem.models.batches import TokenStore
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import weights_around
from polysem.tables.parts.labels import COMPRESSED, index, labelled, variable
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.parts.showcase import showcase
from polysem.tables.passes.ablation.spots import chosen_features
from polysem.tables.passes.automata.sample import Sample, active_features, sampled
from polysem.tables.passes.case_studies.chosen import Case, chosen_cases
from polysem.tables.passes.embeddings.entering import entering
from polysem.tables.passes.explanations.drawing import CHANCE, FEWEST, Half, layout
from polysem.tables.passes.explanations.examples import ENOUGH, FEW, NEVER
from polysem.tables.passes.explanations.intruder import found_intruders

CATALOGUE = "S1.F10"
READS = (
    "tokens",
    "directions",
    "case_studies",
    "relatives:weights",
    "relatives:store",
    "relatives:table:frequency",
    "relatives:table:tags",
    "controls:weights",
    "controls:store",
    "controls:table:frequency",
    "controls:table:tags",
)
PARAMS = (
    "explained_features",
    "explanation_examples",
    "explanation_tokens",
    "context_before",
    "context_after",
    "baseline_seed",
)
VARIABLES = {
    "model": ("place", "1", "model of the dictionary: this one, or its random-model control"),
    "site": ("place", "1", "site of the dictionary"),
    "dictionary": ("place", "1", "dictionary"),
    "no_intruder": ("place", "1", "why embeddings tell no intruder; '' where they do"),
    "sampled_tokens": ("place half", "token", "tokens whose activations are looked at"),
    "of_place": ("explained", "1", "place of the feature's dictionary"),
    "feature": ("explained", "feature", "feature that is explained"),
    "state": ("explained", "1", "whether there are examples enough, or why not"),
    "active_tokens": ("explained half", "token", "sampled tokens on which it is active"),
    "largest": ("explained half", "activation", "its largest activation on them"),
    "intruder_share": ("explained", "1", "share of held-out intruders that embeddings find"),
    "intruder_trials": ("explained", "1", "intruders that were looked for"),
    "sequence": ("explained half context", "1", "sequence in the token store, -1: no such example"),
    "position": ("explained half context", "1", "position of the token in the middle, -1: no such example"),
    "hard": ("explained half context", "1", "whether it is inactive on this token and active on the same elsewhere"),
    "window_activation": ("explained half context offset", "activation", "activation; NaN where none is known"),
    "half": ("half", "1", "what examples of the half are for"),
    "role": ("context", "1", "what the example is for"),
    "offset": ("offset", "token", "tokens behind the token in the middle"),
}
HALVES = ("shown", "held out")
SHOWN = 6
"""Features of each dictionary that are worth showing, which are explained in any case."""


def measure(inputs: Inputs) -> xr.Dataset:
    """The examples of `explained_features` features of the neurons and of the first SAE of each recipe, at every site,
    and of the same dictionaries of the random-model control, if there is one.

    They are drawn from about `explanation_tokens` eval tokens: `explanation_examples` on which the feature is active,
    at even steps of the ranks of its activation, half as many of its strongest, as many with no activity around, half
    of them hard, as many tokens on which it is not active, hard ones where there are such, and half as many random
    ones (`drawing`). Source: Bills et al. 2023 (top and random), Paulo et al. 2024 (hard negatives, all deciles).
    """
    store = TokenStore(inputs.path("tokens"))
    if not store.is_text:
        return xr.Dataset(attrs={"not_applicable": "explanations are of tokens in their text, and an image has none"})
    cases = chosen_cases(inputs)
    found = [_draw(one, inputs, store, cases) for one in (*inputs.each("relatives"), *inputs.each("controls"))]
    if not any(len(one.feature) for one in found):
        return xr.Dataset(attrs={"not_applicable": "no feature of the model is active on any eval token"})
    return _table(found, inputs)


@dataclass(frozen=True)
class Found:
    """The examples of one dictionary."""

    model: str
    site: str
    name: str
    no_intruder: str
    tokens: Int[np.ndarray, " half"]
    feature: Int[np.ndarray, " explained"]
    active: Int[np.ndarray, "explained half"]
    largest: Float[np.ndarray, "explained half"]
    intruder: tuple[NDArray[np.float64], NDArray[np.int64]]
    sequence: Int[np.ndarray, "explained half context"]
    position: Int[np.ndarray, "explained half context"]
    hard: NDArray[np.bool_]
    window: Float[np.ndarray, "explained half context offset"]


def _draw(one: Inputs, inputs: Inputs, store: TokenStore, cases: Sequence[Case]) -> Found:
    params, rows, dictionary = inputs.params, activation_rows(one), dictionary_of(one)
    where = one.place.model, one.site
    sample: Sample = inputs.once(("sample", where), lambda: sampled(rows, store, params.explanation_tokens, None))
    halves = inputs.once(
        ("halves", where),
        lambda: [
            Half.of(
                sample.sequence,
                sample.position,
                sample.token,
                params.context_before,
                params.context_after,
                params.baseline_seed,
                is_held_out,
            )
            for is_held_out in (False, True)
        ],
    )
    studied = [case.feature for case in cases if case.place == one.place]
    feature = _chosen(one, params.explained_features, studied)
    activation = active_features(rows, sample, dictionary, inputs.device)[:, feature].toarray().astype(np.float32)
    contexts = len(layout(params.explanation_examples))
    token = np.full((len(feature), 2, contexts), -1, np.int64)
    hard = np.zeros(token.shape, bool)
    for column in range(len(feature)):
        for number, half in enumerate(halves):
            drawn = half.draw(activation[half.token, column], params.explanation_examples)
            token[column, number], hard[column, number] = drawn.token, drawn.hard
    there = token >= 0
    offset = np.arange(-params.context_before, params.context_after + 1)
    beside = inputs.once(("beside", where), lambda: _beside(sample, offset))
    around = np.where(there[..., None], beside[np.where(there, token, 0)], -1)
    window = np.where(
        around >= 0, activation[around, np.arange(len(feature))[:, None, None, None]], np.float32(np.nan)
    ).astype(np.float32)
    no_intruder, intruder = _intruders(one, inputs, token[:, 1], sample, feature, layout(params.explanation_examples))
    return Found(
        *where,
        one.place.dictionary,
        no_intruder,
        np.array([len(of.token) for of in halves]),
        feature,
        np.stack([(activation[of.token] > 0).sum(axis=0) for of in halves], axis=1),
        np.stack([activation[of.token].max(axis=0, initial=0) for of in halves], axis=1),
        intruder,
        np.where(there, sample.sequence[token], -1),
        np.where(there, sample.position[token], -1),
        hard,
        window,
    )


def _beside(sample: Sample, offset: Int[np.ndarray, " offset"]) -> Int[np.ndarray, "token offset"]:
    """The numbers of the tokens around each token of the sample, −1 for those that are not in it."""
    key = (sample.sequence << 24) + sample.position
    wanted = key[:, None] + offset
    inside = (sample.position[:, None] + offset) >= 0
    number = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where(inside & (key[number] == wanted), number, -1)


def _chosen(one: Inputs, count: int, studied: list[int]) -> Int[np.ndarray, " explained"]:
    """Features at even steps of their ranks by frequency, those worth showing, and those that are case studies."""
    frequency, tags = (
        xr.Dataset({name: (of.split(), found[name]) for name, of in wanted.items()})
        for wanted, found in (
            (wanted, read_arrays(Path(one.table_file(table)), wanted.__contains__)) for table, wanted in USED.items()
        )
    )
    return chosen_features(frequency, count, [*showcase(frequency, tags, SHOWN), *studied])


USED = {
    "frequency": {"active_tokens": "feature", "mean_active": "feature"},
    "tags": {"tag": "tag", "best_feature": "tag", "f1": "tag", "f1_always_active": "tag", "found": "tag"},
}
"""Variables of the tables of a dictionary, with their dimensions."""


def _intruders(
    one: Inputs,
    inputs: Inputs,
    token: Int[np.ndarray, "explained context"],
    sample: Sample,
    feature: Int[np.ndarray, " explained"],
    roles: list[str],
) -> tuple[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    none = np.full(len(feature), np.nan), np.zeros(len(feature), np.int64)
    if one.place.model != inputs.place.model:
        return "embeddings are of the weights of a model that was trained", none
    try:
        entered = entering(one.path("store"), dictionary_of(one), weights_around(inputs), one.site)
    except InputError as error:
        return str(error), none
    row = np.where(token >= 0, sample.row[token], -1)
    active, inactive = (row[:, np.array(roles) == role] for role in ("active", "inactive"))
    return "", found_intruders(active, inactive, feature, entered, inputs.params.baseline_seed)


def _table(found: list[Found], inputs: Inputs) -> xr.Dataset:
    def joined(name: str) -> NDArray:
        return np.concatenate([getattr(one, name) for one in found])

    active = joined("active")
    state = np.where((active >= FEWEST).all(axis=1), ENOUGH, np.where(active.any(axis=1), FEW, NEVER))
    params = inputs.params
    made = {
        "model": np.array([one.model for one in found], object),
        "site": np.array([one.site for one in found], object),
        "dictionary": np.array([one.name for one in found], object),
        "no_intruder": np.array([one.no_intruder for one in found], object),
        "sampled_tokens": np.stack([one.tokens for one in found]),
        "of_place": np.repeat(np.arange(len(found)), [len(one.feature) for one in found]).astype(np.int32),
        "feature": joined("feature").astype(np.int64),
        "state": state.astype(object),
        "active_tokens": active,
        "largest": joined("largest"),
        "intruder_share": np.concatenate([one.intruder[0] for one in found]),
        "intruder_trials": np.concatenate([one.intruder[1] for one in found]),
        "sequence": joined("sequence").astype(np.int32),
        "position": joined("position").astype(np.int32),
        "hard": joined("hard").astype(np.int8),
        "window_activation": joined("window"),
        "half": np.array(HALVES, object),
        "role": np.array(layout(params.explanation_examples), object),
    }
    variables = {}
    for name, values in made.items():
        dimensions, unit, words = VARIABLES[name]
        variables[name] = variable(tuple(dimensions.split()), values, words, unit)
        if values.size > 1000 and values.dtype != object:
            variables[name].encoding = dict(COMPRESSED)
    coordinates = {name: variables.pop(name) for name in ("half", "role")}
    coordinates["offset"] = index("offset", -params.context_before, params.context_after + 1, VARIABLES["offset"][2])
    coordinates["offset"].attrs["units"] = "token"
    return labelled(variables, coordinates, {"fewest": FEWEST, "intruder_chance": CHANCE})
