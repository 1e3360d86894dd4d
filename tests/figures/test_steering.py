"""S1.F5: steering, drawn."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.patches import Rectangle

from polysem.figures.parts import theme
from polysem.figures.parts.steered_ways import WORDS
from polysem.figures.registry import NotApplicable
from polysem.tables.of_model.steering import VARIABLES
from polysem.tables.parts.labels import labelled, variable
from polysem.tables.passes.steering.ways import MEASURED, NO_TAG, WAYS

from .conftest import draw_from, legible_texts

SITES = ["blocks.0.mlp.hook_post", "blocks.0.hook_mlp_out"]
DOSES, PROMPTS = [0.5, 1.0, 5.0], ["", "", "Once upon a", "Once upon a"]


def steering_table(features: int = 6, written: str = " red ball מים $a$", tagged: bool = True) -> xr.Dataset:
    """A table of features at two sites, every second one without a tag."""
    draw = np.random.default_rng(0)
    sizes = {
        "steered": features, "way": len(WAYS), "dose": len(DOSES), "text": len(PROMPTS), "place": 2, "rank": 3,
        "recognised": 2,
    }  # fmt: skip
    sites = [SITES[number * 2 // features] for number in range(features)]
    tags = ["colour" if tagged and number % 2 == 0 else "" for number in range(features)]
    values: dict[str, object] = {}
    for name, (dimensions, _, _) in VARIABLES.items():
        values[name] = draw.random([sizes[one] for one in dimensions.split()]) * 0.5
    shape = (features, len(WAYS), len(DOSES), len(PROMPTS))
    continuation, marks = np.full(shape, written, object), np.full(shape, "0" * len(written), object)
    marks[np.array(tags) != "", WAYS.index("feature")] = "0111" + "0" * (len(written) - 4)
    values |= {
        "site": sites, "dictionary": ["topk-x4"] * features, "feature": np.arange(1000, 1000 + features), "tag": tags,
        "chosen_by": ["best feature of a tag", "output score"] * (features // 2) + ["output score"] * (features % 2),
        "promoted_text": np.full((features, 3), " r$e_d$", object), "prompt": PROMPTS, "sample": [0, 1, 0, 1],
        "state": np.full((features, len(WAYS)), MEASURED if tagged else NO_TAG, object),
        "tag_prompt": np.full((features, len(PROMPTS)), "a red", object), "continuation": continuation, "marks": marks,
        "site_name": SITES, "features_scored": np.full((2, len(WAYS)), 2), "recognised_tag": ["colour", "name"],
        "way": list(WAYS), "dose": DOSES,
    }  # fmt: skip
    for name in ("perplexity", "perplexity_low", "perplexity_high"):
        values[name] = 3 + {"perplexity": 1.0, "perplexity_low": 0.0, "perplexity_high": 9.0}[name] + values[name]
    if not tagged:
        values |= {name: np.full((2, len(WAYS), len(DOSES)), np.nan) for name in VARIABLES if "mean_tag_share" in name}
        values |= {"tag_gain": np.full(features, np.nan), "output_score_tag_gain": np.nan}
    made = {
        name: variable(
            tuple(VARIABLES[name][0].split()),
            np.array(found, object) if isinstance(found, list) and isinstance(found[0], str) else found,
            VARIABLES[name][2],
            VARIABLES[name][1],
        )
        for name, found in values.items()
    }
    attributes = {"model": "stories-1l", "written_tokens": 24, "left_out": "s / odd cannot be edited: no such site"}
    coordinates = {name: made.pop(name) for name in ("way", "dose")}
    return labelled(made, coordinates, attributes)


def test_each_site_has_its_curves_and_intervals_are_those_of_the_table(tmp_path, monkeypatch, analysis):
    table = steering_table()
    figure = draw_from("steering_doses", {"steering": table}, analysis)
    texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch)).replace("\u00a0", " ")
    for words in (*WORDS.values(), *SITES):
        assert words in texts
    assert "cannot be edited" in texts and "2 of 3 features" in texts
    share = figure.axes[0]
    drawn = [line.get_ydata() for line in share.lines]
    for way in WAYS[:4]:
        wanted = table["mean_tag_share"].sel(way=way).values[0]
        assert any(len(one) == len(wanted) and np.allclose(one, wanted) for one in drawn)
    rho = float(table["output_score_tag_gain"])
    assert f"Spearman {rho:.2f}" in texts


def test_without_a_recognised_tag_the_panel_says_so(tmp_path, monkeypatch, analysis):
    figure = draw_from("steering_doses", {"steering": steering_table(tagged=False)}, analysis)
    texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch))
    assert "no steered feature is about a tag" in texts and "no feature has both numbers" in texts


def test_texts_stand_below_each_other_with_what_carries_the_tag_shaded(tmp_path, monkeypatch, analysis):
    table = steering_table()
    figure = draw_from("steering_texts", {"steering": table}, analysis)
    texts = legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    assert texts.count("as it is") == 2 * 6 and texts.count("5 × max.") == 2 * 6 and "0.5 × max." not in texts
    assert sum("feature 1,000" in text for text in texts) == 1
    shades = [
        one for axes in figure.axes for one in axes.get_children() if isinstance(one, Rectangle) and one.get_alpha()
    ]
    shades = [one for one in shades if one is not one.axes.patch]
    assert len(shades) == 3 * 2 * 2, "three features with a tag, two prompts, two doses from 1 on"


def test_many_features_and_long_hostile_texts_are_legible(tmp_path, monkeypatch, analysis):
    table = steering_table(11, "\u202e<b>$\\alpha$ " + "long " * 60)
    figure = draw_from("steering_texts", {"steering": table}, analysis)
    texts = legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    assert any("Not drawn: 3 features" in text.replace("\u00a0", " ") for text in texts)
    assert not any("\u202e" in text for text in texts) and "…" in texts


@pytest.mark.parametrize("name", ["steering_doses", "steering_texts"])
def test_a_table_that_does_not_apply_is_not_drawn_and_the_same_one_gives_the_same_bytes(name, tmp_path, analysis):
    said = xr.Dataset(attrs={"not_applicable": "a classifier writes no text", "model": "digits"})
    with pytest.raises(NotApplicable, match="a classifier writes no text"):
        draw_from(name, {"steering": said}, analysis)
    for place in ("one", "two"):
        theme.save(draw_from(name, {"steering": steering_table()}, analysis), tmp_path / f"{place}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
