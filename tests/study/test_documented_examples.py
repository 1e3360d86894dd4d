"""Examples of docstrings and of the README, and the notebooks, run on the results of the quick preset."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import polysem.study

ROOT = Path(__file__).resolve().parents[2]
MODULES = [f"polysem.study.{module.name}" for module in pkgutil.iter_modules(polysem.study.__path__)]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
pytestmark = pytest.mark.workflow


def test_examples_of_docstrings_print_what_they_say(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    ran = [doctest.testmod(importlib.import_module(name)) for name in MODULES]
    assert sum(one.failed for one in ran) == 0
    assert sum(one.attempted for one in ran) > 20


def test_the_readme_s_example_in_python_runs(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.copy(tmp_path / "repository").folder)
    section = (ROOT / "README.md").read_text().partition("## In Python")[2].partition("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    names: dict[str, object] = {}
    exec(code, names)
    assert isinstance(names["sae"], polysem.Dictionary)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_quick_preset(notebook, finished, tmp_path, monkeypatch):
    copy = finished.copy(tmp_path / "repository")
    (copy / "examples").mkdir()
    for name, value in {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    content = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in content.cells), "clear its outputs before committing it"
    client = NotebookClient(
        content, timeout=120, kernel_name="python3", resources={"metadata": {"path": copy / "examples"}}
    )
    client.execute()
    shown = [output for cell in content.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert any("text/html" in output.get("data", {}) for output in shown)
    warned = [output.text for output in shown if output.output_type == "stream" and output.name == "stderr"]
    assert all("IProgress not found" in text for text in warned), warned  # tqdm would rather have widgets


def test_there_are_two_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["a_first_look", "ones_own_sae"]
