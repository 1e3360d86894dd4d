"""What figures draw of the features that they show where the model reads images (S3.F5)."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.io.shards import ROWS_PER_CHUNK
from polysem.models.batches import TokenStore
from polysem.saes.dictionary import Dictionary
from polysem.saes.sae import SAE, normalized
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.labels import variable
from polysem.tables.passes.embeddings.shown import Shown

DRAWN = 8
"""Examples of a feature that are drawn at random."""
SAME = 0.999
"""Correlation of pixels and inputs from which on they are the same but for their scale and half precision."""


def example_images(sequence: NDArray[np.int32], tokens: TokenStore) -> xr.Variable:
    """Images by their numbers [shown, example], of which −1 are none: pixels [shown, example, pixel], NaN for none."""
    width = tokens.batch(0, 1).inputs.shape[1]
    pixels = np.full((*sequence.shape, width), np.nan, np.float32)
    for chunk in np.unique(sequence[sequence >= 0] // ROWS_PER_CHUNK).tolist():
        start = chunk * ROWS_PER_CHUNK
        read = tokens.batch(start, start + ROWS_PER_CHUNK).inputs.float().numpy()
        here = (sequence >= start) & (sequence < start + len(read))
        pixels[here] = read[sequence[here] - start]
    return variable(("shown", "example", "pixel"), pixels, "pixels of the example", "1")


def image_enters(
    pixels: Float[np.ndarray, "shown example pixel"], entering: Float[np.ndarray, "shown example input"]
) -> xr.Variable:
    """Whether the inputs of each feature's examples are the pixels themselves, in whatever scale: the correlation of
    both is above `SAME` in every example. Behind the last example there is NaN."""
    found = np.zeros(len(pixels), bool)
    if pixels.shape == entering.shape:
        for feature, known in enumerate(np.isfinite(pixels).all(axis=2)):
            found[feature] = _same(pixels[feature, known], entering[feature, known]).all()
    return variable("shown", found, "whether what enters is the image itself, in whatever scale", "1")


def _same(
    pixels: Float[np.ndarray, "example pixel"], entering: Float[np.ndarray, "example pixel"]
) -> NDArray[np.bool_]:
    both = np.stack([pixels, entering]).astype(np.float64)
    centred = both - both.mean(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):
        first, second = centred / np.linalg.norm(centred, axis=2, keepdims=True)
    return np.asarray((first * second).sum(axis=1) > SAME)


def drawn_examples(size: Int[np.ndarray, " shown"], seed: int) -> xr.Variable:
    """`DRAWN` of each feature's examples, drawn without replacement; −1 behind the last where it has fewer."""
    drawn = np.full((len(size), DRAWN), -1, np.int16)
    for row, count in zip(drawn, size.tolist(), strict=True):
        few = min(DRAWN, count)
        row[:few] = np.random.default_rng(seed).choice(count, few, replace=False)
    return variable(("shown", "draw"), drawn, "examples drawn at random; -1: none", "1")


def image_variables(
    shown: Shown,
    sequence: NDArray[np.int32],
    tokens: TokenStore,
    dictionary: Dictionary,
    directions: Directions,
    site: str,
) -> dict[str, xr.Variable]:
    """Variables of features of images (S3.F5): how much each pixel alone adds to the activation, before any threshold
    of an SAE, the mean of the strong examples, and the product of both."""
    responses, mean = directions.pixel_responses(site), mean_images(sequence, tokens)
    variables = {"mean_example": variable(("shown", "pixel"), mean, "mean example", "1")}
    if responses is not None:
        if isinstance(dictionary, SAE):
            x = normalized(responses, dictionary.normalization)[0]
            columns = dictionary.W_enc.cpu()[:, shown.feature]
            found = x @ columns  # the centre adds the same to all images, the blank one included
        else:
            found = responses[:, shown.feature]
        activation = (found[:-1] - found[-1]).T.contiguous().numpy()
        variables["activation_map"] = variable(
            ("shown", "pixel"),
            activation,
            "what one bright pixel adds to the activation before its threshold",
            "activation",
        )
        variables["importance_map"] = variable(
            ("shown", "pixel"), activation.astype(np.float64) * mean, "the same times the mean example", "activation"
        )
    return variables


def mean_images(sequence: NDArray[np.int32], tokens: TokenStore) -> NDArray[np.float32]:
    """Mean of some images each, [feature, pixel], of whose numbers [feature, example] −1 are none."""
    total: NDArray[np.float64] | float = 0.0
    for chunk in np.unique(sequence[sequence >= 0] // ROWS_PER_CHUNK).tolist():
        start = chunk * ROWS_PER_CHUNK
        pixels = tokens.batch(start, start + ROWS_PER_CHUNK).inputs.double().numpy()
        here = (sequence >= start) & (sequence < start + len(pixels))
        counts = np.zeros((len(sequence), len(pixels)))
        feature, example = np.nonzero(here)
        np.add.at(counts, (feature, sequence[feature, example] - start), 1)
        total = total + counts @ pixels
    return np.asarray(total / (sequence >= 0).sum(axis=1)[:, None], np.float32)
