"""Imported models against transformers' own forward pass: TransformerLens rebuilds attention and norms itself."""

from pathlib import Path

import torch
from transformer_lens.model_bridge import TransformerBridge

from polysem.io.errors import InputError
from polysem.models.anatomy import anatomy_of
from polysem.models.probe import probe_tokens

SAME = 1e-3
"""Log probabilities of the bridge and of the plain model differ by no more, relative to the largest."""


@torch.inference_mode(False)
@torch.no_grad()
def certify(bridge: TransformerBridge, folder: Path, where: str) -> None:
    """InputError unless a booted model predicts what transformers' own model of the same folder does, and has sites."""
    from transformers import AutoModelForCausalLM

    tokens = probe_tokens(bridge)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    expected = plain(tokens).logits.log_softmax(-1)
    del plain
    found = bridge.eval()(tokens, return_type="logits").log_softmax(-1)
    difference = float((found - expected).abs().max())
    if not difference <= SAME * max(1.0, float(expected.abs().max())):
        raise InputError(
            f"{where}: TransformerLens gives this architecture other predictions than transformers does (log "
            f"probabilities differ by up to {difference:.2g}), so that nothing read from it would be the model's"
        )
    if not anatomy_of(bridge).places:
        raise InputError(f"{where}: none of the sites that polysem knows holds in this architecture what its name says")
