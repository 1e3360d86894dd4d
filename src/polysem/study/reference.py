"""docs/python.md: the stable names of `polysem`, from their docstrings.

`python -m polysem.study.reference` writes the page; a test keeps it in step.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polysem
from polysem.io.atomic import write_text

PAGE = Path("docs/python.md")
HEAD = """\
# polysem in Python

Generated from docstrings by `python -m polysem.study.reference`; do not edit. The names below are stable: they are
those of `polysem.__all__`, and what stands here of them changes only with a line in the changelog. `import polysem`
takes milliseconds; torch, xarray and the others are loaded by what needs them. The tests run the examples, and the
notebooks of `examples/`, on the results of `presets/quick.yaml`.

Studies, models and sites are mappings: `list(site)` gives the names, `neurons` first, and a wrong one is answered with
the nearest. Tables and stores are opened by xarray's own lazy backends, without dask: a slice reads what it touches.

A run that has not come to its end leaves new SAEs beside old tables. So an SAE's `cfg.json` is held against the digest
in the receipt of its tables, this receipt against the digest in those of figures and sheets, and the recipe in
`cfg.json` against the params that the run recorded; the latter alone where a receipt of an older version names no
digest. What is of another SAE than there is now is refused in one sentence, and so are figures of other tables; `repr`
and `not_of_one_run` say it, metrics and claims give a warning. Not checked are tables of neurons and of whole sites,
weights under an unchanged `cfg.json`, imported SAEs where no receipt names them, and revisions.

Reading tables and stores, encoding, decoding, running a model and drawing may be done from several threads on one study
of a folder: runs of one model wait for each other, and so do drawings, as Matplotlib's settings are those of the whole
process. They are the user's again after each; what other code draws meanwhile in another thread sees those of the
theme. A study of a revision is for one thread, as it brings files on demand.
"""


def reference_text() -> str:
    """The whole page as Markdown."""
    lines = [HEAD]
    for name in polysem.__all__:
        found = getattr(polysem, name)
        lines += _class(name, found) if inspect.isclass(found) else _function(name, found)
    return "\n".join(lines).rstrip() + "\n"


def _function(name: str, function: Any) -> list[str]:
    return [f"## polysem.{name}", "", f"`polysem.{name}{_signature(function)}`", "", *_prose(function), ""]


def _class(name: str, found: type) -> list[str]:
    lines = [f"## {name}", "", *_prose(found), ""]
    attributes = list(_attributes(found))
    if attributes:
        lines += ["| attribute | what it is |", "|---|---|"]
        lines += [f"| `{key}` | {' '.join(text.split()).replace('|', chr(92) + '|')} |" for key, text in attributes]
        lines.append("")
    for key, method in _methods(found):
        lines += [f"### {name}.{key}", "", f"`{key}{_signature(method)}`", "", *_prose(method), ""]
    return lines


def _members(found: type) -> Iterator[tuple[str, Any]]:
    """Public members that polysem defines, those of a class's own before those of its bases."""
    seen = set()
    for owner in found.__mro__:
        if owner.__module__.startswith("polysem.study"):
            for key, member in vars(owner).items():
                if not key.startswith("_") and key not in seen:
                    seen.add(key)
                    yield key, member


def _attributes(found: type) -> Iterator[tuple[str, str]]:
    """Names and meanings: texts behind assignments, and docstrings of properties."""
    yield from _assigned(found)
    for key, member in _members(found):
        getter = getattr(member, "fget", None) or getattr(member, "func", None)
        if getter is not None:
            yield key, inspect.getdoc(getter) or ""


def _assigned(found: type) -> Iterator[tuple[str, str]]:
    if not found.__module__.startswith("polysem.study"):
        return
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(found)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for one, text in pairwise(node.body):
                key = _target(one)
                if key and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                    yield key, str(text.value.value)


def _target(statement: ast.stmt) -> str:
    """The public attribute that a statement declares, or ''."""
    if not isinstance(statement, ast.AnnAssign):
        return ""
    name = statement.target.attr if isinstance(statement.target, ast.Attribute) else ast.unparse(statement.target)
    return "" if name.startswith("_") else name


def _methods(found: type) -> Iterator[tuple[str, Any]]:
    return ((key, member) for key, member in _members(found) if inspect.isfunction(member))


def _signature(function: Any) -> str:
    """Parameters with their defaults; types stand in the text."""
    signature = inspect.signature(function)
    parts = [
        f"{'**' if one.kind is one.VAR_KEYWORD else ''}{one.name}"
        + ("" if one.default is one.empty else f"={one.default!r}")
        for one in signature.parameters.values()
        if one.name != "self"
    ]
    return f"({', '.join(parts)})"


def _prose(documented: Any) -> list[str]:
    """A docstring as Markdown: its arguments as a list, its examples as code."""
    lines, code, arguments = [], False, False
    for line in (inspect.getdoc(documented) or "").splitlines():
        if line.startswith(">>>") and not code:
            lines.append("```python")
            code = True
        if code and not line:
            lines.append("```")
            code = False
        if line == "Args:":
            arguments = True
            continue
        if arguments and (entry := re.match(r"    (\w+): (.*)", line)):
            line = f"- `{entry[1]}`: {entry[2]}"
        elif arguments and line.startswith("        "):
            line = f"  {line.strip()}"
        elif line:
            arguments = False
        lines.append(line)
    return [*lines, "```"] if code else lines


def write_reference() -> None:
    """Write the page below the current folder, which is the repository's."""
    write_text(PAGE, reference_text())


if __name__ == "__main__":
    write_reference()
