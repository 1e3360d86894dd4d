"""A figure is one file: what its module declares is what it does, and a new one appears wherever figures do."""

import ast
import inspect
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import jinja2
import pytest

from polysem.figures.draw_figures import argument
from polysem.io.errors import InputError
from polysem.params.analysis import Analysis
from polysem.report.captions import caption_html
from polysem.report.catalogue import ids_in
from polysem.workflow.figures import (
    OF_DICTIONARY,
    OF_SITE,
    OF_TOY,
    PLACE,
    all_figures,
    captions_template,
    figures_of,
    tables_of,
)
from polysem.workflow.running.code import SOURCE, import_closure

FIGURES = {figure.name: figure for figure in all_figures()}
MODULE = '''"""S0.F1: how often features are active, as one number."""

import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.params.analysis import Analysis

CATALOGUE = "S0.F1"
READS = ("frequency",)
PARAMS = ("rare_frequency",)
TITLE = "How many are rare"
CAPTION = """\\
A number. Source: document S0.
"""


@theme.styled
def draw(frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """The number of rare features."""
    figure = theme.sheet(2.0)
    rare = int((frequency["frequency"] < analysis.rare_frequency).sum())
    theme.message(figure.subplots(), f"{rare} are rare")
    theme.frame(figure, frequency, title=TITLE, catalogue=CATALOGUE)
    return figure
'''


def tree_of(module):
    file = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])


@pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
def test_the_params_of_a_figure_are_the_keys_that_it_and_its_parts_read(figure):
    read = {
        node.attr
        for module in import_closure(figure.module)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "analysis"
    }
    assert set(figure.params) == read & Analysis.model_fields.keys()
    assert len(set(figure.params)) == len(figure.params)


@pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
def test_draw_takes_what_the_figure_reads(figure):
    taken = inspect.signature(import_module(figure.module).draw).parameters
    assert list(taken) == [*(argument(table) for table in figure.reads if table != "labels"), "analysis"]


@pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
def test_no_figure_is_made_of_another(figure):
    others = {one.module for one in FIGURES.values()} - {figure.module}
    assert not import_closure(figure.module) & others


@pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
def test_a_caption_names_the_document_and_is_sound_text(figure):
    words = " ".join(figure.caption.split())
    documents = {identity.partition(".")[0] for identity in ids_in(figure.catalogue)}
    assert any(f"document {name}" in words or f"documents {name}" in words for name in documents)
    assert "system-message" not in caption_html(figure.caption)


def test_no_code_reads_a_caption():
    for file in (SOURCE / "polysem").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "CAPTION"), file
            assert not (isinstance(node, ast.ImportFrom) and "CAPTION" in {alias.name for alias in node.names}), file


def test_figures_stand_in_the_order_of_the_catalogue():
    names = [figure.name for figure in figures_of(OF_DICTIONARY)]
    assert names[:3] == ["frequency_histogram", "rank_frequency", "decoder_power"]
    assert names.index("co_firing") < names.index("training_frequencies")
    assert [figure.name for figure in figures_of(OF_SITE)][2:6] == [
        "universality", "feature_map", "feature_splitting", "splitting_tree",
    ]  # fmt: skip


def test_tables_are_named_without_what_is_none():
    some = [
        replace(FIGURES["decoder_power"], reads=("frequency", "neurons/logits", "site/fidelity", "training", "labels"))
    ]
    assert tables_of(some) == ["frequency", "logits"]


def test_the_captions_of_snakemakes_report_are_those_of_the_figures():
    template = jinja2.Environment().from_string(captions_template([*FIGURES.values()], PLACE))
    place = {"model": "toy", "site": "blocks.0.mlp.hook_post"}
    for name, figure in FIGURES.items():
        for dictionary, words in (({"dictionary": "l1"}, "dictionary ``l1``."), ({}, "all dictionaries.")):
            wildcards = {"figure": name, **place, **dictionary}
            text = template.render(snakemake={"wildcards": wildcards})
            assert text.split() == f"{figure.caption} Model ``toy``, site ``{place['site']}``, {words}".split()


def test_captions_of_known_features_name_these_in_place_of_a_site():
    figures = figures_of(OF_TOY)
    template = jinja2.Environment().from_string(captions_template(figures, "Toy ``{{ snakemake.wildcards.toy }}``."))
    for figure in figures:
        text = template.render(snakemake={"wildcards": {"figure": figure.name, "toy": "few"}})
        assert text.split() == f"{figure.caption} Toy ``few``.".split()


def test_reading_what_figures_declare_imports_neither_matplotlib_nor_torch():
    code = (
        "import sys; from polysem.workflow.figures import all_figures; all_figures(); "
        "print({'torch', 'xarray', 'matplotlib'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("PARAMS = ", "KEYS = ", "declares no PARAMS that is a literal tuple"),
        ("TITLE = ", "TITLE = str() + ", "declares no TITLE that is a literal text"),
        ("rare_frequency", "rare_frequencies", "analysis has no 'rare_frequencies' (did you mean 'rare_frequency'?)"),
        ('CATALOGUE = "S0.F1"', 'CATALOGUE = "S0.F11"', "there is no id 'S0.F11' (did you mean 'S0.F1'?)"),
        ('CATALOGUE = "S0.F1"', 'CATALOGUE = ""', "there is no id ''"),
    ],
)
def test_a_module_that_declares_something_else_is_a_sentence(tmp_path, monkeypatch, old, new, words):
    folder = tmp_path / f"of_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    assert old in MODULE
    (folder / "rare.py").write_text(MODULE.replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError) as refusal:
        figures_of(folder.name)
    assert words in str(refusal.value)


def receipts(repository):
    """What the receipts say of every figure, by `model/site/dictionary/figure`."""
    folder = repository / "results/figures"
    return {
        f"{file.relative_to(folder).with_suffix('')}/{name}": said
        for file in folder.glob("*/*/*.json")
        for name, said in json.loads(file.read_text())["artifacts"].items()
    }


def redrawn(repository):
    """The figures that a run draws, by the dates of their files and by their receipts."""
    figures = [*(repository / "results/figures").glob("*/*/*/*.svg")]
    before = receipts(repository)
    dates = {figure: figure.stat().st_mtime_ns for figure in figures}
    repository.snakemake()
    after = receipts(repository)
    drawn = {name for name, said in after.items() if before.get(name, {}).get("made_of") != said["made_of"]}
    new = {
        str(figure.relative_to(repository / "results/figures").with_suffix(""))
        for figure in (repository / "results/figures").glob("*/*/*/*.svg")
        if figure.stat().st_mtime_ns != dates.get(figure)
    }
    assert new == {name for name in drawn if "file" in after[name]}
    return drawn


@pytest.mark.workflow
def test_a_label_in_the_code_of_one_figure_draws_that_figure_of_each_dictionary(repository):
    repository.edit("src/polysem/figures/of_dictionary/decoder_power.py", 'TITLE = "Dec', 'TITLE = "The dec')
    drawn = redrawn(repository)
    assert drawn == {name for name in receipts(repository) if name.endswith("/decoder_power")}
    assert len(drawn) == 5


@pytest.mark.workflow
def test_a_param_draws_the_figures_that_declare_it(repository):
    repository.edit("params.yaml", "analysis:", "analysis:\n  rare_frequency: 2e-3")
    there = {name.rpartition("/")[2] for name in receipts(repository)}
    declaring = {figure.name for figure in FIGURES.values() if "rare_frequency" in figure.params} & there
    assert declaring
    assert {name.rpartition("/")[2] for name in redrawn(repository)} == declaring


@pytest.mark.workflow
def test_a_caption_changes_pages_and_draws_nothing(repository):
    module = repository / "src/polysem/figures/of_dictionary/decoder_power.py"
    module.write_text(module.read_text().replace("Where features point", "Whither features point"))
    assert repository.plan().pending == {"write_report"}
    assert redrawn(repository) == set()
    assert "Whither features point" in (repository / "results/report/pages/S0.html").read_text()


@pytest.mark.workflow
def test_a_new_module_is_a_new_figure_of_every_dictionary_and_of_the_report(repository):
    (repository / "src/polysem/figures/of_dictionary/how_many_rare.py").write_text(MODULE)
    drawn = redrawn(repository)
    assert drawn == {name for name in receipts(repository) if name.endswith("/how_many_rare")}
    page = (repository / "results/report/pages/S0.html").read_text()
    assert "How many are rare" in page and "A number. Source: document S0." in page
    repository.snakemake("--report", "report.html")
    assert "A number. Source: document S0." in (repository / "report.html").read_text()


@pytest.mark.workflow
def test_a_figure_that_was_edited_is_drawn_again_alone(repository):
    folder = repository / "results/figures/stories-1l/blocks.0.mlp.hook_post/l1-x4"
    before = (folder / "decoder_power.svg").read_bytes()
    (folder / "decoder_power.svg").write_text("<svg/>")
    os.utime(folder / "rank_frequency.svg", (1_000_000_000, 1_000_000_000))
    repository.snakemake()
    assert (folder / "decoder_power.svg").read_bytes() == before
    assert (folder / "rank_frequency.svg").stat().st_mtime == 1_000_000_000
