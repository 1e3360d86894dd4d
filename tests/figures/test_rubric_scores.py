"""S1.F10: what people gave, drawn."""

import numpy as np
import pytest
from rubric_case import RubricCase, given, scores_of

from polysem.figures.registry import NotApplicable
from polysem.layout.rubric import CRITERIA
from polysem.params.analysis import Analysis

from .conftest import draw_from, legible_texts


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> RubricCase:
    return RubricCase(tmp_path_factory.mktemp("rubric"))


def scored(case, *raters, seed=0):
    """Points that are drawn, of each rater for the first so many items."""
    table, draw = case.table(), np.random.default_rng(seed)
    items, sheet = table["item"].to_numpy().tolist(), table.attrs["sheet"]
    files = []
    for author, count in raters:
        points = [[int(draw.integers(0, most + 1)) for most in CRITERIA.values()] for _ in range(count)]
        files.append(scores_of(author, sheet, *(given(item, *one) for item, one in zip(items, points, strict=False))))
    return case.table(files)


def test_all_numbers_that_are_drawn_are_those_of_the_table(case, tmp_path, monkeypatch, analysis):
    table = scored(case, ("Ada", 10), ("<b>$Bo$", 7))
    figure = draw_from("rubric_scores", {"rubric": table}, analysis)
    texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch)).replace("\u00a0", " ")
    totals, *panels = figure.axes
    kinds = table["kind"].to_numpy()
    for number, group in enumerate(("features", "neurons")):
        mine = table["item_total"].to_numpy()[kinds == group.removesuffix("s")]
        assert sorted(totals.lines[2 * number].get_xdata()) == pytest.approx(sorted(mine[np.isfinite(mine)]))
        assert totals.lines[2 * number + 1].get_xdata()[0] == float(table["median_total"].sel(group=group)[0])
    for axes, criterion in zip(panels, CRITERIA, strict=True):
        means = table["mean_score"].sel(criterion=criterion).to_numpy()
        assert [line.get_xdata()[0] for line in axes.lines] == means[:, 0].tolist()
        ends = [collection.get_segments()[0][:, 0].tolist() for collection in axes.collections]
        assert ends == [pytest.approx(row[1:].tolist()) for row in means]
        assert axes.get_xlim() == (0, CRITERIA[criterion])
    alpha = float(table["total_agreement"][0])
    assert "2 raters scored 5 of 5 features and 5 of 5 neurons" in texts and f"alpha: {alpha:.2f}" in texts


def test_one_rater_and_one_item_make_a_figure_without_intervals(case, tmp_path, monkeypatch, analysis):
    figure = draw_from("rubric_scores", {"rubric": scored(case, ("Ada", 1))}, analysis)
    texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch)).replace("\u00a0", " ")
    assert "1 rater scored" in texts and "nothing tells how far others would agree" in texts
    assert not any(axes.collections for axes in figure.axes)


def test_many_equal_totals_stay_in_their_row(tmp_path):
    case = RubricCase(tmp_path)
    case.analysis = Analysis(rubric_features=50)
    table = case.table()
    files = [given(item, 0, 0, 0, 0, explanation="") for item in table["item"].to_numpy().tolist()]
    table = case.table([scores_of("Ada", table.attrs["sheet"], *files)])
    figure = draw_from("rubric_scores", {"rubric": table}, Analysis())
    heights = figure.axes[0].lines[0].get_ydata()
    assert len(heights) == 50 and min(heights) >= -0.45 and len(set(heights)) == 50


def test_nothing_is_drawn_while_nobody_has_scored_and_the_reason_is_said(case, analysis):
    with pytest.raises(NotApplicable, match="nobody has scored the rubric sheet of the model yet"):
        draw_from("rubric_scores", {"rubric": case.table()}, analysis)
    with pytest.raises(NotApplicable, match=r"analysis\.rubric_features is 0"):
        none = case.table().drop_dims("item").assign_attrs(not_applicable="analysis.rubric_features is 0")
        draw_from("rubric_scores", {"rubric": none}, analysis)
