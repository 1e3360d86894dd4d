"""Step: train a language model on the train split of its corpus."""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.models.native import bridge_of, new_model, save_native
from polysem.numerics.devices import Device, precision, resolved
from polysem.params.models.trained import Architecture
from polysem.params.models.training import Training
from polysem.training.checkpoints import Checkpoint
from polysem.training.optimise import optimise
from polysem.training.order import EpochOrder

ENDED = -1
"""What `TokenStore.ids` says behind the end of a sequence; nothing predicts it."""


def train_model(
    tokens: Path,
    folder: Path,
    architecture: Architecture,
    training: Training,
    context_length: int,
    code: str,
    device: Device = "cpu",
) -> None:
    """Train on a token store and write `config.json` and `model.safetensors` to the model folder.

    `context_length` is that of the store; `code` names the code that the checkpoint belongs to. Weights are drawn on
    the CPU and trained on `device` in float32; the metadata of the file say so of a GPU. Raises InputError if the store
    holds fewer tokens than one batch. Memory holds four bytes for each token of the store.
    """
    here, store = resolved(device), TokenStore(tokens)
    batch = max(1, training.batch_tokens // context_length)
    if store.sequences < batch:
        raise InputError(
            f"{tokens} holds {store.sequences} sequences of {context_length} tokens, training.batch_tokens = "
            f"{training.batch_tokens} asks for {batch} per step; lower it or add documents to the corpus"
        )
    config = model_config(architecture, context_length, training.seed)
    model = new_model(config).to(here)
    ids = torch.from_numpy(store.ids(0, store.sequences))

    def loss_on(sequences: torch.Tensor) -> torch.Tensor:
        text = ids[sequences].to(here).long()
        following = F.pad(text[:, 1:], (0, 1), value=ENDED)
        logits = model(text.clamp_min(0))
        return F.cross_entropy(logits.flatten(0, 1), following.flatten(), ignore_index=ENDED)

    steps = max(1, training.tokens // (batch * context_length))
    print(f"{sum(p.numel() for p in model.parameters()):,} weights, {steps} steps", file=sys.stderr)
    checkpoint = Checkpoint(
        "train_model", str(folder), architecture.values(), training.values(), store.receipt, code, here
    )
    optimise(model, loss_on, EpochOrder(store.sequences, batch, training.seed), steps, training, checkpoint)
    save_native(bridge_of(model.cpu()), config, folder, precision(here))
    checkpoint.remove()


def model_config(architecture: Architecture, context_length: int, seed: int) -> dict[str, object]:
    """Arguments of TransformerBridgeConfig."""
    return {
        "d_model": architecture.d_model,
        "d_head": architecture.d_model // architecture.heads,
        "n_heads": architecture.heads,
        "n_layers": architecture.layers,
        "n_ctx": context_length,
        "d_vocab": architecture.vocabulary,
        "d_mlp": architecture.d_mlp,
        "act_fn": architecture.activation,
        "normalization_type": architecture.normalization,
        "seed": seed,
    }
