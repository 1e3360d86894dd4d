"""`polysem lock`: another polysem for a study."""

import argparse
from pathlib import Path

from polysem.io.errors import InputError
from polysem.workflow.fresh.folder import write_of_package
from polysem.workflow.fresh.params_file import SCHEMA
from polysem.workflow.home import HOME
from polysem.workflow.provenance.installed import FILE


def configure(parser: argparse.ArgumentParser) -> None:
    """The command has no options: it takes the package that it is part of."""


def command(options: argparse.Namespace) -> int:
    """Take the polysem that is installed as the one that makes the results of this study.

    It writes `polysem.lock`, and with it `requirements.lock` and the schema for editors.
    """
    if not Path("Snakefile").is_file():
        raise InputError("there is no Snakefile here; call this in the folder of a study")
    if Path().resolve() == HOME:
        raise InputError("the repository of polysem runs its own sources; call this in a study that `polysem new` made")
    print(
        f"{FILE} names polysem {write_of_package(Path())}; `polysem status` says what it would make again. Commit "
        f"{FILE}, requirements.lock and {SCHEMA}"
    )
    return 0
