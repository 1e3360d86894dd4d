"""S1.F11: what a case study knows of its tag on half B, with intervals over sequences."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from polysem.numerics.paired_sums import paired_terms, pearson_of_sums
from polysem.numerics.resampling import interval_of_sums
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.case_studies.chosen import Case
from polysem.tables.passes.case_studies.seen import Seen

Numbers = NDArray[np.float64]
Sums = dict[str, Numbers]
Statistic = Callable[[dict[str, Numbers]], Numbers]
UNKNOWN = [np.nan, np.nan, np.nan]
"""A number, and the ends of its interval, where there is none."""


def of_tag(seen: Seen, case: Case, seed: int) -> dict[str, list[float]]:
    """Each of `STATISTICS` of a case: the number, and the ends of its interval."""
    if not case.tag:
        return dict.fromkeys(STATISTICS, UNKNOWN)
    sums = _sums(seen, case)
    return {name: with_interval(sums, statistic, seed, _tagged(sums)) for name, statistic in STATISTICS.items()}


def beside_neuron(
    seen: Seen, case: Case, of_neuron: Seen | None, neuron: Case | None, seed: int
) -> tuple[list[float], list[float]]:
    """F1 of the tag's best neuron, and by how much that of the case is higher, over the same sequences."""
    if not case.tag or of_neuron is None or neuron is None:
        return UNKNOWN, UNKNOWN
    both = _sums(seen, case) | {f"neuron_{name}": sums for name, sums in _sums(of_neuron, neuron).items()}
    neurons = with_interval(both, lambda sums: _f1(sums, "neuron_"), seed, _tagged(both))
    return neurons, with_interval(both, lambda sums: _f1(sums) - _f1(sums, "neuron_"), seed, _tagged(both))


def with_interval(sums: Sums, statistic: Statistic, seed: int, strata: NDArray[np.int64] | None = None) -> list[float]:
    """A statistic of sums over sequences, and the ends of its 95 % bootstrap interval; with `strata`, sequences of one
    number are drawn among themselves."""
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = float(statistic({name: np.asarray(values.sum()) for name, values in sums.items()}))
    return [whole, *interval_of_sums(sums, statistic, seed, strata)]


def by_sequence(sequence: NDArray[np.int64], values: Numbers) -> Numbers:
    """Sums of values over the tokens of each sequence."""
    _, number = np.unique(sequence, return_inverse=True)
    return np.bincount(number, weights=values).astype(np.float64)


def _sums(seen: Seen, case: Case) -> Sums:
    """Of pairs of activation (x) and tag (y), and of tokens above the threshold."""
    here = held_out(seen.sequence)
    value, tag = seen.activations[case.feature][here], seen.carried[case.tag][here].astype(np.float64)
    above = ((value > 0) & (value >= case.threshold)).astype(np.float64)
    terms = paired_terms(value, tag) | {"above": above, "both": above * tag}
    return {name: by_sequence(seen.sequence[here], values) for name, values in terms.items()}


def _tagged(sums: Sums) -> NDArray[np.int64]:
    """Whether each sequence has the tag: there may be few, and none of them is to be missing from a resample."""
    return (sums["y"] > 0).astype(np.int64)


def _f1(sums: Mapping[str, Numbers], whose: str = "") -> Numbers:
    return 2 * sums[f"{whose}both"] / (sums[f"{whose}y"] + sums[f"{whose}above"])


STATISTICS: Mapping[str, Statistic] = {
    "precision": lambda sums: sums["both"] / sums["above"],
    "recall": lambda sums: sums["both"] / sums["y"],
    "f1": _f1,
    "specificity": lambda sums: sums["xy"] / sums["x"],
    "sensitivity": pearson_of_sums,
    "mean_with": lambda sums: sums["xy"] / sums["y"],
    "mean_without": lambda sums: (sums["x"] - sums["xy"]) / (sums["n"] - sums["y"]),
}
