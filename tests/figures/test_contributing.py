"""The figure that CONTRIBUTING.md adds works as it stands there: one file, and nothing else."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from polysem.figures.draw_figures import draw
from polysem.workflow.figures import figures_of

from .conftest import legible_texts, mixture

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """A package with the file in it."""
    section = TEXT.partition("## Adding a figure\n")[2].partition("\n## ")[0]
    name, text = re.findall(r"of_dictionary/(\w+)\.py`.*?```python\n(.*?)```", section, re.DOTALL)[0]
    folder = tmp_path / "with_a_figure"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return folder.name


def test_the_example_declares_all_that_the_workflow_wants_and_draws(package, tmp_path, monkeypatch, analysis):
    (figure,) = figures_of(package)
    assert (figure.name, figure.reads, figure.params) == (
        "strongest_neuron",
        ("alignment", "frequency"),
        ("rare_frequency",),
    )
    drawn = draw(import_module(figure.module), vars(mixture(500, 16)).__getitem__, analysis.values(), {})
    texts = legible_texts(drawn, tmp_path / "figure.svg", monkeypatch)
    assert f"{figure.catalogue}  {figure.title}" in texts
