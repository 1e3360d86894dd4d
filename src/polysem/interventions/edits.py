"""Edits of features in a running model (document S1, "Feature Ablations" and "Pinned Feature Sampling").

A feature goes from f to f′ by (f′ − f) · W_dec being added to the activations of the site. What the dictionary does not
reconstruct stays as it is, so that an edit of nothing leaves every byte. Neurons are edited alike: their directions are
the axes of the site. Tokens that are left out at a site keep the model's own activations (`activations.left_out`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polysem.activations.left_out import LeftOut
from polysem.models.subject import Replacement
from polysem.saes.dictionary import Dictionary

How = Literal["set", "scale", "add"]


@dataclass(frozen=True)
class Edit:
    """What is done to features of a dictionary, in each sequence of a batch to others of them."""

    features: Int[Tensor, "sequence edited"]
    """Numbers of the features; one that is there twice is edited twice."""
    how: How
    """Whether `amounts` are the new activations, factors of those there are, or added to them."""
    amounts: Float[Tensor, "sequence edited"]
    positions: Bool[Tensor, "sequence position"] | None = None
    """Where; None for everywhere."""
    directions: Float[Tensor, "sequence edited output"] | None = None
    """What is added for each unit of activation in the place of the decoder rows: those of a baseline."""
    known: Float[Tensor, "sequence position edited"] | None = None
    """The activations of the features where the model is not edited, if they are known: nothing is encoded then."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """By site, which tokens are left out there and not edited; none at a site that is not named."""

    def change(self, f: Float[Tensor, "sequence position edited"]) -> Float[Tensor, "sequence position edited"]:
        """f′ − f."""
        amounts = self.amounts[:, None]
        match self.how:
            case "set":
                change = amounts - f
            case "scale":
                change = (amounts - 1) * f
            case "add":
                change = amounts.expand_as(f)
        return change if self.positions is None else change.masked_fill(~self.positions[..., None], 0.0)


def ablation(features: Int[Tensor, "sequence edited"], **more: Any) -> Edit:
    """The edit that sets features to 0; `more` are other fields of `Edit`."""
    return Edit(features, "set", torch.zeros(features.shape, device=features.device), **more)


def replacements(site: str, dictionary: Dictionary, edit: Edit) -> dict[str, Replacement]:
    """An edit as what `Subject.evaluate` and `Subject.log_probabilities` take. `site` is that of the dictionary.

    A transcoder's features are read at its site and written at its target. Activations that no feature changes keep
    their bytes. ValueError for amounts, positions or directions that are not of the shape of the features.
    """
    _require_shapes(dictionary, edit)
    if dictionary.target is None:
        return keeping({site: lambda x: added(dictionary, edit, x, active(dictionary, edit, x))}, edit.left_out)
    read: list[Tensor] = []

    def keep(x: Float[Tensor, "sequence position neuron"]) -> Float[Tensor, "sequence position neuron"]:
        read[:] = [active(dictionary, edit, x)]
        return x

    both = {site: keep, dictionary.target: lambda y: added(dictionary, edit, y, read.pop())}
    return keeping(both, edit.left_out)


def keeping(replacements: Mapping[str, Replacement], left_out: Mapping[str, LeftOut]) -> dict[str, Replacement]:
    """The same, but that tokens which are left out at one of their sites keep the model's own activations at the last
    one: the site of an SAE, or the target of a transcoder, whose own site, the first, is read alone."""
    rules = {site: left_out[site] for site in replacements if site in left_out and left_out[site].how != "none"}
    if not rules:
        return dict(replacements)
    *_, last = replacements
    out: list[Bool[Tensor, "sequence position"]] = []

    def at(site: str, one: Replacement) -> Replacement:
        def replacement(x: Float[Tensor, "sequence position neuron"]) -> Float[Tensor, "sequence position neuron"]:
            if site in rules:
                out.append(rules[site].of(x))
            changed = one(x)
            if site != last:
                return changed
            keeps = torch.stack(out).any(dim=0)
            out.clear()
            return torch.where(keeps[..., None], x, changed)

        return replacement

    return {site: at(site, one) for site, one in replacements.items()}


def active(
    dictionary: Dictionary, edit: Edit, x: Float[Tensor, "sequence position neuron"]
) -> Float[Tensor, "sequence position edited"]:
    """Activations of the features that are edited, in float32."""
    if edit.known is not None:
        return edit.known.float()
    f = dictionary.encode(x).float()
    return f.gather(-1, edit.features[:, None].expand(-1, f.shape[1], -1))


def added(
    dictionary: Dictionary,
    edit: Edit,
    x: Float[Tensor, "sequence position output"],
    f: Float[Tensor, "sequence position edited"],
) -> Float[Tensor, "sequence position output"]:
    """Activations of the site, or of a transcoder's target, with the change of the features in them."""
    change = edit.change(f)
    moved = torch.bmm(change, directions(dictionary, edit).to(change)) * dictionary.decoded_scale(x)
    return torch.where((change != 0).any(-1, keepdim=True), (x.float() + moved).to(x.dtype), x)


def directions(dictionary: Dictionary, edit: Edit) -> Float[Tensor, "sequence edited output"]:
    """What is added for each unit of activation."""
    if edit.directions is not None:
        return edit.directions
    return dictionary.decoder().to(edit.features.device)[edit.features]


def _require_shapes(dictionary: Dictionary, edit: Edit) -> None:
    shape = tuple(edit.features.shape)
    if tuple(edit.amounts.shape) != shape:
        raise ValueError(f"amounts have the shape {tuple(edit.amounts.shape)}, the features {shape}")
    if edit.positions is not None and len(edit.positions) != shape[0]:
        raise ValueError(f"positions are of {len(edit.positions)} sequences, the features of {shape[0]}")
    if edit.directions is not None and tuple(edit.directions.shape) != (*shape, dictionary.outputs):
        wanted = (*shape, dictionary.outputs)
        raise ValueError(f"directions have the shape {tuple(edit.directions.shape)}, expected {wanted}")
