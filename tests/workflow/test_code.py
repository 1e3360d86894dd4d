"""The code digest, on a scratch package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polysem.io.caches import read_cache, write_cache
from polysem.io.errors import InputError
from polysem.workflow.running import code, stated

FILES = {
    "__init__.py": '"""Package."""\n',
    "step.py": '''"""Step."""
from scratch import constants
from scratch.parts.first import one


def run(x: int) -> int:
    """Say what it does."""
    return one(x) + constants.LIMIT
''',
    "constants.py": 'LIMIT = 3\n"""How many."""\n',
    "unrelated.py": "VALUE = 1\n",
    "plugin.py": "NAME = 'a'\n",
    "parts/__init__.py": "",
    "parts/first.py": "from .second import two\n\n\ndef one(x):\n    return two(x)\n",
    "parts/second.py": "def two(x):\n    from scratch import late\n    return late.three(x)\n",
    "late.py": "import importlib\nfrom scratch import step\n\n\n"
    "def three(x):\n    return importlib.import_module('scratch.plugin').NAME and x\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """`step` imports `constants`, `parts.first` → `parts.second` → (in a function) `late` → `step` again."""
    folder = tmp_path / "scratch"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(code, "SOURCE", tmp_path)
    monkeypatch.setattr(code, "PACKAGE", "scratch")
    monkeypatch.setattr(code, "MEMORY", tmp_path / "cache/syntax.json")
    return folder


def digest(*modules: str) -> str:
    forgotten()
    return code.code_digest(*(modules or ("scratch.step",)))


def edited(file: Path, old: str, new: str) -> str:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return digest()


def forgotten() -> None:
    """As in a process that has looked at nothing yet."""
    for known in (code.code_digest, code.source_file, code._parsed, code._memory):
        known.cache_clear()


@pytest.fixture(autouse=True)
def forget():
    yield
    forgotten()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("step.py", "    return one(x)", "    # why\n    return one(x)"),
        ("step.py", "Say what it does.", "Say it otherwise."),
        ("step.py", '    """Say what it does."""\n', ""),
        ("step.py", "return one(x) + constants.LIMIT", "return (\n        one(x)\n        + constants.LIMIT\n    )"),
        ("step.py", '"""Step."""', '"""Another step."""'),
        ("constants.py", '"""How many."""', '"""How many there are."""'),
        ("constants.py", "LIMIT = 3", "LIMIT = 0x3"),
        ("parts/second.py", "def two(x):\n", "def two(x):\n    'text'\n"),
        ("unrelated.py", "1", "2"),
        ("plugin.py", "'a'", "'b'"),
    ],
)
def test_what_is_no_code_of_the_step_leaves_the_digest_alone(package, file, old, new):
    before = digest()
    assert edited(package / file, old, new) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("step.py", "x: int", "x: float"),
        ("step.py", "constants.LIMIT", "constants.LIMIT + 1"),
        ("constants.py", "3", "4"),
        ("constants.py", "3", "3.0"),
        ("parts/__init__.py", "", "A = 1"),
        ("parts/first.py", "return two(x)", "return -two(x)"),
        ("parts/second.py", "late.three(x)", "late.three(x) or 1"),
        ("late.py", "and x", "or x"),
        ("__init__.py", '"""Package."""', "A = 1"),
    ],
)
def test_a_change_anywhere_in_the_import_closure_changes_the_digest(package, file, old, new):
    before = digest()
    assert edited(package / file, old, new) != before


def test_a_caption_is_no_code_unless_something_reads_it(package):
    file = package / "step.py"
    before = digest()
    file.write_text(file.read_text() + 'CAPTION = """What pages say of it."""\n')
    assert digest() == before
    assert edited(file, "What pages say", "What other pages say") == before
    read = edited(file, "return one(x)", "return len(CAPTION) + one(x)")
    assert edited(file, "What other pages say", "What pages say") != read != before


def test_a_caption_that_is_computed_is_code(package):
    file = package / "step.py"
    before = digest()
    file.write_text(file.read_text() + "CAPTION = str(constants.LIMIT)\n")
    assert digest() != before


def test_relative_and_late_imports_and_cycles_are_in_the_closure_and_modules_found_by_name_are_not(package):
    assert code.import_closure("scratch.step") == {
        "scratch",
        "scratch.constants",
        "scratch.late",
        "scratch.parts",
        "scratch.parts.first",
        "scratch.parts.second",
        "scratch.step",
    }


def test_a_relative_import_in_a_package_itself_is_followed(package):
    (package / "parts/__init__.py").write_text("from . import second\nfrom .. import unrelated\n")
    digest()
    assert {"scratch.unrelated", "scratch.parts.second"} <= code.import_closure("scratch.parts")


def test_a_module_named_by_the_rule_counts(package):
    before = digest("scratch.step", "scratch.plugin")
    (package / "plugin.py").write_text("NAME = 'b'\n")
    assert digest("scratch.step", "scratch.plugin") != before


def test_the_order_of_the_modules_does_not_matter(package):
    assert digest("scratch.step", "scratch.plugin") == digest("scratch.plugin", "scratch.step")


def test_false_and_zero_are_different_code(package):
    (package / "constants.py").write_text("LIMIT = 0\n")
    assert edited(package / "constants.py", "0", "False") != edited(package / "constants.py", "False", "0")


def test_what_was_parsed_before_is_remembered_by_content(package, monkeypatch):
    fresh = digest()
    assert json.loads(code.MEMORY.read_text())["content"]["modules"]
    with monkeypatch.context() as patch:
        patch.setattr(code, "_syntax", None)
        assert digest() == fresh
    assert edited(package / "parts/second.py", "late.three(x)", "late.three(x + 1)") != fresh
    code.MEMORY.write_text("torn")
    assert edited(package / "parts/second.py", "late.three(x + 1)", "late.three(x)") == fresh


def test_what_other_code_remembered_is_not_used(package):
    fresh = digest()
    remembered = read_cache(code.MEMORY)
    remembered["modules"] = {key: ["wrong", imports] for key, (_, imports) in remembered["modules"].items()}
    write_cache(code.MEMORY, remembered)
    assert digest() != fresh
    write_cache(code.MEMORY, remembered | {"by": "an earlier version"})
    assert digest() == fresh


def test_a_memory_that_is_whole_but_not_what_was_written_is_not_used(package):
    fresh = digest()
    text = code.MEMORY.read_text()
    tree = next(iter(read_cache(code.MEMORY)["modules"].values()))[0]
    code.MEMORY.write_text(text.replace(tree, tree[::-1]))
    assert digest() == fresh


def test_a_module_without_source_is_an_error(package):
    with pytest.raises(ModuleNotFoundError, match=r"scratch\.missing"):
        digest("scratch.missing")


def test_the_digest_is_the_same_in_another_process_and_under_another_version_of_python(package, tmp_path):
    """Fields of the syntax tree that only some versions of Python have (`type_params` since 3.12) are no content."""
    before = digest()
    script = (
        "import ast, sys; from pathlib import Path; from polysem.workflow.running import code; "
        "code.SOURCE, code.PACKAGE = Path(sys.argv[1]), 'scratch'; "
        "ast.FunctionDef._fields += ('type_params_of_tomorrow',); "
        "ast.FunctionDef.type_params_of_tomorrow = []; "
        "print(code.code_digest('scratch.step'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(code.__file__).parents[3])}
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == before


def test_plotting_steps_import_neither_torch_nor_transformer_lens():
    script = (
        "import sys, polysem.figures.draw_figures; print(*{'torch', 'transformer_lens', 'zarr'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(code.__file__).parents[3])}
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "\n"


def test_files_of_the_package_are_stated_by_name_and_found_wherever_it_lies(tmp_path, monkeypatch):
    folder = tmp_path / "polysem/report"
    folder.mkdir(parents=True)
    (folder / "page.css").write_text("body {}\n")
    monkeypatch.setattr(stated, "SOURCE", tmp_path)
    files = stated.OutsideFiles.of([stated.own_file("report/page.css")])
    assert (files.paths, list(files.require())) == (["polysem:report/page.css"], [folder / "page.css"])
    assert files.digest == stated.OutsideFiles.of([str(folder / "page.css")]).digest
    (folder / "page.css").write_text("body { color: black }\n")
    with pytest.raises(InputError, match=r"polysem:report/page[.]css changed since the run began"):
        files.require()
