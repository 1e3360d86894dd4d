"""How many known features an SAE has found, and whether its features fire with them."""

import math

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from polysem.saes.sae import SAE
from polysem.tables.parts.labels import index, labelled, scalar, variable

BLOCK = 4096


def recovery(
    sae: SAE,
    directions: Float[Tensor, "known neuron"],
    x: Float[Tensor, "row neuron"],
    sizes: Float[Tensor, "row known"],
    recovered_at: float,
) -> xr.Dataset:
    """The decoder of an SAE against known directions, and its features against the known ones, row by row.

    Features of the SAE that are active on no row are dead and count for nothing. Over `known`: `best_cosine`, the
    largest with the decoder row of a living feature, `best_feature`, which one, `frequency`, and `firing_precision` and
    `firing_recall` of that feature: of the rows on which it is active those on which the known one is, and the other
    way round. Over `feature`: `feature_cosine`, its largest with a known direction, and `feature_frequency`. Scalars:
    `mean_max_cosine` (mean of `best_cosine`), `recall`: share of known features with a `best_cosine` of at least
    `recovered_at`; `precision`: share of living features with such a `feature_cosine`; `firing_precision_all` and
    `firing_recall_all` of the pairs of known and best feature together; `living`, `L0`, `L0_known` and
    `explained_variance`. Numbers without a meaning (no feature lives, a feature never fires) are NaN, -1 for a feature.
    Source: Sharkey et al. 2022 (mean max cosine similarity).
    """
    cosine = F.normalize(directions, dim=1) @ F.normalize(sae.decoder(), dim=1).T
    fired, error = torch.zeros(sae.features, dtype=torch.int64), 0.0
    together = torch.zeros(cosine.shape)
    for block, truth in zip(x.split(BLOCK), sizes.split(BLOCK), strict=True):
        f = sae.encode(block)
        error += float((block - sae.reconstruct(block, f)).square().sum())
        fired += (f > 0).sum(0)
        together += (truth > 0).float().T @ (f > 0).float()
    known_fired, living = (sizes > 0).sum(0), fired > 0
    best, number = torch.where(living, cosine, -torch.inf).max(dim=1)
    nearest = cosine.amax(0)
    alive = bool(living.any())
    both = together.gather(1, number[:, None])[:, 0]
    of_best = fired[number]
    spread = float((x - x.mean(0)).square().sum())
    variables = {
        "best_cosine": variable(
            "known", best if alive else best * math.nan, "cosine with the best living feature", "1"
        ),
        "best_feature": variable("known", number if alive else number * 0 - 1, "best living feature", "1"),
        "frequency": variable("known", known_fired / len(x), "share of rows on which the known feature is active", "1"),
        "firing_precision": variable("known", _shares(both, of_best), "firing precision of the best feature", "1"),
        "firing_recall": variable("known", _shares(both, known_fired), "firing recall of the best feature", "1"),
        "feature_cosine": variable("feature", nearest, "cosine with the nearest known direction", "1"),
        "feature_frequency": variable("feature", fired / len(x), "share of rows on which the feature is active", "1"),
        "mean_max_cosine": scalar(float(best.mean()) if alive else math.nan, "mean of the best cosines", "1"),
        "recall": scalar(float((best >= recovered_at).double().mean()), "share of known features recovered", "1"),
        "precision": scalar(
            float((nearest[living] >= recovered_at).double().mean()), "share of living features that recover one", "1"
        ),
        "firing_precision_all": scalar(_share(both, of_best), "firing precision of all best features", "1"),
        "firing_recall_all": scalar(_share(both, known_fired), "firing recall of all best features", "1"),
        "living": scalar(int(living.sum()), "features that are active on some row", "feature"),
        "L0": scalar(int(fired.sum()) / len(x), "mean number of active features per row", "feature"),
        "L0_known": scalar(int(known_fired.sum()) / len(x), "mean number of active known features per row", "feature"),
        "explained_variance": scalar(1 - error / spread if spread else math.nan, "share of variance explained", "1"),
    }
    coordinates = {
        "known": index("known", 0, len(directions), "known feature"),
        "feature": index("feature", 0, sae.features, "feature"),
    }
    return labelled(variables, coordinates, {"rows": len(x), "recovered_at": recovered_at})


def _shares(part: Tensor, whole: Tensor) -> np.ndarray:
    return torch.where(whole > 0, part.double() / whole, math.nan).numpy()


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part.double().sum() / whole.sum())
