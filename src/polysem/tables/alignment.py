"""S0.F3, S2.F1, S2.F2: where each feature's decoder points in the neuron basis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from polysem.io.errors import InputError
from polysem.tables.labels import index, labelled, variable

TOP = 10
BLOCK = 256
"""Rows at a time: a block and its squares stay in the cache."""
RANDOM_ROWS = 4096

Rows = NDArray[np.float32]


def identity_blocks(width: int) -> Iterator[Rows]:
    """The identity matrix, some rows at a time."""
    for start in range(0, width, BLOCK):
        yield np.eye(min(BLOCK, width - start), width, k=start, dtype=np.float32)


def decoder_blocks(folder: Path, width: int) -> Iterator[Rows]:
    """`W_dec` [feature, neuron] of a SAELens 6 folder, some rows at a time.

    Raises InputError if the folder holds no such SAE or one for another width.
    """
    path = folder / "sae_weights.safetensors"
    try:
        with safe_open(path, framework="numpy") as weights:
            decoder: Any = weights.get_slice("W_dec")
            features, neurons = decoder.get_shape()
            if neurons != width:
                raise InputError(f"{path} decodes to {neurons} neurons, the site has {width}; train the SAE again")
            for start in range(0, features, BLOCK):
                yield np.asarray(decoder[start : min(start + BLOCK, features)], np.float32)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} holds no SAE in SAELens 6 form ({error}); train the SAE again") from error


def neuron_alignment(blocks: Iterator[Rows], neurons: int, baseline_seed: int = 0, top: int = TOP) -> xr.Dataset:
    """Share of each decoder row's squared weight in its strongest neurons, and its kurtosis.

    `blocks` [up to 256 rows, neuron] are the decoder's rows in their order.
    Variables over `feature`: `power_top1`, `power_next9` (fractions of 1), `kurtosis_excess` (Fisher: 0 for a normal
    distribution; NaN if all weights are equal), `strongest_neuron` (index); over (`feature`, `rank`): `top_neuron`,
    `top_weight` (signed), the lower neuron first where weights are equally strong; over `neuron`: `features_strongest`,
    of how many features it is the strongest neuron; over `random_row`: `kurtosis_excess_random` of standard-normal rows
    of the same width, as many as features, at most 4096.
    Raises InputError, naming the features, if rows are all zeros or not finite: they have no direction.
    Source: documents S0 (section "Distribution of neuron importance") and S2 ("Exploring Neuron Sparsity").
    """
    top = min(top, neurons)
    parts = [_aligned(block, top) for block in blocks]
    power, kurtosis, neuron, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    if (nowhere := np.flatnonzero(~((power > 0) & np.isfinite(power)))).size:
        raise InputError(_nowhere(nowhere))
    share = weight.astype(np.float64) ** 2 / power[:, None]
    random = _random_kurtosis(min(len(power), RANDOM_ROWS), neurons, baseline_seed)
    variables = {
        "power_top1": variable("feature", share[:, 0], "share of squared weight in the strongest neuron", "1"),
        "power_next9": variable(
            "feature", share[:, 1:].sum(1), "share of squared weight in the next nine neurons", "1"
        ),
        "kurtosis_excess": variable("feature", kurtosis, "excess kurtosis (Fisher) of the decoder weights", "1"),
        "strongest_neuron": variable("feature", neuron[:, 0], "neuron with the largest squared weight", "neuron"),
        "top_neuron": variable(("feature", "rank"), neuron, "neurons by squared weight", "neuron"),
        "top_weight": variable(("feature", "rank"), weight, "decoder weight of these neurons", "weight"),
        "features_strongest": variable(
            "neuron",
            np.bincount(neuron[:, 0], minlength=neurons),
            "features of which it is the strongest neuron",
            "feature",
        ),
        "kurtosis_excess_random": variable(
            "random_row", random, "excess kurtosis (Fisher) of standard-normal weights", "1"
        ),
    }
    coordinates = {
        "feature": index("feature", 0, len(power), "feature"),
        "rank": index("rank", 0, top, "place by squared weight, 0 is the strongest neuron"),
        "neuron": index("neuron", 0, neurons, "neuron"),
        "random_row": index("random_row", 0, len(random), "random row"),
    }
    return labelled(variables, coordinates, {"neurons": neurons})


def _aligned(rows: Rows, top: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], Rows]:
    """Squared norm and kurtosis [row], strongest neurons and their weights [row, rank]."""
    strength = np.abs(rows)
    places = np.arange(len(rows))
    neuron = np.empty((len(rows), top), np.int64)
    for rank in range(top):
        neuron[:, rank] = strength.argmax(axis=1)
        strength[places, neuron[:, rank]] = -1
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64), _kurtosis(rows), neuron, rows[places[:, None], neuron]


def _kurtosis(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Fisher's excess kurtosis of each row, biased as scipy's default; NaN where all entries are equal."""
    deviation = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64).astype(rows.dtype)
    np.square(deviation, out=deviation)
    second = deviation.mean(axis=1, dtype=np.float64)
    fourth = np.einsum("ij,ij->i", deviation, deviation, dtype=np.float64) / rows.shape[1]
    constant = rows.max(axis=1) == rows.min(axis=1)
    return np.divide(fourth, second**2, out=np.full(len(rows), np.nan), where=~constant & (second > 0)) - 3


def _random_kurtosis(rows: int, neurons: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    sizes = [min(BLOCK, rows - start) for start in range(0, rows, BLOCK)]
    return np.concatenate([_kurtosis(generator.standard_normal((size, neurons), np.float32)) for size in sizes])


def _nowhere(features: NDArray[np.int64]) -> str:
    some = ", ".join(str(feature) for feature in features[:10])
    rest = f" and {len(features) - 10} more" if len(features) > 10 else ""
    return (
        f"decoder rows of features {some}{rest} are all zeros or not finite and have no direction; train the SAE again"
    )
