"""The shape of an imported model, as far as it is known before the model is there."""

from typing import Annotated

from pydantic import Field

from polysem.params.base import Section, Width


class Shape(Section):
    """What the config of an imported model says. Without it, nothing that depends on the widths of a model of the hub
    can be said before it is downloaded: `polysem plan`, and whether its stores fit on the disk."""

    layers: Annotated[int, Field(ge=1, le=1000)]
    d_model: Width
    """Width of the residual stream."""
    d_mlp: Width
    """Neurons of a layer."""
    vocabulary: Annotated[int, Field(ge=1, le=10_000_000)]
    """Entries of the vocabulary."""
    gated: bool = False
    """Whether the MLPs have a gate, as those of Llama."""
