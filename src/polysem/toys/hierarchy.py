"""Absorption and hedging: what becomes of known features that imply others, each a parent, when an SAE learns them.

Where a child is active, so is its parent. An SAE that wants few active features then has a reason to let the latent of
the child say both.

*Absorption* (Chanin et al. 2024, *A is for Absorption: Studying Feature Splitting and Absorption in Sparse
Autoencoders*): the latent of a parent is silent on rows on which one of its children is active, though the parent is,
because the latent of the child carries the parent's direction. *Hedging* (Chanin, Dulka & Garriga-Alonso 2025, *Feature
Hedging: Correlated Features Break Narrow Sparse Autoencoders*): where the dictionary is too narrow to have a latent for
every feature, the latent of a parent mixes in components of its children.

The latent of a known feature is the living one whose decoder row has the largest cosine with it. Components of a row
are those of least squares in the directions that are named, which need not be at right angles.
"""

import math

import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polysem.saes.sae import SAE
from polysem.tables.parts.labels import index, labelled, scalar, variable

CARRIES = 0.25
"""A child's latent carries the parent's direction if the parent's component in its decoder row is at least this share
of the child's. It is 1 where both are absorbed with equal sizes, and 0 with a deviation of 1/√neurons by chance."""
BLOCK = 4096


def hierarchy(
    sae: SAE,
    directions: Float[Tensor, "known neuron"],
    parents: int,
    children: int,
    x: Float[Tensor, "row neuron"],
    sizes: Float[Tensor, "row known"],
) -> xr.Dataset:
    """Absorption and hedging of each parent; the first known features are parents, the last ones their children.

    Over `parent`: `absorption`: of the rows with the parent and a child, the share on which the parent's latent is
    silent and the latent of the child is active and carries the parent (`CARRIES`); `silent_with_child` and
    `silent_alone`: shares of the rows with the parent and a child, and with the parent and none, on which the parent's
    latent is silent, whatever the reason; `parent_in_children`: component of the parent in the decoder rows of its
    children's latents as a share of the child's, mean over children that have a latent of their own;
    `hedging`: components of all children in the decoder row of the parent's latent, summed, as a share of the
    parent's; it is the share of rows with a child where a latent alone stands for all of them (least squares), and
    0 where it stands for the parent; `children_in_encoder`: pre-activation that a child's direction gives the parent's
    latent as a share of what the parent's gives, mean over children: below 0 where the latent closes on children.
    Scalars: means over the parents of all of these, `mean_…`, and `absorption_rate`, over all rows with a child.
    Numbers without a meaning (no feature lives, no such rows, no child with a latent of its own) are NaN.
    """
    family = families(parents, children, len(directions))
    fired = torch.zeros(sae.features, dtype=torch.bool)
    for block in x.split(BLOCK):
        fired |= (sae.encode(block) > 0).any(0)
    latent = latents(directions, sae.decoder(), fired)
    found = _by_parent(sae, directions, family, latent, fired.any()) | _silence(
        sae, family, latent, directions, x, sizes
    )
    words = {
        "absorption": "share of rows with a child on which the child's latent stands for the parent's, too",
        "silent_with_child": "share of rows with a child on which the parent's latent is silent",
        "silent_alone": "share of rows without a child on which the parent's latent is silent",
        "parent_in_children": "component of the parent in the children's latents, relative to the child's",
        "hedging": "components of the children in the parent's latent, relative to the parent's",
        "children_in_encoder": "what a child's direction gives the parent's latent, relative to the parent's",
    }
    variables = {name: variable("parent", found[name], text, "1") for name, text in words.items()}
    for name, text in words.items():
        values = found[name][~found[name].isnan()]
        mean = float(values.mean()) if len(values) else math.nan
        variables[f"mean_{name}"] = scalar(mean, f"{text}, mean over parents", "1")
    rate = float(found["absorbed"].sum() / found["with_child"].sum()) if found["with_child"].sum() else math.nan
    variables["absorption_rate"] = scalar(rate, f"{words['absorption']}, over all parents", "1")
    return labelled(variables, {"parent": index("parent", 0, parents, "parent")}, {"carries": CARRIES})


def families(parents: int, children: int, known: int) -> Int[Tensor, "parent member"]:
    """Numbers of the known features of each family: the parent, then its children."""
    of_children = torch.arange(known - parents * children, known).view(parents, children)
    return torch.cat([torch.arange(parents)[:, None], of_children], dim=1)


def latents(
    directions: Float[Tensor, "known neuron"],
    decoder: Float[Tensor, "feature neuron"],
    living: Bool[Tensor, " feature"],
) -> Int[Tensor, " known"]:
    """The latent of each known feature; 0 for all if no feature lives."""
    cosine = F.normalize(directions, dim=1) @ F.normalize(decoder, dim=1).T
    return torch.where(living, cosine, -torch.inf).argmax(dim=1)


def components(
    rows: Float[Tensor, "row neuron"], directions: Float[Tensor, "direction neuron"]
) -> Float[Tensor, "row direction"]:
    """Coefficients of directions that come nearest to each row."""
    return torch.linalg.lstsq(directions.T.double(), rows.T.double()).solution.T


def _by_parent(
    sae: SAE,
    directions: Float[Tensor, "known neuron"],
    family: Int[Tensor, "parent member"],
    latent: Int[Tensor, " known"],
    lives: Bool[Tensor, ""],
) -> dict[str, Float[Tensor, " parent"]]:
    """What the weights tell."""
    names = ("hedging", "parent_in_children", "children_in_encoder")
    found = {name: torch.full((len(family),), math.nan, dtype=torch.float64) for name in names}
    for number, members in enumerate(family) if lives else ():
        own = latent[members[0]]
        in_decoder = components(sae.decoder()[own][None], directions[members])[0]
        found["hedging"][number] = in_decoder[1:].sum() / in_decoder[0]
        given = (directions[members] @ sae.W_enc[:, own]).double()
        found["children_in_encoder"][number] = given[1:].mean() / given[0]
        shares = [carried(sae, directions, members[0], child, latent) for child in members[1:]]
        carrying = [share for share in shares if not math.isnan(share)]
        if carrying:
            found["parent_in_children"][number] = sum(carrying) / len(carrying)
    return found


def carried(
    sae: SAE,
    directions: Float[Tensor, "known neuron"],
    parent: Int[Tensor, ""],
    child: Int[Tensor, ""],
    latent: Int[Tensor, " known"],
) -> float:
    """Component of a parent in the decoder row of the latent of its child, as a share of the child's; NaN if the child
    has the parent's latent or none that points its way."""
    if latent[child] == latent[parent]:
        return math.nan
    both = components(sae.decoder()[latent[child]][None], directions[torch.stack([parent, child])])[0]
    return float(both[0] / both[1]) if both[1] > 0 else math.nan


def _silence(
    sae: SAE,
    family: Int[Tensor, "parent member"],
    latent: Int[Tensor, " known"],
    directions: Float[Tensor, "known neuron"],
    x: Float[Tensor, "row neuron"],
    sizes: Float[Tensor, "row known"],
) -> dict[str, Float[Tensor, " parent"]]:
    """What the activations tell; counts of rows besides shares."""
    parents, children = family[:, 0], family[:, 1:]
    carries = torch.tensor(
        [
            [carried(sae, directions, members[0], child, latent) >= CARRIES for child in members[1:]]
            for members in family
        ]
    )
    with_child, alone, silent, silent_alone, absorbed = torch.zeros(5, len(family), dtype=torch.float64)
    for block, truth in zip(x.split(BLOCK), sizes.split(BLOCK), strict=True):
        on, there = sae.encode(block)[:, latent] > 0, truth > 0
        child = there[:, children]
        any_child, quiet = child.any(2), ~on[:, parents]
        lonely = there[:, parents] & ~any_child
        with_child += any_child.sum(0)
        alone += lonely.sum(0)
        silent += (any_child & quiet).sum(0)
        silent_alone += (lonely & quiet).sum(0)
        absorbed += (quiet & (child & on[:, children] & carries).any(2)).sum(0)
    return {
        "with_child": with_child,
        "absorbed": absorbed,
        "absorption": absorbed / with_child,
        "silent_with_child": silent / with_child,
        "silent_alone": silent_alone / alone,
    }
