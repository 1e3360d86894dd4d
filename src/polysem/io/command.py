"""The thin command line around every step."""

import os
import sys
import threading
import time
from collections.abc import Callable

from polysem.io.errors import InputError

SUPERVISED = "POLYSEM_SUPERVISED"
"""Set by the workflow: a step then ends when the process that started it is gone."""


def run(step: Callable[..., None]) -> None:
    """Call a step with the options of the command line, which are generated from its signature.

    An InputError becomes one line on standard error and exit status 1. Under the workflow the step dies with its
    parent: a killed Snakemake must not leave writers behind (DESIGN §10).
    """
    from jsonargparse import auto_cli

    if os.environ.get(SUPERVISED):
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        auto_cli(step, as_positional=False)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(130)
