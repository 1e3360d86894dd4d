"""The figure of twins."""

import numpy as np
import pytest
import xarray as xr

from polysem.figures.of_model.twins import draw
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

from .conftest import legible_texts

SPANS = ["one dictionary", "one site", "one layer", "several layers"]
LEVELS = np.linspace(0.7, 1, 4)


@pytest.fixture
def table() -> xr.Dataset:
    """Two dictionaries of one site: two families of two, one of three and one of six, and a feature without one."""
    families = np.zeros((4, 3, 3), int)
    families[1, 1], families[0, 0] = [1, 1, 1], [1, 0, 0]
    shuffled = np.zeros((4, 3, 3), int)
    shuffled[0, 2, 0] = 1
    family = [0, 1, 2, 3, 3, 3, 3, 3, 3, 0, 1, 1, 2, -1]
    possible = np.zeros((4, 3), int)
    possible[:2] = 40
    reaching = np.zeros((4, 4), int)
    reaching[1] = [90, 50, 24, 3]
    return xr.Dataset(
        {
            "place_site": ("place", ["blocks.0.mlp.hook_post"] * 2),
            "place_dictionary": ("place", ["neurons", "topk"]),
            "place_features": ("place", [10, 20]),
            "place_compared": ("place", [9, 19]),
            "possible_pairs": (("span", "kind"), possible),
            "families": (("span", "kind", "size"), families),
            "families_shuffled": (("span", "kind", "size"), shuffled),
            "pairs_reaching": (("span", "level"), reaching),
            "pairs_reaching_shuffled": (("span", "level"), reaching // 50),
            "twin_place": ("twin", [0] * 9 + [1] * 5),
            "twin_feature": ("twin", [*range(9), 1000, 1001, 1002, 1003, 1004]),
            "twin_family": ("twin", family),
            "twin_token": ("twin", np.array([" red", "\u202e", "$x^2$", *["a"] * 11], object)),
            "twin_token_share": ("twin", [0.7, *[0.5] * 13]),
            "family_size": ("family", [2, 3, 2, 6]),
            "family_correlation": ("family", [0.91, 0.92, 0.97, 0.9]),
            "family_cosine": ("family", [0.5, np.nan, 0.25, 0.1]),
            "family_contexts": ("family", [0.4, 0.3, 0.2, 0.1]),
            "family_span": ("family", [0, 1, 1, 1]),
            "median_contexts": ("span", [0.5, 0.25, np.nan, np.nan]),
            "median_cosine": ("span", [0.875, 0.125, np.nan, np.nan]),
            "median_cosine_exchanged": ("span", [0.25, 0.0, np.nan, np.nan]),
            "pairs": (("span", "kind"), [[4, 0, 0], [10, 10, 0], [0, 0, 0], [0, 0, 0]]),
            "twin_pairs": 24,
            "twin_pairs_shuffled": 1,
            "without_family": 1,
        },
        {"span": SPANS, "kind": ["features", "features and neurons", "neurons"], "size": [2, 3, 4], "level": LEVELS},
        {"model": "stories", "tokens": 4096, "fewest_tokens": 10},
    )


def drawn(table: xr.Dataset):
    return draw(table, Analysis())


def words(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def test_bars_are_the_families_of_each_span_that_there_can_be_with_the_shuffled_ones(table):
    left = drawn(table).axes[0]
    assert [bar.get_width() for bar in left.patches] == [1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0]
    assert [text.get_text() for text in left.texts] == ["1; shuffled 1", "0", "0", "1", "1", "1"]
    names = ["one dictionary:  2", "3", "4+", "one site:  2", "3", "4+"]
    assert [label.get_text() for label in left.get_yticklabels()] == names


def test_lines_are_the_pairs_that_reach_each_correlation(table):
    right = drawn(table).axes[1]
    lines = [line.get_ydata().tolist() for line in right.lines if len(line.get_ydata()) == 4]
    assert lines == [[0] * 4, [0] * 4, [1, 1, 0, 0], [90, 50, 24, 3]]
    limit = next(line for line in right.lines if len(line.get_ydata()) == 2)
    assert set(limit.get_xdata()) == {0.9}


def test_the_closest_families_of_each_size_are_listed_with_their_members(table):
    said = words(drawn(table))
    listed = [text for text in said if text[:3] in ("0.9", "0.8") and len(text) == 5]
    assert listed == ["0.910", "0.970", "0.920", "0.900"]  # of one dictionary; of one site, by size
    assert {"1,000", "1,003"} <= set(said) and "1,004" not in said
    assert "and 2 more" in said and "7" not in said  # of the six
    assert "␣red  70%" in said and "\\u202e  50%" in said and "$x^2$  50%" in said
    assert "–" in said  # a cosine that is not known


def test_notes_say_what_is_counted_and_left_out(table):
    note = " ".join(" ".join(words(drawn(table))).replace("\u00a0", " ").split())
    assert "Pairs of twins: 24 of 240, and 1 when shuffled." in note
    assert "2 (6.7 %) of 30 features and neurons" in note
    assert "twins of each other: 1 feature." in note
    assert "residual stream: one dictionary 0.88, one site 0.12; with their partners exchanged 0.25, 0.00." in note
    assert "have in common: one dictionary 0.50, one site 0.25." in note
    assert "No cosines" not in note
    said = drawn(table.assign_attrs(cosine_not_applicable="a classifier has none"))
    assert "No cosines: a classifier has none." in " ".join(words(said))


def test_a_model_of_which_nothing_can_be_compared_has_no_figure(table):
    table["possible_pairs"][:] = 0
    with pytest.raises(NotApplicable, match="active on 10 of the tokens"):
        drawn(table)


def test_a_model_without_twins_says_so(table):
    none = table.isel(twin=slice(0), family=slice(0))
    assert "no twins" in words(drawn(none))


@pytest.mark.parametrize("many", [False, True])
def test_no_text_covers_another(table, many, tmp_path, monkeypatch):
    if many:
        for name in ("possible_pairs", "families", "families_shuffled", "pairs_reaching"):
            table[name] = table[name] + 123_456
        table["twin_token"][:] = "extraordinarily"
        table["place_site"][:] = "blocks.11.ln2.hook_normalized"
        table["place_dictionary"][:] = "a-recipe-with-a-long-name_l1=3e-4_seed=0"
    legible_texts(drawn(table), tmp_path / "figure.svg", monkeypatch)
