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

from polysem import COMMAND, SUPERVISED
from polysem.io import atomic
from polysem.io.caches import FOLDER
from polysem.io.content import text_digest
from polysem.io.disk import disk_problem
from polysem.io.errors import InputError
from polysem.workflow.running.seals import write_seal
from polysem.workflow.running.stated import OutsideFiles, require_code

RUNNERS = {"code": "digest:modules", "outside": "json", "log": "path"}
"""Options of the runner itself."""
SPECS = FOLDER / "specs"
"""Values that are too long for a command line."""


def run(step: Callable[..., None], arguments: list[str] | None = None) -> None:
    """Call a step with the options of the command line (`--name value`), checked against its annotations.

    A value that begins with a brace or a bracket is read as JSON.
    `--config` takes several options at once as a JSON object, or the path of a `.json` file that holds one. An
    InputError becomes one line on standard error and exit status 1. Under the workflow the step dies with its parent:
    a killed Snakemake must not leave writers behind (docs/design.md).

    Three options are the runner's. `--code` is the digest that the rule saw, with the modules that it is of, and
    `--outside` the digest of files from outside, with their paths: before the step begins it is compared with what was
    loaded, and before an output is put in its place with what was read. `--log` names the job, whose outputs are sealed
    when all are there.
    """
    if supervisor := int(os.environ.get(SUPERVISED, 0)):
        gc.freeze()
        gc.enable()
        parent = os.getppid() if supervisor == 1 else supervisor
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    try:
        options = _options(step, arguments)
        log, stated, outside = options.pop("log", ""), options.pop("code", ""), options.pop("outside", None)
        code = require_code(stated) if stated else ""
        if stated and "code" in inspect.signature(step).parameters:
            options["code"] = code
        if outside:
            files = OutsideFiles(**outside)
            stamps = files.require()
            atomic.BEFORE_PLACING.append(lambda: files.require_unchanged(stamps))
        validate_call(config=ConfigDict(extra="forbid"))(step)(**options)
        if log:
            write_seal(log, text_digest(os.environ.get(COMMAND, "").partition("; exec ")[2]), atomic.PLACED)
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
    shown = {
        name: getattr(parameter.annotation, "__name__", str(parameter.annotation))
        for name, parameter in inspect.signature(step).parameters.items()
    }
    for name, kind in (shown | RUNNERS).items():
        parser.add_argument(f"--{name}", default=argparse.SUPPRESS, metavar=kind.upper())
    parser.add_argument(
        "--config", default="{}", metavar="JSON", help="several options as a JSON object, or a .json file"
    )
    given = vars(parser.parse_args(arguments))
    config = given.pop("config")
    return _json(config) | {name: _json(text) if _is_json(text, name) else text for name, text in given.items()}


def _is_json(text: str, name: str) -> bool:
    return text[:1] in ("{", "[") or (name == "outside" and text.endswith(".json"))


def _json(text: str) -> Any:
    """A JSON text, or what is in a file of one. A file that the workflow wrote is named by its content; InputError if
    it holds another one by now."""
    if not text.endswith(".json"):
        return json.loads(text)
    file = Path(text)
    content = file.read_text(encoding="utf-8")
    if file.parent == SPECS and text_digest(content) != file.stem:
        raise InputError(f"{file} is damaged; delete it and run again")
    return json.loads(content)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(130)
