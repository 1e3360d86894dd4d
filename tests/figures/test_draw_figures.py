"""The step that draws the figures of a dictionary."""

import json
import os
import subprocess
import sys

import pytest

from polysem.figures.draw_figures import draw_figures
from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import name_of
from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.io.folders import receipt_of
from polysem.layout.annotations import NOBODY, Annotations
from polysem.layout.feature_labels import Label
from polysem.layout.notes import Note
from polysem.params.analysis import Analysis, GivenAnalysis

from .conftest import mixture, place, without_codes

GIVEN = Analysis().values() | {"rare_frequency": 0.01}


@pytest.fixture
def folder(tmp_path):
    tables = mixture(200, 16)
    place(tmp_path / "tables", **vars(tables))
    return tmp_path


def drawn(folder, output: str, *figures: str, given=GIVEN) -> dict[str, bytes]:
    """Names and bytes of what a process of its own draws."""
    command = [sys.executable, "-m", "polysem", "step", "draw_figures", f"--tables={folder / 'tables'}"]
    options = {"figures": without_codes(*figures), "params": dict(given)}
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


def test_two_runs_in_two_processes_give_the_same_bytes(folder):
    figures = ("neuron_sparsity", "ultra_low_frequency")
    assert drawn(folder, "one", *figures) == drawn(folder, "two", *figures)


def test_only_the_tables_that_the_figures_need_are_read(folder, analysis):
    (folder / "tables" / "alignment.nc").unlink()
    draw_figures(folder / "tables", folder / "figures", without_codes("ultra_low_frequency"), analysis)
    with pytest.raises(InputError, match=r"alignment\.nc"):
        draw_figures(folder / "tables", folder / "figures", without_codes("decoder_power"), analysis)


def test_an_unknown_figure_is_refused_before_any_is_drawn(folder, analysis):
    with pytest.raises(InputError, match="did you mean 'decoder_power'"):
        draw_figures(
            folder / "tables", folder / "figures", without_codes("ultra_low_frequency", "decoder_powers"), analysis
        )
    assert not (folder / "figures").exists()


def test_drawing_imports_neither_torch_nor_transformer_lens(folder):
    program = (
        "import sys; from pathlib import Path; from polysem.figures.draw_figures import draw_figures;"
        "from polysem.params.analysis import Analysis;"
        f"draw_figures(Path({str(folder / 'tables')!r}), Path({str(folder / 'figures')!r}),"
        "{'neuron_sparsity': '', 'rank_frequency': ''}, Analysis());"
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
        "polysem.figures.draw_figures.write_figures",
        lambda output, figures, sources, params, made_from: given.update(vars(sources)),
    )
    labels = {12: [Label("base64\u202e", "Ada", ""), Label("digits", "Bob", "")], 13: [Label("x" * 40, "Ada", "")]}
    draw_figures(folder / "tables", folder / "model/site/sae", {}, analysis, annotations=Annotations(labels=labels))
    table = given["read"]("alignment").assign_attrs(dictionary="sae", labels=given["labels"])
    assert name_of(table, 12) == "feature 12 “base64\\u202e; digits”"
    assert name_of(table, 13) == f"feature 13 “{'x' * 27}…”"
    assert name_of(table, 1400) == "feature 1,400"
    assert name_of(table.assign_attrs(dictionary="neurons", labels={}), 3) == "neuron 3"


def test_a_figure_that_does_not_read_labels_cannot_name_features():
    table = mixture(20, 4).frequency
    with pytest.raises(KeyError, match="its READS lacks 'labels'"):
        name_of(table, 3)


def test_only_labels_of_the_weights_that_the_tables_are_of_are_shown(folder, analysis, monkeypatch):
    given = {}
    monkeypatch.setattr(
        "polysem.figures.draw_figures.write_figures",
        lambda output, figures, sources, params, made_from: given.update(sources.labels),
    )
    now, before = "1" * 64, "2" * 64
    notes = [
        Note(feature=number, author="Ada", weights=weights, label=label)
        for number, weights, label in ((3, now, "dogs"), (3, before, "cats"), (4, before, "birds"))
    ]
    annotations = Annotations(labels={4: [Label("fish", "Ada", "")]}, notes=notes)
    output = folder / "model/site/sae"
    with pytest.raises(InputError, match=r"tables\.json does not tell which weights"):
        draw_figures(folder / "tables", output, {}, analysis, annotations=annotations)
    receipt_of(folder / "tables").write_text(json.dumps({"made_from": {"sae_weights.safetensors": now}}))
    draw_figures(folder / "tables", output, {}, analysis, annotations=annotations)
    assert given == {3: "dogs", 4: "fish"}


NAMES = ("decoder_power", "frequency_histogram", "neuron_sparsity", "rank_frequency", "training_frequencies")
LONG_AGO = 1_000_000_000


@pytest.fixture
def redraw(folder):
    """Draws some figures, puts their dates back, changes something and draws again: the names of those that are new."""
    output = folder / "model/site/sae"

    def again(*, codes=(), params=(), tables=None, annotations=NOBODY, training=None):
        changed = without_codes(*NAMES) | dict(codes)
        first = GivenAnalysis.model_validate(GIVEN)
        draw_figures(folder / "tables", output, without_codes(*NAMES), first)
        before = json.loads(receipt_of(output).read_text())["artifacts"]
        for figure in output.iterdir():
            os.utime(figure, (LONG_AGO, LONG_AGO))
        if tables:
            place(folder / "tables", **tables)
        second = GivenAnalysis.model_validate(GIVEN | dict(params))
        draw_figures(folder / "tables", output, changed, second, training, annotations)
        after = json.loads(receipt_of(output).read_text())["artifacts"]
        assert sorted(after) == sorted(NAMES)
        drawn = {file.stem for file in output.iterdir() if file.stat().st_mtime != LONG_AGO}
        remade = {name for name in NAMES if before[name]["made_of"] != after[name]["made_of"]}
        assert drawn == {name for name in remade if "sha256" in after[name]}
        return remade

    return again


def test_figures_that_are_made_of_the_same_keep_bytes_and_date(redraw):
    assert redraw() == set()


def test_the_code_of_one_figure_draws_that_figure_again(redraw):
    assert redraw(codes={"decoder_power": "another"}) == {"decoder_power"}


def test_a_param_draws_the_figures_again_that_declare_it(redraw):
    assert redraw(params={"rare_frequency": 0.02}) == {"decoder_power", "frequency_histogram"}
    assert redraw(params={"next_nine": 0.2}) == {"neuron_sparsity"}
    assert redraw(params={"head_ranks": 900}) == set()


def test_a_table_draws_the_figures_again_that_read_it(redraw):
    other = mixture(200, 16, seed=1)
    assert redraw(tables={"rank_frequency": other.rank_frequency}) == {"rank_frequency"}
    assert redraw(tables={"alignment": other.alignment}) == {"decoder_power", "neuron_sparsity"}


def test_a_label_draws_figures_that_name_no_feature_not_again(redraw):
    assert redraw(annotations=Annotations(labels={3: [Label("dogs", "Ada", "")]})) == set()


def test_a_history_draws_figures_of_the_training_again(redraw, folder):
    place(folder, history=mixture(20, 4).frequency)
    assert redraw(training=folder / "history.nc") == {"training_frequencies"}


def test_the_receipt_says_what_the_report_shows(redraw, folder):
    redraw()
    said = json.loads((folder / "model/site/sae.json").read_text())["artifacts"]
    assert said["decoder_power"]["catalogue"] == "S0.F3a"
    assert said["decoder_power"]["reads"] == ["alignment", "frequency"]
    assert said["decoder_power"]["params"] == {"rare_frequency": 0.01}
    assert said["decoder_power"]["file"] == "decoder_power.svg" and len(said["decoder_power"]["sha256"]) == 64
    assert "sha256" not in said["training_frequencies"]
    assert "was not trained here" in said["training_frequencies"]["not_applicable"]


def test_the_receipt_says_which_tables_the_figures_are_of(redraw, folder):
    redraw()
    said = json.loads((folder / "model/site/sae.json").read_text())["made_from"]
    assert said == {"tables": file_digest(folder / "tables.json")}
