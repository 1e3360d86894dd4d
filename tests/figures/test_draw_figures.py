"""The step that draws the figures of a dictionary."""

import json
import subprocess
import sys

import pytest

from polysem.figures import theme
from polysem.figures.draw_figures import draw_figures
from polysem.figures.feature_names import name_of
from polysem.io.errors import InputError
from polysem.io.tables import write_table

from .conftest import mixture


@pytest.fixture
def folder(tmp_path):
    tables = mixture(200, 16)
    for name in ("frequency", "alignment", "rank_frequency"):
        write_table(tmp_path / "tables" / f"{name}.nc", getattr(tables, name))
    return tmp_path


def drawn(folder, output: str, *figures: str) -> dict[str, bytes]:
    """Names and bytes of what a process of its own draws."""
    command = [sys.executable, "-m", "polysem.figures.draw_figures", f"--tables={folder / 'tables'}"]
    options = {"figures": figures, "params": {"rare_frequency": 0.01}}
    subprocess.run([*command, f"--output={folder / output}", f"--config={json.dumps(options)}"], check=True)
    return {file.name: file.read_bytes() for file in (folder / output).iterdir()}


def test_the_command_line_draws_what_is_asked_for_and_nothing_else(folder):
    assert sorted(drawn(folder, "out", "decoder_power", "rank_frequency")) == [
        "decoder_power.svg",
        "rank_frequency.svg",
    ]


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
