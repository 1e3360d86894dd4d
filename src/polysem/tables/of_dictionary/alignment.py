"""S0.F3, S2.F1, S2.F2: where each feature's decoder points in the neuron basis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from polysem.io.errors import InputError
from polysem.numerics.strongest import largest
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.parts.reading import dictionary_of, is_neurons

CATALOGUE = "S0.F3a S0.F3b S0.F3c S2.F1 S2.F2"
READS = ("weights", "store")
PARAMS = ("baseline_seed",)
OF_DECODERS = True
VARIABLES = {
    "power_top1": ("feature", "1", "share of squared weight in the strongest neuron"),
    "power_next9": ("feature", "1", "share of squared weight in the next nine neurons"),
    "kurtosis_excess": ("feature", "1", "excess kurtosis (Fisher) of the decoder weights"),
    "strongest_neuron": ("feature", "neuron", "neuron with the largest squared weight"),
    "top_neuron": ("feature rank", "neuron", "neurons by squared weight"),
    "top_weight": ("feature rank", "weight", "decoder weight of these neurons"),
    "features_strongest": ("neuron", "feature", "features of which it is the strongest neuron"),
    "kurtosis_excess_random": ("random_row", "1", "excess kurtosis (Fisher) of standard-normal weights"),
    "feature": ("feature", "1", "feature"),
    "rank": ("rank", "1", "place by squared weight, 0 is the strongest neuron"),
    "neuron": ("neuron", "1", "neuron"),
    "random_row": ("random_row", "1", "random row"),
}
TOP = 10
BLOCK = 128
"""Rows at a time: a block and its squares stay in the cache."""
RANDOM_ROWS = 4096
SMALLEST = 1e-24
"""Least sum of squares, and inverse of the largest, that are left to float32."""

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

    `blocks` [up to 128 rows, neuron] are the decoder's rows in their order.
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
    neuron, _ = largest(np.abs(rows), top)
    return _power(rows), _kurtosis(rows), neuron, np.take_along_axis(rows, neuron, axis=1)


@np.errstate(over="ignore")
def _power(rows: Rows) -> NDArray[np.float64]:
    """Squared norm of each row; in float64 where float32 could not hold the squares."""
    power = np.square(rows).sum(axis=1).astype(np.float64)
    extreme = ~((power > SMALLEST) & (power < 1 / SMALLEST))
    power[extreme] = np.square(rows[extreme], dtype=np.float64).sum(axis=1)
    return power


@np.errstate(over="ignore", invalid="ignore")
def _kurtosis(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Fisher's excess kurtosis of each row, biased as scipy's default; NaN where all entries are equal.

    Sums are taken by pairs, in float32 for float32; rows whose fourth powers it could not hold, in float64.
    """
    mean = rows.mean(axis=1)
    deviation = rows - mean[:, None]
    np.square(deviation, out=deviation)
    second = deviation.mean(axis=1).astype(np.float64)
    np.square(deviation, out=deviation)
    fourth = deviation.mean(axis=1).astype(np.float64)
    equal = second <= (1e-5 * mean) ** 2
    equal[equal] = rows[equal].max(axis=1) == rows[equal].min(axis=1)
    kurtosis = np.divide(fourth, second**2, out=np.full(len(rows), np.nan), where=~equal & (second > 0)) - 3
    extreme = ~equal & ~((second > SMALLEST**0.5) & (second < SMALLEST**-0.5))
    if rows.dtype == np.float32 and extreme.any():
        kurtosis[extreme] = _kurtosis(rows[extreme].astype(np.float64))
    return kurtosis


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


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `neuron_alignment`."""
    width = dictionary_of(inputs).outputs
    rows = identity_blocks(width) if is_neurons(inputs) else decoder_blocks(inputs.path("weights"), width)
    return neuron_alignment(rows, width, inputs.params.baseline_seed)
