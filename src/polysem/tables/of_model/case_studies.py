"""S1.F11: the features that are studied in full, and whether each meets the bar of document S1.

The bar: on held-out text the feature tells its context from everything else (F1 of at least `F1`); it causes what it
stands for (ablation changes the prediction more than `EFFECT` of as many random directions); no neuron does (the best
neuron's F1 is lower by at least `GAP`); and another seed finds it again (a feature whose activations correlate at
`TWIN` or more).
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Int

from polysem.io.tables import read_arrays
from polysem.models.batches import TokenStore
from polysem.params.base import NEURONS
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import ESTIMATES, labelled, scalar, variable
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.case_studies.chosen import LISTED, Case, chosen_cases
from polysem.tables.passes.case_studies.of_tag import STATISTICS, Numbers, beside_neuron, of_tag
from polysem.tables.passes.case_studies.seen import see
from polysem.tables.passes.case_studies.twins import find_twins

CATALOGUE = "S1.F11"
READS = (
    "tokens",
    "case_studies",
    "relatives:weights",
    "relatives:store",
    "relatives:table:tags",
    "reseeded:weights",
    "reseeded:store",
    "table:ablation",
)
PARAMS = ("baseline_seed",)
VARIABLES = {
    "site": ("case", "1", "site of the dictionary"),
    "dictionary": ("case", "1", "dictionary"),
    "feature": ("case", "feature", "feature"),
    "tag": ("case", "1", "tag that it is held against; '' for none"),
    "chosen_by": ("case", "1", "what it was chosen by"),
    "threshold": ("case", "activation", "activation from which on it counts as active"),
    "precision": ("case estimate", "1", "share of the tokens above the threshold that carry the tag (half B)"),
    "recall": ("case estimate", "1", "share of the tag's tokens above the threshold (half B)"),
    "f1": ("case estimate", "1", "F1 for the tag (half B)"),
    "specificity": ("case estimate", "1", "share of its activation mass on tokens with the tag (half B)"),
    "sensitivity": ("case estimate", "1", "Pearson correlation of activation and tag (half B)"),
    "mean_with": ("case estimate", "activation", "expected activation of a token with the tag (half B)"),
    "mean_without": ("case estimate", "activation", "expected activation of a token without it (half B)"),
    "neuron": ("case", "neuron", "the tag's best neuron at the site, −1: none"),
    "neuron_f1": ("case estimate", "1", "F1 of that neuron (half B)"),
    "f1_above_neuron": ("case estimate", "1", "F1 less that of the neuron (half B)"),
    "twin_dictionary": ("case", "1", "SAE that differs in nothing but the seed; '' for none"),
    "twin": ("case", "feature", "its feature whose activations correlate best, −1: none"),
    "twin_correlation": ("case estimate", "1", "correlation of the activations of both"),
    "kl": ("case", "nat", "KL(clean || ablated) at the token, mean where active"),
    "random_smaller": ("case", "1", "share of the random directions with a smaller KL at the same token"),
    "meets_f1": ("case", "1", "whether F1 is high enough, −1: not known"),
    "meets_effect": ("case", "1", "whether ablation does more than random directions, −1: not known"),
    "meets_neuron": ("case", "1", "whether the best neuron is worse by enough, −1: not known"),
    "meets_twin": ("case", "1", "whether another seed has it, −1: not known"),
    "case_studies": ("", "feature", "features of tags that are studied"),
    "case_studies_meeting_bar": ("", "feature", "those of them that meet every part of the bar"),
    "estimate": ("estimate", "1", "the number, and the ends of its 95 % bootstrap interval over sequences"),
}
F1, EFFECT, GAP, TWIN = 0.9, 0.95, 0.1, 0.8
"""The bar."""
PARTS = ("meets_f1", "meets_effect", "meets_neuron", "meets_twin")
UNMEASURED = -1


def measure(inputs: Inputs) -> xr.Dataset:
    """All case studies of a model: numbers on half B of the eval tokens with intervals over sequences, and the bar.

    The correlation with the twin is over all eval tokens. Tags that the eval tokens lack are named by the attribute
    `unknown_tags`.
    """
    if not TokenStore(inputs.path("tokens")).is_text:
        return xr.Dataset(attrs={"not_applicable": "case studies are of language models"})
    cases, tags = chosen_cases(inputs), TokenTags(inputs.path("tokens"))
    unknown = [tag for tag in inputs.value("case_studies")["tags"] if tag not in tags.names]
    if not cases:
        reason = f"no SAE has a feature for {', '.join(unknown)}" if unknown else "no tag has a feature"
        return xr.Dataset(attrs={"not_applicable": f"{reason}; see case_studies in params.yaml"})
    seed, seen = inputs.params.baseline_seed, see(inputs, cases, tags)
    known = [of_tag(seen[case.place], case, seed) for case in cases]
    neurons = [_best_neuron(cases, case) for case in cases]
    beside = [
        beside_neuron(seen[case.place], case, None if other is None else seen[other.place], other, seed)
        for case, other in zip(cases, neurons, strict=True)
    ]
    twins = find_twins(inputs, cases, seen, seed)
    kl, random_smaller = _effects(inputs, cases)
    found = _names(cases) | {name: np.array([one[name] for one in known]) for name in STATISTICS}
    found |= {
        "neuron": np.array([UNMEASURED if one is None else one.feature for one in neurons]),
        "neuron_f1": np.array([one for one, _ in beside]),
        "f1_above_neuron": np.array([above for _, above in beside]),
        "twin_dictionary": np.array([one.dictionary for one in twins], object),
        "twin": np.array([one.feature for one in twins]),
        "twin_correlation": np.array([one.correlation for one in twins]),
        "kl": kl,
        "random_smaller": random_smaller,
    }
    found |= {
        "meets_f1": _meets(found["f1"][:, 0], F1),
        "meets_effect": _meets(random_smaller, EFFECT),
        "meets_neuron": _meets(found["f1_above_neuron"][:, 0], GAP),
        "meets_twin": _meets(found["twin_correlation"][:, 0], TWIN),
    }
    return _table(found, ", ".join(unknown))


def _names(cases: Sequence[Case]) -> dict[str, np.ndarray]:
    return {
        "site": np.array([case.place.site for case in cases], object),
        "dictionary": np.array([case.place.dictionary for case in cases], object),
        "feature": np.array([case.feature for case in cases]),
        "tag": np.array([case.tag for case in cases], object),
        "chosen_by": np.array([case.chosen_by for case in cases], object),
        "threshold": np.array([case.threshold for case in cases]),
    }


def _best_neuron(cases: Sequence[Case], case: Case) -> Case | None:
    """The neuron that is held against a feature."""
    if case.place.dictionary == NEURONS:
        return None
    place = case.place.of(NEURONS)
    return next((one for one in cases if (one.place, one.tag) == (place, case.tag)), None)


def _effects(inputs: Inputs, cases: Sequence[Case]) -> tuple[Numbers, Numbers]:
    """What the table of ablations says of each case; NaN where it was not ablated."""
    names = ("site", "dictionary", "of_place", "feature", "kl", "random_smaller")
    table = read_arrays(inputs.table_file("ablation"), names.__contains__)
    places = list(zip(table["site"].tolist(), table["dictionary"].tolist(), strict=True))
    rows = {(places[place], feature): row for row, (place, feature) in enumerate(_pairs(table))}
    found = np.full((2, len(cases)), np.nan)
    for number, case in enumerate(cases):
        row = rows.get(((case.place.site, case.place.dictionary), case.feature))
        if row is not None:
            found[:, number] = table["kl"][row], table["random_smaller"][row]
    return found[0], found[1]


def _pairs(table: dict[str, np.ndarray]) -> list[tuple[int, int]]:
    return list(zip(table["of_place"].tolist(), table["feature"].tolist(), strict=True))


def _meets(value: Numbers, bar: float) -> Int[np.ndarray, " case"]:
    # A share of 19 in 20 stands in its table in float32, a hair below 0.95.
    return np.where(np.isnan(value), UNMEASURED, np.round(value, 6) >= bar).astype(np.int8)


def _table(found: dict[str, np.ndarray], unknown: str) -> xr.Dataset:
    chosen = (found["chosen_by"] != LISTED) & (found["dictionary"] != NEURONS)
    meeting = chosen & np.all([found[part] == 1 for part in PARTS], axis=0)
    variables = {}
    for name, values in found.items():
        dimensions, unit, words = VARIABLES[name]
        variables[name] = variable(tuple(dimensions.split()), values, words, unit)
    for name, of in (("case_studies", chosen), ("case_studies_meeting_bar", meeting)):
        variables[name] = scalar(int(of.sum()), VARIABLES[name][2], "feature")
    estimate = {"estimate": variable("estimate", list(ESTIMATES), VARIABLES["estimate"][2], "1")}
    bar = {"bar_f1": F1, "bar_effect": EFFECT, "bar_gap": GAP, "bar_twin": TWIN}
    return labelled(variables, estimate, bar | {"unknown_tags": unknown})
