"""Step: train a sparse autoencoder on the activations of one site."""

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from polysem.io.tables import write_table
from polysem.numerics.devices import Device, precision, resolved
from polysem.saes.architecture import recipe_class
from polysem.saes.forbidden import ultra_low_direction
from polysem.saes.history import History
from polysem.saes.row_source import RowSource
from polysem.saes.sae import save_sae
from polysem.saes.trainer import Trainer, products_of
from polysem.training.checkpoints import Checkpoint


def train_sae(
    rows: dict[str, str],
    output: Path,
    architecture: str,
    params: dict[str, Any],
    code: str,
    avoided: dict[str, str] | None = None,
    ultra_low_frequency: float = 1e-4,
    device: Device = "cpu",
) -> None:
    """Write an SAE folder (`cfg.json`, `sae_weights.safetensors`, `sparsity.safetensors`) and its history
    `training.nc`.

    The folder of the architecture gives recipe, loss and activation function, the module that the recipe's
    `activations` names the rows, from the paths in `rows`. `avoided` has the `folder` and
    the frequency `table` of the SAE of `orthogonal_to`, whose features rarer than `ultra_low_frequency` give the
    direction. Interrupted training resumes at its
    last checkpoint, to the same bits. Raises InputError if the store holds fewer rows than a batch or a followed
    feature does not exist, FloatingPointError if the loss is no longer finite or all features are dead; the last
    checkpoint is then kept.
    """
    recipe, here = recipe_class(architecture).model_validate(params), resolved(device)
    source: RowSource = import_module(f"polysem.saes.sources.{recipe.activations}").open_rows(recipe, rows, here)
    features = recipe.expansion * source.width
    recipe.check_features(features)
    forbidden = None
    if avoided is not None:
        forbidden = ultra_low_direction(
            Path(avoided["folder"]), Path(avoided["table"]), source.width, ultra_low_frequency
        )
    trainer = Trainer(recipe, source, forbidden, here)
    history = History(trainer.steps, recipe.batch_size, features, trainer.terms, recipe.followed_features, here)
    direction = None if forbidden is None else forbidden.tolist()
    checkpoint = Checkpoint("train_sae", str(output), params, source.receipt, code, direction, here)
    if state := checkpoint.load():
        trainer.load_state(state["trainer"])
        history.load_state(state["history"])
        print(f"resumed at step {trainer.step} of {trainer.steps}", file=sys.stderr)
    train(trainer, history, checkpoint, recipe.batch_size)
    metadata = {"hook_name": source.receipt["params"]["site"], "training": source.receipt["params"], "recipe": params}
    if (details := recipe.training_details(features)) is not None:
        metadata |= {"training_architecture": architecture, "training_architecture_details": details}
    save_sae(trainer.finished(), output, metadata | precision(here, products_of(recipe)), trainer.frequency())
    write_table(output / "training.nc", history.table())
    checkpoint.remove()


def train(trainer: Trainer, history: History, checkpoint: Checkpoint, batch_size: int) -> None:
    """All remaining steps, with a line per log entry on standard error and a checkpoint now and then.

    A FloatingPointError names the last good checkpoint, which the next run starts from.
    """
    begun, first = time.monotonic(), trainer.step
    while trainer.step < trainer.steps:
        try:
            terms, found = trainer.advance()
        except FloatingPointError as error:
            kept = f"; the last checkpoint is {checkpoint.path}" if checkpoint.path.exists() else ""
            raise FloatingPointError(f"{error}{kept}") from None
        if history.add(trainer.step, terms, found.active):
            history.log(trainer.step, *trainer.encoder(), trainer.replaced)
            speed = (trainer.step - first) * batch_size / (time.monotonic() - begun)
            left = (trainer.steps - trainer.step) * batch_size / speed
            print(f"{history.last()}  {speed:,.0f} tokens/s  {left:.0f} s left", file=sys.stderr, flush=True)
        if checkpoint.due():
            checkpoint.save({"trainer": trainer.state(), "history": history.state()})
