"""Step: the random-model control of a model, whose weight tensors have their entries in random order."""

import hashlib
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from polysem.io.atomic import written
from polysem.models.filling import MASK, ROTARY
from polysem.models.record import CONFIG, TOKENIZER, WEIGHTS


def randomise_model(model: Path, folder: Path, seed: int) -> None:
    """Write the folder of a control: config and tokenizer of the model, and its weights with the entries of each tensor
    in random order, gains and biases of norms like all others.

    Each tensor keeps its distribution, so that nothing but what was learned is gone, and every architecture has such a
    control. What is no weight (integers, causal masks, frequencies of rotary embeddings) stays. Source: Heap et al.
    2025, *Sparse Autoencoders Can Interpret Randomly Initialized Transformers*, arXiv 2501.17727.

    Args:
        model: The folder of the model.
        folder: The folder of the control.
        seed: Of the order; tensors of other names have other orders.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, TOKENIZER):
        with written(folder / name) as partial:
            shutil.copyfile(model / name, partial)
    with safe_open(model / WEIGHTS, framework="pt") as stored:
        tensors = {name: shuffled(name, stored.get_tensor(name), seed) for name in sorted(stored.keys())}
        metadata = stored.metadata()
    with written(folder / WEIGHTS) as partial:
        save_file(tensors, partial, metadata)


def shuffled(name: str, tensor: Tensor, seed: int) -> Tensor:
    """The entries of a tensor in an order that follows from its name and the seed; the tensor itself if it is no
    weight."""
    if not tensor.is_floating_point() or MASK.search(name) or ROTARY.search(name):
        return tensor
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    return tensor.flatten()[torch.randperm(tensor.numel(), generator=generator)].view(tensor.shape)
