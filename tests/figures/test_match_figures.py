"""Figures of the matches of all layers of a model."""

import numpy as np
import pytest
import xarray as xr

from polysem.figures.of_model import match_layers, scales_by_layer
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

from .conftest import legible_texts
from .match_tables import match_table

MLP, RESID = "mlp.hook_post", "hook_resid_post"
CASES = {
    "one layer": {(MLP, "neurons"): 1, (MLP, "topk-x4"): 1},
    "two layers of two hooks": {
        (hook, series): 2 for hook in (MLP, "hook_mlp_out") for series in ("neurons", "topk-x4")
    },
    "twelve layers": {(MLP, "neurons"): 12, (MLP, "mlp-*"): 12, (RESID, "neurons"): 12, (RESID, "resid-*"): 12},
    "many recipes": {(MLP, name): 1 for name in ("neurons", *(f"recipe-{number}" for number in range(14)))},
    "names that are long or mean something to TeX": {(MLP, "neurons"): 3, (MLP, "x" * 60): 3, (MLP, "a$b_c$"): 2},
    "thirty layers": {(MLP, "neurons"): 30},
}
BOTH = pytest.mark.parametrize("module", [match_layers, scales_by_layer], ids=["matches", "scales"])


def draw(module, table):
    return module.draw(table, analysis=Analysis())


def words(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_no_text_covers_another(module, case, tmp_path, monkeypatch):
    table = match_table(CASES[case], own=3)
    if module is scales_by_layer and max(CASES[case].values()) == 1:
        with pytest.raises(NotApplicable, match="no dictionaries stand at the same hook of several layers"):
            draw(module, table)
        return
    texts = legible_texts(draw(module, table), tmp_path / "figure.svg", monkeypatch)
    assert f"{module.CATALOGUE}  {module.TITLE}" in texts
    assert "toy / all sites" in texts


@BOTH
def test_a_classifier_says_why_there_is_nothing_to_draw(module):
    with pytest.raises(NotApplicable, match="classifiers read no texts"):
        draw(module, xr.Dataset(attrs={"not_applicable": "classifiers read no texts"}))


def test_the_chart_and_the_numbers_below_it_are_those_of_the_table(tmp_path, monkeypatch):
    table = match_table(CASES["two layers of two hooks"])
    figure = draw(match_layers, table)
    charts, numbers = figure.axes[::2], figure.axes[1::2]
    assert [axes.get_title(loc="left") for axes in charts] == [MLP, "hook_mlp_out"]
    for hook, (chart, below) in enumerate(zip(charts, numbers, strict=True)):
        for line in range(2):
            places = np.flatnonzero(table["line_of_place"].values == 2 * hook + line)
            means = table["mean_matches"].sel(scale="raw", origin="eval").values[places]
            drawn = [chart.lines[2 * line + match].get_ydata().tolist() for match in range(2)]
            assert drawn == means.T.tolist()
            shown = [text.get_text() for text in below.texts[4 * line : 4 * line + 4]]
            assert shown == [f"{mean:.1f}" for mean in means.T.ravel()]


def test_notes_say_what_is_counted_and_what_is_left_out():
    table = match_table(CASES["many recipes"], own=2, found=6)
    said = words(draw(match_layers, table))
    assert "40 texts: the beginnings of eval documents, evenly spread, up to 64 tokens each." in said
    assert "Crosses: 2 texts of one's own." in said
    assert "Fewer than 25 features are active on a text, on average: neurons at mlp.hook_post (6.0)" in said
    assert "Not drawn: 5 of mlp.hook_post." in said
    assert "Crosses" not in words(draw(match_layers, match_table(CASES["one layer"])))


def test_layers_are_drawn_as_shares_of_all_with_as_many_of_each_as_a_line():
    table = match_table(CASES["twelve layers"])
    figure = draw(scales_by_layer, table)
    left, right = figure.axes[0], figure.axes[1]
    assert left.lines[0].get_ydata() == [25 / 12, 25 / 12]
    for number, scale in enumerate(("raw", "share", "quantile", "surprise")):
        means = table["mean_of_all_layers"].sel(scale=scale, origin="eval").values[:12]
        assert left.lines[1 + number].get_ydata().tolist() == means.tolist()
        assert means.sum() == pytest.approx(25)
        drawn = [right.lines[2 * number + match].get_ydata()[0] for match in range(2)]
        assert drawn == table["line_matches"].sel(layers="all", scale=scale, origin="eval").values[0].tolist()
    assert "Drawn" not in words(figure)
    many = {(f"hook_{number}", "neurons"): 2 for number in range(8)}
    assert "Drawn: 6 of 8 lines." in words(draw(scales_by_layer, match_table(many)))
