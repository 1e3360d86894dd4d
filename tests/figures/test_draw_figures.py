"""The step that draws the figures of a dictionary."""

import ast
import json
import subprocess
import sys

import pytest

from polysem.figures.draw_figures import draw_figures
from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import name_of
from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.params.analysis import Analysis, GivenAnalysis
from polysem.workflow import artifacts
from polysem.workflow.running.code import SOURCE, import_closure

from .conftest import mixture

DEFAULTS = Analysis().values()
GIVEN = {key: DEFAULTS[key] for key in artifacts.FIGURE_KEYS} | {"rare_frequency": 0.01}


@pytest.fixture
def folder(tmp_path):
    tables = mixture(200, 16)
    for name in ("frequency", "alignment", "rank_frequency"):
        write_table(tmp_path / "tables" / f"{name}.nc", getattr(tables, name))
    return tmp_path


def drawn(folder, output: str, *figures: str, given=GIVEN) -> dict[str, bytes]:
    """Names and bytes of what a process of its own draws."""
    command = [sys.executable, "-m", "polysem", "step", "draw_figures", f"--tables={folder / 'tables'}"]
    options = {"figures": figures, "params": dict(given)}
    subprocess.run([*command, f"--output={folder / output}", f"--config={json.dumps(options)}"], check=True)
    return {file.name: file.read_bytes() for file in (folder / output).iterdir()}


def test_the_command_line_draws_what_is_asked_for_and_nothing_else(folder):
    assert sorted(drawn(folder, "out", "decoder_power", "rank_frequency")) == [
        "decoder_power.svg",
        "rank_frequency.svg",
    ]


def test_a_figure_shows_the_threshold_that_the_params_file_sets(folder):
    one, other = (
        drawn(folder, f"of{share}", "decoder_power", given=GIVEN | {"rare_frequency": share}) for share in (0.01, 0.02)
    )
    assert one != other


def test_a_key_that_the_rule_does_not_pass_cannot_be_read_as_its_default(folder):
    without = {key: GIVEN[key] for key in GIVEN if key != "rare_frequency"}
    with pytest.raises(subprocess.CalledProcessError):
        drawn(folder, "out", "decoder_power", given=without)
    assert not (folder / "out").exists()
    with pytest.raises(KeyError, match=r"the step reads analysis\.rare_frequency, which its rule does not pass"):
        GivenAnalysis.model_validate(without).rare_frequency  # noqa: B018


@pytest.mark.parametrize(
    ("figures", "keys"),
    [(artifacts.FIGURES, artifacts.FIGURE_KEYS), (artifacts.SITE_FIGURES, artifacts.SITE_FIGURE_KEYS)],
)
def test_the_rule_passes_every_key_that_a_figure_reads(figures, keys):
    closure = {name for figure in figures for name in import_closure(f"polysem.figures.{figure}")}
    read = {}
    for name in closure:
        file = SOURCE.joinpath(*name.split(".")).with_suffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if file.is_file() else ():
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "analysis":
                read.setdefault(node.attr, name)
    read = {key: name for key, name in read.items() if key in Analysis.model_fields}
    assert read and read.keys() <= set(keys), read


def test_two_runs_in_two_processes_give_the_same_bytes(folder):
    figures = ("neuron_sparsity", "ultra_low_frequency")
    assert drawn(folder, "one", *figures) == drawn(folder, "two", *figures)


def test_only_the_tables_that_the_figures_need_are_read(folder, analysis):
    (folder / "tables" / "alignment.nc").unlink()
    draw_figures(folder / "tables", folder / "figures", ["ultra_low_frequency"], analysis)
    with pytest.raises(InputError, match=r"alignment\.nc"):
        draw_figures(folder / "tables", folder / "figures", ["decoder_power"], analysis)


def test_an_unknown_figure_is_refused_before_any_is_drawn(folder, analysis):
    with pytest.raises(InputError, match="did you mean 'decoder_power'"):
        draw_figures(folder / "tables", folder / "figures", ["ultra_low_frequency", "decoder_powers"], analysis)
    assert not (folder / "figures").exists()


def test_drawing_imports_neither_torch_nor_transformer_lens(folder):
    program = (
        "import sys; from pathlib import Path; from polysem.figures.draw_figures import draw_figures;"
        "from polysem.params.analysis import Analysis;"
        f"draw_figures(Path({str(folder / 'tables')!r}), Path({str(folder / 'figures')!r}),"
        "['neuron_sparsity', 'rank_frequency'], Analysis());"
        "print(sorted({'torch', 'transformer_lens', 'transformers', 'snakemake'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_the_style_is_seaborns():
    """Taken over by value: importing seaborn takes longer than drawing."""
    import seaborn as sns

    ticks = sns.axes_style("ticks")
    assert {key: ticks[key] for key in theme.TICKS} == theme.TICKS


def test_labels_stand_beside_the_numbers_of_features(folder, analysis, monkeypatch):
    given = {}
    monkeypatch.setattr(
        "polysem.figures.draw_figures.write_figures", lambda output, figures, read, params: given.update(table=read)
    )
    labels = folder / "labels.csv"
    labels.write_text("feature,label,author,note\n12,base64\u202e,Ada,\n12,digits,Bob,\n13," + "x" * 40 + ",Ada,\n")
    draw_figures(folder / "tables", folder / "model/site/sae", ["decoder_power"], analysis, labels=labels)
    table = given["table"]("alignment").assign_attrs(dictionary="sae")
    assert name_of(table, 12) == "feature 12 “base64\\u202e; digits”"
    assert name_of(table, 13) == f"feature 13 “{'x' * 27}…”"
    assert name_of(table, 1400) == "feature 1,400"
    assert name_of(table.assign_attrs(dictionary="neurons", labels={}), 3) == "neuron 3"


def test_labels_that_cannot_be_read_are_refused(folder, analysis):
    labels = folder / "labels.csv"
    labels.write_text("number,label\n1,a\n")
    with pytest.raises(InputError, match=r"labels\.csv"):
        draw_figures(folder / "tables", folder / "figures", ["decoder_power"], analysis, labels=labels)
