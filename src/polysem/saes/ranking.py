"""S4.X2: four scales on which activations of different features are compared, and the strongest features of a text.

Of the features of all layers, the document's search shows those of the first ones, as their activations are larger. The
other scales hold an activation against what is usual for its feature: they read how it is distributed over the eval
tokens. Pure NumPy, without torch.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

SCALES: Final = ("raw", "share", "quantile", "surprise")
"""The activation as it is; of the largest eval activation; among the active eval tokens; −log₂ P(f ≥ a), in bits."""
PER_MILLE: Final = (0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 980, 990, 995, 998, 999, 1000)
"""Thousandths of a feature's active eval tokens at which its activations are kept: the strong ones are told apart."""
QUANTILES: Final[NDArray[np.float64]] = np.array(PER_MILLE) / 1000
"""The same as shares."""


@dataclass(frozen=True)
class Distributions:
    """How each feature of a dictionary is distributed over the eval tokens."""

    maximum: Float[np.ndarray, " feature"]
    """Largest activation."""
    frequency: Float[np.ndarray, " feature"]
    """Share of all tokens on which it is active."""
    knots: Float[np.ndarray, "feature knot"]
    """Its activation at each of `QUANTILES` of its active tokens, ascending; NaN where it is never active."""
    tokens: int
    """Number of eval tokens."""

    def __post_init__(self) -> None:
        """ValueError unless there is a knot for each of `QUANTILES`, and each array has a row for each feature."""
        if self.knots.shape != (len(self.maximum), len(QUANTILES)) or len(self.frequency) != len(self.maximum):
            raise ValueError(
                f"maxima of {len(self.maximum)} features, frequencies of {len(self.frequency)} and knots of the shape "
                f"{self.knots.shape} were given; each feature has one of both and {len(QUANTILES)} knots"
            )


def scaled(
    value: Float[np.ndarray, " entry"], feature: Int[np.ndarray, " entry"], distributions: Distributions, scale: str
) -> Float[np.ndarray, " entry"]:
    """Activations on a scale, as float32; each entry is the activation `value` of a `feature`.

    - `raw`: the activation itself.
    - `share`: activation / largest eval activation, above 1 for one that is still larger. Of a feature that is never
      active on the eval tokens it is 1: its largest known activation is this one.
    - `quantile`: share of the feature's active eval tokens with a smaller or equal activation, linear between the
      knots; 1 at the largest eval activation and above, and for a feature that is never active.
    - `surprise`: −log₂ of P(f ≥ a) = frequency · (1 − quantile), in bits. P is at least that of half a token, as the
      eval tokens cannot show less: the largest activations of all features have the same surprise.

    On the last three, what is not active (at or below 0, as neurons may be) has 0.
    Raises ValueError for an unknown scale.
    """
    if scale not in SCALES:
        raise ValueError(f"there is no scale {scale!r}; there are {', '.join(SCALES)}")
    value = np.asarray(value, np.float32)
    if scale == "raw":
        return value
    if scale == "share":
        maximum = distributions.maximum[feature]
        known = maximum > 0
        on_scale = np.where(known, value / np.where(known, maximum, 1), 1)
    else:
        on_scale = quantile(value, distributions.knots[feature])
        if scale == "surprise":
            rarer = distributions.frequency[feature] * (1 - on_scale)
            on_scale = -np.log2(np.maximum(rarer, 0.5 / distributions.tokens))
    return np.where(value > 0, on_scale, 0).astype(np.float32)


def quantile(value: Float[np.ndarray, " entry"], knots: Float[np.ndarray, "entry knot"]) -> Float[np.ndarray, " entry"]:
    """Share of activations that are smaller than a value or equal to it, given those at `QUANTILES`, linear between
    them: 0 below the first, 1 from the last on and where there are none (NaN)."""
    reached = (knots <= value[:, None]).sum(axis=1)
    below, above = np.maximum(reached - 1, 0), np.minimum(reached, knots.shape[1] - 1)
    entry = np.arange(len(value))
    start, stop = (knots[entry, place].astype(np.float64) for place in (below, above))
    part = np.divide(value - start, stop - start, out=np.zeros(len(value)), where=stop > start)
    between = QUANTILES[below] + part * (QUANTILES[above] - QUANTILES[below])
    ended = (reached == knots.shape[1]) | np.isnan(knots[:, 0])
    return np.where(ended, 1.0, np.where(reached == 0, 0.0, between))


def strongest(
    feature: Int[np.ndarray, " entry"],
    value: Float[np.ndarray, " entry"],
    on_scale: Float[np.ndarray, " entry"],
    top: int,
) -> Int[np.ndarray, " rank"]:
    """The `top` features with the largest scaled activations on any token of a text, or as many as there are: for each
    rank the number of the entry at which the feature is strongest.

    The entries are all of the tokens that count, in the order of the tokens; `on_scale` is what `scaled` makes of
    `value`. Equal features are told apart by the raw activation, the larger first, then by their number, the smaller
    first; of equal entries of a feature the first is taken.
    """
    if not len(feature) or top < 1:
        return np.zeros(0, np.int64)
    best = np.full(int(feature.max()) + 1, -np.inf, on_scale.dtype)
    np.maximum.at(best, feature, on_scale)
    present = best[best > -np.inf]
    least = np.partition(present, -top)[-top] if top < len(present) else -np.inf
    candidate = np.flatnonzero((on_scale == best[feature]) & (on_scale >= least))
    order = candidate[np.lexsort((-value[candidate], feature[candidate]))]
    own = order[np.diff(feature[order], prepend=-1) > 0]
    ranked: NDArray[np.int64] = own[np.lexsort((feature[own], -value[own], -on_scale[own]))][:top]
    return ranked
