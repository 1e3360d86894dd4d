"""Step: train a perceptron on the train split of an image corpus."""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F

from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.models.classifier import Perceptron, save
from polysem.numerics.devices import Device, precision, resolved
from polysem.params.models.training import Training
from polysem.training.checkpoints import Checkpoint
from polysem.training.optimise import optimise
from polysem.training.order import EpochOrder


def train_classifier(
    tokens: Path,
    folder: Path,
    hidden: list[int],
    activation: Literal["relu", "gelu"],
    training: Training,
    code: str,
    device: Device = "cpu",
) -> None:
    """Train on a token store of images and write `config.json` and `model.safetensors` to the model folder.

    Weights are drawn on the CPU and trained on `device` in float32; the metadata of the file say so of a GPU. Raises
    InputError if the store holds fewer images than one batch.
    """
    here, store = resolved(device), TokenStore(tokens)
    if store.sequences < training.batch_tokens:
        raise InputError(
            f"{tokens} holds {store.sequences} images, training.batch_tokens = {training.batch_tokens}; lower it"
        )
    images = store.batch(0, store.sequences).to(torch.device(here))
    widths = [images.inputs.shape[1], *hidden, store.attributes["classes"]]
    torch.manual_seed(training.seed)
    model = Perceptron(widths, activation).to(here)
    checkpoint = Checkpoint(
        "train_classifier", str(folder), hidden, activation, training.values(), store.receipt, code, here
    )
    order = EpochOrder(store.sequences, training.batch_tokens, training.seed)
    steps = max(1, training.tokens // training.batch_tokens)

    def loss_on(numbers: torch.Tensor) -> torch.Tensor:
        chosen = numbers.to(here)
        return F.cross_entropy(model(images.inputs[chosen]), images.targets[chosen, 0])

    optimise(model, loss_on, order, steps, training, checkpoint)
    save(model.cpu(), widths, activation, folder, precision(here))
    checkpoint.remove()
