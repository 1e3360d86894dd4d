"""The decoder rows nearest to each decoder row, by tiles: a matrix of all pairs of 16,384 features would take 1 GiB."""

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from polysem.saes.dictionary import Dictionary
from polysem.saes.entries import SparseEntries
from polysem.saes.sae import SAE
from polysem.saes.search import SPREAD, has_fast_bfloat16
from polysem.tables.labels import index, labelled, variable

RANKS = 5
CANDIDATES = 16
TILE = 1024
ROUNDED = 2**-8
"""Largest error of a cosine in bfloat16 by its own rounding, in units of itself."""


def nearest(dictionary: Dictionary, ranks: int = RANKS) -> xr.Dataset:
    """Over (`feature`, `rank`): `nearest_feature` and `nearest_cosine`, the decoder rows with the largest cosine with
    each feature's own, which is left out; -1 and NaN where a dictionary has fewer features.

    Candidates are found in bfloat16 where the CPU has it and their cosines computed in float32; a row whose candidates
    may not hold all of its nearest (by six standard deviations of the error) is searched again in float32. Neurons are
    orthogonal to each other: all are -1, and the attribute `nearest_not_applicable` says so.
    """
    features = dictionary.features
    feature = np.full((features, ranks), -1)
    cosine = np.full((features, ranks), np.nan, np.float32)
    attributes: dict[str, str] = {}
    if isinstance(dictionary, SAE):
        found, values = nearest_rows(dictionary.W_dec.cpu(), min(ranks, features - 1))
        feature[:, : found.shape[1]], cosine[:, : found.shape[1]] = found.numpy(), values.numpy()
    else:
        attributes["nearest_not_applicable"] = "neurons are orthogonal to each other; none is nearer than another"
    variables = {
        "nearest_feature": variable(("feature", "rank"), feature, "features with the nearest decoder rows", "feature"),
        "nearest_cosine": variable(("feature", "rank"), cosine, "cosine with these decoder rows", "1"),
    }
    coordinates = {
        "feature": index("feature", 0, features, "feature"),
        "rank": index("rank", 0, ranks, "place, 0 is the nearest"),
    }
    return labelled(variables, coordinates, attributes)


def nearest_rows(
    rows: Float[Tensor, "feature neuron"], ranks: int, *, bfloat16: bool | None = None
) -> tuple[Int[Tensor, "feature rank"], Float[Tensor, "feature rank"]]:
    """The `ranks` other rows with the largest cosine, and the cosines in descending order; of equal ones any."""
    unit = normalize(rows, dim=1)
    fast = has_fast_bfloat16() if bfloat16 is None else bfloat16
    tiles = torch.arange(len(unit)).split(TILE)
    if not fast or len(unit) <= CANDIDATES + 1:
        parts = [_exact(unit, tile, ranks) for tile in tiles]
    else:
        small = unit.bfloat16()
        parts = [_searched(unit, small, tile, ranks) for tile in tiles]
    features, cosines = zip(*parts, strict=True)
    return torch.cat(features), torch.cat(cosines)


def _exact(unit: Tensor, tile: Int[Tensor, " row"], ranks: int) -> tuple[Tensor, Tensor]:
    cosines = unit[tile] @ unit.T
    cosines[torch.arange(len(tile)), tile] = -torch.inf
    best = cosines.topk(ranks, dim=1)
    return best.indices, best.values


def _searched(unit: Tensor, small: Tensor, tile: Int[Tensor, " row"], ranks: int) -> tuple[Tensor, Tensor]:
    rough = small[tile] @ small.T
    rough[torch.arange(len(tile)), tile] = -torch.inf
    candidates = rough.topk(CANDIDATES, dim=1)
    here = unit[tile]
    row = torch.arange(len(tile)).repeat_interleave(CANDIDATES)
    pairs = SparseEntries(row, candidates.indices.view(-1), candidates.values.view(-1), (len(tile), len(unit)))
    exact = pairs.dots(here, unit).view(-1, CANDIDATES)
    best = exact.topk(ranks, dim=1)
    features, cosines = candidates.indices.gather(1, best.indices), best.values
    last = candidates.values[:, -1].float()
    margin = SPREAD * here.abs().amax(1) + ROUNDED * last.abs()
    unsure = torch.nonzero(last + margin >= cosines[:, -1]).view(-1)
    if len(unsure):
        features[unsure], cosines[unsure] = _exact(unit, tile[unsure], ranks)
    return features, cosines
