"""From the residual stream behind the last block to the logits: final norm, unembedding, and what follows it."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from polysem.models.linear import Scaling, constant_factor, matrix, scaling_between
from polysem.models.probe import Probe, same

UNSATURATED = 0.9
"""Of a soft cap: beyond it, logits are too close to the cap to tell what they were."""


@dataclass(frozen=True)
class Outlet:
    """What a direction of the residual stream adds to the logits."""

    weights: Float[Tensor, "residual token"]
    """W_U as the model has it."""
    scaling: Scaling
    """The final norm's, or none where there is no norm."""
    factor: float
    """What the model multiplies the logits by."""
    soft_cap: float | None
    """c where the logits that the model gives are c · tanh(logits / c)."""

    def unembedding(self) -> Float[Tensor, "residual token"]:
        """W_U with the final norm's gain and centring, and with the factor."""
        scaled = self.scaling.gain[:, None] * self.factor * self.weights
        return scaled - scaled.mean(dim=0, keepdim=True) if self.scaling.centred else scaled


def outlet_of(bridge: TransformerBridge, probe: Probe, last: str) -> Outlet | None:
    """The way from the residual stream at a hook to the logits; None where it is another than this."""
    entering, leaving = probe.value("unembed.hook_in"), probe.value("unembed.hook_out")
    norm = getattr(bridge, "ln_final", None)
    scaling = scaling_between(probe.value(last), entering, [] if norm is None else [norm])
    weights = matrix(entering, leaving, [bridge.unembed.weight, bridge.W_U])
    if scaling is None or weights is None or leaving is None:
        return None
    end = _end(leaving, probe.logits, _soft_cap(bridge))
    if end is None:
        return None
    factor, soft_cap = end
    return Outlet(weights, scaling, factor, soft_cap)


def _end(before: Tensor, logits: Tensor, soft_cap: float | None) -> tuple[float, float | None] | None:
    """Factor and soft cap between what leaves the unembedding and the logits."""
    factor = constant_factor(before, logits)
    if factor is not None:
        return factor, None
    if soft_cap is None:
        return None
    far = (logits / soft_cap).abs() >= UNSATURATED
    uncapped = soft_cap * torch.atanh((logits / soft_cap).masked_fill(far, 0.0))
    factor = constant_factor(before.masked_fill(far, 0.0), uncapped)
    if factor is None or not same(soft_cap * torch.tanh(factor * before / soft_cap), logits):
        return None
    return factor, soft_cap


def _soft_cap(bridge: TransformerBridge) -> float | None:
    config: Any = getattr(bridge.original_model, "config", None)
    for holder in (bridge.cfg, config):
        for name in ("output_logits_soft_cap", "final_logit_softcapping", "logits_soft_cap"):
            found = getattr(holder, name, None)
            if isinstance(found, int | float) and found > 0:
                return float(found)
    return None
