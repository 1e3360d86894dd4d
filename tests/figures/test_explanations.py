"""S1.F10: scores of explanations, their agreement with the truth, and their texts, drawn."""

import numpy as np
import pytest
import xarray as xr

from polysem.figures.of_model import explanation_agreement, explanation_scores, explanation_texts
from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.tables.of_model.explanations import VARIABLES
from polysem.tables.parts.labels import labelled, variable
from polysem.tables.passes.explanations.agreement import TRUTHS
from polysem.tables.passes.explanations.scores import SCORES

from .conftest import legible_texts

SITES = ("blocks.0.mlp.hook_post", "blocks.1.hook_mlp_out")
EXPLAINERS = ("tag", "pattern", "token", "n-gram", "logit weights", "unigram")
FIGURES = (explanation_scores, explanation_agreement, explanation_texts)
TEXTS = ('the tokens " cat", "$a_b$"', "tokens with <b>\u202e", "كتب وكتاب", "", "x" * 400, "/^\\s*[^\\w\\s]+$/")


def estimates(draw: np.random.Generator, *shape: int) -> np.ndarray:
    return np.sort(draw.random((*shape, 3)), axis=-1)[..., [1, 0, 2]]


def explanation_table(places: list[tuple[str, str]] | None = None, features: int = 12) -> xr.Dataset:
    """The table of some dictionaries, with so many explained features each, of which two have too few examples."""
    places = places or [(site, name) for site in SITES for name in ("neurons", "topk-x4", "l1-x8_l1=3e-4_seed=0")]
    draw, count, every = np.random.default_rng(0), len(places), len(places) * features
    own = draw.random((every, len(EXPLAINERS), len(SCORES)))
    own[::6] = np.nan
    measures = [f"{name}: {score}" for name in EXPLAINERS for score in SCORES] + ["intruder"]
    listed = np.zeros((count, features), np.int8)
    listed[:, 1:4] = 1
    values = {
        "site": np.array([site for site, _ in places], object),
        "dictionary": np.array([name for _, name in places], object),
        "scored_features": np.full(count, features - 2),
        "mean_score": estimates(draw, count, len(EXPLAINERS), len(SCORES)),
        "mean_shuffled_score": 0.3 * estimates(draw, count, len(EXPLAINERS), len(SCORES)),
        "mean_intruder_share": estimates(draw, count),
        "agreement": 2 * estimates(draw, count, len(measures), len(TRUTHS)) - 1,
        "of_place": np.repeat(np.arange(count), features),
        "feature": np.arange(every) * 1000,
        "listed": listed.reshape(-1),
        "text": np.resize(np.array(TEXTS, object), (every, len(EXPLAINERS))),
        "score_of": own,
        "note": np.array(["", "", "", "", "", "the server is <b>down</b>"], object),
        "explainer": np.array(EXPLAINERS, object),
        "score": np.array(SCORES, object),
        "measure": np.array(measures, object),
        "truth": np.array(list(TRUTHS.values()), object),
    }
    made = {
        name: variable(tuple(VARIABLES[name][0].split()), found, VARIABLES[name][2], VARIABLES[name][1])
        for name, found in values.items()
    }
    coordinates = {name: made.pop(name) for name in ("explainer", "score", "measure", "truth")}
    return labelled(made, coordinates, {"model": "stories-2l", "intruder_chance": 0.2})


@pytest.fixture
def analysis() -> Analysis:
    return Analysis()


@pytest.mark.parametrize("figure", FIGURES)
def test_many_dictionaries_with_hostile_names_and_texts_are_legible(figure, tmp_path, monkeypatch, analysis):
    names = ("neurons", "$\\alpha$ <b>x</b>", "l1-x8_l1=3e-4_seed=0_and_more_and_more")
    for places in (None, [(f"blocks.{layer}.mlp.hook_post", name) for layer in range(24) for name in names]):
        texts = legible_texts(figure.draw(explanation_table(places), analysis), tmp_path / "f.svg", monkeypatch)
        assert not any("\u202e" in text for text in texts) and any("stories-2l / all sites" in text for text in texts)


def points(axes) -> list[tuple[float, str]]:
    """Numbers and colours of the dots of a panel, from top to bottom."""
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    dots.sort(key=lambda line: line.get_ydata()[0])
    return [(line.get_xdata()[0], line.get_color()) for line in dots]


def test_every_explainer_has_a_row_in_which_neurons_stand_before_features(analysis):
    table = explanation_table()
    figure = explanation_scores.draw(table, analysis)
    grey, red = theme.COLOURS["bulk"], theme.COLOURS["real"]
    for number, axes in enumerate(figure.axes[:3]):
        mean = table["mean_score"].values[:, :, number, 0]
        expected = [mean[place, row] for first in (0, 3) for row in range(6) for place in range(first, first + 3)]
        found = points(axes)
        assert [value for value, _ in found] == pytest.approx(expected)
        assert [colour for _, colour in found] == [grey, red, red] * 12
        ticks = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "|"]
        assert sorted(ticks) == pytest.approx(sorted(table["mean_shuffled_score"].values[:, :, number, 0].ravel()))
    last = [value for value, _ in points(figure.axes[3])]
    assert last == pytest.approx(table["mean_intruder_share"].values[:, 0].tolist())
    said = " ".join(text.get_text() for text in figure.texts)
    assert "unigram: the server is <b>down</b>." in said.replace("\xa0", " ")
    assert "60 features" in said.replace("\xa0", " ") and "12 with too few examples" in said.replace("\n", " ")


def test_the_control_of_a_dictionary_stands_in_its_row(tmp_path, monkeypatch, analysis):
    table = explanation_table()
    said = " ".join(text.get_text() for text in explanation_scores.draw(table, analysis).texts)
    assert "random model" not in said
    control = 0.5 * table["mean_score"].values
    control[2] = np.nan  # it has no such dictionary
    dimensions, unit, words = VARIABLES["control_mean_score"]
    table["control_mean_score"] = variable(tuple(dimensions.split()), control, words, unit)
    figure = explanation_scores.draw(table, analysis)
    for axes in figure.axes[:3]:
        dots = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"}
        crosses = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "x"}
        known = {height: value for height, value in crosses.items() if np.isfinite(value)}
        assert len(crosses) == 36 and len(known) == 30
        assert all(value == pytest.approx(0.5 * dots[height]) for height, value in known.items())
    assert "feature of the random model" in legible_texts(figure, tmp_path / "f.svg", monkeypatch)


def test_agreement_has_a_panel_for_each_score_and_truth(analysis):
    table = explanation_table()
    figure = explanation_agreement.draw(table, analysis)
    assert len(figure.axes) == 4
    for axes, (truth, score) in zip(figure.axes, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
        rows = [3 * explainer + score for explainer in range(6)] + [18]
        agreement = table["agreement"].values[:, :, truth, 0]
        expected = [agreement[place, row] for first in (0, 3) for row in rows for place in range(first, first + 3)]
        assert [value for value, _ in points(axes)] == pytest.approx(expected)


def test_sites_that_are_not_drawn_are_counted(tmp_path, monkeypatch, analysis):
    places = [(f"blocks.{layer}.mlp.hook_post", name) for layer in range(24) for name in ("neurons", "a", "b", "c")]
    for figure in (explanation_scores, explanation_agreement):
        drawn = figure.draw(explanation_table(places), analysis)
        said = " ".join(text.get_text() for text in drawn.texts).replace("\xa0", " ")
        assert "Not drawn: 14 sites." in said and drawn.get_figheight() < 40


def test_texts_are_those_of_listed_features_of_the_neurons_and_an_sae(analysis):
    figure = explanation_texts.draw(explanation_table(), analysis)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [text for text in texts if text.startswith(("neuron ", "feature "))] == [
        *(f"neuron {number},000" for number in (1, 2, 3)),
        *(f"feature {number},000" for number in (13, 14, 15)),
    ]
    assert TEXTS[0] in texts and texts.count("logit weights") == 6
    assert any(text.endswith("…") and text.startswith("xxx") for text in texts)


def test_where_nothing_is_explained_the_figures_say_so(analysis):
    image = xr.Dataset(attrs={"not_applicable": "explanations are of tokens in their text, and an image has none"})
    for figure in FIGURES:
        with pytest.raises(NotApplicable, match="an image has none"):
            figure.draw(image, analysis)
    table = explanation_table()
    table["scored_features"][:], table["listed"][:], table["agreement"][:] = 0, 0, np.nan
    for figure in (explanation_scores, explanation_texts):
        with pytest.raises(NotApplicable, match="examples enough"):
            figure.draw(table, analysis)
    with pytest.raises(NotApplicable, match="ten scored features"):
        explanation_agreement.draw(table, analysis)
