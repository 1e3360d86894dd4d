"""One short pass through a booted language model, forward and backward, with all hooks of interest read."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel

SEQUENCES, POSITIONS = 2, 8
STRIDE = 7919
"""Between the ids of tokens that follow each other; a prime, so that they differ."""
TOLERANCE = 1e-3
"""Of the largest value; what a name promises and is not there differs by far more, what is rounded by far less."""


@dataclass(frozen=True)
class Probe:
    """What hooks of a model held, heads flattened, and how much a sum over the logits changes with each number."""

    values: dict[str, Tensor]
    gradients: dict[str, Tensor]
    logits: Tensor
    modules: dict[str, Tensor]
    """What modules of the model gave, by the names that transformers has for them."""

    def value(self, name: str) -> Tensor | None:
        """What stood at a hook [sequence, position, neuron]; None where it did not fire, or more than once."""
        return self.values.get(name)

    def gradient(self, name: str) -> Tensor | None:
        """How much the sum over the logits changes with what stands at a hook."""
        return self.gradients.get(name)

    def reaches(self, name: str) -> bool:
        """Whether what is put in place of the activations there gets to the logits."""
        found = self.gradients.get(name)
        return found is not None and bool(found.abs().max() > 0)


def probed(bridge: TransformerBridge, names: Iterable[str]) -> Probe:
    """Run some tokens through the model, all of them different, and read the hooks of these names that it has."""
    found: Counter[str] = Counter()
    values: dict[str, Tensor] = {}
    changes: dict[str, Tensor] = {}

    def read(value: Any, name: str) -> Any:
        found[name] += 1
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        values[name] = value.detach().clone()
        changes[name] = torch.zeros_like(values[name], requires_grad=True)
        return value + changes[name]

    modules: dict[str, Tensor] = {}

    def leave(output: Any, name: str) -> None:
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            modules[name] = flat(first.detach().clone())

    points = {name: point for name in names if (point := bridge.hook_dict.get(name)) is not None}
    tokens = probe_tokens(bridge)
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: leave(output, name))
        for name, module in named_modules(bridge)
    ]
    try:
        for name, point in points.items():
            point.add_hook(lambda value, hook, name=name: read(value, name), dir="fwd")
        with torch.inference_mode(False), torch.enable_grad():
            logits = bridge(tokens, return_type="logits")
            weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
            read_once = [name for name in changes if found[name] == 1]
            slopes = torch.autograd.grad(
                (logits * weights).sum(), [changes[name] for name in read_once], allow_unused=True
            )
    finally:
        for point in points.values():
            point.remove_hooks("fwd")
        for handle in handles:
            handle.remove()
    gradients = {
        name: flat(torch.zeros_like(values[name]) if slope is None else slope)
        for name, slope in zip(read_once, slopes, strict=True)
    }
    return Probe({name: flat(values[name]) for name in read_once}, gradients, logits.detach(), modules)


def named_modules(bridge: TransformerBridge) -> Iterator[tuple[str, torch.nn.Module]]:
    """The modules of a model of transformers, under the names that they have without the bridge; none of others."""
    model = bridge.original_model
    if not isinstance(model, PreTrainedModel):
        return
    with torch.device("meta"):
        plain = {name for name, _ in type(model)(model.config).named_modules()}
    for name, module in model.named_modules(remove_duplicate=False):
        known = name.replace("._original_component", "")
        if known and known in plain:
            yield known, module


def probe_tokens(bridge: TransformerBridge) -> Tensor:
    """Ids that differ, as far as the vocabulary has so many, on the device of the model."""
    positions = min(POSITIONS, int(bridge.cfg.n_ctx))
    ids = torch.arange(SEQUENCES * positions) * STRIDE % int(bridge.cfg.d_vocab)
    return ids.view(SEQUENCES, positions).to(next(bridge.parameters()).device)


def flat(value: Tensor) -> Tensor:
    """Activations [sequence, position, neuron]; those of attention heads, which stand apart, one head after the other,
    as SAELens reshapes them."""
    return value.flatten(2) if value.ndim == 4 else value


def same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether both are there and equal, but for rounding."""
    if one is None or other is None or one.shape != other.shape:
        return False
    size = max(float(one.abs().max()), float(other.abs().max()))
    return float((one - other).abs().max()) <= TOLERANCE * size


def total(*parts: Tensor | None) -> Tensor | None:
    """The sum; None where a part is missing, or has another shape."""
    there = [part for part in parts if part is not None]
    if len(there) < len(parts) or len({part.shape for part in there}) > 1:
        return None
    return torch.stack(there).sum(0)
