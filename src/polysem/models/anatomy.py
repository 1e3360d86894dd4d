"""Which sites a booted language model has, how wide they are, and which weights stand around them.

The names of hooks promise more than every architecture keeps: parallel blocks have nothing between attention and MLP,
some norms stand behind the MLP, some models multiply what a block adds. So nothing is concluded from the name of an
architecture: a site is offered where what stood at the hooks, and what changes there do, agree with its name.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components import NormalizationBridge

from polysem.io.errors import InputError
from polysem.models.linear import Scaling, matrix, scaling_between
from polysem.models.modules import module_place
from polysem.models.outlet import Outlet, outlet_of
from polysem.models.probe import Probe, probed, same, total
from polysem.params.models.language import BLOCK_HOOKS

WITHIN = ("mlp.out.hook_out", "attn.o.hook_out")
"""Hooks of a block that tell what stands around its sites."""
ENDS = ("unembed.hook_in", "unembed.hook_out")


@dataclass(frozen=True)
class Place:
    """A site of a model."""

    width: int
    entering: str | None = None
    """Name of the hook of what the input weights multiply."""
    input_weights: Float[Tensor, "neuron input"] | None = None
    reads_gate: bool = False
    leaving: Float[Tensor, "neuron residual"] | None = None
    """Weights out of the neurons."""
    behind: Scaling | None = None
    """What stands between these and the residual stream, if it is known."""
    in_stream: bool = False
    """Whether the activations are a vector of the residual stream, or added to it as they are."""
    branch_alone: bool = False
    """Whether what is put in the place of the activations goes to the MLP alone, and not along the residual stream."""

    @property
    def output_weights(self) -> Float[Tensor, "neuron residual"] | None:
        """Weights out of the neurons into the residual stream, with the gain of a norm and the factor in between."""
        return None if self.leaving is None or self.behind is None else self.behind(self.leaving)

    @property
    def norm_behind(self) -> bool:
        """Whether a norm stands between the output weights and the residual stream."""
        return self.behind is not None and self.behind.norm


@dataclass(frozen=True)
class Anatomy:
    """The sites of a model by name, in the order of its layers, why it lacks others, and its way to the logits."""

    places: dict[str, Place]
    lacking: dict[str, str]
    outlet: Outlet | None
    """None where the residual stream is no plain sum or what is behind it is not known: nothing has a direct path."""
    modules: dict[str, list[str]]
    """The modules of transformers whose output stands at a site, with `*` for the number of the layer, by site."""


@dataclass
class _Layer:
    """What one block says of its sites."""

    bridge: TransformerBridge
    probe: Probe
    layer: int
    places: dict[str, Place] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)

    @property
    def block(self) -> Any:
        return self.bridge.blocks[self.layer]

    def norms(self) -> list[Any]:
        return [part for part in self.block.children() if isinstance(part, NormalizationBridge)]

    def name(self, hook: str) -> str:
        return f"blocks.{self.layer}.{hook}"

    def value(self, hook: str) -> Tensor | None:
        return self.probe.value(self.name(hook))

    def gradient(self, hook: str) -> Tensor | None:
        return self.probe.gradient(self.name(hook))

    def offer(self, hook: str, holds: bool, otherwise: str, place: Callable[[int], Place]) -> None:
        """Offer a site, or say why not."""
        value = self.value(hook)
        if value is None:
            self.lacking[self.name(hook)] = "the architecture has none"
        elif value.ndim != 3 or not holds:
            self.lacking[self.name(hook)] = otherwise
        else:
            self.places[self.name(hook)] = place(value.shape[-1])


@torch.inference_mode(False)
@torch.no_grad()
def anatomy_of(bridge: TransformerBridge) -> Anatomy:
    """Ask a booted model, in evaluation mode, for its sites; InputError if it gives no numbers."""
    layers = range(int(bridge.cfg.n_layers))
    hooks = [f"blocks.{layer}.{hook}" for layer in layers for hook in (*BLOCK_HOOKS, *WITHIN)]
    probe = probed(bridge, [*hooks, *ENDS])
    if not bool(probe.logits.isfinite().all()):
        raise InputError("the model's logits are NaN or infinite; look for what is no number in its weights")
    places: dict[str, Place] = {}
    lacking: dict[str, str] = {}
    sums = True
    for index in layers:
        layer = _Layer(bridge, probe, index)
        before = probe.value(f"blocks.{index - 1}.hook_resid_post") if index else layer.value("hook_resid_pre")
        sums = _stream(layer, before) and sums
        _neurons(layer)
        _heads(layer)
        places |= layer.places
        lacking |= layer.lacking
    order = [f"blocks.{layer}.{hook}" for layer in layers for hook in BLOCK_HOOKS]
    places = {name: places[name] for name in order if name in places}
    outlet = outlet_of(bridge, probe, f"blocks.{len(layers) - 1}.hook_resid_post") if sums else None
    return Anatomy(places, lacking, outlet, _modules(probe, places))


def _modules(probe: Probe, sites: Iterable[str]) -> dict[str, list[str]]:
    """Names of modules whose output is what stood at a site of their layer."""
    templates: dict[int, dict[str, Tensor]] = {}
    for name, output in probe.modules.items():
        if place := module_place(name):
            templates.setdefault(place[0], {})[place[1]] = output
    found = {}
    for site in sites:
        there = templates.get(int(site.split(".")[1]), {})
        found[site] = sorted(name for name, output in there.items() if same(output, probe.value(site)))
    return found


def _stream(layer: _Layer, before: Tensor | None) -> bool:
    """The sites of the residual stream; whether the block adds to it what attention and MLP make, and no more."""
    pre, post, mid = (layer.value(f"hook_resid_{where}") for where in ("pre", "post", "mid"))
    attention, mlp = layer.value("hook_attn_out"), layer.value("hook_mlp_out")
    sums = same(post, total(pre, attention, mlp))
    behind = layer.gradient("hook_resid_post")
    onward = layer.gradient("hook_attn_out")
    whole = same(onward, layer.gradient("hook_resid_mid"))
    branch = same(onward, total(layer.gradient("hook_resid_mid"), behind))
    between = same(mid, total(pre, attention)) and (whole or branch)

    def in_stream(width: int) -> Place:
        return Place(width, in_stream=True)

    for hook, right in (("hook_resid_pre", same(pre, before)), ("hook_resid_post", True)):
        reaches = layer.probe.reaches(layer.name(hook))
        layer.offer(hook, right and reaches, "what is put in its place does not go through the block", in_stream)
    layer.offer(
        "hook_resid_mid",
        between,
        "what stands there is not the residual stream between attention and MLP",
        lambda width: Place(width, in_stream=True, branch_alone=not whole),
    )
    layer.offer(
        "hook_attn_out",
        between or (sums and same(onward, behind)),
        "what stands there is not what attention adds to the residual stream",
        in_stream,
    )
    layer.offer(
        "hook_mlp_out",
        sums and same(layer.gradient("hook_mlp_out"), behind),
        "what stands there is not what the MLP adds to the residual stream",
        in_stream,
    )
    return sums


def _neurons(layer: _Layer) -> None:
    mlp = getattr(layer.block, "mlp", None)
    entering, before = layer.value("mlp.hook_in"), layer.value("mlp.hook_pre")
    gate = matrix(entering, before, _weights(mlp, "gate", "W_gate"))
    into = gate if gate is not None else matrix(entering, before, _weights(mlp, "in", "W_in"))
    neurons = Place(
        0,
        entering=None if into is None else layer.name("mlp.hook_in"),
        input_weights=None if into is None else into.T,
        reads_gate=gate is not None,
    )
    after = layer.value("mlp.hook_post")
    silent = after is not None and not after.any()
    layer.offer(
        "mlp.hook_in",
        into is not None and (silent or layer.probe.reaches(layer.name("mlp.hook_in"))),
        "what stands there is not what W_in, or W_gate, multiplies",
        Place,
    )
    layer.offer(
        "mlp.hook_pre",
        into is not None and (silent or layer.probe.reaches(layer.name("mlp.hook_pre"))),
        "what stands there is not W_in, or W_gate, times what enters the MLP",
        lambda width: replace(neurons, width=width),
    )
    out = _way_out(layer, "mlp.hook_post", "mlp.out.hook_out", _weights(mlp, "out", "W_out"))
    behind = scaling_between(layer.value("mlp.out.hook_out"), layer.value("hook_mlp_out"), layer.norms())
    layer.offer(
        "mlp.hook_post",
        out is not None,
        "what leaves the MLP is not W_out times what stands there",
        lambda width: replace(neurons, width=width, leaving=out, behind=behind),
    )


def _heads(layer: _Layer) -> None:
    attention = getattr(layer.block, "attn", None)
    out = _way_out(layer, "attn.hook_z", "attn.o.hook_out", _weights(attention, "o", "W_O"))
    behind = scaling_between(layer.value("attn.o.hook_out"), layer.value("hook_attn_out"), layer.norms())
    layer.offer(
        "attn.hook_z",
        out is not None,
        "what leaves attention is not W_O times what stands there",
        lambda width: Place(width, leaving=out, behind=behind),
    )


def _weights(part: Any, module: str, name: str) -> Iterator[Tensor]:
    """What may be the weights of a linear map: those of its module, and those that the bridge gives by name."""
    for owner, attribute in ((getattr(part, module, None), "weight"), (part, name)):
        found = getattr(owner, attribute, None)
        if isinstance(found, Tensor):
            yield found.flatten(0, 1) if found.ndim == 3 else found


def _way_out(layer: _Layer, site: str, leaving: str, weights: Iterable[Tensor]) -> Tensor | None:
    """The weights that lead out of a site, if what is put in its place goes through them alone."""
    found = matrix(layer.value(site), layer.value(leaving), weights)
    onward = layer.gradient(leaving)
    if found is None or onward is None or not same(layer.gradient(site), onward @ found.T):
        return None
    return found
