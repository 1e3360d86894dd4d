"""S4.X3: the staircases of distinct examples, as the tables hold them."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

from polysem.figures.parts import theme
from polysem.figures.parts.families import with_families
from polysem.figures.registry import NotApplicable
from polysem.tables.parts.labels import index, labelled, scalar, variable

from .conftest import draw_from, legible_texts

NAMES = ["neurons", "l1-x8_seed=0", "l1-x8_seed=1", "topk-x8"]
TOP = 20


def table(shift: int, *, text: bool = True, embedded: bool = True, share: float = 0.25) -> xr.Dataset:
    """A dictionary whose features have about so many distinct examples."""
    number = np.arange(TOP + 1)
    at_most = np.clip((number - shift) / 12, 0, 1)
    shares = {"tokens_at_most": at_most, "contexts_at_most": at_most**3, "different_at_most": at_most**0.5}
    kept = {name: of for name, of in shares.items() if (embedded if "different" in name else text)}
    variables = {name: variable("number", of, name, "1") for name, of in kept.items()}
    if text:
        variables["one_token_share"] = scalar(share, "share", "1")
        variables["one_token_found_more_share"] = scalar(0.8 if share else np.nan, "share", "1")
    attributes = {"top_examples": TOP, "repeat_context": 5, "different_distance": 0.3, "model": "m", "site": "s"}
    return labelled(variables, {"number": index("number", 0, TOP + 1, "examples")}, attributes)


def together(*each: xr.Dataset) -> xr.Dataset:
    names = NAMES[: len(each)]
    joined = xr.concat(each, dim="dictionary", combine_attrs="override", data_vars="all")
    joined = joined.assign_coords(dictionary=names).assign_attrs(dictionary="all dictionaries")
    return with_families(joined, {name: name.split("_")[0] for name in names})


def test_every_dictionary_has_its_staircase_in_every_panel(analysis, tmp_path, monkeypatch):
    tables = together(table(0), table(2), table(3), table(5, share=0.0))
    figure = draw_from("distinct_examples", {"diverse_examples": tables}, analysis)
    legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    panels = ("tokens_at_most", "contexts_at_most", "different_at_most")
    assert len(figure.axes) == len(panels)
    for axes, name in zip(figure.axes, panels, strict=True):
        drawn = {tuple(np.round(line.get_ydata(), 6)) for line in axes.lines}
        assert drawn == {tuple(np.round(100 * row, 6)) for row in tables[name].values}
        assert axes.lines[-1].get_color() == theme.INK  # the neurons are on top
        assert to_rgba(axes.lines[0].get_color()) == to_rgba(axes.lines[1].get_color())  # two seeds of a recipe
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["neurons", "l1-x8", "topk-x8"]
    said = " ".join(text.get_text() for text in figure.texts).replace("\n", " ").replace("\xa0", " ")
    assert "All 20 are of one token: 25 % of neurons, 80 % of these have others among their diverse examples" in said
    assert "0 % of topk-x8." in said
    assert "differ above a cosine distance of 0.3" in said


def test_panels_that_no_dictionary_has_are_left_out(analysis):
    images = draw_from("distinct_examples", {"diverse_examples": together(table(0, text=False))}, analysis)
    assert [axes.get_xlabel() for axes in images.axes] == ["different neuron embeddings"]
    plain = draw_from("distinct_examples", {"diverse_examples": together(table(0, embedded=False), table(1))}, analysis)
    assert len(plain.axes[2].lines[-1].get_ydata()) == TOP + 1
    assert np.isnan(plain.axes[2].lines[-1].get_ydata()).all()


def test_a_site_whose_features_are_hardly_active_says_so(analysis):
    silent = table(0) * np.nan
    silent = silent.assign_attrs(table(0).attrs)
    with pytest.raises(NotApplicable, match="no feature of this site is active on as many tokens"):
        draw_from("distinct_examples", {"diverse_examples": together(silent)}, analysis)
