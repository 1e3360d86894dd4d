"""S3.M3: how far the embeddings of a feature's examples lie apart, in clusters and between them."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

MEASURES = {
    "max_distance": ("largest cosine distance of two examples", "1"),
    "mean_distance": ("mean cosine distance of two examples", "1"),
    "intra_cluster_distance": ("mean cosine distance of two examples in one cluster", "1"),
    "inter_cluster_distance": ("mean cosine distance of two examples in two clusters", "1"),
    "silhouette": ("mean silhouette of the examples", "1"),
    "clusters": ("clusters of the examples", "cluster"),
}
"""Measures of a feature with their names in words and units."""
Numbers = Mapping[str, NDArray]


def cluster_measures(
    distances: Float[np.ndarray, "feature example example"],
    cluster: Int[np.ndarray, "feature example"],
) -> dict[str, NDArray]:
    """The measures of `MEASURES`, each [feature].

    Means run over pairs of examples. Intra is NaN where no cluster has two examples, inter and the silhouette where
    there is one cluster, the silhouette also where every cluster has one example; an example alone in its cluster has
    a silhouette of 0. `cluster` is −1 behind the last example; a feature with fewer than two has NaN and its number of
    clusters. Source: document S3, "Measuring Polysemanticity"; Rousseeuw 1987.
    """
    number = torch.from_numpy(cluster.astype(np.int64))
    valid = number >= 0
    counts = number.amax(1) + 1 if number.shape[1] else number.sum(1)
    clusters = max(int(counts.max()) if len(counts) else 0, 1)
    place = number.clamp(min=0)
    clean = torch.from_numpy(distances)
    if not valid.all():
        clean = torch.where(valid[:, :, None] & valid[:, None, :], clean, 0)
    to_cluster = torch.zeros(*number.shape, clusters).scatter_add_(2, place[:, None, :].expand(clean.shape), clean)
    members = torch.zeros(len(number), clusters).scatter_add_(1, place, valid.float())
    size = members.sum(1)
    own = to_cluster.gather(2, place[:, :, None])[:, :, 0]
    total, within = to_cluster.sum((1, 2), dtype=torch.float64), own.sum(1, dtype=torch.float64)
    pairs, pairs_within = size * (size - 1), (members * (members - 1)).sum(1)
    return {
        "max_distance": torch.where(size > 1, clean.amax((1, 2)), torch.nan).numpy(),
        "mean_distance": (total / pairs).float().numpy(),
        "intra_cluster_distance": (within / pairs_within).float().numpy(),
        "inter_cluster_distance": torch.where(counts > 1, (total - within) / (pairs - pairs_within), torch.nan)
        .float()
        .numpy(),
        "silhouette": _silhouette(to_cluster, own, members, number, counts, size),
        "clusters": counts.int().numpy(),
    }


def _silhouette(
    to_cluster: Float[Tensor, "feature example cluster"],
    own: Float[Tensor, "feature example"],
    members: Float[Tensor, "feature cluster"],
    number: Int[Tensor, "feature example"],
    counts: Int[Tensor, " feature"],
    size: Float[Tensor, " feature"],
) -> NDArray[np.float32]:
    valid, place = number >= 0, number.clamp(min=0)
    of_own = members.gather(1, place)
    near = own / (of_own - 1).clamp(min=1)
    means = to_cluster / members.clamp(min=1)[:, None, :]
    means += torch.where(members > 0, 0, torch.inf)[:, None, :]
    far = means.scatter_(2, place[:, :, None], torch.inf).amin(2)
    larger = torch.maximum(near, far)
    alone = (of_own <= 1) | (larger <= 0) | ~valid
    values = torch.where(alone, 0.0, (far - near) / larger)
    defined = (counts > 1) & (counts < size)
    return torch.where(defined, values.sum(1) / size, torch.nan).float().numpy()
