"""Warm processes for all runs of the tests of a process: `python warm_steps.py NAME FOLDER PROCESS`.

They are those of a run (`polysem.workflow.running.warm`), but one repository's steps follow upon another's: a fork
takes the sources that its step asks for. Most runs of the tests have too few steps for warm processes of their own.
"""

import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from forked import PACKAGES

from polysem.workflow.running import warm

ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {"MPLBACKEND": "agg"}


@cache
def folder() -> str:
    """The folder of their sockets; they are started when it is first asked for, and end with this process. Where a card
    is, none has torch, as in a run: a fork could not use it."""
    made = tempfile.mkdtemp(prefix="polysem-tests-")
    names = [name for name in warm.LIBRARIES if not (name == "torch" and shutil.which("nvidia-smi"))]
    for name in names if sys.platform == "linux" else ():
        subprocess.Popen(
            [sys.executable, __file__, name, made, str(os.getpid())],
            env=os.environ | ENVIRONMENT | warm.NO_THREADS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    return made


def main() -> None:
    """Wait for steps; a fork goes on as `python -m polysem step …` with the sources of its environment."""
    name, sockets, process = sys.argv[1:]
    arguments = warm.wait_for_job(name, Path(sockets), int(process))
    for module in [module for module in sys.modules if module.partition(".")[0] == "polysem"]:
        del sys.modules[module]
    sys.path[:0] = (os.environ.get("PYTHONPATH") or os.environ[PACKAGES]).split(os.pathsep)
    sys.argv = ["polysem", "step", *arguments]
    runpy.run_module("polysem", run_name="__main__")


if __name__ == "__main__":
    main()
