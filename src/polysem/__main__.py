"""`python -m polysem`, and the console command: a step of the workflow, or a command of `polysem.cli`."""

import sys
from pathlib import Path

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended, as shells have it."""


def main() -> int:
    """Run what the command line names; the exit status.

    A step keeps the text of every module that it loads, so nothing else of the package is imported before that but what
    watches it in another process. `warm` is a process that waits for steps and goes on as one
    (`workflow.running.warm`).
    """
    if sys.argv[1:2] == ["warm"]:
        from polysem.workflow.running import warm

        name, folder, run = sys.argv[2:]
        sys.argv[1:] = ["step", *warm.wait_for_job(name, Path(folder), int(run))]
    if sys.argv[1:2] == ["step"]:
        from polysem.workflow.running import warm

        if (status := warm.handed_over(sys.argv[2:])) is not None:
            return status
        from polysem.workflow.running import loaded, watched

        watched.watch()
        loaded.install()
        from polysem.workflow.running.command import run_named

        run_named(sys.argv[2:])
        return 0
    try:
        from polysem.cli import main as command

        return command()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
