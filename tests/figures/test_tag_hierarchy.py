"""Pairs of tags of which one implies the other, drawn: S1.X3."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.tables.contract import load_table
from polysem.tables.parts.labels import variable

from .conftest import SAE, draw_from, legible_texts, origin

CONTRACT = load_table("dictionary", "tag_hierarchy")[1]
TAGS = 9


def hierarchy_table(pairs: int = 6, left_out: int = 0, control: bool = False, unknown: int = 0) -> xr.Dataset:
    """A table that holds what is declared, with numbers drawn at random; children and parents take turns, the first
    `left_out` pairs are not kept, and the last `unknown` ones have no shares."""
    random = np.random.default_rng(0)
    number = np.arange(pairs)
    values = {
        "tag": np.array([f"tag {tag}" for tag in range(TAGS)], object),
        "child": np.array([f"tag {one % 6 + 3}" for one in range(pairs)], object),
        "parent": np.array([f"tag {one % 3}" for one in range(pairs)], object),
        "kept": number >= left_out,
        "hierarchy_pairs": np.array(pairs),
        "left_out_pairs": np.array(left_out),
        "split_features": np.array([1, 2, 8, *[-1] * (TAGS - 3)]),
        "own_f1": np.array([0.2, 0.3, 0.7, *[np.nan] * (TAGS - 3)]),
        "children_f1": np.array([0.1, 0.2, 0.45, *[np.nan] * (TAGS - 3)]),
        "parents_own_f1": np.array(0.4),
        "parents_children_f1": np.array(0.25),
    }
    table = xr.Dataset()
    for name, said in CONTRACT.variables.items():
        if "control" not in said.only or control:
            sizes = [{"pair": pairs, "tag": TAGS}[dimension] for dimension in said.dimensions]
            found = values.get(name, random.random(sizes))
            if said.dimensions == ("pair",) and name not in values:
                found = np.where(number < pairs - unknown, found, np.nan)
            table[name] = variable(said.dimensions, found, said.long_name, said.units)
    return table.set_coords("tag").assign_attrs(origin(SAE))


def drawn(table, analysis):
    return draw_from("tag_hierarchy", {"tag_hierarchy": table}, analysis)


def words_of(figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


CASES = {
    "some pairs": {},
    "a pair alone": {"pairs": 1},
    "a control": {"pairs": 12, "left_out": 3, "control": True},
    "no pair that is kept": {"left_out": 6, "control": True},
    "more pairs than are drawn": {"pairs": 55, "left_out": 5},
    "pairs without shares": {"unknown": 2},
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_covers_another(case, analysis, tmp_path, monkeypatch):
    texts = legible_texts(drawn(hierarchy_table(**CASES[case]), analysis), tmp_path / "figure.svg", monkeypatch)
    assert any(text.startswith("S1.X3  Features of tags that other tags imply") for text in texts)


def test_the_same_table_gives_the_same_bytes(analysis, tmp_path):
    for file in ("one", "two"):
        theme.save(drawn(hierarchy_table(), analysis), tmp_path / f"{file}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_pairs_stand_by_their_share_with_those_in_brackets_below_and_marks_at_their_numbers(analysis):
    table = hierarchy_table(pairs=8, left_out=3, control=True)
    left, right = drawn(table, analysis).axes
    absorbed = table["absorbed"].values
    kept, out = ([*where[np.argsort(-absorbed[where])]] for where in (np.arange(3, 8), np.arange(3)))
    order = [*kept, *out][::-1]
    names = [f"{table['child'].values[one]} in {table['parent'].values[one]}" for one in order]
    labels = [f"({name})" if one < 3 else name for name, one in zip(names, order, strict=True)]
    assert [label.get_text() for label in left.get_yticklabels()] == labels
    lines = {"missed_elsewhere": left.lines[0], "missed_with_child": left.lines[1], "absorbed": right.lines[0]}
    for name, line in lines.items():
        np.testing.assert_array_equal(line.get_xdata(), table[name].values[order])
        np.testing.assert_array_equal(np.round(line.get_ydata()), range(8))
    np.testing.assert_array_equal(right.lines[1].get_xdata(), table["control_absorbed"].values[order])
    # Equal shares of absorption stand in the order of what is missed.
    table["absorbed"][...] = 0.0
    left, _ = drawn(table, analysis).axes
    missed = table["missed_with_child"].values
    np.testing.assert_array_equal(left.lines[1].get_xdata()[3:], np.sort(missed[3:]))
    np.testing.assert_array_equal(left.lines[1].get_xdata()[:3], np.sort(missed[:3]))


def test_lines_join_the_marks_of_a_pair_and_span_the_intervals(analysis):
    table = hierarchy_table(pairs=8)
    left, right = drawn(table, analysis).axes
    order = np.argsort(table["absorbed"].values)
    joined, *intervals = (np.array(one.get_segments()) for one in [*left.collections, *right.collections])
    np.testing.assert_array_equal(joined[:, 0, 0], table["missed_elsewhere"].values[order])
    np.testing.assert_array_equal(joined[:, 1, 0], table["missed_with_child"].values[order])
    for name, found in zip(("missed_elsewhere", "missed_with_child", "absorbed"), intervals, strict=True):
        np.testing.assert_array_equal(found[:, 0, 0], table[f"{name}_low"].values[order])
        np.testing.assert_array_equal(found[:, 1, 0], table[f"{name}_high"].values[order])


def test_notes_say_the_means_what_is_split_and_what_is_left_out(analysis):
    table = hierarchy_table(pairs=55, left_out=5, control=True)
    for name, share in {"missed_with_child": 0.5, "missed_elsewhere": 0.25, "absorbed": 0.125}.items():
        for end, moved in (("", 0.0), ("_low", -0.0625), ("_high", 0.0625)):
            table[f"{name}_share{end}"][...] = share + moved
    table["control_absorbed_share"][...] = 0.03125
    words = words_of(drawn(table, analysis))
    assert "Means over 50 pairs: the implied tag's feature is off on 50.0 % (43.8–56.2 %) of the tokens with" in words
    assert (
        "on 25.0 % (18.8–31.2 %) of those with it alone; 12.5 % (6.2–18.8 %) is absorbed, of the control 3.1 %" in words
    )
    assert "2 of 3 implied tags need more than 1 feature" in words
    assert "own main features 0.40, of those of the tags that imply them, together, 0.25" in words
    assert "Left out of means: 5 pairs in brackets." in words and "Not drawn: 15 pairs" in words
    words = words_of(drawn(hierarchy_table(left_out=6), analysis))
    assert "Without shares" not in words
    assert "Without shares: 2 pairs" in words_of(drawn(hierarchy_table(unknown=2), analysis))
    assert "Left out of means: 6 pairs" in words and "Means over" not in words and "Not drawn" not in words


def test_where_nothing_is_implied_the_figure_says_why(analysis):
    with pytest.raises(NotApplicable, match="no tag that is probed implies another one"):
        drawn(xr.Dataset(attrs={"not_applicable": "no tag that is probed implies another one"}), analysis)
