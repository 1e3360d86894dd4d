"""S4.X1: features and neurons that are nearly the same, within and across layers and dictionaries.

Twins are two features whose activations correlate at least `twin_correlation`, over the same eval tokens. Two numbers
stand beside it and decide nothing: the share of their top contexts that they have in common, as features that are
equally active on many tokens need not share the few strongest; and the cosine of what they write into the residual
stream, as it says what a feature does and not when. A family is a group in which every two are twins
(`numerics.families`). The baseline does the same with one feature of each pair on other tokens of the same positions.
Source: document S4, "Finding directions that are similar to neurons (and to each other)".
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.numerics.exchange import exchanged
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import labelled, scalar, variable
from polysem.tables.parts.words import words
from polysem.tables.passes.comparison.codes import FEWEST
from polysem.tables.passes.comparison.coherence import coherence
from polysem.tables.passes.comparison.correlated_pairs import Pairs, PairSearch
from polysem.tables.passes.comparison.kin import Kin, cosines, shared_contexts
from polysem.tables.passes.comparison.pair_table import median
from polysem.tables.passes.comparison.reach import KINDS, MOST, SPANS, Reach
from polysem.tables.passes.comparison.side_by_side import SideBySide, side_by_side

CATALOGUE = "S4.X1"
READS = (
    "tokenizer",
    "relatives:weights",
    "relatives:store",
    "relatives:tokens",
    "relatives:directions",
    "relatives:table:examples",
)
PARAMS = ("baseline_seed", "comparison_tokens", "twin_correlation")
VARIABLES = {
    "place_site": ("place", "1", "site of the dictionary"),
    "place_dictionary": ("place", "1", "dictionary"),
    "place_layer": ("place", "1", "its layer"),
    "place_features": ("place", "feature", "features"),
    "place_compared": ("place", "feature", "features active often enough to correlate"),
    "place_with_twin": ("place", "feature", "features that have a twin"),
    "span": ("span", "1", "what members have in common"),
    "kind": ("kind", "1", "what members are"),
    "size": ("size", "feature", "members, 4: so many or more"),
    "level": ("level", "1", "correlation"),
    "possible_pairs": ("span kind", "1", "pairs of features active often enough to correlate"),
    "pairs": ("span kind", "1", "pairs of twins"),
    "pairs_shuffled": ("span kind", "1", "pairs of twins when the one has its tokens shuffled"),
    "families": ("span kind size", "1", "families"),
    "families_shuffled": ("span kind size", "1", "families when the one has its tokens shuffled"),
    "pairs_reaching": ("span level", "1", "pairs that correlate at least so well"),
    "pairs_reaching_shuffled": ("span level", "1", "pairs that do when the one has its tokens shuffled"),
    "median_contexts": ("span", "1", "median share of top contexts that two twins have in common"),
    "median_cosine": ("span", "1", "median cosine of what two twins write into the residual stream"),
    "median_cosine_exchanged": ("span", "1", "the same with their partners exchanged at random"),
    "twin_place": ("twin", "1", "number of the dictionary"),
    "twin_feature": ("twin", "feature", "feature of the dictionary"),
    "twin_family": ("twin", "1", "number of its family, −1: none"),
    "twin_token": ("twin", "1", "most common of its * strongest tokens"),
    "twin_token_share": ("twin", "1", "share of these that it is"),
    "pair_first": ("pair", "1", "number of the one twin"),
    "pair_second": ("pair", "1", "number of the other twin"),
    "correlation": ("pair", "1", "correlation of their activations"),
    "shared_contexts": ("pair", "1", "share of their top contexts that both have"),
    "cosine": ("pair", "1", "cosine of what they write into the residual stream"),
    "family_size": ("family", "feature", "members"),
    "family_span": ("family", "1", "number of what they have in common"),
    "family_kind": ("family", "1", "number of what they are"),
    "family_correlation": ("family", "1", "smallest correlation of two members"),
    "family_contexts": ("family", "1", "mean share of top contexts that two members have in common"),
    "family_cosine": ("family", "1", "mean cosine of what two members write into the residual stream"),
    "twin_pairs": ("", "1", "pairs of twins"),
    "twin_pairs_shuffled": ("", "1", "pairs of twins when the one has its tokens shuffled"),
    "twin_share": ("", "1", "share of the features active often enough to correlate that have a twin"),
    "families_of_two": ("", "1", "families of two members"),
    "families_of_three": ("", "1", "families of three members"),
    "larger_families": ("", "1", "families of more than three members"),
    "families_across_layers": ("", "1", "families with members in several layers"),
    "without_family": ("", "feature", "features whose twins are in families without them"),
}
Variables = dict[str, xr.Variable]
LOWEST, STEP = 0.7, 0.01
"""Pairs are counted from such a correlation on, in steps, which shows how the limit for twins stands."""
NO_STREAM = "a classifier has no residual stream, in which directions of several layers could be compared"


def measure(inputs: Inputs) -> xr.Dataset:
    """The table of the neurons and the first SAE of each recipe, at all sites."""
    params = inputs.params
    side = side_by_side(inputs.each("relatives"), params.comparison_tokens)
    lowest = min(LOWEST, params.twin_correlation)
    search = PairSearch(side.codes, lowest)
    found, chance = search.pairs(), search.pairs(side.order_within_positions(params.baseline_seed))
    reach = Reach([its.place for its in side.each])
    kin, kin_by_chance = (Kin.of(pairs.reaching(params.twin_correlation)) for pairs in (found, chance))
    variables = (
        _places(side, kin)
        | _counts(side, reach, kin, kin_by_chance)
        | _levels(side, reach, found, chance, lowest)
        | _twins(side, kin, words(inputs.path_if_any("tokenizer")))
        | _pairs(side, reach, kin, params.baseline_seed)
    )
    variables |= _families(side, reach, kin, variables)
    attributes: dict[str, float | str] = {
        "tokens": side.codes.tokens,
        "fewest_tokens": FEWEST,
        "twin_correlation": params.twin_correlation,
    }
    if inputs.job.kind == "classifier":
        attributes["cosine_not_applicable"] = NO_STREAM
    return labelled(variables, {}, attributes)


def _places(side: SideBySide, kin: Kin) -> Variables:
    places = [its.place for its in side.each]
    texts = {"site": [place.site for place in places], "dictionary": [place.dictionary for place in places]}
    counts = {
        "features": (np.diff(side.starts), "features"),
        "compared": (side.compared, "features active often enough to correlate"),
        "with_twin": (np.bincount(side.place_of(kin.features), minlength=len(places)), "features that have a twin"),
    }
    layers = np.array([place.layer for place in places], np.int32)
    return {
        "place_site": variable("place", np.array(texts["site"], object), "site of the dictionary", "1"),
        "place_dictionary": variable("place", np.array(texts["dictionary"], object), "dictionary", "1"),
        "place_layer": variable("place", layers, "its layer", "1"),
        **{f"place_{name}": variable("place", *said, "feature") for name, said in counts.items()},
    }


def _counts(side: SideBySide, reach: Reach, kin: Kin, chance: Kin) -> Variables:
    """How many pairs and families there are, and how many would be by chance."""
    sorts = ("span", "kind")
    pairs, pairs_shuffled = (reach.counts(_places_of_pairs(side, one)) for one in (kin, chance))
    groups, groups_shuffled = (reach.by_size(side.place_of(one.members), one.size) for one in (kin, chance))
    two, three, more = groups.sum(axis=(0, 1)).tolist()
    shuffled = "when the one has its tokens shuffled"
    found = {
        "span": variable("span", np.array(SPANS, object), "what members have in common", "1"),
        "kind": variable("kind", np.array(KINDS, object), "what members are", "1"),
        "size": variable("size", np.arange(2, MOST + 1), f"members, {MOST}: so many or more", "feature"),
        "possible_pairs": variable(
            sorts, reach.possible(side.compared), "pairs of features active often enough to correlate", "1"
        ),
        "pairs": variable(sorts, pairs, "pairs of twins", "1"),
        "pairs_shuffled": variable(sorts, pairs_shuffled, f"pairs of twins {shuffled}", "1"),
        "families": variable((*sorts, "size"), groups, "families", "1"),
        "families_shuffled": variable((*sorts, "size"), groups_shuffled, f"families {shuffled}", "1"),
    }
    numbers = {
        "twin_pairs": (pairs.sum(), "pairs of twins", "1"),
        "twin_pairs_shuffled": (pairs_shuffled.sum(), f"pairs of twins {shuffled}", "1"),
        "twin_share": (
            len(kin.features) / max(1, side.compared.sum()),
            "share of the features active often enough to correlate that have a twin",
            "1",
        ),
        "families_of_two": (two, "families of two members", "1"),
        "families_of_three": (three, "families of three members", "1"),
        "larger_families": (more, "families of more than three members", "1"),
        "families_across_layers": (groups[-1].sum(), "families with members in several layers", "1"),
        "without_family": (
            np.count_nonzero(kin.family < 0),
            "features whose twins are in families without them",
            "feature",
        ),
    }
    return found | {name: scalar(*said) for name, said in numbers.items()}


def _levels(side: SideBySide, reach: Reach, found: Pairs, chance: Pairs, lowest: float) -> Variables:
    levels = np.linspace(lowest, 1, round((1 - lowest) / STEP) + 1)
    variables = {"level": variable("level", levels, "correlation", "1")}
    for name, pairs, text in (
        ("", found, "pairs that correlate at least so well"),
        ("_shuffled", chance, "pairs that do when the one has its tokens shuffled"),
    ):
        enough = (pairs.reaching(level) for level in levels)
        each = [reach.counts(side.place_of(np.stack([some.first, some.second], axis=1))) for some in enough]
        variables[f"pairs_reaching{name}"] = variable(("span", "level"), np.stack(each).sum(axis=2).T, text, "1")
    return variables


def _twins(side: SideBySide, kin: Kin, text: Callable[[int], str]) -> Variables:
    tokens = coherence(side.codes.chosen(kin.features), side.token, FEWEST)
    said = np.array([text(token) for token in tokens.token.tolist()], object)
    return {
        "twin_place": variable("twin", side.place_of(kin.features).astype(np.int32), "number of the dictionary", "1"),
        "twin_feature": variable(
            "twin", side.number_in(kin.features).astype(np.int32), "feature of the dictionary", "feature"
        ),
        "twin_family": variable("twin", kin.family.astype(np.int32), "number of its family, −1: none", "1"),
        "twin_token": variable("twin", said, f"most common of its {FEWEST} strongest tokens", "1"),
        "twin_token_share": variable("twin", tokens.share, "share of these that it is", "1"),
    }


def _pairs(side: SideBySide, reach: Reach, kin: Kin, seed: int) -> Variables:
    span, _ = reach.sorted(_places_of_pairs(side, kin).ravel(), np.full(len(kin.first), 2))
    rows, contexts = side.written(kin.features), side.top_contexts(kin.features)
    shared, cosine = shared_contexts(contexts, kin.first, kin.second), cosines(rows, kin.first, kin.second)
    columns = {
        "pair_first": (kin.first.astype(np.int32), "number of the one twin"),
        "pair_second": (kin.second.astype(np.int32), "number of the other twin"),
        "correlation": (kin.correlation, "correlation of their activations"),
        "shared_contexts": (shared, "share of their top contexts that both have"),
        "cosine": (cosine, "cosine of what they write into the residual stream"),
    }
    medians = {
        "contexts": (shared, "median share of top contexts that two twins have in common"),
        "cosine": (cosine, "median cosine of what two twins write into the residual stream"),
        "cosine_exchanged": (
            cosines(rows, kin.first, kin.second[exchanged(span, seed)]),
            "the same with their partners exchanged at random",
        ),
    }
    return {name: variable("pair", *said, "1") for name, said in columns.items()} | {
        f"median_{name}": variable("span", [median(values[span == one]) for one in range(len(SPANS))], text, "1")
        for name, (values, text) in medians.items()
    }


def _families(side: SideBySide, reach: Reach, kin: Kin, pairs: Variables) -> Variables:
    own = np.flatnonzero((kin.family[kin.first] == kin.family[kin.second]) & (kin.family[kin.first] >= 0))
    family = kin.family[kin.first[own]]
    closest = np.ones(len(kin.size))
    np.minimum.at(closest, family, kin.correlation[own])
    means = {}
    for name in ("shared_contexts", "cosine"):
        value = pairs[name].to_numpy()[own]
        known = np.isfinite(value)
        count, total = (np.bincount(family[known], of, minlength=len(kin.size)) for of in (None, value[known]))
        means[name] = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    span, kind = reach.sorted(side.place_of(kin.members), kin.size)
    columns = {
        "size": (kin.size, "members", "feature"),
        "span": (span.astype(np.int32), "number of what they have in common", "1"),
        "kind": (kind.astype(np.int32), "number of what they are", "1"),
        "correlation": (closest, "smallest correlation of two members", "1"),
        "contexts": (means["shared_contexts"], "mean share of top contexts that two members have in common", "1"),
        "cosine": (means["cosine"], "mean cosine of what two members write into the residual stream", "1"),
    }
    return {f"family_{name}": variable("family", *said) for name, said in columns.items()}


def _places_of_pairs(side: SideBySide, kin: Kin) -> Int[NDArray, "pair 2"]:
    return side.place_of(kin.features[np.stack([kin.first, kin.second], axis=1)])
