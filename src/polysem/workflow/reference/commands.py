"""docs/commands.md: the console commands, from their parsers."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from polysem.cli import COMMANDS

PAGE = Path("docs/commands.md")
HEAD = """\
# Commands

Generated from the parsers by `python -m polysem.workflow.reference`; do not edit. Call `polysem` in the folder of the
study, where `params.yaml` is: as `.venv/bin/polysem`, or after `. .venv/bin/activate`.

```
$ snakemake --cores all                                  # make what params.yaml asks for
$ snakemake --cores all --configfile presets/quick.yaml  # the same for another params file
$ polysem status                                         # what that would do, why, and how long it takes
```
What is wrong with a call, a file or a value is said in one sentence, `error: …`, and the exit status is 1; that of a
wrong option is 2. [Troubleshooting](howto/troubleshooting.md) has the sentences that you are likely to meet.
"""
MANY = {"*": "{} …", "+": "{} …", "?": "[{}]"}
"""How an argument is spelled that may be given several times or be left out."""


def page() -> str:
    """The whole page as Markdown."""
    parsers = {name: _parser(name) for name in COMMANDS}
    lines = [HEAD, "| command | what it does |", "|---|---|"]
    lines += [f"| [`polysem {name}`](#polysem-{name}) | {one.description} |" for name, one in parsers.items()]
    for name, parser in parsers.items():
        lines += ["", f"## polysem {name}", "", *_described(f"polysem {name}", parser)]
    return "\n".join(lines) + "\n"


def _parser(name: str) -> argparse.ArgumentParser:
    summary = (COMMANDS[name].command.__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog=f"polysem {name}", description=summary)
    COMMANDS[name].configure(parser)
    return parser


def _described(call: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """What it does, its arguments and options, and the actions that it has."""
    yield f"{parser.description}"
    actions = [one for one in parser._actions if not isinstance(one, argparse._HelpAction)]
    below = [one for one in actions if isinstance(one, argparse._SubParsersAction)]
    places = [_place(one) for one in actions if not one.option_strings and one not in below]
    required = [_spelled(one) for one in actions if one.option_strings and one.required]
    optional = " [options]" if any(one.option_strings and not one.required for one in actions) else ""
    action = " [ACTION]" if below else ""
    yield from ("", "```", f"{call}{''.join(f' {one}' for one in [*required, *places])}{optional}{action}", "```")
    rows = [f"| `{_spelled(one)}` | {_words(one)} |" for one in actions if one not in below]
    if rows:
        yield from ("", "| argument | what it is |", "|---|---|", *rows)
    for one in below:
        words = {choice.dest: choice.help or "" for choice in one._choices_actions}
        for name, parser_below in one.choices.items():
            parser_below.description = f"{words[name][:1].upper()}{words[name][1:]}."
            yield from ("", f"### {call} {name}", "", *_described(f"{call} {name}", parser_below))


def _place(action: argparse.Action) -> str:
    return MANY.get(str(action.nargs), "{}").format(action.metavar or action.dest)


def _spelled(action: argparse.Action) -> str:
    """How it is typed: `--port PORT`, `--star, --no-star`, `SAE`."""
    if not action.option_strings:
        return str(action.metavar or action.dest)
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"{', '.join(action.option_strings)}{value}"


def _words(action: argparse.Action) -> str:
    words = (action.help or "") % {**vars(action), "prog": "polysem"}
    if action.choices:
        words += f": {', '.join(f'`{one}`' for one in action.choices)}"
    if action.default not in (None, argparse.SUPPRESS) and "(default: " not in words:
        words += f" (default: {action.default})"
    return words.replace("|", "\\|") + ("; required" if action.required and action.option_strings else "")
