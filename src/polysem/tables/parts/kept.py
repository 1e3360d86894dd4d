"""Which tokens of batches count at a site, and what those hold that are left out there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polysem.activations.left_out import LeftOut
from polysem.models.subject import Batch, Subject


@dataclass(frozen=True)
class Kept:
    """The tokens of some batches at the site of a dictionary, or at the two of a transcoder."""

    masks: list[Bool[Tensor, "sequence position"]]
    """Of each batch the positions that count and are left out at neither site."""
    read: Float[Tensor, "token neuron"]
    """What a dictionary reads at the positions that count and are left out."""
    x: Float[Tensor, "token output"]
    """What it is to reconstruct, or to predict, there."""


def kept_tokens(
    subject: Subject, batches: Sequence[Batch], rules: Mapping[str, LeftOut], site: str, reads: str | None = None
) -> Kept:
    """What is kept where activations of `site` are replaced, by the rule of each site.

    `reads` is the site that a transcoder reads, if it is another one: what is left out there is left out, too.
    """
    sites = list(dict.fromkeys([reads or site, site]))
    if all(rules[name].how == "none" for name in sites):
        return Kept([batch.counted for batch in batches], torch.zeros(0, 0), torch.zeros(0, 0))
    masks: list[Tensor] = []
    read: list[Tensor] = []
    x: list[Tensor] = []
    with torch.inference_mode():
        for batch in batches:
            found = subject.activations(batch.to(subject.device), sites)
            out = torch.stack([rules[name].of(found[name]) for name in sites]).any(dim=0)
            counted = batch.counted.to(out.device)
            masks.append((counted & ~out).to(batch.counted.device))
            for rows, name in ((read, sites[0]), (x, site)):
                rows.append(found[name][counted & out].float())
    return Kept(masks, torch.cat(read), torch.cat(x))
