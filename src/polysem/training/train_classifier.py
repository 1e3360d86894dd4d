"""Step: train a perceptron on the train split of an image corpus."""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F

from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.models.classifier import Perceptron, save
from polysem.params.models.training import Training
from polysem.training.checkpoints import Checkpoint
from polysem.training.optimise import optimise
from polysem.training.order import EpochOrder


def train_classifier(
    tokens: Path, folder: Path, hidden: list[int], activation: Literal["relu", "gelu"], training: Training, code: str
) -> None:
    """Train on a token store of images and write `config.json` and `model.safetensors` to the model folder.

    Raises InputError if the store holds fewer images than one batch.
    """
    store = TokenStore(tokens)
    if store.sequences < training.batch_tokens:
        raise InputError(
            f"{tokens} holds {store.sequences} images, training.batch_tokens = {training.batch_tokens}; lower it"
        )
    images = store.batch(0, store.sequences)
    widths = [images.inputs.shape[1], *hidden, store.attributes["classes"]]
    torch.manual_seed(training.seed)
    model = Perceptron(widths, activation)
    checkpoint = Checkpoint("train_classifier", str(folder), hidden, activation, training.values(), store.receipt, code)
    order = EpochOrder(store.sequences, training.batch_tokens, training.seed)
    steps = max(1, training.tokens // training.batch_tokens)

    def loss_on(numbers: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(model(images.inputs[numbers]), images.targets[numbers, 0])

    optimise(model, loss_on, order, steps, training, checkpoint)
    save(model, widths, activation, folder)
    checkpoint.remove()
