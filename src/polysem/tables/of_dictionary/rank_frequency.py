"""S0.F2, S0.X3: which law the frequencies follow by rank, decided by likelihood and not by eye."""

from dataclasses import dataclass, replace
from math import exp, inf, nan

import numpy as np
import xarray as xr
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.numerics.firing_noise import dispersion
from polysem.numerics.law_likelihood import Likelihood, Ranked, Solution
from polysem.params.base import UNDECIDED
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import index, labelled, scalar, variable

CATALOGUE = "S0.F2 S0.X3"
READS = ("table:frequency",)
PARAMS = ("head_ranks", "baseline_seed")
VARIABLES = {
    "frequency_sorted": ("rank", "1", "share of tokens on which the feature is active"),
    "bin_first": ("bin", "rank", "first rank of the bin, by half A"),
    "bin_last": ("bin", "rank", "last rank of the bin"),
    "bin_frequency": ("bin", "1", "mean share of half B on which its features are active"),
    "first_rank": ("range", "rank", "first rank of the range"),
    "last_rank": ("range", "rank", "last rank of the range"),
    "winner": ("range", "1", "law that the range follows"),
    "exponential_share": ("range", "1", "share of the fall owed to an exponential"),
    "exponential_share_error": ("range", "1", "its standard error over resamples of the features"),
    "bin_expected": ("range law bin", "1", "what the law leads to in bin_frequency"),
    "firing_dispersion": ("", "1", "variance of a feature's count over its mean"),
    "exponent": ("range law", "1", "exponent α of the law"),
    "decay_length": ("range law", "rank", "decay length L of the law"),
    "log_likelihood": ("range law", "nat", "log-likelihood of the features' counts in half B"),
    "aic": ("range law", "1", "Akaike information criterion"),
    "amplitude": ("range law", "1", "factor of the law in shares of tokens"),
    "rank": ("rank", "1", "rank by frequency"),
    "range": ("range", "1", "ranks that are fitted together"),
    "law": ("law", "1", "law"),
}
LAWS = ("power_law", "exponential", "truncated_power_law")
FREE = {
    "power_law": np.array([[1.0, 0], [0, 1], [0, 0]]),
    "exponential": np.array([[1.0, 0], [0, 0], [0, 1]]),
    "truncated_power_law": np.eye(3),
}
"""Which of the three numbers of `Likelihood` each law may choose."""
RANGES = ("head", "tail")
LEAST_RANKS = 100
"""Fewer features do not tell laws apart."""
RESAMPLES = 200
EXCLUDED = 3.5
"""A pure law is excluded where the share of the fall that is not its own is so many standard errors above 0, and above
`NOTHING`."""
ACCEPTED = 1.3
"""A pure law is accepted where that share is at most so many standard errors above 0, or below `NOTHING` …"""
NOTHING, NEGLIGIBLE = 0.05, 0.25
"""… and two standard errors above it is still below this."""
BINS = 120
"""Bins of ranks, evenly spaced by their logarithm, over which measured frequencies are averaged."""
Values = NDArray[np.float64]


def rank_frequency(
    active: Int[np.ndarray, "feature half"], tokens: Int[np.ndarray, " half"], head_ranks: int, seed: int = 0
) -> xr.Dataset:
    """Frequencies by rank, and which of power law, exponential and truncated power law they follow.

    `active` counts the tokens of half A and of half B on which each feature is active, `tokens` all tokens of the
    halves. Features are ordered by their counts in half A, equal ones at random, and their frequencies are those of
    half B: sorted by the counts that are shown, any tail falls off, because those with bad luck come last.

    Variables over `rank` (1 … number of features that are ever active): `frequency_sorted`, over all tokens,
    descending.
    Over `bin` of ranks of half A: `bin_first`, `bin_last`, and `bin_frequency`, the mean share of half B.
    Over `range` (head: ranks of half A below `head_ranks`; tail: the others that fire in half A): `first_rank`,
    `last_rank` (inclusive; an empty range ends before it begins), `winner`: a law, "undecided", or "" where the range
    has fewer than 100 ranks, which are not fitted. Over (`range`, `law`): `exponent` α and `decay_length` L, in ranks,
    of r^−α·exp(−r/L) with α ≥ 0, of which the power law has L = ∞ and the exponential α = 0; `log_likelihood`, `aic`,
    and `amplitude`, times which the law is the fitted frequency (inf where that is too large for a float64). Over
    (`range`, `law`, `bin`): `bin_expected`, what the law leads to in `bin_frequency`. The likelihood is that of
    `polysem.numerics.law_likelihood`.

    `firing_dispersion`, a scalar, is what `firing_noise.dispersion` found.

    The law is chosen by `exponential_share`, over `range`: of the fall of ln p from behind the first tenth of the ranks
    of the range to its end, the share that the truncated law, with any α and L, gives to exp(−r/L). It is 0 for a power
    law and 1 for an exponential; `exponential_share_error` is its standard error, from 200 resamples of the features. A
    truncated law is more than 3.5 of them, and 0.05, from both. A pure law is at most 1.3 of them, or 0.05, from its
    own value towards the other's, and with two more still nearer to it than 0.25; away from the other's, it is nearer
    than 0.25, too. All else is undecided, as are ranges whose features half A counts all alike. The winner is the best
    of three, which need not describe the curve well; the figure shows both.
    Source: document S0 (section "Feature frequency"), which chose by eye.
    """
    generator = np.random.default_rng(seed)
    together = np.sort(active.sum(1))[::-1].astype(np.float64)
    together = together[together > 0]
    ranked = _ranked(active, np.asarray(tokens), generator)
    shown = len(ranked.a)
    bounds = {"head": (1, min(head_ranks - 1, shown)), "tail": (head_ranks, max(shown, head_ranks - 1))}
    edges = _bin_edges(shown)
    middle = np.sqrt(edges[:-1] * (edges[1:] - 1))
    found = [_range(ranked, *bounds[part], middle, generator) for part in RANGES]
    counted = np.add.reduceat(ranked.b, edges[:-1] - 1) / np.diff(edges) if shown else np.zeros(0)
    both = ("range", "law")
    fitted = {
        "exponent": ("exponent α of the law", "1"),
        "decay_length": ("decay length L of the law", "rank"),
        "log_likelihood": ("log-likelihood of the features' counts in half B", "nat"),
        "aic": ("Akaike information criterion", "1"),
        "amplitude": ("factor of the law in shares of tokens", "1"),
    }
    variables = {
        "frequency_sorted": variable(
            "rank", together / int(np.sum(tokens)), "share of tokens on which the feature is active", "1"
        ),
        "bin_first": variable("bin", edges[:-1], "first rank of the bin, by half A", "rank"),
        "bin_last": variable("bin", edges[1:] - 1, "last rank of the bin", "rank"),
        "bin_frequency": variable(
            "bin", counted / max(1, int(tokens[1])), "mean share of half B on which its features are active", "1"
        ),
        "first_rank": variable("range", [bounds[part][0] for part in RANGES], "first rank of the range", "rank"),
        "last_rank": variable("range", [bounds[part][1] for part in RANGES], "last rank of the range", "rank"),
        "winner": variable("range", [part.winner for part in found], "law that the range follows", "1"),
        "exponential_share": variable(
            "range", [part.share for part in found], "share of the fall owed to an exponential", "1"
        ),
        "exponential_share_error": variable(
            "range", [part.error for part in found], "its standard error over resamples of the features", "1"
        ),
        "bin_expected": variable(
            (*both, "bin"),
            np.array([[fit.curve for fit in part.fits] for part in found]),
            "what the law leads to in bin_frequency",
            "1",
        ),
        "firing_dispersion": scalar(ranked.dispersion, "variance of a feature's count over its mean", "1"),
    } | {name: variable(both, _column(found, name), *words) for name, words in fitted.items()}
    coordinates = {
        "rank": index("rank", 1, len(together) + 1, "rank by frequency"),
        "range": variable("range", RANGES, "ranks that are fitted together", "1"),
        "law": variable("law", LAWS, "law", "1"),
    }
    attributes = {"tokens": int(np.sum(tokens)), "tokens_ranking": int(tokens[0]), "tokens_counting": int(tokens[1])}
    return labelled(variables, coordinates, attributes)


@dataclass(frozen=True)
class Fit:
    """A law fitted to a range of ranks; NaN throughout where the range is too short."""

    parameters: int
    curve: Values
    exponent: float = nan
    decay_length: float = nan
    log_likelihood: float = nan
    amplitude: float = nan

    @property
    def aic(self) -> float:
        """2·(number of parameters) − 2·log-likelihood."""
        return 2 * self.parameters - 2 * self.log_likelihood


@dataclass(frozen=True)
class Range:
    """What is said of a range of ranks."""

    fits: list[Fit]
    winner: str = ""
    share: float = nan
    error: float = nan


def decide(share: float, error: float) -> str:
    """The law that a share of the fall and its standard error speak for, or "undecided"."""
    not_power, not_exponential = share, 1 - share
    if min(not_power, not_exponential) > max(EXCLUDED * error, NOTHING):
        return "truncated_power_law"
    for law, other in (("power_law", not_power), ("exponential", not_exponential)):
        if -NEGLIGIBLE < other <= max(ACCEPTED * error, NOTHING) and other + 2 * error < NEGLIGIBLE:
            return law
    return UNDECIDED


def _ranked(
    active: Int[np.ndarray, "feature half"], tokens: Int[np.ndarray, " half"], generator: np.random.Generator
) -> Ranked:
    drawn = generator.permutation(len(active))
    order = drawn[np.argsort(-active[drawn, 0], kind="stable")]
    order = order[active[order, 0] > 0]
    a, b = active[order].astype(np.float64).T
    noise = dispersion(active, tokens.astype(np.float64)) if len(order) else 1.0
    return Ranked(a, b, (int(tokens[0]), int(tokens[1])), len(active), noise)


def _bin_edges(ranks: int) -> NDArray[np.int64]:
    """First ranks of the bins, and the rank behind the last one."""
    if not ranks:
        return np.ones(1, np.int64)
    return np.unique(np.geomspace(1, ranks + 1, BINS + 1).round().astype(np.int64))


def _range(ranked: Ranked, first: int, last: int, middle: Values, generator: np.random.Generator) -> Range:
    parameters = {"power_law": 2, "exponential": 2, "truncated_power_law": 3}
    unknown = np.full(len(middle), nan)
    if last - first + 1 < LEAST_RANKS or not ranked.b[first - 1 : last].any():
        return Range([Fit(parameters[law], unknown) for law in LAWS])
    likelihood = Likelihood(ranked, first, last)
    level, slope = likelihood.start()
    starts = {"power_law": (slope, 0.0), "exponential": (0.0, slope), "truncated_power_law": (slope / 2, slope / 2)}
    solutions = {law: likelihood.fits(np.array([level, *start]), FREE[law]) for law, start in starts.items()}
    for law in ("power_law", "exponential"):
        solutions[law] = [likelihood.never_rising(solution) for solution in solutions[law]]
    fits = {law: _fit(likelihood, found[0], parameters[law], middle) for law, found in solutions.items()}
    truncated = solutions["truncated_power_law"]
    said = [_share_of_fall(likelihood, solution, generator) for solution in truncated]
    laws = {decide(share, error) for share, error in said}
    if truncated[0].law[1:].min() < 0:
        # No law that decays by both is likelier than the likelier of the pure ones, which are its borders.
        border = max(fits["power_law"], fits["exponential"], key=lambda fit: fit.log_likelihood)
        fits["truncated_power_law"] = replace(border, parameters=parameters["truncated_power_law"])
    ordered = ranked.a[first - 1] > ranked.a[last - 1]
    return Range([fits[law] for law in LAWS], laws.pop() if ordered and len(laws) == 1 else UNDECIDED, *said[0])


def _share_of_fall(likelihood: Likelihood, solution: Solution, generator: np.random.Generator) -> tuple[float, float]:
    """`exponential_share` and its standard error, from the quantiles between which it has two of a normal one."""
    likelihood.hidden = solution.hidden
    upper, lower = likelihood.inner

    def share(law: Values) -> float:
        exponential = law[2] * (lower - upper) / likelihood.reference
        return float(exponential / (exponential + law[1] * np.log(lower / upper)))

    features = int(likelihood.counts.sum())
    resamples = generator.multinomial(features, likelihood.counts / features, RESAMPLES).astype(np.float64)
    shares = [share(moved) for moved in likelihood.resampled(resamples, solution.law)]
    low, high = np.quantile(shares, [0.1587, 0.8413])
    return share(solution.law), float(high - low) / 2


def _fit(likelihood: Likelihood, solution: Solution, parameters: int, middle: Values) -> Fit:
    likelihood.hidden = solution.hidden
    level, power, exponential = solution.law
    reference = likelihood.reference
    log_amplitude = level + power * np.log(reference) + exponential - np.log(likelihood.ranked.tokens[1])
    return Fit(
        parameters,
        likelihood.seen_through_noise(solution.law, middle),
        float(power),
        float(reference / exponential) if exponential else inf,
        solution.log_likelihood,
        exp(log_amplitude) if log_amplitude < 709 else inf,
    )


def _column(found: list[Range], name: str) -> list[list[float]]:
    return [[getattr(fit, name) for fit in part.fits] for part in found]


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `rank_frequency`."""
    counted, params = inputs.table("frequency"), inputs.params
    active, tokens = counted["active_tokens_of_half"].values, counted["tokens_of_half"].values
    return rank_frequency(active, tokens, params.head_ranks, params.baseline_seed)
