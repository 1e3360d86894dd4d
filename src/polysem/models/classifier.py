"""Image classifiers as subjects: multi-layer perceptrons, plain PyTorch."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polysem.io.atomic import write_json, written
from polysem.io.errors import InputError
from polysem.models.record import CONFIG, WEIGHTS, Record
from polysem.models.subject import Batch, Evaluation, Replacement, Subject, Take, at_positions

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class Perceptron(nn.Module):
    """Linear layers with an activation between them; `widths` from pixels to classes."""

    def __init__(self, widths: Sequence[int], activation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = ACTIVATIONS[activation]

    def forward(
        self, x: Float[Tensor, "image pixel"], replacements: Mapping[int, Replacement] | None = None
    ) -> Float[Tensor, "image class"]:
        """Logits; hidden activations of some layers can be replaced."""
        for index, layer in enumerate(self.layers[:-1]):
            x = self.activation(layer(x))
            if replacements and index in replacements:
                x = replacements[index](x[:, None])[:, 0]
        return self.layers[-1](x)


class ClassifierSubject(Subject):
    """A perceptron behind the interface of all models; an image is a sequence of one position."""

    def __init__(self, model: Perceptron, device: str) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self._sites = [f"layers.{index}.hook_post" for index in range(len(model.layers) - 1)]

    @property
    def sites(self) -> Sequence[str]:
        """One site per hidden layer, after the activation function."""
        return self._sites

    def width(self, site: str) -> int:
        """Neurons of the hidden layer."""
        return int(self._layer(site).out_features)

    @torch.inference_mode()
    def visit(self, batch: Batch, sites: Sequence[str], take: Take, *, inputs: bool = False) -> None:
        """See `Subject.visit`. What enters a hidden layer is the layer before, or the image; layers beyond the last
        site are not run."""
        layers = self._layers(batch.inputs, max(self._index(site) for site in sites))
        for site in sites:
            entering, found = layers[self._index(site) : self._index(site) + 2]
            take(site, found[:, None], entering[:, None] if inputs else None)

    @torch.inference_mode()
    def pixel_responses(self, site: str) -> Float[Tensor, "image neuron"] | None:
        """See `Subject.pixel_responses`."""
        pixels = self._linear(0).in_features
        images = torch.cat([torch.eye(pixels), torch.zeros(1, pixels)])
        return self._layers(images, self._index(site))[-1]

    def _layers(self, images: Float[Tensor, "image pixel"], last: int) -> list[Float[Tensor, "image neuron"]]:
        """The images, and the activations of the hidden layers up to the last one wanted."""
        layers = [images.to(self.device)]
        for index in range(last + 1):
            layers.append(self.model.activation(self._linear(index)(layers[-1])))
        return layers

    @torch.inference_mode()
    def evaluate(self, batch: Batch, replacements: Mapping[str, Replacement] | None = None) -> Evaluation:
        """Loss and hits of the predicted class."""
        batch = batch.to(self.device)
        logits = self._logits(batch.inputs, replacements)
        losses = F.cross_entropy(logits, batch.targets[:, 0], reduction="none")[:, None]
        return Evaluation(losses, logits.argmax(-1)[:, None] == batch.targets)

    @torch.inference_mode()
    def log_probabilities(
        self,
        batch: Batch,
        replacements: Mapping[str, Replacement] | None = None,
        copies: int = 1,
        at: Int[Tensor, "sequence wanted"] | None = None,
    ) -> Float[Tensor, "sequence position outcome"]:
        """See `Subject.log_probabilities`; the outcomes are the classes. The layers are so small that all is computed
        for each copy."""
        images = batch.inputs.to(self.device).repeat_interleave(copies, dim=0)
        found = F.log_softmax(self._logits(images, replacements), dim=-1)[:, None]
        return found if at is None else at_positions(found, at)

    def _logits(
        self, images: Float[Tensor, "image pixel"], replacements: Mapping[str, Replacement] | None
    ) -> Float[Tensor, "image class"]:
        return self.model(images, {self._index(site): replace for site, replace in (replacements or {}).items()})

    def input_weights(self, site: str) -> Float[Tensor, "neuron input"] | None:
        """Weights from the layer before."""
        return self._layer(site).weight.detach()

    def output_weights(self, site: str) -> Float[Tensor, "neuron output"] | None:
        """Weights to the layer behind."""
        return self._linear(self._index(site) + 1).weight.detach().T

    def logit_directions(self, site: str) -> Float[Tensor, "neuron token"] | None:
        """Weights to the classes, for the last hidden layer; None for earlier ones, which have no direct path."""
        return self.output_weights(site) if site == self._sites[-1] else None

    def _index(self, site: str) -> int:
        if site not in self._sites:
            raise InputError(f"the classifier has no site {site!r}; it has {', '.join(self._sites)}")
        return self._sites.index(site)

    def _layer(self, site: str) -> nn.Linear:
        return self._linear(self._index(site))

    def _linear(self, index: int) -> nn.Linear:
        layer = self.model.layers[index]
        assert isinstance(layer, nn.Linear)
        return layer


def save(
    model: Perceptron,
    widths: Sequence[int],
    activation: str,
    folder: Path,
    made_on: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write `config.json` and `model.safetensors`, whose metadata say what the weights were `made_on`, if that was no
    CPU."""
    write_json(folder / CONFIG, {"architectures": ["Perceptron"], "widths": list(widths), "activation": activation})
    with written(folder / WEIGHTS) as partial:
        save_file(
            {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, partial, dict(made_on) or None
        )


def load(folder: Path, record: Record, device: str) -> ClassifierSubject:
    """The classifier of a folder."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    model = Perceptron(config["widths"], config["activation"])
    model.load_state_dict(load_file(folder / WEIGHTS))
    return ClassifierSubject(model, device)
