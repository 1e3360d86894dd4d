"""The decoder rows nearest to each decoder row, by tiles: a matrix of all pairs of 16,384 features would take 1 GiB."""

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from polysem.saes.dictionary import Dictionary
from polysem.saes.entries import SparseEntries
from polysem.saes.products import BFLOAT16, FLOAT32, SPREAD, Product, fastest
from polysem.saes.sae import SAE
from polysem.tables.parts.labels import index, labelled, variable

RANKS = 5
CANDIDATES = 16
TILE = 1024
UNSURE = 64
"""Rows that are searched among all rows at once."""


def nearest(dictionary: Dictionary, ranks: int = RANKS) -> xr.Dataset:
    """Over (`feature`, `rank`): `nearest_feature` and `nearest_cosine`, the decoder rows with the largest cosine with
    each feature's own, which is left out; -1 and NaN where a dictionary has fewer features.

    Candidates are found in bfloat16 where this is faster than float32 on the machine; their cosines are inner products
    in float32 either way. A row whose candidates may not hold all of its nearest (by six standard deviations of the
    error) is searched among all rows. Neurons are orthogonal to each other: all are -1, and the attribute
    `nearest_not_applicable` says so.
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
    rows: Float[Tensor, "feature neuron"], ranks: int
) -> tuple[Int[Tensor, "feature rank"], Float[Tensor, "feature rank"]]:
    """The `ranks` other rows with the largest cosine, and the cosines in descending order; of equal ones the first."""
    unit = normalize(rows, dim=1)
    product = fastest((BFLOAT16, FLOAT32))
    operand = unit.to(product.dtype)
    parts = [_nearest(unit, operand, tile, ranks, product) for tile in torch.arange(len(unit)).split(TILE)]
    features, cosines = zip(*parts, strict=True)
    return torch.cat(features), torch.cat(cosines)


def _nearest(
    unit: Tensor, operand: Tensor, tile: Int[Tensor, " row"], ranks: int, product: Product
) -> tuple[Tensor, Tensor]:
    rough = operand[tile] @ operand.T
    rough[torch.arange(len(tile)), tile] = -torch.inf
    candidates = rough.topk(min(CANDIDATES, len(unit)), dim=1)
    among = candidates.indices.sort(dim=1).values
    features, cosines = _best(unit, tile, among, ranks)
    last = candidates.values[:, -1].float()
    here = unit[tile]
    margin = product.rounding * last.abs() + (
        SPREAD * here.abs().amax(1) if product == BFLOAT16 else product.error(here)
    )
    unsure = torch.nonzero(last + margin >= cosines[:, -1]).view(-1)
    for place in unsure.split(UNSURE):
        everyone = torch.arange(len(unit)).expand(len(place), -1)
        features[place], cosines[place] = _best(unit, tile[place], everyone, ranks)
    return features, cosines


def _best(
    unit: Tensor, row: Int[Tensor, " row"], among: Int[Tensor, "row candidate"], ranks: int
) -> tuple[Tensor, Tensor]:
    """The nearest of some candidates of each row, whose numbers ascend; a row is not among its own."""
    pairs = SparseEntries(
        torch.arange(len(row)).repeat_interleave(among.shape[1]),
        among.reshape(-1),
        torch.empty(0),
        (len(row), len(unit)),
    )
    cosines = pairs.dots(unit[row], unit).view(among.shape)
    cosines[among == row[:, None]] = -torch.inf
    order = cosines.argsort(dim=1, descending=True, stable=True)[:, :ranks]
    return among.gather(1, order), cosines.gather(1, order)
