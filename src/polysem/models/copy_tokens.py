"""Step: the sequences of a random-model control, which are those of its model."""

import shutil
from pathlib import Path

from polysem.io.atomic import before_placing, placed, written


def copy_tokens(store: Path, output: Path) -> None:
    """Copy a token store and then its receipt, whole or not at all: the same work has the same receipt.

    Args:
        store: The token store of the model.
        output: That of the control.
    """
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(store, partial)
    before_placing()
    partial.rename(output)
    placed(output)
    with written(output.with_suffix(".json")) as beside:
        shutil.copyfile(store.with_suffix(".json"), beside)
