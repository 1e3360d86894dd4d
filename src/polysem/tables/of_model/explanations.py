"""S1.F10: how well explanations predict features they were made of, on examples that they did not see.

One table for all sites of a model. A place is a dictionary of a site; over `explained` stand the features of all of
them, over `explainer` what explains them. Where the model has a random-model control, the means of the same dictionary
of it stand beside (`control_mean_score`): what an explanation is worth of features of a model that learnt nothing.
"""

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.io.tables import read_arrays
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import ESTIMATES, declared_table
from polysem.tables.passes.explanations.agreement import TRUTHS, agreements
from polysem.tables.passes.explanations.drawing import CHANCE
from polysem.tables.passes.explanations.examples import Examples
from polysem.tables.passes.explanations.scored import Said, Scored, scored
from polysem.tables.passes.explanations.scores import SCORES
from polysem.tables.passes.explanations.summaries import QUARTILES, listed, means, quartiles

CATALOGUE = "S1.F10"
READS = (
    "tokens",
    "tokenizer",
    "explanations",
    "table:explained_examples",
    "relatives:table:tags",
    "relatives:table:clusters",
)
PARAMS = ("baseline_seed",)
ONLY = {"if the model has a random-model control": ("control_*",)}
VARIABLES = {
    "site": ("place", "1", "site of the dictionary"),
    "dictionary": ("place", "1", "dictionary"),
    "scored_features": ("place", "feature", "features whose explanations are scored"),
    "found_share": ("place explainer", "1", "share of them of which the explainer says anything; NaN: it cannot"),
    "mean_score": ("place explainer score estimate", "1", "mean over features of the score on held-out examples"),
    "score_quartiles": ("place explainer score quartile", "1", "over features: score on held-out examples"),
    "mean_shuffled_score": (
        "place explainer score estimate",
        "1",
        "mean over features of the score of another feature's explanation",
    ),
    "control_mean_score": (
        "place explainer score estimate",
        "1",
        "mean over features of the same dictionary of the random-model control",
    ),
    "control_scored_features": ("place", "feature", "features of the control whose explanations are scored"),
    "mean_intruder_share": ("place estimate", "1", "mean over features of the share of intruders that are found"),
    "agreement": (
        "place measure truth estimate",
        "1",
        "Spearman correlation over features of a measure of explanations and a truth",
    ),
    "of_place": ("explained", "1", "place of the feature's dictionary"),
    "feature": ("explained", "feature", "feature that is explained"),
    "state": ("explained", "1", "whether there are examples enough, or why not"),
    "listed": ("explained", "1", "whether it is one of those whose explanations are shown: best, middle and worst"),
    "text": ("explained explainer", "1", "explanation; '' for none"),
    "score_of": ("explained explainer score", "1", "score on held-out examples"),
    "shuffled_score_of": ("explained explainer score", "1", "score of another feature's explanation"),
    "examples": ("explained explainer score", "1", "held-out tokens, contexts and marked tokens of the score"),
    "unreadable": ("explained explainer score", "1", "of these, without a readable answer, which counts as wrong"),
    "intruder_share": ("explained", "1", "share of held-out intruders that embeddings find"),
    "truth_of": ("explained truth", "1", "what else is known of the feature"),
    "note": ("explainer", "1", "why a language model did not say all that it was to say; '' where it did"),
    "explainer": ("explainer", "1", "what explains"),
    "score": ("score", "1", "score"),
    "measure": ("measure", "1", "explainer and score, or the intruders that embeddings find"),
    "truth": ("truth", "1", "what is known of a feature without explanations"),
    "estimate": ("estimate", "1", "the number, and the ends of its 95 % bootstrap interval over features"),
    "quartile": ("quartile", "1", "median, and lower and upper quartile"),
}
INTRUDER = "intruder"


def measure(inputs: Inputs) -> xr.Dataset:
    """Scores of the explanations of all explained features, of shuffled ones, and how they agree with the truth.

    Truths are the F1 of the feature's main tag on held-out tokens, and the mean cosine of the neuron embeddings of its
    strong examples, which is S3's measure without labels; not what people gave on the rubric sheet, whose items are
    others, and too few in a dictionary. Explanations and thresholds are of half A of the sequences,
    scores of half B (`passes.explanations.scores`).
    """
    if inputs.path_if_any("explanations") is None:
        return xr.Dataset(attrs={"not_applicable": "explanations are of tokens in their text, and an image has none"})
    tokens, tokenizer = inputs.path("tokens"), inputs.path("tokenizer")
    examples = Examples.read(inputs.table_file("explained_examples"), tokens, tokenizer)
    said = Said.read(inputs.path("explanations"))
    if examples is None or not said.explainers:
        return xr.Dataset(attrs={"not_applicable": "no feature of the model has examples enough to be explained"})
    seed = inputs.params.baseline_seed
    every = scored(examples, said, seed)
    own = examples.values["model"] == inputs.place.model
    places = int(own.sum())  # those of the control come after them
    mine = own[examples.values["of_place"]]
    found = Scored(**{name: values[mine] for name, values in vars(every).items()})
    place, intruder = (examples.values[name][mine] for name in ("of_place", "intruder_share"))
    truth = _truths(inputs, place, examples.values["feature"][mine])
    is_scored = found.count.any(axis=(1, 2))
    mean = means(every.own, examples.values["of_place"], len(own), seed)
    measures, named = _measures(found.own, intruder, said.explainers)
    made: dict[str, NDArray] = {
        "site": examples.values["site"][own],
        "dictionary": examples.values["dictionary"][own],
        "scored_features": np.array([(is_scored & (place == one)).sum() for one in range(places)]),
        "found_share": _found(found.text, found.own, place, places),
        "mean_score": mean[own],
        "score_quartiles": quartiles(found.own, place, places),
        "mean_shuffled_score": means(found.shuffled, place, places, seed),
        "mean_intruder_share": means(intruder, place, places, seed),
        "agreement": agreements(measures, truth, place, places, seed),
        "of_place": place,
        "feature": examples.values["feature"][mine],
        "state": examples.values["state"][mine],
        "listed": listed(found.own[..., SCORES.index("simulation")], place, places),
        "text": found.text,
        "score_of": found.own,
        "shuffled_score_of": found.shuffled,
        "examples": found.count,
        "unreadable": found.unreadable,
        "note": np.array([said.notes.get(name, "") for name in said.explainers], object),
        "intruder_share": intruder,
        "truth_of": truth,
        "explainer": np.array(said.explainers, object),
        "score": np.array(SCORES, object),
        "measure": np.array(named, object),
        "truth": np.array(list(TRUTHS.values()), object),
        "estimate": np.array(ESTIMATES, object),
        "quartile": np.array(QUARTILES, object),
    }
    if not own.all():
        made |= _of_control(examples, every, own, mean)
    return declared_table(VARIABLES, made, {"intruder_chance": CHANCE})


def _of_control(
    examples: Examples, every: Scored, own: NDArray[np.bool_], mean: NDArray[np.float64]
) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
    """Of the `mean` of all places those of the control's dictionaries, each beside the dictionary that has its name;
    NaN, and 0 features, beside those of which the control has none."""
    keys = list(zip(examples.values["site"].tolist(), examples.values["dictionary"].tolist(), strict=True))
    count = np.bincount(examples.values["of_place"][every.count.any(axis=(1, 2))], minlength=len(keys))
    beside = {keys[number]: number for number in np.flatnonzero(~own).tolist()}
    there = [beside.get(key, -1) for key, is_own in zip(keys, own.tolist(), strict=True) if is_own]
    known = np.array(there) >= 0
    return {
        "control_mean_score": np.where(known[:, None, None, None], mean[there], np.nan),
        "control_scored_features": np.where(known, count[there], 0),
    }


def _measures(
    own: NDArray[np.float64], intruder: NDArray[np.float64], explainers: tuple[str, ...]
) -> tuple[NDArray[np.float64], list[str]]:
    """What is held against the truth [explained, measure], and what it is called."""
    named = [f"{name}: {score}" for name in explainers for score in SCORES]
    return np.concatenate([own.reshape(len(own), -1), intruder[:, None]], axis=1), [*named, INTRUDER]


def _found(
    text: NDArray[np.object_], own: NDArray[np.float64], place: NDArray[np.int64], places: int
) -> NDArray[np.float64]:
    """Share of the scored explanations that say anything [place, explainer]."""
    asked = np.asarray(np.isfinite(own).any(axis=2))
    shares = np.full((places, text.shape[1]), np.nan)
    for one in range(places):
        here = asked[place == one]
        total = here.sum(axis=0)
        said = (here & (text[place == one] != "")).sum(axis=0)
        shares[one] = np.divide(said, total, out=np.full(len(total), np.nan), where=total > 0)
    return shares


def _truths(inputs: Inputs, place: NDArray[np.int64], feature: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is known of each feature [explained, truth]."""
    found = np.full((len(feature), len(TRUTHS)), np.nan)
    for number, one in enumerate(inputs.each("relatives")):
        mine = place == number
        tags = read_arrays(Path(one.table_file("tags")), {"main_tag", "main_tag_f1"}.__contains__)
        clusters = read_arrays(Path(one.table_file("clusters")), {"mean_distance", "embedding"}.__contains__)
        of = feature[mine]
        if "main_tag_f1" in tags:
            found[mine, 0] = np.where(tags["main_tag"][of] >= 0, tags["main_tag_f1"][of], np.nan)
        if "mean_distance" in clusters:
            row = clusters["embedding"].tolist().index("neuron")
            found[mine, 1] = 1 - clusters["mean_distance"][row, of]
    return found
