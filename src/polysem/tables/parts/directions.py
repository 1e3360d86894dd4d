"""What the weights of a model make of directions at its sites, kept so that no table has to load the model again."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from polysem.io.atomic import written
from polysem.io.errors import InputError
from polysem.models.subject import Subject
from polysem.tables.inputs import Inputs

UNEMBEDDING = "unembedding"
INTO = "/input_weights"
NO_DIRECT_PATH = "the site has no direct path to the logits: what follows it is not linear"


class Directions:
    """Weights around the sites of a model.

    `tensors` hold `{site}/input_weights` [neuron, input], `{site}/output_weights` [neuron, d_model], `unembedding`
    [d_model, token] and, of models of images, `{site}/pixel_responses` [pixel + 1, neuron], as far as there are such;
    and empty markers: `{site}/gate` where the input weights are a gate's, `{site}/residual` where the site writes to
    the residual stream itself, `{site}/logits` where its output weights lead to the logits. `attributes` say under
    which `processing` of its weights the model is studied, and how the final norm is dealt with (`final_norm`).
    """

    def __init__(self, tensors: Mapping[str, Tensor], attributes: Mapping[str, str] | None = None) -> None:
        self._tensors = dict(tensors)
        self.attributes = dict(attributes or {})

    @classmethod
    def read(cls, path: Path, device: str = "cpu") -> "Directions":
        """The directions that `write_directions` wrote; InputError if the file holds none."""
        try:
            with safe_open(path, framework="pt", device=device) as file:
                names = file.keys()
                attributes = json.loads((file.metadata() or {})["polysem"])
                return cls({name: file.get_tensor(name) for name in names}, attributes)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"{path} holds no directions of a model ({error}); delete it and run again") from error

    def input_weights(self, site: str) -> Float[Tensor, "neuron input"] | None:
        """Weights into each neuron; None where the site has no neurons that read anything."""
        return self._tensors.get(f"{site}{INTO}")

    def input_weights_kind(self, site: str) -> str:
        """What the weights into the neurons are: "input weights", or in a gated MLP "gate weights"."""
        return "gate weights" if f"{site}/gate" in self._tensors else "input weights"

    def sites_with_input_weights(self) -> list[str]:
        """The sites studied whose neurons have weights into them, sorted."""
        return sorted(name.removesuffix(INTO) for name in self._tensors if name.endswith(INTO))

    def pixel_responses(self, site: str) -> Float[Tensor, "image neuron"] | None:
        """Activations for images of one bright pixel, one for each, and for the blank image; None of models of text."""
        return self._tensors.get(f"{site}/pixel_responses")

    def output_weights(self, site: str) -> Float[Tensor, "neuron output"] | None:
        """Weights out of each neuron; None where the site has none."""
        return self._tensors.get(f"{site}/output_weights")

    def writes_to_residual(self, site: str) -> bool:
        """Whether the activations of the site are a vector of the residual stream, or added to it as they are."""
        return f"{site}/residual" in self._tensors

    def written(self, site: str, rows: Float[Tensor, "row neuron"]) -> Float[Tensor, "row d_model"] | None:
        """What some directions at a site write into the residual stream, by which those of several layers are held
        against each other; None where there is no such stream, or no weights that lead to it."""
        if UNEMBEDDING not in self._tensors:
            return None
        if self.writes_to_residual(site):
            return rows
        output = self.output_weights(site)
        return None if output is None else through(rows, [output])

    def logit_path(self, site: str) -> list[Tensor] | None:
        """The matrices whose product, from the left, leads from the site to the logits; None without a direct path."""
        unembedding, output = self._tensors.get(UNEMBEDDING), self.output_weights(site)
        if f"{site}/logits" in self._tensors and output is not None:
            return [output]
        if unembedding is None:
            return None
        if self.writes_to_residual(site):
            return [unembedding]
        return None if output is None else [output, unembedding]

    def logit_weights(self, site: str, rows: Float[Tensor, "feature neuron"]) -> Float[Tensor, "feature token"] | None:
        """What each of some directions at a site adds to the logits on the direct path; None where there is none."""
        path = self.logit_path(site)
        return None if path is None else through(rows, path)


def through(rows: Float[Tensor, "row input"], matrices: Iterable[Tensor]) -> Float[Tensor, "row output"]:
    """The product of all of them, by numpy, whose float32 product is the faster one on AMD's processors."""
    for matrix in matrices:
        rows = torch.from_numpy(rows.numpy() @ matrix.cpu().numpy())
    return rows


def directions_of(subject: Subject, sites: Iterable[str], processing: Mapping[str, Any]) -> Directions:
    """The directions of a model at some of its sites; `processing` is the rewriting of weights its entry asks for."""
    tensors: dict[str, Tensor] = {}
    sites = list(sites)
    unembedding = subject.unembedding()
    if unembedding is not None:
        tensors[UNEMBEDDING] = unembedding
    for site in sites:
        entering, leaving = subject.input_weights(site), subject.output_weights(site)
        if entering is not None:
            tensors[f"{site}{INTO}"] = entering
        if subject.reads_gate(site):
            tensors[f"{site}/gate"] = torch.zeros(0)
        responses = subject.pixel_responses(site)
        if responses is not None:
            tensors[f"{site}/pixel_responses"] = responses
        if leaving is not None:
            tensors[f"{site}/output_weights"] = leaving
        if subject.writes_to_residual(site):
            tensors[f"{site}/residual"] = torch.zeros(0)
        if unembedding is None and leaving is not None and subject.logit_directions(site) is not None:
            tensors[f"{site}/logits"] = torch.zeros(0)
    asked = ", ".join(f"{key}: {str(value).lower()}" for key, value in sorted(processing.items()))
    attributes = {"processing": asked or "none", **subject.path_notes(sites)}
    return Directions(
        {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}, attributes
    )


def write_directions(path: Path, directions: Directions) -> None:
    """Write directions as safetensors, with the same bytes for the same content."""
    tensors = {name: tensor.clone() for name, tensor in directions._tensors.items()}
    metadata = {"polysem": json.dumps(directions.attributes, sort_keys=True)}
    with written(path) as partial:
        save_file(tensors, partial, metadata)


def weights_around(inputs: Inputs) -> Directions:
    """The weights around the sites of a model; reads `directions`."""
    path = inputs.path("directions")
    return inputs.once(("directions", path), lambda: Directions.read(path))
