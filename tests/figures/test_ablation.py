"""Figures of ablations: what they say and leave out, and that nothing covers anything."""

import numpy as np
import pytest
import xarray as xr

from polysem.figures.of_model import ablation, ablation_contexts, ablation_measures
from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.tables.of_model.ablation import VARIABLES
from polysem.tables.parts.labels import labelled, variable

from .conftest import legible_texts

SITES = ("blocks.0.mlp.hook_post", "blocks.1.hook_mlp_out")
TEXTS = (" cat", "$a_b$", "\n", " مرحبا", "x" * 40, "\u202e")
INTERVALS, OFFSETS = 5, np.arange(-6, 4)


def ablation_table(places: list[tuple[str, str]] | None = None, measured: int = 30, *, text: bool = True) -> xr.Dataset:
    """The table of some dictionaries with 40 features each, of which some were ablated; two are shown of each."""
    places = places or [(site, name) for site in SITES for name in ("neurons", "topk-x4", "l1-x8_l1=3e-4_seed=0")]
    draw, count = np.random.default_rng(0), len(places)
    quartiles = np.sort(draw.exponential(1e-3, (count, INTERVALS, 3)), axis=-1)[..., [1, 0, 2]]
    values = {
        "site": np.array([site for site, _ in places], object),
        "dictionary": np.array([name for _, name in places], object),
        "measured_features": np.full(count, measured),
        "interval_quartiles_kl": quartiles,
        "interval_quartiles_random_kl": quartiles * 0.3,
        "state": np.tile(np.array(["ablated"] * 30 + ["never active"] * 10, object), count),
        "spot_kl": np.zeros((40 * count, 5)),
        "random_kl": np.zeros((40 * count, 20)),
    }
    for name in ablation_measures.PANELS:
        values[name] = np.sort(draw.random((count, 3)), axis=1)[:, [1, 0, 2]]
    if text:
        token = draw.integers(0, len(TEXTS), (2 * count, 2, len(OFFSETS)))
        token[:, :, -1] = -1
        values |= {
            "shown_place": np.repeat(np.arange(count), 2),
            "shown_feature": np.arange(2 * count) * 1000,
            "shown_tag": np.array(["kind:arabic", ""] * count, object),
            "shown_largest": np.full(2 * count, 2.0),
            "shown_sequence": np.tile([[3, -1], [4, 5]], (count, 1)),
            "shown_token": token,
            "shown_text": np.where(token >= 0, np.array(TEXTS, object)[token], ""),
            "shown_activation": draw.random(token.shape) * 2,
            "shown_change": np.where(token >= 0, draw.standard_normal(token.shape), np.nan),
        }
    made = {
        name: variable(tuple(VARIABLES[name][0].split()), found, VARIABLES[name][2], VARIABLES[name][1])
        for name, found in values.items()
    }
    offset = {"offset": variable("offset", OFFSETS, "tokens", "token")} if text else {}
    return labelled(made, offset, {"model": "stories-2l", "concentrated_on": 10})


@pytest.fixture
def analysis() -> Analysis:
    return Analysis()


@pytest.mark.parametrize("figure", [ablation, ablation_measures, ablation_contexts])
def test_many_dictionaries_with_hostile_names_and_texts_are_legible(figure, tmp_path, monkeypatch, analysis):
    names = ("neurons", "$\\alpha$ <b>x</b>", "l1-x8_l1=3e-4_seed=0_and_more_and_more")
    for places in (None, [(f"blocks.{layer}.mlp.hook_post", name) for layer in range(11) for name in names]):
        texts = legible_texts(figure.draw(ablation_table(places), analysis), tmp_path / "f.svg", monkeypatch)
        assert not any("\u202e" in text for text in texts) and any("stories-2l / all sites" in text for text in texts)


def test_panels_say_how_many_features_are_left_out_and_dictionaries_not_drawn(tmp_path, monkeypatch, analysis):
    places = [(SITES[0], f"topk-x{number}") for number in range(14)]
    said = " ".join(legible_texts(ablation.draw(ablation_table(places), analysis), tmp_path / "f.svg", monkeypatch))
    said = said.replace("\n", " ").replace("\u00a0", " ")
    assert "420 features" in said and "Left out: 140 features" in said and "Not drawn: 2 dictionaries." in said


def test_every_dictionary_has_its_median_and_interval(analysis):
    table = ablation_table()
    figure = ablation_measures.draw(table, analysis)
    assert len(figure.axes) == len(ablation_measures.PANELS)
    for axes, name in zip(figure.axes, ablation_measures.PANELS, strict=True):
        dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
        assert dots == pytest.approx(table[name].values[:, 0].tolist())
        ends = [path.vertices[:, 0].tolist() for lines in axes.collections for path in lines.get_paths()]
        assert np.array(ends) == pytest.approx(table[name].values[:, 1:])


def test_underlines_are_as_thick_as_the_change_and_say_which_way_it_goes(analysis):
    table = ablation_table([(SITES[0], "neurons")])
    table["shown_change"][:] = 0
    table["shown_change"][0, 0, 2], table["shown_change"][0, 0, 6] = -2.0, 1.0
    table["shown_token"][0, 0, :-1] = 0
    table["shown_text"][0, 0, :-1] = " cat"
    axes = ablation_contexts.draw(table, analysis).axes[0]
    colours = {theme.COLOURS[name]: name for name in ("less_likely", "likelier")}
    found = {}
    for box in axes.artists + axes.patches:
        colour = "#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in box.get_facecolor()[:3])).upper()
        if colour in colours:
            found[colours[colour]] = box.get_height()
    assert found["less_likely"] == pytest.approx(0.3) and found["likelier"] == pytest.approx(0.15)


def test_where_nothing_was_ablated_the_figures_say_so(analysis):
    for figure in (ablation, ablation_measures):
        with pytest.raises(NotApplicable, match="no feature of the model was ablated"):
            figure.draw(ablation_table(measured=0), analysis)
    with pytest.raises(NotApplicable, match="one token each, and no context"):
        ablation_contexts.draw(ablation_table(text=False), analysis)
    table = ablation_table()
    table["shown_sequence"][:] = -1
    with pytest.raises(NotApplicable, match="no feature of the model is active"):
        ablation_contexts.draw(table, analysis)
    figure = ablation.draw(ablation_table([(SITES[0], "neurons")], text=False), analysis)
    assert len([axes for axes in figure.axes if axes.axison]) == 1
