"""`python -m polysem`, and the console command: a step of the workflow, or a command of `polysem.cli`."""

import sys


def main() -> int:
    """Run what the command line names; the exit status.

    A step keeps the text of every module that it loads, so nothing else of the package is imported before that.
    """
    if sys.argv[1:2] == ["step"]:
        from polysem.workflow.running import loaded

        loaded.install()
        from polysem.workflow.running.command import run_named

        run_named(sys.argv[2:])
        return 0
    from polysem.cli import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
