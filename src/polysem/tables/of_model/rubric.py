"""S1.F10: a sheet on which people score features and neurons, without knowing which is which, and what they gave.

One sheet for each language model, whose page is in the report. Over `item`, in an order that tells nothing, what is on
it; (item, example), tokens from all intervals of its activation. Where somebody has scored, over `rater` what was
given, and over `group` what features and neurons got.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from polysem.layout.rubric import CRITERIA, MOST, Scores, require_known_items, sheet_name
from polysem.models.batches import TokenStore
from polysem.tables.inputs import Inputs
from polysem.tables.parts.intervals import INTERVALS
from polysem.tables.parts.labels import COMPRESSED, ESTIMATES, labelled, variable
from polysem.tables.parts.words import words
from polysem.tables.passes.rubric.items import FEATURE, NEURON, Item, choose_items
from polysem.tables.passes.rubric.scored import Scored, agreement, by_rater, difference, estimate

CATALOGUE = "S1.F10"
READS = (
    "tokens",
    "tokenizer",
    "scores",
    "relatives:table:frequency",
    "relatives:table:examples",
    "relatives:table:logits",
)
PARAMS = ("rubric_features", "ultra_low_frequency", "baseline_seed")
VARIABLES = {
    "site": ("item", "1", "site of the dictionary"),
    "dictionary": ("item", "1", "dictionary"),
    "feature": ("item", "1", "feature"),
    "kind": ("item", "1", "feature, or neuron"),
    "frequency": ("item", "1", "share of the eval tokens on which it is active"),
    "largest": ("item", "activation", "largest activation on the eval tokens"),
    "shown_interval": ("item example", "1", "interval of the activation, 0 is the lowest; -1 for no example"),
    "shown_activation": ("item example", "activation", "activation"),
    "shown_sequence": ("item example", "1", "sequence in the token store; -1 for no example"),
    "shown_position": ("item example", "1", "position in the sequence; -1 for no example"),
    "shown_token": ("item example offset", "1", "token id; -1 outside of the sequence"),
    "shown_text": ("item example offset", "1", "token in words"),
    "shown_window_activation": ("item example offset", "activation", "activation at the token"),
    "boosted_token": ("item rank", "token", "tokens whose logits it raises most"),
    "boosted_text": ("item rank", "1", "these tokens in words"),
    "score": ("rater item criterion", "point", "points that the rater gave; NaN for none"),
    "explanation": ("rater item", "1", "what the rater takes the item to be; '' for nothing"),
    "total": ("rater item", "point", "points of all criteria"),
    "most": ("criterion", "point", "most points"),
    "item_total": ("item", "point", "mean over raters of the points of all criteria"),
    "item_raters": ("item", "rater", "people who scored the item"),
    "rated_items": ("group", "item", "items that somebody scored"),
    "median_total": ("group estimate", "point", "median over items of the mean total"),
    "mean_total": ("group estimate", "point", "mean over items of the mean total"),
    "mean_score": ("group criterion estimate", "point", "mean over items of the mean points"),
    "mean_difference": ("estimate", "point", "mean total of features less that of neurons"),
    "total_agreement": ("estimate", "1", "Krippendorff's alpha of the totals (interval data)"),
    "rubric_raters": ("", "rater", "people who scored items of the sheet"),
    "rubric_rated_features": ("", "feature", "features that somebody scored"),
    "rubric_rated_neurons": ("", "neuron", "neurons that somebody scored"),
    "rubric_other_scores": ("", "1", "scores of items that are not on the sheet, as of another training"),
    "rubric_median_features": ("", "point", "median over features of the mean total"),
    "rubric_median_neurons": ("", "point", "median over neurons of the mean total"),
    "rubric_mean_features": ("", "point", "mean over features of the mean total"),
    "rubric_mean_neurons": ("", "point", "mean over neurons of the mean total"),
    "rubric_difference": ("", "point", "mean total of features less that of neurons"),
    "rubric_difference_low": ("", "point", "lower end of its 95 % bootstrap interval over items"),
    "rubric_difference_high": ("", "point", "upper end of its 95 % bootstrap interval over items"),
    "rubric_agreement": ("", "1", "Krippendorff's alpha of the totals of several raters"),
    "item": ("item", "1", "name of the item: a digest of dictionary, feature and weights"),
    "offset": ("offset", "1", "tokens behind the example"),
    "rater": ("rater", "1", "who scored"),
    "criterion": ("criterion", "1", "what is scored"),
    "group": ("group", "1", "features, or neurons"),
    "estimate": ("estimate", "1", "the number, and the ends of its 95 % bootstrap interval over items"),
}
ONLY = {
    "where somebody has scored an item": (
        "score",
        "explanation",
        "total",
        "most",
        "item_total",
        "item_raters",
        "rated_items",
        "median_total",
        "mean_total",
        "mean_score",
        "mean_difference",
        "total_agreement",
        "rubric_m*",
        "rubric_difference*",
        "rubric_agreement",
        "rater",
        "criterion",
        "group",
        "estimate",
    )
}
COORDINATES = ("item", "offset", "rater", "criterion", "group", "estimate")
GROUPS = {"features": FEATURE, "neurons": NEURON}
Numbers = dict[str, Any]


def measure(inputs: Inputs) -> xr.Dataset:
    """The sheet, and the scores that people gave on it.

    Items are those of `choose_items`. Scores are those of the files in `labels/{model}/rubric`, as they were when the
    run began (`layout.rubric`): up to 14 points for an explanation of one's own, by four criteria. Of several raters an
    item gets the mean. Intervals are 95 % bootstrap intervals over items. Raises InputError for scores on this sheet of
    an item that it does not have.
    Source: Bricken et al. (2023), "Towards Monosemanticity", human analysis.
    """
    count = inputs.params.rubric_features
    if not TokenStore(inputs.path("tokens")).is_text:
        return xr.Dataset(attrs={"not_applicable": "a classifier has no texts to show"})
    if not count:
        return xr.Dataset(attrs={"not_applicable": "analysis.rubric_features is 0"})
    seed = inputs.params.baseline_seed
    relatives = inputs.each("relatives")
    items, left_out = choose_items(relatives, count, inputs.params.ultra_low_frequency, seed)
    if not items:
        return xr.Dataset(attrs={"not_applicable": "; ".join(left_out)})
    sheet = sheet_name(item.name for item in items)
    scores = [Scores.model_validate(one) for one in inputs.value("scores")]
    require_known_items(scores, sheet, (item.name for item in items), inputs.place.model)
    scored = by_rater(scores, [item.name for item in items])
    made = _shown(items, words(inputs.path("tokenizer")))
    made["offset"] = relatives[0].table("examples")["offset"].to_numpy()
    made |= _counts(scored, items)
    if scored.rater:
        made |= _scores(scored, items, seed)
    attributes = {"sheet": sheet, "most_points": MOST, "intervals": INTERVALS, "left_out": "; ".join(left_out)}
    return _table(made).assign_attrs(attributes)


def _shown(items: Sequence[Item], text: Callable[[int], str]) -> Numbers:
    """What is on the sheet."""
    tokens = np.stack([item.token for item in items])
    boosted = np.stack([item.boosted for item in items])
    made: Numbers = {
        "item": _texts(item.name for item in items),
        "site": _texts(item.site for item in items),
        "dictionary": _texts(item.dictionary for item in items),
        "kind": _texts(item.kind for item in items),
        "feature": np.array([item.feature for item in items]),
        "frequency": np.array([item.frequency for item in items]),
        "largest": np.array([item.largest for item in items]),
        "shown_token": tokens,
        "shown_text": _texts(map(text, tokens.ravel().tolist())).reshape(tokens.shape),
        "boosted_token": boosted,
        "boosted_text": _texts(map(text, boosted.ravel().tolist())).reshape(boosted.shape),
    }
    for name in ("interval", "activation", "sequence", "position", "window_activation"):
        made[f"shown_{name}"] = np.stack([getattr(item, name) for item in items])
    return made


def _counts(scored: Scored, items: Sequence[Item]) -> Numbers:
    """How much there is to go by."""
    rated = np.isfinite(scored.total).any(axis=0)
    of = {kind: np.array([item.kind == kind for item in items]) for kind in GROUPS.values()}
    return {
        "rubric_raters": np.array(len(scored.rater)),
        "rubric_rated_features": np.array((rated & of[FEATURE]).sum()),
        "rubric_rated_neurons": np.array((rated & of[NEURON]).sum()),
        "rubric_other_scores": np.array(scored.others),
    }


def _scores(scored: Scored, items: Sequence[Item], seed: int) -> Numbers:
    """What was given, by rater and item, and what features and neurons got."""
    of_items = scored.of_items
    totals = of_items.sum(axis=1)
    of = [np.array([item.kind == kind for item in items]) for kind in GROUPS.values()]
    made: Numbers = {
        "rater": _texts(scored.rater),
        "criterion": _texts(CRITERIA),
        "group": _texts(GROUPS),
        "estimate": _texts(ESTIMATES),
        "score": scored.score,
        "explanation": scored.explanation,
        "total": scored.total,
        "most": np.array(list(CRITERIA.values())),
        "item_total": totals,
        "item_raters": np.isfinite(scored.total).sum(axis=0),
        "rated_items": np.array([np.isfinite(totals[mine]).sum() for mine in of]),
        "median_total": np.stack([estimate(totals[mine], np.median, seed) for mine in of]),
        "mean_total": np.stack([estimate(totals[mine], np.mean, seed) for mine in of]),
        "mean_score": np.stack(
            [[estimate(of_items[mine, one], np.mean, seed) for one in range(len(CRITERIA))] for mine in of]
        ),
        "mean_difference": difference(totals[of[0]], totals[of[1]], seed),
        "total_agreement": agreement(scored, seed),
    }
    for number, group in enumerate(GROUPS):
        made[f"rubric_median_{group}"] = made["median_total"][number, 0]
        made[f"rubric_mean_{group}"] = made["mean_total"][number, 0]
    for end, value in zip(("", "_low", "_high"), made["mean_difference"], strict=True):
        made[f"rubric_difference{end}"] = value
    made["rubric_agreement"] = made["total_agreement"][0]
    return made


def _texts(of: Any) -> np.ndarray:
    return np.array(list(of), object)


def _table(made: Numbers) -> xr.Dataset:
    variables: dict[str, xr.Variable] = {}
    coordinates: dict[str, xr.Variable] = {}
    for name, values in made.items():
        dimensions, unit, long_name = VARIABLES[name]
        one = variable(tuple(dimensions.split()), values, long_name, unit)
        if one.dtype != object and one.size > 1000:
            one.encoding = dict(COMPRESSED)
        (coordinates if name in COORDINATES else variables)[name] = one
    return labelled(variables, coordinates, {})
