"""S3.T3: which features never react to what the SAE was trained on."""

import numpy as np
import torch
import xarray as xr

from polysem.activations.rows import ActivationRows
from polysem.saes.dictionary import Dictionary
from polysem.tables.parts.labels import scalar, variable

DEAD_BELOW = 0.005
"""A feature whose largest activation is below this is dead: document S3 counted activations rounded to two decimals,
and so are 122 features of the published standard SAE on the 60,000 training images, 23.8 % of 512."""


def dead_features(rows: ActivationRows, dictionary: Dictionary, device: str = "cpu") -> dict[str, xr.Variable]:
    """Variables to add to the table `ultra_low` of a dictionary of a classifier, from its training activations.

    Over `feature`: `largest_training_activation`. Scalars: `dead_features`, how many have one below `DEAD_BELOW`, their
    share `dead_share`, and `training_images`, how many rows were looked at.
    Source: document S3, table 3 ("neurons which don't activate for any example from the training dataset").
    """
    largest = np.full(dictionary.features, -np.inf, np.float32)
    for block in rows.blocks():
        f = dictionary.encode(torch.from_numpy(block).to(device))
        largest = np.maximum(largest, f.max(dim=0).values.cpu().numpy())
    dead = int((largest < DEAD_BELOW).sum())
    words = f"features whose largest activation on the training images is below {DEAD_BELOW}"
    return {
        "largest_training_activation": variable(
            "feature", largest, "largest activation on the training images", "activation"
        ),
        "dead_features": scalar(dead, words, "feature"),
        "dead_share": scalar(dead / dictionary.features, f"share of {words}", "1"),
        "training_images": scalar(rows.length, "training images that were looked at", "image"),
    }
