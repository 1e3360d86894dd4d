"""What other packages add is looked at before anything runs, and all that they read of themselves is in the digests."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from refusals import refusal_of

from polysem.params import addons
from polysem.params.study import KINDS
from polysem.tables.contract import ROOMS, load_table
from polysem.workflow import figures
from polysem.workflow.checks import additions
from polysem.workflow.commands import export
from polysem.workflow.contracts import all_contracts, contracts
from polysem.workflow.running import code

ROOT = Path(__file__).resolve().parents[2]
TABLES = "polysem.tables.of_dictionary"


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A folder that Python finds as a package of its name, without `__init__.py` yet."""
    folder = tmp_path / f"theirs_{abs(hash(tmp_path))}"
    folder.mkdir()
    (folder / "lengths.py").write_text("LONG = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code, "MEMORY", tmp_path / "cache/syntax.json")
    return folder


def forget() -> None:
    for known in (
        addons.modules_of, addons.addon_packages, code.code_digest, code.source_file, code._parsed, code._memory,
        code._own_digest, code._addon_folders, code._data_digest,
    ):  # fmt: skip
        known.cache_clear()


@pytest.fixture
def enter(monkeypatch, request):
    """Makes entry points of what it is given, group, name and module, and the modules findable."""
    request.addfinalizer(forget)

    def entered(*several: tuple[str, str, str]) -> None:
        found = tuple(EntryPoint(name, value, group) for group, name, value in several)
        monkeypatch.setattr(addons, "_entries", lambda: found)
        forget()

    return entered


def refusal() -> str:
    return refusal_of(additions.check)


def digest(module: str) -> str:
    forget()
    return code.code_digest(module)


def test_the_groups_are_the_packages_whose_modules_are_found_by_name():
    figures_of = [figures.OF_DICTIONARY, figures.OF_MODEL, figures.OF_SITE, figures.OF_TOY]
    others = ["polysem.saes.activation_functions", *export.ROOMS]
    packages = {*ROOMS.values(), *figures_of, *(kinds.package for kinds in KINDS.values()), *others}
    assert set(additions.GROUPS) == packages
    assert list(additions.GROUPS) == sorted(packages)


@pytest.mark.parametrize(
    ("group", "value", "words"),
    [
        (
            "polysem.figures.of_dictionaries",
            "{package}.lengths",
            "(did you mean 'polysem.figures.of_dictionary'?), which",
        ),
        ("polysem.nothing", "{package}.lengths", "is in the group 'polysem.nothing'"),
        (TABLES, "nowhere_at_all.lengths", "and there is no package nowhere_at_all; install it again, or remove it"),
        (
            TABLES,
            "{package}.widths",
            "names {package}.widths, and there is no such module with a source; mend the entry",
        ),
        (TABLES, "polysem.tables.contract", "a module of polysem itself; name one of its own package"),
        (TABLES, "their-package.lengths", "is 'their-package.lengths'; write the name of a module"),
        (TABLES, "{package}.wrong", "wrong.py, line 1: this is no Python (invalid syntax); mend it"),
        (TABLES, "{package}.calls", "wrong.py, line 1: this is no Python (invalid syntax); mend it"),
    ],
)
@pytest.mark.parametrize("namespace", [False, True])
def test_an_entry_point_that_leads_nowhere_is_a_sentence(package, enter, namespace, group, value, words):
    if not namespace:
        (package / "__init__.py").touch()
    (package / "wrong.py").write_text("LONG = = 1\n")
    (package / "calls.py").write_text("from .wrong import LONG\n")
    enter((group, "lengths", value.format(package=package.name)))
    assert words.format(package=package.name) in refusal()


def test_two_modules_of_one_name_are_a_sentence(package, enter):
    enter((TABLES, "frequency", f"{package.name}.lengths"))
    assert "two modules are called 'frequency' in polysem.tables.of_dictionary" in refusal()


def test_a_sentence_names_the_package_that_has_the_entry_point(package, tmp_path, monkeypatch, enter):
    """The whole way: an installed package, the Snakefile, one line."""
    about = tmp_path / "theirs-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[polysem.tables.of_dictionaries]\nlengths = {package.name}.lengths\n")
    script = "from polysem.workflow.checks import additions; additions.check()"
    path = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=path, cwd=tmp_path)
    assert (
        "the entry point 'lengths' of theirs is in the group 'polysem.tables.of_dictionaries' (did you" in done.stderr
    )


def test_a_package_without_init_works_and_its_code_is_in_the_digests(package, enter):
    (package / "parts").mkdir()
    (package / "parts/widths.py").write_text("WIDE = 1\n")
    (package / "lengths.py").write_text(f"from {package.name}.parts.widths import WIDE\n")
    module = f"{package.name}.lengths"
    enter((TABLES, "lengths", module))
    additions.check()
    assert code.import_closure(module) == {module, f"{package.name}.parts.widths"}
    before = digest(module)
    (package / "parts/widths.py").write_text("WIDE = 2\n")
    assert digest(module) != before


def test_a_step_loads_a_package_without_init_and_compares_what_it_loaded(package, tmp_path):
    (package / "lengths.py").write_text("from .widths import WIDE\n")
    (package / "widths.py").write_text("WIDE = 1\n")
    about = tmp_path / "theirs-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[{TABLES}]\nlengths = {package.name}.lengths\n")
    script = f"""
from polysem.workflow.running import loaded
loaded.install()
from importlib import import_module
from pathlib import Path
from polysem.workflow.running.code import named_digest
from polysem.workflow.running.stated import require_code
running = "polysem.workflow.running"
require_code(named_digest("{package.name}.lengths", running + ".stated", running + ".loaded"))
assert import_module("{package.name}.lengths").WIDE == 1
assert {{"{package.name}.lengths", "{package.name}.widths"}} <= loaded.TEXTS.keys()
"""
    path = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("words.txt", True),
        ("data/words.json", True),
        ("unrelated.py", False),
        ("__pycache__/lengths.cpython-312.pyc", False),
        (".words.swp", False),
    ],
)
def test_the_data_of_a_package_are_in_its_digests(package, enter, init, file, counts):
    if init:
        (package / "__init__.py").touch()
    module = f"{package.name}.lengths"
    enter((TABLES, "lengths", module))
    (package / file).parent.mkdir(exist_ok=True)
    digests = [digest(module)]
    for text in ("a", "b"):
        (package / file).write_text(text)
        digests.append(digest(module))
    assert len(set(digests)) == (3 if counts else 1)


def test_a_single_module_has_no_data(package, enter):
    """What lies beside it belongs to others."""
    (package.parent / "lonely.py").write_text("LONG = 1\n")
    enter((TABLES, "lengths", "lonely"))
    before = digest("lonely")
    (package.parent / "words.txt").write_text("a")
    assert digest("lonely") == before


def test_the_generated_pages_are_of_this_repository_alone(tmp_path):
    """An installed package with one addition of each kind changes none of them."""
    about = tmp_path / "polysem_extras-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: polysem-extras\nVersion: 1.0\n")
    project = (ROOT / "tests/workflow/addon/pyproject.toml").read_text()
    groups = project.replace('[project.entry-points."', "[").replace('"]', "]").replace('"', "")
    (about / "entry_points.txt").write_text(groups[groups.index("[polysem.") : groups.index("[tool.")])
    script = """
import sys
from pathlib import Path
from polysem.params import reference as params
from polysem.params.addons import modules_of
from polysem.study import reference as study
from polysem.tables import reference as tables
assert "weight_norms" in modules_of("polysem.tables.of_dictionary") and "arrays" in modules_of("polysem.saes.formats")
assert "floor" in modules_of("polysem.saes.architectures") and "numerals" in modules_of("polysem.corpora.sources")
docs = Path(sys.argv[1])
assert tables.reference_text() == (docs / "tables.md").read_text()
assert params.reference_text() == (docs / "params.md").read_text()
assert params.schema_text() == (docs / "params.schema.json").read_text()
assert study.reference_text() == (docs / "python.md").read_text()
"""
    path = {"PYTHONPATH": f"{tmp_path}:{ROOT / 'tests/workflow/addon'}"}
    done = subprocess.run([sys.executable, "-c", script, ROOT / "docs"], capture_output=True, text=True, env=path)
    assert done.returncode == 0, done.stderr


def test_the_package_of_contributing_works_as_it_stands_there(tmp_path, monkeypatch, enter, request):
    section = (
        (ROOT / "CONTRIBUTING.md").read_text().partition("## A package that adds things\n")[2].partition("\n## ")[0]
    )
    (project,) = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    files = re.findall(r"`my_extras/(\w+)\.py` is .*?```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "my_extras").mkdir()
    (tmp_path / "my_extras/__init__.py").touch()
    for name, text in files:
        (tmp_path / f"my_extras/{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    groups = tomllib.loads(project)["project"]["entry-points"]
    enter(*((group, name, value) for group, those in groups.items() for name, value in those.items()))
    for known in (contracts, figures.figures_of):
        known.cache_clear()
        request.addfinalizer(known.cache_clear)
    additions.check()
    all_contracts()
    (figure,) = (one for one in figures.all_figures() if one.module.startswith("my_extras."))
    module, contract = load_table("dictionary", "weight_norms")
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(module, "dictionary_of", lambda _: SimpleNamespace(decoder=lambda: rows, features=6))
    table = module.measure(None)
    contract.require(table)
    assert table["median_row_norm"] == pytest.approx(np.median(np.linalg.norm(rows, axis=1)))
    about = {"model": "m", "site": "blocks.0.mlp.hook_post", "dictionary": "d"}
    drawn = import_module(figure.module).draw(weight_norms=table.assign_attrs(about), analysis=None)
    assert [axes.get_ylabel() for axes in drawn.axes] == ["features"]
