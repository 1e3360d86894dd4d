"""What a model scores with and without a dictionary, as the numbers that the table `fidelity` holds of it."""

from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.numerics.resampling import BOOTSTRAPPED, interval_of_sums
from polysem.tables.parts.evaluation import Score
from polysem.tables.parts.labels import labelled, scalar
from polysem.tables.parts.reconstruction import Reconstruction, ratio

UNDEFINED = "NaN where the ablation leaves the cross-entropy as it was (the denominator is 0)"
INTERVALS = ("loss_recovered_zero", "loss_recovered_mean", "explained_variance", "L0")
"""Numbers with the ends of their bootstrap intervals beside them."""


def fidelity_numbers(
    scores: dict[str, Score], reconstruction: Reconstruction, sequence: NDArray[np.int64]
) -> xr.Dataset:
    """The scalars of `of_site.fidelity.dictionary_fidelity` and their intervals.

    `scores` are those of the model as it is ("clean"), with a change in place ("zero", "mean", "spliced") and, where
    there are rare features, "without_ultra_low". `sequence` tells the sequence of each token of the reconstruction.
    """
    loss = {name: score.cross_entropy for name, score in scores.items()}
    loss.setdefault("without_ultra_low", loss["spliced"])
    words = {
        "clean": "of the model",
        "spliced": "with the reconstruction in place",
        "without_ultra_low": "with the reconstruction without ultra-low-frequency features in place",
        "zero": "with zeros in place",
        "mean": "with the mean in place",
    }
    variables = {
        f"cross_entropy_{name}": scalar(loss[name], f"cross-entropy {word}", "nat") for name, word in words.items()
    }
    variables |= {
        f"accuracy_{name}": scalar(scores[name].accuracy, f"share of tokens predicted {words[name]}", "1")
        for name in ("clean", "spliced")
    }
    recoveries = {
        "zero": ("zero", "spliced", "loss recovered against zero ablation"),
        "mean": ("mean", "spliced", "loss recovered against mean ablation"),
        "without_ultra_low": (
            "zero",
            "without_ultra_low",
            "loss recovered against zero ablation without ultra-low-frequency features",
        ),
        "by_mean": ("zero", "mean", "loss recovered against zero ablation by mean ablation"),
    }
    for name, (ablated, replaced, long_name) in recoveries.items():
        recovered = ratio(loss[ablated] - loss[replaced], loss[ablated] - loss["clean"])
        variables[f"loss_recovered_{name}"] = scalar(recovered, long_name, "1")
        variables[f"loss_recovered_{name}"].attrs["undefined"] = UNDEFINED
    for name in ("spliced", "zero"):
        increase = ratio(loss[name] - loss["clean"], loss["clean"])
        variables[f"loss_increase_{name}"] = scalar(increase, f"relative increase of the loss {words[name]}", "1")
    lost = scores["clean"].accuracy - scores["spliced"].accuracy
    variables["accuracy_loss"] = scalar(lost, "share of tokens that are predicted by the model alone, net", "1")
    tokens = reconstruction.tokens
    error = reconstruction.error / tokens
    variables |= {
        "explained_variance": scalar(reconstruction.explained_variance, "share of variance explained", "1"),
        "mean_squared_error": scalar(error, "squared error, summed over neurons, mean over tokens", "activation^2"),
        "mse": scalar(error / len(reconstruction.mean), "squared error, mean over neurons and tokens", "activation^2"),
        "l1": scalar(
            reconstruction.activation / tokens,
            "sum of the features in the unit of the activations, mean over tokens",
            "activation",
        ),
        "L0": scalar(reconstruction.active / tokens, "mean number of active features per token", "feature"),
    }
    for name, ends in _intervals(scores, reconstruction, sequence).items():
        long_name, units = (variables[name].attrs[key] for key in ("long_name", "units"))
        for end, value in zip(BOOTSTRAPPED, ends, strict=True):
            variables[f"{name}_{end}"] = scalar(value, f"{long_name}, {BOOTSTRAPPED[end]}", units)
    return labelled(variables, {}, {"tokens": tokens, "scored_tokens": scores["clean"].scored})


def _intervals(
    scores: dict[str, Score], reconstruction: Reconstruction, sequence: NDArray[np.int64]
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals over sequences: each with its losses under all changes, its errors and its features."""
    losses = {name: scores[name].sums()[:, 0] for name in ("clean", "spliced", "zero", "mean")}
    found = {f"loss_recovered_{name}": interval_of_sums(losses, partial(_recovered, name)) for name in ("zero", "mean")}
    sums = reconstruction.sums(sequence)
    found["explained_variance"] = interval_of_sums(sums, lambda sums: 1 - sums["error"] / sums["spread"])
    found["L0"] = interval_of_sums(sums, lambda sums: sums["active"] / sums["tokens"])
    return found


def _recovered(ablated: str, sums: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return (sums[ablated] - sums["spliced"]) / (sums[ablated] - sums["clean"])
