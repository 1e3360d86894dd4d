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

from polysem.io import atomic
from polysem.io.content import text_digest
from polysem.io.disk import disk_problem
from polysem.io.errors import InputError
from polysem.numerics import determinism
from polysem.workflow.running.seals import write_seal
from polysem.workflow.running.specs import SPECS, keep_specs
from polysem.workflow.running.stated import OutsideFiles, require_code
from polysem.workflow.running.steps import load_step
from polysem.workflow.running.usage import write_usage

SUPERVISED = "POLYSEM_SUPERVISED"
"""Set by the workflow to its process id: a step ends when that process is gone. `1` stands for whatever process started
the step, which goes unnoticed if it dies while the step is still importing its modules."""
COMMAND = "POLYSEM_COMMAND"
"""Set by the workflow to what the shell runs: the environment of all steps, `; exec `, and the command of one."""
RUNNERS = {"code": "digest:modules", "outside": "json", "log": "path", "threads": "count"}
"""Options of the runner itself."""


def run_named(arguments: list[str]) -> None:
    """`polysem step NAME --option value …`: import the step of that name and run it."""
    begun = time.monotonic()
    supervise()
    name = arguments[0] if arguments else ""
    try:
        step = load_step(name)
    except InputError as error:
        sys.exit(f"error: {error}")
    run(step, arguments[1:])
    if "--log" in arguments:
        write_usage(Path(arguments[arguments.index("--log") + 1]), begun)


def supervise() -> None:
    """Under the workflow, end with the process that started this one: a killed Snakemake must not leave writers behind
    (docs/design.md). And collect no garbage until `run`: what a step imports stays."""
    if supervisor := int(os.environ.get(SUPERVISED, 0)):
        gc.disable()
        parent = os.getppid() if supervisor == 1 else supervisor
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def run(step: Callable[..., None], arguments: list[str] | None = None) -> None:
    """Call a step with the options of the command line (`--name value`), checked against its annotations.

    A value that begins with a brace or a bracket is read as JSON.
    `--config` takes several options at once as a JSON object, or the path of a `.json` file that holds one. An
    InputError becomes one line on standard error and exit status 1.

    Four options are the runner's. `--code` is the digest that the rule saw, with the modules that it is of, and
    `--outside` the digest of files from outside, with their paths: before the step begins it is compared with what was
    loaded, and before an output is put in its place with what was read. `--log` names the job, whose outputs are sealed
    when all are there. `--threads` is the number of CPU threads of torch, 1 without it. A step that takes a `device`
    refuses kernels whose last digits vary from run to run, as some do on a GPU.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        options = _options(step, arguments)
        log, stated, outside = options.pop("log", ""), options.pop("code", ""), options.pop("outside", None)
        threads = int(options.pop("threads", 1))
        deterministic = "device" in inspect.signature(step).parameters
        code = require_code(stated) if stated else ""
        if stated and "code" in inspect.signature(step).parameters:
            options["code"] = code
        if outside:
            files = OutsideFiles(**outside)
            stamps = files.require()
            atomic.BEFORE_PLACING.append(lambda: files.require_unchanged(stamps))
        if "torch" in sys.modules:
            set_kernels(threads, deterministic)
        else:
            determinism.WHEN_LOADED.append(lambda: set_kernels(threads, deterministic))
        validate_call(config=ConfigDict(extra="forbid"))(step)(**options)
        if log:
            write_seal(log, text_digest(os.environ.get(COMMAND, "").partition("; exec ")[2]), atomic.PLACED)
            keep_specs(arguments or [])
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        sys.exit(f"error: {problems}")
    except (InputError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if said := disk_problem(error):
            sys.exit(f"error: {said}")
        raise


def set_kernels(threads: int, deterministic: bool) -> None:
    """Torch's CPU threads, which decide the order in which sums are rounded, and whether it refuses kernels whose
    results vary. Products of float32 matrices are of float32 numbers, and never of shorter ones (TF32)."""
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    if deterministic:
        determinism.require_deterministic_kernels()


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
