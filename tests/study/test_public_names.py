"""What `import polysem` brings, and what it leaves to those who ask."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import polysem
from polysem.study.reference import PAGE, reference_text
from polysem.workflow.running.code import import_closure

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "numpy", "xarray", "pandas", "zarr", "matplotlib", "transformer_lens", "pydantic", "snakemake"}


def loaded_after(code: str, folder: Path = ROOT) -> set[str]:
    """Top-level modules that a fresh Python has loaded behind some code."""
    ended = f"import sys; {code}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    paths = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", ended], capture_output=True, text=True, check=True, cwd=folder, env=paths
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_polysem_loads_nothing_heavy():
    assert loaded_after("import polysem; dir(polysem)") & HEAVY == set()


@pytest.mark.workflow
def test_opening_a_study_and_its_metrics_needs_pandas_alone(finished):
    opened = loaded_after("import polysem; study = polysem.open('results'); repr(study)", finished.folder)
    assert opened & (HEAVY - {"pydantic"}) == set()
    read = loaded_after("import polysem; polysem.open('results').metrics", finished.folder)
    assert read & HEAVY == {"pydantic", "pandas", "numpy"}


def test_every_stable_name_is_there_and_in_its_stub_and_on_its_page():
    stub = ast.parse((ROOT / "src/polysem/__init__.pyi").read_text())
    lines = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    imported = {alias.asname: f"{node.module}.{alias.name}" for node in lines for alias in node.names}
    assert imported == {name: ".".join(place) for name, place in polysem.PUBLIC.items()}
    for name in polysem.__all__:
        assert getattr(polysem, name).__doc__
        assert f"\n## {name}\n" in reference_text() or f"\n## polysem.{name}\n" in reference_text()
    assert set(polysem.__all__) < set(dir(polysem))


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'opne'; it has open, load_sae"):
        _ = polysem.opne


def test_the_page_on_python_is_in_step_with_the_docstrings():
    assert (ROOT / PAGE).read_text() == reference_text(), "run `python -m polysem.study.reference`"


def test_no_step_of_the_workflow_depends_on_the_public_face():
    for step in ("polysem.saes.train_sae", "polysem.report.write_report", "polysem.figures.draw_figures"):
        assert not {name for name in import_closure(step) if name.startswith("polysem.study")}
