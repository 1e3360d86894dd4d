"""How much the count of a feature's firings varies about its mean: from one half of the tokens to the other."""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, pdtr

ENOUGH = 10
"""Firings in both halves together from which on a feature tells how much counts vary."""
Values = NDArray[np.float64]


def probability_at_most(count: ArrayLike, mean: ArrayLike, dispersion: float) -> Values:
    """P(count ≤ `count`) of counts of a mean, 0 for a negative count; both broadcast.

    The variance is `dispersion` ≥ 1 times the mean: Poisson at 1, above it negative binomial (NB1).
    """
    whole = np.asarray(count, np.float64)
    known = np.maximum(whole, 0)
    found: Values
    if dispersion == 1:
        found = pdtr(known, np.asarray(mean, np.float64))
    else:
        found = betainc(np.asarray(mean, np.float64) / (dispersion - 1), known + 1, 1 / dispersion)
    return np.where(whole < 0, 0.0, found)


def dispersion(active: Int[np.ndarray, "feature half"], tokens: Float[np.ndarray, " half"]) -> float:
    """Variance of a feature's count over its mean, from how unlike its two halves are: 1 for independent firings, more
    where features fire in runs, or in some sequences only.

    The mean over the features with at least 10 firings of (a·t_B − b·t_A)² / ((a + b)·t_A·t_B), with t the shares of
    the halves in all tokens, whose expectation is 1 for independent firings. 1 where that mean is below 1, or by less
    than two standard errors above it, and where fewer than two features have so many firings.
    """
    together = active.sum(1)
    known = active[together >= ENOUGH].astype(np.float64)
    if len(known) < 2:
        return 1.0
    share_a, share_b = tokens / tokens.sum()
    unlike = (known[:, 0] * share_b - known[:, 1] * share_a) ** 2 / (known.sum(1) * share_a * share_b)
    error = float(unlike.std(ddof=1) / np.sqrt(len(unlike)))
    found = float(unlike.mean())
    return found if found > 1 + 2 * error else 1.0
