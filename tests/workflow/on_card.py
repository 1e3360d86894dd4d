"""`python on_card.py FOLDER`: run the steps of a finished run again, on a card that is pretended where there is none.

Each is a fork of this process, which has imported what steps import, and stands for the job's own command with another
device. What reads others' results goes first, so that all read those of the finished run.
"""

import importlib
import json
import os
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from pretended_card import pretended_card

from polysem.workflow.running import command, warm

LAST_FIRST = (
    "measure_features", "measure_site", "measure_dictionary", "measure_neurons",
    "measure_model", "recover_features", "train_sae", "extract_activations", "train_model", "train_classifier",
)  # fmt: skip
"""Rules whose jobs take a device; what reads the results of others stands before these."""


def commands(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Rule and arguments of each job that takes a device, by its log."""
    found = {}
    for record in (folder / ".snakemake/metadata").iterdir():
        if record.is_file() and "--device" in (said := json.loads(record.read_text()))["shellcmd"]:
            arguments = shlex.split(said["shellcmd"].partition(" > ")[0].partition("polysem step ")[2])
            found[arguments[arguments.index("--log") + 1]] = said["rule"], arguments
    return dict(sorted(found.items(), key=lambda each: LAST_FIRST.index(each[1][0])))


def run(arguments: list[str], log: Path) -> None:
    """One job, its output in its log; this process ends with it."""
    with log.open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    status = 1
    try:
        arguments[arguments.index("--device") + 1] = "cuda"
        with nullcontext() if torch.cuda.is_available() else pretended_card():
            command.run_named(arguments)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def main(folder: Path, wanted: list[str]) -> None:
    """Run all jobs, or the wanted ones, and print which failed."""
    os.chdir(folder)
    for library in warm.LIBRARIES["torch"][1]:
        importlib.import_module(library)
    for log, (_, arguments) in commands(folder).items():
        if wanted and not any(each in log for each in wanted):
            continue
        process = os.fork()
        if not process:
            run(arguments, Path(log))
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
            print(log)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
