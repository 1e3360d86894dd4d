"""The console command `polysem`. Nothing here imports torch: a command answers at once."""

import argparse
import sys
from collections.abc import Sequence

from polysem.io.errors import InputError
from polysem.workflow.commands import (
    adopt,
    claims,
    diff,
    doctor,
    explain,
    explore,
    export,
    lock,
    new,
    notes,
    plan,
    report,
    status,
    verify,
)

COMMANDS = {
    "new": new,
    "verify": verify,
    "adopt": adopt,
    "doctor": doctor,
    "export": export,
    "claims": claims,
    "plan": plan,
    "status": status,
    "explain": explain,
    "diff": diff,
    "explore": explore,
    "notes": notes,
    "lock": lock,
    "report": report,
}
"""Each is a module with a `configure(parser)` and a `command(options)` that returns the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. An InputError becomes one line on standard error, and so does a path that the
    system does not let be read or written."""
    parser = argparse.ArgumentParser(prog="polysem", description="Look after the artifacts below results/.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.command.__doc__ or "").splitlines()[0]
        module.configure(commands.add_parser(name, help=summary, description=summary, allow_abbrev=False))
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command].command(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        path = error.filename2 or error.filename
        if path is None:
            raise
        print(f"error: {path} could not be read or written ({error.strerror}); name another path", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
