"""S2.F7: how the squared norm of the ultra-low decoder rows is spread over their singular directions."""

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import eigvalsh
from torch import Tensor

from polysem.tables.parts.decoder_cosines import products
from polysem.tables.parts.labels import scalar, variable

HELD = (0.5, 0.9)
"""Shares of the squared norm for which singular directions are counted."""
STEPS = 20_000
Values = NDArray[np.float64]


def singular_directions(decoder: Float[Tensor, "feature neuron"], low: NDArray[np.bool_]) -> dict[str, xr.Variable]:
    """Over `singular`: the shares of the squared norm of some decoder rows, and of independent random ones; over
    `held_share`: how many of the strongest directions hold so much of it; and as a scalar the share of the first."""
    chosen = np.flatnonzero(low)
    power = eigvalsh(products(decoder, chosen), lower=False, driver="evd", overwrite_a=True)
    power = power[::-1].clip(min=0).astype(np.float64)
    share = power / power.sum()
    words = "share of the squared norm of the ultra-low decoder rows by singular direction"
    return {
        "variance_share": variable("singular", share, words, "1"),
        "variance_share_random": variable(
            "singular", random_shares(len(chosen), decoder.shape[1]), "the same of independent random rows", "1"
        ),
        "variance_share_directions": variable(
            "held_share",
            np.searchsorted(share.cumsum(), HELD) + 1,
            "strongest singular directions of the ultra-low decoder rows that hold this share of the squared norm",
            "1",
        ),
        "held_share": variable("held_share", HELD, "share of the squared norm", "1"),
        "ultra_low_first_singular_share": scalar(share[0], f"{words}, the first one", "1"),
    }


def random_shares(rows: int, neurons: int) -> Values:
    """Shares of the singular directions of independent random rows, largest first, as Marchenko and Pastur's law has
    them in the limit of many rows and neurons: its quantiles at the middle of as many equal parts."""
    few, many = sorted((rows, neurons))
    ratio = few / many
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    angle = (np.arange(STEPS) + 0.5) * np.pi / STEPS
    value = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    cumulative = np.cumsum(np.sin(angle) ** 2 / value)
    middles = (np.arange(few) + 0.5) / few
    quantiles = np.interp(middles, cumulative / cumulative[-1], value)[::-1]
    return quantiles / quantiles.sum()
