"""The reference of all tables, `docs/tables.md`, from what their modules declare.

`python -m polysem.tables.reference` writes it; a test keeps it in step.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from polysem.io.atomic import write_text
from polysem.layout.place import DICTIONARY, MODEL, SITE
from polysem.params.addons import own_modules_of
from polysem.tables.contract import ROOMS, TABLE, Contract, Variable, load_table
from polysem.tables.sources import PASSES, SCOPES, SOURCES, VALUES, scoped

REFERENCE = Path("docs/tables.md")
PLACES = {"dictionary": DICTIONARY, "site": SITE, "model": MODEL}
ABOUT = {
    "dictionary": "Tables of a dictionary: of every SAE, and of the neurons, at every site",
    "site": "Tables of a site, in which its dictionaries stand together",
    "model": "Tables of a model",
}
HEAD = """# Tables

Every table is a netCDF file that xarray opens, made by a module of its own. This page is generated from what the
modules declare (`python -m polysem.tables.reference`); [design.md](design.md) says how tables are made, and what makes
them again.

```python
from polysem.io.tables import read_table

table = read_table("results/tables/stories-2l/blocks.0.mlp.hook_post/topk-x4_seed=0/alignment.nc")
table["power_top1"].sel(feature=3)
```
`xarray.open_dataset(path)` does the same. The attributes of a file say whose it is (`model`, `site`,
`dictionary`), which ids of the documents it answers (`catalogue`), and what made it: `code`, the digest of the module
and of all that it uses, and `versions` of the libraries. A table that does not apply has the attribute
`not_applicable` with the reason, and holds what does apply, if anything. Variables of a dictionary without dimensions
are also in `results/metrics.json`.
"""


def reference_text() -> str:
    """The page."""
    parts = [HEAD, "\n".join(_contents())]
    for room, package in ROOMS.items():
        parts.append(f"## {ABOUT[room]}\n")
        parts += [
            "\n".join(_table(room, load_table(room, name)[1], module))
            for name, module in own_modules_of(package).items()
        ]
    return "\n".join(parts)


def _contents() -> Iterator[str]:
    yield "| table | of a | what it holds |"
    yield "|---|---|---|"
    for room, package in ROOMS.items():
        for name, module in own_modules_of(package).items():
            yield f"| [`{name}`](#{name}) | {room} | {_holds(module)[0]} |"
    yield ""


def _table(room: str, contract: Contract, module: str) -> Iterator[str]:
    summary, rest = _holds(module)
    yield f"### `{contract.name}`"
    yield f"{summary}\n"
    if rest:
        yield f"{rest}\n"
    yield f"- file: `{PLACES[room].table(contract.name)}`"
    for file in contract.files:
        yield f"- beside it: `{PLACES[room].tables}/{file}`"
    yield f"- answers: {contract.catalogue.replace(' ', ', ')}"
    yield f"- reads: {'; '.join(map(_read, contract.reads))}"
    keys = ", ".join(f"[`{key}`](params.md)" for key in contract.params)
    yield f"- keys of `analysis:`: {keys or 'none'}\n"
    yield "| variable | dimensions | unit | what it is |"
    yield "|---|---|---|---|"
    for name, variable in contract.variables.items():
        yield f"| `{name}` | {', '.join(variable.dimensions) or '–'} | {variable.units} | {_words(variable)} |"
    yield ""


def _words(variable: Variable) -> str:
    words = variable.long_name.replace("*", "…").replace("|", "\\|")
    return f"{words}; only {variable.only}" if variable.only else words


def _read(read: str) -> str:
    scope, what = scoped(read)
    if what.startswith(TABLE):
        name = what.removeprefix(TABLE)
        words = f"the table [`{name}`](#{name})"
    else:
        words = SOURCES[what].words if what in SOURCES else {**PASSES, **VALUES}[what]
    return f"{words}, for {SCOPES[scope]}" if scope else words


def _holds(module: str) -> tuple[str, str]:
    """The first line of a module's docstring without the ids in front, and what follows it."""
    path = Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first, _, rest = text.partition("\n\n")
    head, colon, summary = " ".join(first.split()).partition(": ")
    summary = summary if colon and head[:1] == "S" and head[1:2].isdigit() else " ".join(first.split())
    return summary[:1].upper() + summary[1:], rest.strip()


if __name__ == "__main__":
    write_text(REFERENCE, reference_text())
