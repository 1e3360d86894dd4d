"""What probes say over all tags: means, how few features suffice, and whether neurons need more."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.numerics.resampling import interval_of_values, intervals_of_means
from polysem.tables.passes.probing.probes import FEATURES, Scores

NEAR = 0.02
"""F1 by which a probe may miss that on all activations and still count as good as it."""
MORE = -1
"""Stands in place of a number of features where the most that are tried do not suffice."""


def against_dense(f1: Float[np.ndarray, "tag k"], dense: Float[np.ndarray, " tag"]) -> Int[np.ndarray, " tag"]:
    """The fewest features with an F1 within `NEAR` of that of the probe on all activations; `MORE` where none of
    `FEATURES` suffices, and for tags that are not probed."""
    with np.errstate(invalid="ignore"):
        near = f1 >= dense[:, None] - NEAR
    return np.where(near.any(1), np.array(FEATURES)[near.argmax(1)], MORE)


def means(
    sparse: Scores,
    dense: Float[np.ndarray, " tag"],
    fewest: Int[np.ndarray, " tag"],
    kept: Bool[np.ndarray, " tag"],
    seed: int,
) -> dict[str, Any]:
    """Means over the tags that are kept, with bootstrap intervals over these; NaN where none is."""
    tags = int(kept.sum())
    f1, auroc = (values[kept] for values in (sparse.f1, sparse.auroc))
    of_f1 = f1.mean(0) if tags else np.full(len(FEATURES), np.nan)
    low, high = intervals_of_means(f1.T, seed)
    dense_low, dense_high = interval_of_values(dense[kept], np.mean, seed)
    return {
        "mean_f1": of_f1,
        "mean_f1_low": low,
        "mean_f1_high": high,
        "mean_auroc": auroc.mean(0) if tags else np.full(len(FEATURES), np.nan),
        "sparse_probe_f1_1": of_f1[0],
        "sparse_probe_f1_8": of_f1[-1],
        "dense_probe_f1": dense[kept].mean() if tags else np.nan,
        "dense_probe_f1_low": dense_low,
        "dense_probe_f1_high": dense_high,
        "as_good_as_dense_share": (fewest[kept] != MORE).mean() if tags else np.nan,
    }


def kept_tags(dense: Scores, control: xr.Dataset | None, probed: Bool[np.ndarray, " tag"]) -> dict[str, Any]:
    """The tags that means and shares are over, by the probes on all activations: those that are probed, and of which
    the interval of F1 lies above that of the random-model control, whose table of neurons `control` is."""
    if control is None:
        return {"kept": probed}
    theirs = {f"control_dense_{name}": control[f"dense_{name}"].values for name in ("f1", "f1_low", "f1_high")}
    with np.errstate(invalid="ignore"):
        return theirs | {"kept": probed & (dense.low > theirs["control_dense_f1_high"])}


def against_control(sparse: Scores, control: xr.Dataset, kept: Bool[np.ndarray, " tag"]) -> dict[str, Any]:
    """The same dictionary of a random-model control, from its table, and which tags ours tells better with some number
    of features: those of which the interval of F1 lies above that of the control."""
    theirs = {name: control[name].values for name in ("f1", "f1_low", "f1_high")}
    with np.errstate(invalid="ignore"):
        beyond: NDArray[np.bool_] = np.any(sparse.low > theirs["f1_high"], axis=1)
    found: dict[str, Any] = {f"control_{name}": values for name, values in theirs.items()}
    mean = theirs["f1"][kept].mean(0) if kept.any() else np.full(len(FEATURES), np.nan)
    return found | {
        "beyond_control": beyond,
        "beyond_control_share": beyond[kept].mean() if kept.any() else np.nan,
        "control_mean_f1": mean,
        "control_probe_f1_1": mean[0],
    }


def against_neurons(
    f1: Float[np.ndarray, "tag k"],
    fewest: Int[np.ndarray, " tag"],
    neurons: xr.Dataset,
    kept: Bool[np.ndarray, " tag"],
    seed: int,
) -> dict[str, Any]:
    """Features against neurons, from the `neurons`' table.

    For each tag 1 if fewer features than neurons come near the probe on all activations, −1 if more are needed, 0 if as
    many, or if neither come near it (and for those that are not kept); and the fewest features that come near the most
    neurons. Shares are of the tags that are kept.
    """
    ours, theirs = (_as_numbers(numbers) for numbers in (fewest, neurons["fewest"].values))
    fewer = np.where(kept, np.sign(theirs - ours), 0)
    replacing = against_dense(f1, neurons["f1"].values[:, -1])
    shares = {
        "fewer_than_neurons_share": fewer > 0,
        "fewer_than_most_neurons_share": _as_numbers(replacing) < FEATURES[-1],
        "more_than_neurons_share": fewer < 0,
    }
    found: dict[str, Any] = {"fewer_than_neurons": fewer, "fewest_for_neurons": replacing}
    for name, is_so in shares.items():
        found[name] = is_so[kept].mean() if kept.any() else np.nan
        low, high = interval_of_values(is_so[kept].astype(np.float64), np.mean, seed)
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def _as_numbers(fewest: Int[np.ndarray, " tag"]) -> Int[np.ndarray, " tag"]:
    """The same, with twice the most that are tried where these do not suffice."""
    return np.where(fewest == MORE, 2 * FEATURES[-1], fewest)
