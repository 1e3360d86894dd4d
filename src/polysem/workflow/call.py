"""What is checked of a call of Snakemake before Snakemake reads a params file.

`profiles/default/profile.yaml` calls this: Snakemake loads `--configfile` before it reads the Snakefile, ends in a
traceback where there is no such file, and runs Python that it holds (`__use_yte__`).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from polysem.io.errors import InputError
from polysem.workflow import home_cache

NO_VALUES = "--config is not supported; write values into params.yaml or pass --configfile"


def check(arguments: Sequence[str] | None = None) -> None:
    """End the process with a sentence where `--configfile` names no params file, or a target behind one, and for
    `--config`.

    Sees to it, too, that Snakemake finds a folder for its cache.
    """
    given = sys.argv[1:] if arguments is None else arguments
    files = configfiles(given)
    try:
        if any(word.split("=")[0] == "--config" for word in given):
            raise InputError(NO_VALUES)
        home_cache.provide()
        if files:
            from polysem.params.study import require_sections

            require_one(files)
            require_sections(Path(files[0]))
    except InputError as error:
        sys.exit(f"error: {error}")


def configfiles(arguments: Sequence[str]) -> list[str]:
    """What Snakemake takes for params files: all words behind `--configfile` up to the next option."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="*")
    try:
        return list(parser.parse_known_args(list(arguments))[0].configfile)
    except argparse.ArgumentError:  # Snakemake itself says what is wrong with the options
        return []


def require_one(files: Sequence[str]) -> None:
    """InputError unless there is one, which exists."""
    first, *others = files
    targets = [name for name in others if not name.endswith((".yaml", ".yml", ".json"))]
    if targets:
        raise InputError(
            f"Snakemake takes {targets[0]!r} behind --configfile {first} for another params file; write what shall be "
            f"made before it: snakemake {targets[0]} --configfile {first}"
        )
    if others:
        raise InputError(
            f"--configfile names {len(files)} files ({', '.join(files)}); pass one --configfile: a params file is "
            "complete, files are never merged. What shall be made stands before it"
        )
    if not Path(first).is_file():
        what = "is a folder" if Path(first).is_dir() else "is missing"
        presets = sorted(file.as_posix() for file in Path("presets").glob("*.yaml"))
        raise InputError(f"--configfile {first} {what}; params files are {', '.join(['params.yaml', *presets])}")
