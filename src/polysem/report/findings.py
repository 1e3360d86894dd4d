"""What a run found, in sentences for the front page, with the numbers, a figure and the page that has the rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.report.chapters import Run, models_of
from polysem.report.gallery import Shown

LINES = 4
"""Sites that a finding names at most."""
AT_EQUAL_L0 = 1.1
"""L0s are called equal up to this factor."""
RECIPE = "recipe"
"""Beside the metrics of a dictionary, what it was trained with."""
MANY_SILENT = 0.05
"""Share of features that never fire which is worth a sentence."""


@dataclass(frozen=True)
class Line:
    """What holds at one place."""

    place: Place
    words: str


@dataclass(frozen=True)
class Finding:
    """A question with what this run says to it."""

    question: str
    note: str
    """How the numbers are to be read."""
    lines: list[Line]
    """At most `LINES`, the first sites of the run."""
    more: int
    """Sites that have an answer, too, and are not named."""
    figure: Shown | None
    """One that shows the first line, if it was drawn."""


Numbers = dict[str, dict[str, Any]]
"""The metrics and the recipes of the dictionaries of a site, by name; `neurons` among them."""


@dataclass(frozen=True)
class _Question:
    words: str
    note: str
    figure: str
    """The name of a figure of the dictionary, the site or the model of a line."""
    answer: Callable[[Place, Numbers], Line | None]


def findings(run: Run) -> list[Finding]:
    """The questions to which this run has an answer, in the order in which people ask them."""
    sites = list(_sites(run))
    return [found for question in QUESTIONS if (found := _found(question, sites, run)) is not None]


def _found(question: _Question, sites: list[tuple[Place, Numbers]], run: Run) -> Finding | None:
    lines = [line for site, numbers in sites if (line := question.answer(site, numbers)) is not None]
    if not lines:
        return None
    figure = _figure(run, question.figure, lines[0].place)
    return Finding(question.words, question.note, lines[:LINES], max(0, len(lines) - LINES), figure)


def _sites(run: Run) -> Iterator[tuple[Place, Numbers]]:
    for sites in models_of(run).values():
        for origins in sites.values():
            numbers = {one.dictionary: run.numbers(one) | {RECIPE: _recipe(run, one.dictionary)} for one in origins}
            yield origins[0].of(""), numbers


def _recipe(run: Run, dictionary: str) -> dict[str, Any]:
    """The recipe of a dictionary without its seed."""
    return {key: value for key, value in run.params.get("saes", {}).get(dictionary, {}).items() if key != "seed"}


def _figure(run: Run, name: str, place: Place) -> Shown | None:
    """The figure of a dictionary, or of its site or model, if it was drawn."""
    shown = run.pictures[name].shown if name in run.pictures else {}
    for at in (place, place.of(""), place.at("")):
        if at in shown and not shown[at].reason:
            return shown[at]
    return None


def _saes(numbers: Numbers, *metrics: str) -> dict[str, dict[str, Any]]:
    """The SAEs of a site that have all of some metrics."""
    return {
        name: of
        for name, of in numbers.items()
        if name != NEURONS and all(of.get(metric) is not None for metric in metrics)
    }


def _largest(numbers: Numbers, metric: str) -> str:
    """The dictionary with the most of something; of equal ones the first."""
    return max(numbers, key=lambda name: numbers[name][metric])


def _tags(site: Place, numbers: Numbers) -> Line | None:
    saes, neurons = _saes(numbers, "tags_found", "tags", "tag_mean_best_f1"), numbers.get(NEURONS, {})
    if not saes or not neurons.get("tags") or neurons.get("tag_mean_best_f1") is None:
        return None
    best = max(saes, key=lambda name: (saes[name]["tags_found"], saes[name]["tag_mean_best_f1"]))
    of = saes[best]
    words = (
        f"features of {best} find {of['tags_found']:.0f} of {of['tags']:.0f} tags, neurons "
        f"{neurons['tags_found']:.0f}; the best one for a tag has a mean F1 of {of['tag_mean_best_f1']:.2f}, the best "
        f"neuron {neurons['tag_mean_best_f1']:.2f}"
    )
    return Line(site.of(best), words)


def _polysemantic(site: Place, numbers: Numbers) -> Line | None:
    saes = _saes(numbers, "most_polysemantic_neuron_features", "most_polysemantic_neuron", "features")
    neurons = numbers.get(NEURONS, {}).get("features")
    if not saes or not neurons:
        return None
    name = max(saes, key=lambda one: saes[one]["most_polysemantic_neuron_features"] / saes[one]["features"])
    features, led = saes[name]["features"], saes[name]["most_polysemantic_neuron_features"]
    words = (
        f"neuron {saes[name]['most_polysemantic_neuron']} is the strongest one of {led:,} of the {features:,} "
        f"features of {name}; a neuron is that of {features / neurons:.3g} on average"
    )
    return Line(site.of(name), words)


def _loss(site: Place, numbers: Numbers) -> Line | None:
    saes = _saes(numbers, "loss_recovered_zero", "L0")
    if not saes:
        return None
    best = _largest(saes, "loss_recovered_zero")
    worst = min(saes, key=lambda name: saes[name]["loss_recovered_zero"])
    words = f"{best} keeps {_percent(saes[best]['loss_recovered_zero'])} with {saes[best]['L0']:.3g} active features"
    if worst != best:
        words += f", {worst} {_percent(saes[worst]['loss_recovered_zero'])} with {saes[worst]['L0']:.3g}"
    return Line(site.of(best), words)


def _equal_l0(site: Place, numbers: Numbers) -> Line | None:
    """The largest group of SAEs of as many features whose L0 are equal, of two recipes at least."""
    groups = [
        group
        for group in _groups(_saes(numbers, "L0", "features", "explained_variance"))
        if any(numbers[name][RECIPE] != numbers[group[0]][RECIPE] for name in group)
    ]
    if not groups:
        return None
    names = max(groups, key=len)
    ranked = sorted(names, key=lambda name: -numbers[name]["explained_variance"])
    found = [f"{name} {_percent(numbers[name]['explained_variance'])}" for name in ranked]
    if len(found) > LINES:
        found = [*found[: LINES - 1], "…", found[-1]]
    low, high = numbers[names[0]]["L0"], numbers[names[-1]]["L0"]
    l0 = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
    words = f"of {numbers[names[0]]['features']:,} features, {l0} active: {', '.join(found)} of the variance"
    return Line(site.of(ranked[0]), words)


def _groups(saes: Numbers) -> list[list[str]]:
    """Those of as many features whose L0 lie within a factor, by the smallest of them; those of one SAE left out."""
    ordered = sorted((of["features"], of["L0"], name) for name, of in saes.items() if of["L0"] > 0)
    groups = [
        [name for features, l0, name in ordered[start:] if features == size and l0 <= AT_EQUAL_L0 * least]
        for start, (size, least, _) in enumerate(ordered)
    ]
    return [group for group in groups if len(group) > 1]


def _causal(site: Place, numbers: Numbers) -> Line | None:
    metric = "ablation_above_random_share"
    saes = _saes(numbers, metric)
    neurons = numbers.get(NEURONS, {}).get(metric)
    if not saes or neurons is None:
        return None
    best = _largest(saes, metric)
    words = f"{_percent(saes[best][metric])} of the features of {best} do, and {_percent(neurons)} of the neurons"
    return Line(site.of(best), words)


def _failed(site: Place, numbers: Numbers) -> Line | None:
    saes = _saes(numbers, "never_active_share")
    if not saes:
        return None
    worst = _largest(saes, "never_active_share")
    said = []
    if saes[worst]["never_active_share"] >= MANY_SILENT:
        said.append(f"{_percent(saes[worst]['never_active_share'])} of the features of {worst} are active on no token")
    rare = {name: of for name, of in saes.items() if (of.get("ultra_low_share") or 0) >= MANY_SILENT}
    if rare:
        name = _largest(rare, "ultra_low_share")
        said.append(f"{_percent(rare[name]['ultra_low_share'])} of those of {name} are ultra-low")
    laws = [of["tail_law"] for of in numbers.values() if of.get("tail_law")]
    if undecided := laws.count("undecided"):
        said.append(f"the law of rare features is undecided for {undecided} of {len(laws)} dictionaries")
    return Line(site.of(worst), "; ".join(said)) if said else None


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if abs(share) > 0.995 and share != 1 else f"{100 * share:.0f} %"


QUESTIONS = (
    _Question(
        "What do SAEs find that neurons do not?",
        "Of the SAEs of a site the one that finds most tags. A tag is found by a feature that tells its tokens with an "
        "F1 of at least 0.5.",
        "tags_by_dictionary",
        _tags,
    ),
    _Question(
        "How polysemantic can one neuron be?",
        "Of the SAEs of a site the one with the largest such share.",
        "features_per_neuron",
        _polysemantic,
    ),
    _Question(
        "How much of the loss does an SAE keep?",
        "With the SAE in place of the activations. 100 % is the loss of the model, 0 % that with zeros in their place.",
        "loss_recovered",
        _loss,
    ),
    _Question(
        "Which recipe is best at equal L0?",
        "The largest group of SAEs of a site with as many features whose L0 are within a tenth, by explained variance. "
        "What another seed changes is seen where a recipe has several.",
        "recipes_compared",
        _equal_l0,
    ),
    _Question(
        "What is causal?",
        "When they are ablated, the prediction changes more than for 95 % of random directions of the same length; by "
        "chance 5 % would do so.",
        "ablation_measures",
        _causal,
    ),
    _Question(
        "What did not work?",
        "Features that are of no use, and questions that these tokens do not decide.",
        "rank_frequency",
        _failed,
    ),
)
