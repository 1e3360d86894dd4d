"""Booted models with processed weights (`processing:`): what was asked for is looked for, or refused."""

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from polysem.io.errors import InputError
from polysem.models.processing import refuse
from polysem.models.trial import sample_logits
from polysem.params.models.language import Processing

CENTRED = 1e-4
"""Means of what is centred, relative to its largest value, are no larger."""
SAME = 1e-3
"""Log probabilities before and after processing differ by no more."""


@torch.no_grad()
def process(bridge: TransformerBridge, processing: Processing, where: str) -> None:
    """Process the weights of a booted model, and look whether that was done: the predictions are the same, and what was
    to be centred or folded is. InputError otherwise, as TransformerLens leaves out what it cannot do with a warning."""
    if not any(processing.values().values()):
        return
    before = sample_logits(bridge, where).log_softmax(-1)
    try:
        bridge.enable_compatibility_mode(
            disable_warnings=True,
            fold_ln=processing.fold_ln,
            center_writing_weights=processing.center_writing_weights,
            center_unembed=processing.center_unembed,
            fold_value_biases=False,
        )
    except Exception as error:  # architectures that the library half knows fail anywhere
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"{where}: its weights cannot be processed ({type(error).__name__}: {said}); leave out processing"
        ) from error
    difference = float((sample_logits(bridge, where).log_softmax(-1) - before).abs().max())
    if not difference <= SAME:
        raise InputError(
            f"{where}: processing would change log probabilities by up to {difference:.2g}, as TransformerLens does it "
            "for this architecture; leave out processing"
        )
    refuse(processing, _undone(bridge, processing, where), where)


def _undone(bridge: TransformerBridge, processing: Processing, where: str) -> dict[str, str]:
    """What was asked for and of which the model shows no sign, with the number that tells."""
    undone = {}
    if processing.center_writing_weights:
        off = max(_off_centre(stream) for stream in _residual_streams(bridge, where))
        if off > CENTRED:
            undone["center_writing_weights"] = f"the residual stream keeps means of {off:.2g} times its largest value"
    if processing.center_unembed and (off := _off_centre(bridge.W_U.detach())) > CENTRED:
        undone["center_unembed"] = f"the unembedding keeps means of {off:.2g} times its largest value"
    if processing.fold_ln and (unfolded := _unfolded_norms(bridge)):
        undone["fold_ln"] = f"TransformerLens does not fold {unfolded[0]} into the weights behind it"
    return undone


def _off_centre(values: Float[Tensor, "... entry"]) -> float:
    return float(values.mean(-1).abs().max() / values.abs().max())


def _residual_streams(bridge: TransformerBridge, where: str) -> list[Tensor]:
    """The residual stream in front of every block and behind the last one, for a few tokens."""
    found: list[Tensor] = []
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(bridge.cfg.n_layers)]
    points = [bridge.hook_dict[name] for name in [*names, f"blocks.{bridge.cfg.n_layers - 1}.hook_resid_post"]]
    try:
        for point in points:
            point.add_hook(lambda value, hook: found.append(value.detach()), dir="fwd")
        sample_logits(bridge, where)
    finally:
        for point in points:
            point.remove_hooks("fwd")
    return found


def _unfolded_norms(bridge: TransformerBridge) -> list[str]:
    """Norms in front of attention, MLP and unembedding that still scale or shift."""
    norms = {f"blocks.{layer}.{name}": getattr(block, name, None)
             for layer, block in enumerate(bridge.blocks) for name in ("ln1", "ln2")}  # fmt: skip
    norms["ln_final"] = getattr(bridge, "ln_final", None)
    unfolded = []
    for name, norm in norms.items():
        gain, shift = getattr(norm, "weight", None), getattr(norm, "bias", None)
        scales = gain is not None and not bool((gain + float(norm.uses_weight_offset) == 1).all())  # type: ignore[union-attr]
        if scales or (shift is not None and bool(shift.any())):
            unfolded.append(name)
    return unfolded
