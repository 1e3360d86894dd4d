"""What features know of tags, drawn: S1.F2 and S0.X3."""

import json
import re
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

from polysem.figures.draw_figures import draw_figures
from polysem.figures.draw_site_figures import draw_site_figures
from polysem.figures.parts import theme
from polysem.figures.parts.families import with_families
from polysem.figures.registry import NotApplicable, find_figure
from polysem.layout.annotations import Annotations
from polysem.layout.feature_labels import Label
from polysem.tables.parts.monosemanticity import alignment_statistics
from polysem.tables.parts.showcase import showcase_tags

from .conftest import SAE, alignment_table, draw_from, legible_texts, origin, place, spelled, without_codes

NAMES = ["kind:arabic", "kind:hebrew", "kind:story", "plot:spoiled-plan", "pronoun:I", "object"]
RATES = [0.02, 0.03, 0.95, 0.1, 0.05, 0.01]
FEATURES, NEURONS = 60, 12


def activations(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of which each knows one tag or none, more or less, and the tags of 300 sequences of 10 tokens."""
    random = np.random.default_rng(seed)
    carried = random.random((300, 10, len(NAMES))) < np.array(RATES)
    knows = np.zeros((len(NAMES), FEATURES))
    knows[np.arange(FEATURES) % len(NAMES), np.arange(FEATURES)] = random.uniform(0, 6, FEATURES)
    return carried @ knows + random.normal(-1, 1, (300, 10, FEATURES)), carried


@pytest.fixture
def tables(tag_table) -> Callable[..., dict[str, xr.Dataset]]:
    def make(dictionary: str = SAE, scale: float = 1.0, tags: int = len(NAMES)) -> dict[str, xr.Dataset]:
        f, carried = activations()
        found = tag_table(scale * f, NAMES[:tags], carried[..., :tags], block=4096)
        decoder = np.random.default_rng(1).standard_t(3, (FEATURES, NEURONS))
        alignment = alignment_table(np.eye(FEATURES) if dictionary == "neurons" else decoder, dictionary)
        tags_table = found.assign(alignment_statistics(found, alignment)).assign_attrs(origin(dictionary))
        return {"tags": tags_table, "alignment": alignment}

    return make


def draw(name: str, tables: dict[str, xr.Dataset], analysis) -> Figure:
    return draw_from(name, tables, analysis)


def words(figure: Figure) -> str:
    return re.sub(r"\s+", " ", " ".join(text.get_text() for text in figure.findobj(Text)))


def heights(axes, colour: str) -> np.ndarray:
    """Heights of the histogram in a colour of the theme."""
    wanted = matplotlib.colors.to_rgba(theme.COLOURS[colour])[:3]
    (patch,) = (patch for patch in axes.patches if np.allclose(patch.get_facecolor()[:3], wanted))
    return patch.get_data().values


@pytest.mark.parametrize("name", ["tag_activations", "monosemanticity"])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e3])
def test_no_text_covers_another(name, scale, tables, analysis, tmp_path, monkeypatch):
    texts = legible_texts(draw(name, tables(scale=scale), analysis), tmp_path / "figure.svg", monkeypatch)
    module = find_figure(name)
    assert f"{module.CATALOGUE}  {module.TITLE}" in texts
    assert f"toy / blocks.0.mlp.hook_post / {SAE}" in texts


@pytest.mark.parametrize("name", ["tag_activations", "monosemanticity"])
def test_the_same_tables_give_the_same_bytes(name, tables, analysis, tmp_path):
    for file in ("one", "two"):
        theme.save(draw(name, tables(), analysis), tmp_path / f"{file}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_each_row_shows_the_tokens_and_the_expected_value_of_its_tag(tables, analysis):
    tags = tables()["tags"]
    figure = draw("tag_activations", tables(), analysis)
    chosen = showcase_tags(tags, 5)
    assert [str(tags["tag"].values[tag]) for tag in chosen[:2]] == ["kind:arabic", "kind:hebrew"]
    assert len(figure.axes) == 2 * len(chosen)
    for tag, left, right in zip(chosen, figure.axes[::2], figure.axes[1::2], strict=True):
        row = tags.isel(tag=tag)
        shown = heights(left, "with_tag")
        assert shown[shown >= 1].sum() == row["tokens_with"].sum()
        mass = [float(row[f"mass_{side}"].sum()) for side in ("with", "without")]
        np.testing.assert_allclose(heights(right, "with_tag").sum(), 100 * mass[0] / sum(mass))
        np.testing.assert_allclose(heights(right, "without_tag").sum(), 100 * mass[1] / sum(mass))
        text = left.get_title(loc="left") + right.get_title(loc="left")
        assert f"{NAMES[tag]}: feature {int(row['best_feature'])}\n" in text
        assert f"precision {100 * float(row['precision']):.1f} %" in text
        assert f"recall {100 * float(row['recall']):.1f} %, F1 {float(row['f1']):.2f}" in text
        assert f"specificity {100 * float(row['specificity']):.1f} %" in text
        assert f"sensitivity {float(row['sensitivity']):.2f}, AUROC {float(row['auroc']):.3f}" in text
        assert f"expected value {theme.scientific(float(row['mean_with']))} with" in text


def test_activations_below_the_axis_fall_into_its_first_bin(tables, analysis):
    drawn = tables()
    bins = drawn["tags"]["tokens_without"].copy()
    bins[:, 3] += 1000
    figure = draw("tag_activations", drawn | {"tags": drawn["tags"].assign(tokens_without=bins)}, analysis)
    assert heights(figure.axes[0], "without_tag")[0] >= 1000
    assert figure.axes[0].get_xlim()[0] > drawn["tags"]["bin_edge"].values[4]


def test_a_neuron_is_called_a_neuron(tables, analysis):
    text = words(draw("tag_activations", tables("neurons"), analysis))
    assert "kind:arabic: neuron" in text
    assert ": feature" not in text


def test_medians_shuffles_and_groups_are_those_of_the_table(tables, analysis):
    drawn = tables()
    tags = drawn["tags"]
    figure = draw("monosemanticity", drawn, analysis)
    left, right = figure.axes
    known = np.isfinite(tags["monosemanticity_above_base"].values)
    points = left.collections[0].get_offsets()
    np.testing.assert_allclose(points[:, 0], drawn["alignment"]["power_top1"].values[known])
    np.testing.assert_allclose(points[:, 1], tags["monosemanticity_above_base"].values[known])
    medians = next(line for line in left.lines if line.get_marker() == "o")
    np.testing.assert_allclose(medians.get_ydata(), tags["power_bin_score"])
    lines = {line.get_color(): line.get_ydata() for line in right.lines}
    np.testing.assert_allclose(lines[theme.COLOURS["aligned"]], tags["aligned_score"])
    np.testing.assert_allclose(lines[theme.FAINT], tags["other_score"])
    text = words(figure).replace("\u00a0", " ")
    assert f"Spearman correlation {float(tags['score_power_correlation']):.2f} (95 % of shuffles" in text
    assert f"strongest neuron {int(tags['aligned_neuron'])}: {int(tags['aligned_features'])}" in text
    assert f"p = {float(tags['aligned_above_other_p']):.2g})" in text


@pytest.mark.parametrize(
    ("name", "case", "reason"),
    [
        ("tag_activations", {"tags": 0}, "none of its proxies matched; give `proxies` that do"),
        ("tag_activations", {"scale": 0.0}, "no feature knows a tag better than one that is always active"),
        ("monosemanticity", {"tags": 0}, "none of its proxies matched"),
        ("monosemanticity", {"scale": 0.0}, "only 0 features can be scored: active on at least 10 tokens"),
        ("monosemanticity", {"dictionary": "neurons"}, "every neuron has all its power in itself"),
    ],
)
def test_what_cannot_be_drawn_says_why_and_what_would_change_it(name, case, reason, tables, analysis):
    with pytest.raises(NotApplicable, match=reason):
        draw(name, tables(**case), analysis)


def test_a_label_is_shown_and_draws_the_figures_again_that_read_labels(tables, tmp_path, analysis):
    place(tmp_path / "tables", **tables())
    output, figures = tmp_path / "model/site/sae", without_codes("tag_activations", "monosemanticity")
    made_of = []
    best = int(tables()["tags"]["best_feature"].values[0])
    for labels in ([], [Label("dogs", "Ada", "")], [Label("dogs", "Bob", "a note")], [Label("cats", "Ada", "")]):
        annotations = Annotations(labels={best: labels} if labels else {})
        draw_figures(tmp_path / "tables", output, figures, analysis, annotations=annotations)
        said = json.loads((tmp_path / "model/site/sae.json").read_text())["artifacts"]
        made_of.append({name: each["made_of"] for name, each in said.items()})
    assert "cats" in (output / "tag_activations.svg").read_text()
    one, two, three, four = (each["tag_activations"] for each in made_of)
    assert two == three and len({one, two, four}) == 3
    assert len({each["monosemanticity"] for each in made_of}) == 1


@pytest.fixture
def site(tables, tmp_path):
    """Tables of four dictionaries of a site, of which the neurons have fewer features."""
    for name in ("neurons", "l1-x8_seed=0", "l1-x8_seed=1", "topk-x8"):
        table = tables(name)["tags"]
        table = table.isel(feature=slice(0, 20)) if name == "neurons" else table
        place(tmp_path / "site" / name, tags=table)
    return tmp_path / "site"


def test_all_dictionaries_of_a_site_stand_on_the_line_of_each_tag(site, tmp_path, analysis):
    folders = [path for path in site.iterdir() if path.is_dir()]
    names = [folder.name for folder in sorted(folders, key=lambda folder: folder.name != "neurons")]
    figures = without_codes("tags_by_dictionary")
    draw_site_figures(site, tmp_path / "figures", names, spelled(names), figures, analysis)
    said = json.loads((tmp_path / "figures.json").read_text())["artifacts"]["tags_by_dictionary"]
    assert said["catalogue"] == "S1.F2" and "not_applicable" not in said


def together(tables, *dictionaries: str, tags: int = len(NAMES)) -> xr.Dataset:
    each = [tables(name, tags=tags)["tags"].drop_dims(["feature", "power_bin"]) for name in dictionaries]
    joined = xr.concat(each, dim="dictionary", combine_attrs="override", data_vars="all")
    joined = joined.assign_coords(dictionary=list(dictionaries)).assign_attrs(dictionary="all dictionaries")
    return with_families(joined, spelled(dictionaries))


def test_tags_are_sorted_by_who_knows_them_best_and_every_dictionary_has_its_mark(
    tables, analysis, tmp_path, monkeypatch
):
    tags = together(tables, "neurons", "l1-x8_seed=0", "l1-x8_seed=1", "topk-x8")
    tags["f1"][3] = tags["f1"][3] / 2
    figure = draw("tags_by_dictionary", {"tags": tags}, analysis)
    legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    left, right = figure.axes
    order = np.argsort(tags["f1"].values.max(0), kind="stable")
    shown = [label.get_text().split("  ")[0] for label in left.get_yticklabels()]
    assert shown == [NAMES[tag] for tag in order]
    for axes, name in ((left, "f1"), (right, "active_f1")):
        for line, row in zip(axes.lines, tags[name].values, strict=False):
            np.testing.assert_allclose(line.get_xdata(), row[order])
    assert [len(left.lines), len(right.lines)] == [4, 5]
    np.testing.assert_allclose(right.lines[-1].get_xdata(), tags["f1_always_active"].values[0][order])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["neurons", "l1-x8", "topk-x8", "always active"]


def test_tags_that_no_token_carries_have_no_line_and_are_named(tables, analysis):
    tags = together(tables, "neurons", "topk-x8")
    tags["base_rate"][:, [1, 3]] = 0.0
    tags["base_rate"][:, 2] = 0.9999
    figure = draw("tags_by_dictionary", {"tags": tags}, analysis)
    shown = dict(label.get_text().split("  ") for label in figure.axes[0].get_yticklabels())
    assert set(shown) == set(NAMES) - {NAMES[1], NAMES[3]}
    assert shown["kind:story"] == "100 %"
    assert f"On no token of half B: {NAMES[1]}, {NAMES[3]}." in words(figure)


def test_a_site_without_tags_says_so(tables, analysis):
    with pytest.raises(NotApplicable, match="the tokens have no tags"):
        draw("tags_by_dictionary", {"tags": together(tables, "neurons", tags=0)}, analysis)
