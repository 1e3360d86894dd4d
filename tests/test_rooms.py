"""The rooms of the package: who may import whom, and what may live there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src/polysem"
DESIGN = Path(__file__).parents[1] / "docs/design.md"
ORDER = (
    "io", "numerics", "params", "layout", "corpora", "models", "activations", "training", "saes", "interventions",
    "tables", "index", "exporters", "explanations", "toys", "figures", "report", "study", "explorer", "workflow",
)  # fmt: skip
"""A room imports those before it. The modules beside the rooms (`cli`, `__main__`) may import all."""
FOLDERS = sorted(folder for folder in PACKAGE.rglob("*") if folder.is_dir() and any(folder.glob("*.py")))


def room_of(module: str) -> str | None:
    """The room of `polysem.{room}.…`, None for what is in none."""
    package, _, rest = module.partition(".")
    room = rest.split(".")[0]
    return room if package == "polysem" and (PACKAGE / room).is_dir() and room else None


def imports(text: str) -> Iterator[str]:
    """All modules that a source imports, at its top or inside of functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports name the whole module"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if node.module == "polysem" else [node.module]


def backwards(room: str, text: str) -> list[str]:
    """Imports of rooms that come later than a room."""
    places = {name: place for place, name in enumerate(ORDER)}
    return [module for module in imports(text) if (other := room_of(module)) and places[other] > places[room]]


def test_every_room_has_its_place_in_the_order():
    rooms = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and any(folder.glob("*.py"))}
    assert rooms <= set(ORDER)


@pytest.mark.parametrize("room", [name for name in ORDER if (PACKAGE / name).is_dir()])
def test_a_room_imports_none_that_comes_after_it(room):
    found = {
        file.relative_to(PACKAGE).as_posix(): wrong
        for file in sorted((PACKAGE / room).rglob("*.py"))
        if (wrong := backwards(room, file.read_text(encoding="utf-8")))
    }
    assert not found


def test_an_import_of_a_later_room_is_found_wherever_it_stands():
    hidden = "def read():\n    from polysem.workflow import artifacts\n    import polysem.figures.registry\n"
    assert backwards("io", hidden) == ["polysem.workflow", "polysem.figures.registry"]
    assert backwards("workflow", hidden) == []
    assert backwards("params", "from polysem import saes\nfrom polysem.io.errors import InputError\n") == [
        "polysem.saes"
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(PACKAGE).as_posix())
def test_a_folder_says_in_its_first_lines_what_may_live_there(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text and len(text.split()) >= 5, f"{folder}/__init__.py does not say it"


def test_the_design_says_what_may_live_in_each_folder_of_the_explorer():
    section = DESIGN.read_text(encoding="utf-8").split("## The explorer\n")[1].split("\n## ")[0]
    told = set(re.findall(r"`((?:explorer|index)/(?:\w+/)?)`", section))
    explorer = PACKAGE / "explorer"
    folders = [folder for folder in (explorer, *explorer.iterdir()) if folder.is_dir() and folder.name != "__pycache__"]
    assert told == {f"{folder.relative_to(PACKAGE).as_posix()}/" for folder in (*folders, PACKAGE / "index")}
