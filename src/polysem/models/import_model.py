"""Step: bring a model of the hub, or a local copy of one, into its model folder."""

from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from polysem.io.atomic import write_json
from polysem.models.record_model import ORIGIN


def import_model(
    folder: Path, source: Literal["transformers", "transformer_lens", "gguf"], params: dict[str, Any]
) -> None:
    """Write config, weights (safetensors), tokenizer and `origin.json`; the source's module does the work.

    Raises InputError if there is no way to the files or they are not of the source's form.
    """
    origin = import_module(f"polysem.models.sources.{source}").fetch(params, folder)
    write_json(folder / ORIGIN, {"repository": params["repository"], **origin})
