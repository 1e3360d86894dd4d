"""A few tokens through an imported model: what would fail or mislead in every later step is refused here."""

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from polysem.io.errors import InputError

TOKENS = 8
SAME = 1e-3
"""Up to which difference, of the largest logit, two forward passes are taken as the same: kernels sum in other orders
where sequences differ."""


@torch.inference_mode()
def try_out(bridge: TransformerBridge, where: str) -> None:
    """InputError if the model is no causal language model (what comes later changes what was predicted before), gives
    anything but finite logits, or has no unembedding that reads the residual stream."""
    logits = sample_logits(bridge, where)
    if not bool(logits.isfinite().all()):
        raise InputError(f"{where}: the model's logits are NaN or infinite")
    changed = sample_logits(bridge, where, last=1)
    if float((logits - changed)[:, :-1].abs().max()) > SAME * float(logits.abs().max()):
        raise InputError(
            f"{where}: what the model says of a token changes with later tokens; it is no causal language model"
        )
    read = bridge.W_U.shape[0]
    if read != bridge.cfg.d_model:
        raise InputError(
            f"{where}: the unembedding reads {read} numbers, the residual stream has {bridge.cfg.d_model}; models with "
            "a projection between them are not studied"
        )


@torch.inference_mode()
def sample_logits(bridge: TransformerBridge, where: str, last: int = 0) -> Float[Tensor, "sequence position token"]:
    """Logits for a sequence of different tokens, whose last one can be another; InputError if the model fails."""
    length, vocabulary = min(TOKENS, int(bridge.cfg.n_ctx)), int(bridge.cfg.d_vocab)
    ids = torch.arange(1, length + 1) % vocabulary
    ids[-1] = (ids[-1] + last) % vocabulary
    try:
        logits: Tensor = bridge(ids[None].to(next(bridge.parameters()).device), return_type="logits")
    except Exception as error:  # architectures that the library half knows fail anywhere
        said = " ".join(str(error).split())[:300]
        raise InputError(f"{where}: the model fails on {length} tokens ({type(error).__name__}: {said})") from error
    return logits.float()
