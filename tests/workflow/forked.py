"""Calls of Snakemake and DVC by processes that are forked from one which has imported both, and nothing of ours.

A call that has nothing to do takes an interpreter of its own 4.3 s of CPU time (a Zen 3), of which 2.7 are imports of
libraries; the tests call them hundreds of times.
"""

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

COMMANDS = {"snakemake": "snakemake.cli", "dvc": "dvc.cli"}
"""Modules with a `main(arguments)`, by what stands behind `python -m`."""
PACKAGES = "PACKAGES_OF_THE_TEST"
"""A folder of packages that a call looks into first, as it does in an environment that has them."""
LIBRARIES = (
    *COMMANDS.values(), "snakemake.report", "snakemake_logger_plugin_rich", "pandas", "pydantic", "ruamel.yaml", "h5py",
    "jinja2", "regex", "docutils.core", "docutils.parsers.rst.directives", "pyarrow", "dvc.commands.repro", "zarr",
    "requests", "smart_open",
)  # fmt: skip


def called(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """What `python -m module arguments` does in a folder, and says. TimeoutExpired as `subprocess.run` has it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    command = [sys.executable, "-m", module, *arguments]
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        work = (module, list(arguments), str(folder), dict(environment), path_of_a_fresh_one(), out.name, err.name)
        process = context.Process(target=_become, args=work)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout, Path(out.name).read_bytes(), Path(err.name).read_bytes())
        said = [Path(file.name).read_text() for file in (out, err)]
    return subprocess.CompletedProcess(command, process.exitcode, *said)


@cache
def path_of_a_fresh_one() -> list[str]:
    """`sys.path` of a new interpreter, behind the folder that it is in: pytest adds to its own."""
    said = subprocess.run([sys.executable, "-m", "site"], capture_output=True, text=True, check=True, cwd="/").stdout
    return [line.strip(" ',") for line in said.partition("[")[2].partition("]")[0].splitlines() if line.strip()][1:]


def _become(
    module: str, arguments: list[str], folder: str, environment: dict[str, str], path: list[str], out: str, err: str
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY), number)
    sys.path[:] = [folder, *([environment[PACKAGES]] if PACKAGES in environment else []), *path]
    main = import_module(COMMANDS[module])
    sys.argv = [f"{module}/__main__.py", *arguments]
    try:
        sys.exit(main.main(arguments))
    finally:
        atexit._run_exitfuncs()  # a forked process ends without them
        sys.stdout.flush()
        sys.stderr.flush()
