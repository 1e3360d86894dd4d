"""Dictionaries: anything with features on a site, an SAE, a transcoder or the neurons themselves (docs/design.md)."""

from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.base import NEURONS


class Dictionary(Protocol):
    """What tables need of an SAE or of the neurons. Features are active where they are above 0.

    What is decoded stands at the site itself or, of a transcoder, at its `target`, whose neurons are another basis.
    """

    @property
    def inputs(self) -> int:
        """Number of neurons of the site."""

    @property
    def outputs(self) -> int:
        """Number of neurons of the site at which its decoder rows stand."""

    @property
    def features(self) -> int:
        """Number of features."""

    @property
    def target(self) -> str | None:
        """The other site that a transcoder predicts; None where the decoder rows stand at the site itself."""

    def encode(self, x: Float[Tensor, "*batch neuron"]) -> Float[Tensor, "*batch feature"]:
        """Activations of all features."""

    def decode(self, f: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch output"]:
        """Sum of the directions of the features, weighted by their activations, and the decoder's bias."""

    def reconstruct(
        self, x: Float[Tensor, "*batch neuron"], f: Float[Tensor, "*batch feature"]
    ) -> Float[Tensor, "*batch output"]:
        """Reconstruction of x from its features; of a transcoder what it predicts from them and from x."""

    def decoder(self) -> Float[Tensor, "feature output"]:
        """Direction of each feature."""

    def decoded_scale(self, x: Float[Tensor, "*batch neuron"]) -> Float[Tensor, "*batch 1"] | float:
        """By how much a feature's activation times its direction is multiplied in the reconstruction of x."""


class Neurons:
    """The identity dictionary: feature i is neuron i, and the reconstruction is exact."""

    def __init__(self, width: int) -> None:
        self.inputs = width
        self.outputs = width
        self.features = width
        self.target = None

    def encode(self, x: Float[Tensor, "*batch neuron"]) -> Float[Tensor, "*batch neuron"]:
        """The activations themselves."""
        return x

    def decode(self, f: Float[Tensor, "*batch neuron"]) -> Float[Tensor, "*batch neuron"]:
        """The activations themselves."""
        return f

    def reconstruct(
        self, x: Float[Tensor, "*batch neuron"], f: Float[Tensor, "*batch neuron"]
    ) -> Float[Tensor, "*batch neuron"]:
        """The activations themselves."""
        return f

    def decoder(self) -> Float[Tensor, "neuron neuron"]:
        """The identity matrix."""
        return torch.eye(self.features)

    def decoded_scale(self, x: Float[Tensor, "*batch neuron"]) -> float:
        """One."""
        return 1.0


def load_dictionary(path: Path, width: int, device: str = "cpu") -> Dictionary:
    """The SAE in a folder (SAELens 6 form), or the neurons of a site for a path whose last part is `neurons`.

    `width` is the number of neurons of the site. Raises InputError if the folder holds no SAE or one for another width.
    """
    if path.name == NEURONS:
        return Neurons(width)
    from polysem.saes.sae import load_sae

    return load_sae(path, width, device)
