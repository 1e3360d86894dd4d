"""The thin command line around every step, generated from its signature."""

import argparse
import gc
import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from polysem import SUPERVISED
from polysem.io.disk import disk_problem
from polysem.io.errors import InputError


def run(step: Callable[..., None], arguments: list[str] | None = None) -> None:
    """Call a step with the options of the command line (`--name value`), checked against its annotations.

    A value that begins with a brace or a bracket is read as JSON.
    `--config` takes several options at once as a JSON object, or the path of a `.json` file that holds one. An
    InputError becomes one line on standard error and exit status 1. Under the workflow the step dies with its parent:
    a killed Snakemake must not leave writers behind (DESIGN §10).
    """
    if supervisor := int(os.environ.get(SUPERVISED, 0)):
        gc.freeze()
        gc.enable()
        parent = os.getppid() if supervisor == 1 else supervisor
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    try:
        options = _options(step, arguments)
        validate_call(config=ConfigDict(extra="forbid"))(step)(**options)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        sys.exit(f"error: {problems}")
    except (InputError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if said := disk_problem(error):
            sys.exit(f"error: {said}")
        raise


def _options(step: Callable[..., None], arguments: list[str] | None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=inspect.getdoc(step), allow_abbrev=False)
    for name, parameter in inspect.signature(step).parameters.items():
        shown = getattr(parameter.annotation, "__name__", str(parameter.annotation))
        parser.add_argument(f"--{name}", default=argparse.SUPPRESS, metavar=shown.upper())
    parser.add_argument(
        "--config", default="{}", metavar="JSON", help="several options as a JSON object, or a .json file"
    )
    given = vars(parser.parse_args(arguments))
    config = given.pop("config")
    values = json.loads(Path(config).read_text(encoding="utf-8") if config.endswith(".json") else config)
    return values | {name: json.loads(text) if text[:1] in ("{", "[") else text for name, text in given.items()}


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(130)
