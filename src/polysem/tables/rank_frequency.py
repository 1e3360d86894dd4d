"""S0.F2, S0.X3: which law the frequencies follow by rank, decided by likelihood and not by eye."""

from dataclasses import dataclass, replace
from math import exp, inf, log, nan

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from polysem.tables.labels import index, labelled, variable

LAWS = ("power_law", "exponential", "truncated_power_law")
RANGES = ("head", "tail")
MINIMUM_RANKS = 5
"""A law with an amplitude and up to two parameters is not tested by fewer points."""
NEWTON_STEPS = 200
TIE = 1e-9
"""AIC differences below this share of the AIC are rounding."""
Values = NDArray[np.float64]


def rank_frequency(active_tokens: NDArray[np.int64], tokens: int, head_ranks: int) -> xr.Dataset:
    """Frequencies by rank, and the power law, the exponential and the truncated power law that have the largest
    likelihood on their head and on their tail.

    Variables over `rank` (1 … number of features that are ever active): `frequency_sorted`, descending. Over `range`
    (head: ranks below `head_ranks`; tail: the others): `first_rank`, `last_rank` (inclusive; an empty range ends before
    it begins), `winner` (the law with the smallest AIC). Over (`range`, `law`): `exponent` α and `decay_length` L, in
    ranks, of the law r^−α·exp(−r/L) with α ≥ 0, of which the power law has L = ∞ and the exponential α = 0;
    `log_likelihood`, `aic`, and `amplitude`, times which the law is the fitted frequency (inf where that number is too
    large for a float64). A range of fewer than 5 ranks is not fitted: NaN, and `winner` is "". It is also "" where all
    counts are equal: all laws are then the same constant, α = 0 and L = ∞.

    Every activation of a feature is taken as one draw of a rank, with P(r) proportional to the law on the ranks of the
    range. This assumes that the draws are independent; features fire together and in runs, so there are fewer
    independent draws than activations, and the differences in AIC are upper bounds. The truncated power law has two
    parameters, the others one.
    Source: document S0 (section "Feature frequency"), which chose by eye.
    """
    counts = np.sort(active_tokens[active_tokens > 0])[::-1].astype(np.float64)
    bounds = {"head": (1, min(head_ranks - 1, len(counts))), "tail": (head_ranks, max(len(counts), head_ranks - 1))}
    fits = [_fits(counts, *bounds[part], tokens) for part in RANGES]
    both = ("range", "law")
    variables = {
        "frequency_sorted": variable("rank", counts / tokens, "share of tokens on which the feature is active", "1"),
        "first_rank": variable("range", [bounds[part][0] for part in RANGES], "first rank of the range", "rank"),
        "last_rank": variable("range", [bounds[part][1] for part in RANGES], "last rank of the range", "rank"),
        "winner": variable("range", [_winner(laws) for laws in fits], "law with the smallest AIC", "1"),
        "exponent": variable(both, _column(fits, "exponent"), "exponent α of the law", "1"),
        "decay_length": variable(both, _column(fits, "decay_length"), "decay length L of the law", "rank"),
        "log_likelihood": variable(both, _column(fits, "log_likelihood"), "log-likelihood of the activations", "nat"),
        "aic": variable(both, _column(fits, "aic"), "Akaike information criterion", "1"),
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

    parameters: int
    exponent: float = nan
    decay_length: float = nan
    log_likelihood: float = nan
    amplitude: float = nan

    @property
    def aic(self) -> float:
        """2·(number of parameters) − 2·log-likelihood."""
        return 2 * self.parameters - 2 * self.log_likelihood


def _fits(counts: Values, first: int, last: int, tokens: int) -> list[Fit]:
    """The laws of `LAWS`, fitted to the ranks first … last."""
    if last - first + 1 < MINIMUM_RANKS:
        return [Fit(1), Fit(1), Fit(2)]
    ranks = np.arange(first, last + 1, dtype=np.float64)
    weights = counts[first - 1 : last]
    statistics = np.stack([np.log(ranks), ranks])

    def fit(parameters: int, rates: Values) -> Fit:
        log_sum = float(logsumexp(-rates @ statistics))
        log_likelihood = float(-rates @ (statistics @ weights) - weights.sum() * log_sum)
        log_amplitude = log(weights.sum() / tokens) - log_sum
        amplitude = exp(log_amplitude) if log_amplitude < 709 else inf
        length = 1 / rates[1] if rates[1] else inf
        return Fit(parameters, float(rates[0]), float(length), log_likelihood, amplitude)

    power_law = fit(1, np.array([_rate(statistics[0], weights), 0.0]))
    exponential = fit(1, np.array([0.0, _rate(statistics[1], weights)]))
    both = _rates(statistics, weights, np.array([power_law.exponent, 0.0]))
    if both is not None and both.min() > 0:
        return [power_law, exponential, fit(2, both)]
    # The likelihood is concave: where its maximum is no decaying law, the best one lies on the border.
    border = max(power_law, exponential, key=lambda single: single.log_likelihood)
    return [power_law, exponential, replace(border, parameters=2)]


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


def _rates(statistics: Values, weights: Values, start: Values) -> Values | None:
    """θ that maximises the likelihood of P(r) ∝ exp(−θ·t(r)) for two statistics, by Newton's method with halved steps;
    None where it does not converge, as where the likelihood grows without end."""
    first = statistics[:, :1]
    span = statistics[:, -1:] - first
    scaled = (statistics - first) / span
    observed = scaled @ weights / weights.sum()
    rates = start * span[:, 0]

    def loss(rates: Values) -> float:
        return float(logsumexp(-rates @ scaled) + rates @ observed)

    for _ in range(NEWTON_STEPS):
        logits = -rates @ scaled
        probability = np.exp(logits - logsumexp(logits))
        mean = scaled @ probability
        gradient = observed - mean
        if np.abs(gradient).max() < 1e-12:
            return rates / span[:, 0]
        deviation = scaled - mean[:, None]
        step = np.linalg.lstsq(deviation * probability @ deviation.T, gradient, rcond=None)[0]
        size = 1.0
        while size > 1e-9 and not loss(rates - size * step) <= loss(rates):
            size /= 2
        rates = rates - size * step
    return None


def _winner(fits: list[Fit]) -> str:
    order = sorted(range(len(fits)), key=lambda place: fits[place].aic)
    best, second = fits[order[0]], fits[order[1]]
    if not second.aic - best.aic > TIE * abs(best.aic):
        return ""
    return LAWS[order[0]]


def _column(fits: list[list[Fit]], name: str) -> list[list[float]]:
    return [[getattr(fit, name) for fit in laws] for laws in fits]
