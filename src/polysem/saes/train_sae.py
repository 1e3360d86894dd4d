"""Step: train a sparse autoencoder on an activation store."""

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from polysem.activations.rows import ActivationRows
from polysem.io.checkpoints import Checkpoint
from polysem.io.command import run
from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.saes.history import History
from polysem.saes.sae import save_sae
from polysem.saes.trainer import Trainer


def train_sae(activations: Path, output: Path, architecture: str, params: dict[str, Any], code: str) -> None:
    """Write an SAE folder (`cfg.json`, `sae_weights.safetensors`, `sparsity.safetensors`) and its history
    `training.nc`.

    The module of the architecture gives recipe, activation function and penalty. Interrupted training resumes at its
    last checkpoint, to the same bits. Raises InputError if the store holds fewer rows than a batch, FloatingPointError
    if the loss is no longer finite.
    """
    kind = import_module(f"polysem.saes.architectures.{architecture}")
    recipe = kind.Recipe.model_validate(params)
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    rows = ActivationRows(activations)
    if rows.length < recipe.batch_size:
        raise InputError(
            f"{activations} holds {rows.length} tokens, fewer than one batch of {recipe.batch_size}; "
            "lower the recipe's batch_size or raise the model's activations.train_tokens"
        )
    trainer = Trainer(kind, recipe, rows)
    history = History(trainer.steps, recipe.batch_size)
    checkpoint = Checkpoint("train_sae", str(output), params, rows.receipt, code)
    if state := checkpoint.load():
        trainer.load_state(state["trainer"])
        history.load_state(state["history"])
        print(f"resumed at step {trainer.step} of {trainer.steps}", file=sys.stderr)
    begun, first = time.monotonic(), trainer.step
    while trainer.step < trainer.steps:
        terms = trainer.advance()
        if history.add(trainer.step, terms):
            speed = (trainer.step - first) * recipe.batch_size / (time.monotonic() - begun)
            left = (trainer.steps - trainer.step) * recipe.batch_size / speed
            print(f"{history.last()}  {speed:,.0f} tokens/s  {left:.0f} s left", file=sys.stderr, flush=True)
        if checkpoint.due():
            checkpoint.save({"trainer": trainer.state(), "history": history.state()})
    metadata = {"hook_name": rows.receipt["params"]["site"], "training": rows.receipt["params"], "recipe": params}
    save_sae(trainer.finished(), output, metadata, trainer.frequency())
    write_table(output / "training.nc", history.table())
    checkpoint.remove()


if __name__ == "__main__":
    run(train_sae)
