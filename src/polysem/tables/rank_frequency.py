"""S0.F2, S0.X3: which law the frequencies follow by rank, decided by likelihood and not by eye."""

from dataclasses import dataclass
from math import exp, inf, log, nan

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from polysem.tables.labels import index, labelled, variable

LAWS = ("power_law", "exponential")
RANGES = ("head", "tail")
MINIMUM_RANKS = 5
"""A law with an amplitude and a parameter is not tested by fewer points."""
TIE = 1e-9
"""AIC differences below this share of the AIC are rounding."""
Values = NDArray[np.float64]


def rank_frequency(active_tokens: NDArray[np.int64], tokens: int, head_ranks: int) -> xr.Dataset:
    """Frequencies by rank, and the maximum-likelihood power law and exponential of their head and of their tail.

    Variables over `rank` (1 … number of features that are ever active): `frequency_sorted`, descending. Over `range`
    (head: ranks below `head_ranks`; tail: the others): `first_rank`, `last_rank` (inclusive; an empty range ends before
    it begins), `winner` (the law with the smaller AIC). Over (`range`, `law`): `parameter` (α of r^−α; decay length L,
    in ranks, of exp(−r/L)), `log_likelihood`, `aic`, and `amplitude`, with which amplitude·r^−α or amplitude·exp(−r/L)
    is the fitted frequency (inf where that number is too large for a float64). A range of fewer than 5 ranks is not
    fitted: NaN, and `winner` is "". It is also "" where all counts are equal: both laws are then the same constant,
    α = 0 and L = ∞.

    Every activation of a feature is taken as one draw of a rank, with P(r) proportional to the law on the ranks of the
    range. This assumes that the draws are independent; features fire together and in runs, so there are fewer
    independent draws than activations, and the differences in AIC are upper bounds. Both laws have one parameter.
    Source: document S0 (section "Feature frequency"), which chose by eye.
    """
    counts = np.sort(active_tokens[active_tokens > 0])[::-1].astype(np.float64)
    bounds = {"head": (1, min(head_ranks - 1, len(counts))), "tail": (head_ranks, max(len(counts), head_ranks - 1))}
    fits = [[_fit(law, counts, *bounds[part], tokens) for law in LAWS] for part in RANGES]
    both = ("range", "law")
    variables = {
        "frequency_sorted": variable("rank", counts / tokens, "share of tokens on which the feature is active", "1"),
        "first_rank": variable("range", [bounds[part][0] for part in RANGES], "first rank of the range", "rank"),
        "last_rank": variable("range", [bounds[part][1] for part in RANGES], "last rank of the range", "rank"),
        "winner": variable("range", [_winner(*pair) for pair in fits], "law with the smaller AIC", "1"),
        "parameter": variable(both, _column(fits, "parameter"), "exponent α, or decay length L in ranks", "1 or rank"),
        "log_likelihood": variable(both, _column(fits, "log_likelihood"), "log-likelihood of the activations", "nat"),
        "aic": variable(both, _column(fits, "aic"), "Akaike information criterion, one parameter", "1"),
        "amplitude": variable(both, _column(fits, "amplitude"), "factor of the fitted curve in shares of tokens", "1"),
    }
    coordinates = {
        "rank": index("rank", 1, len(counts) + 1, "rank by frequency"),
        "range": variable("range", RANGES, "ranks that are fitted together", "1"),
        "law": variable("law", LAWS, "law", "1"),
    }
    return labelled(variables, coordinates, {"tokens": tokens})


@dataclass(frozen=True)
class Fit:
    """A law fitted to a range of ranks; NaN throughout where the range is too short."""

    parameter: float = nan
    log_likelihood: float = nan
    amplitude: float = nan

    @property
    def aic(self) -> float:
        """2·(number of parameters, 1) − 2·log-likelihood."""
        return 2 - 2 * self.log_likelihood


def _fit(law: str, counts: Values, first: int, last: int, tokens: int) -> Fit:
    if last - first + 1 < MINIMUM_RANKS:
        return Fit()
    ranks = np.arange(first, last + 1, dtype=np.float64)
    weights = counts[first - 1 : last]
    statistic = np.log(ranks) if law == "power_law" else ranks
    rate = _rate(statistic, weights)
    log_sum = float(logsumexp(-rate * statistic))
    log_likelihood = float(-rate * (weights @ statistic) - weights.sum() * log_sum)
    log_amplitude = log(weights.sum() / tokens) - log_sum
    parameter = rate if law == "power_law" else (1 / rate if rate else inf)
    return Fit(parameter, log_likelihood, exp(log_amplitude) if log_amplitude < 709 else inf)


def _rate(statistic: Values, weights: Values) -> float:
    """θ ≥ 0 that maximises the likelihood of P(r) ∝ exp(−θ·t(r)): the one at which E[t] is the observed mean of t.

    E[t] falls in θ from the plain mean of t, which the observed mean of descending counts cannot exceed, towards the
    smallest t, which it does exceed; so there is one root, and it is bracketed by doubling.
    """
    span = statistic[-1] - statistic[0]
    scaled = (statistic - statistic[0]) / span
    observed = weights @ scaled / weights.sum()

    def excess(rate: float) -> float:
        probability = np.exp(-rate * scaled)
        return float(probability @ scaled / probability.sum() - observed)

    if weights[0] == weights[-1] or excess(0) <= 0:
        return 0.0
    high = 1.0
    while excess(high) > 0:
        high *= 2
    return float(brentq(excess, 0, high, xtol=1e-14, rtol=1e-14) / span)


def _winner(power_law: Fit, exponential: Fit) -> str:
    difference = power_law.aic - exponential.aic
    if not abs(difference) > TIE * abs(power_law.aic):
        return ""
    return LAWS[int(difference > 0)]


def _column(fits: list[list[Fit]], name: str) -> list[list[float]]:
    return [[getattr(fit, name) for fit in pair] for pair in fits]
