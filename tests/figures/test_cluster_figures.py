"""What the figures of document S3 draw of the table of clusters, and when there is nothing to draw."""

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import pdist, squareform

from polysem.figures.parts import shaded_tokens, theme, token_line
from polysem.figures.parts.cluster_tree import folded_tree
from polysem.figures.registry import NotApplicable, find_figure

from .cluster_tables import CUT, cluster_table, made, unclustered, without_inputs
from .conftest import alignment_table, draw_from, frequency_table, legible_texts

HOSTILE = ("\u202e", "$x_1$", " שלום", " عالم", "\n", "\x00", "<b>", "日本", "w" * 60, " ", "a", "")
ONE_TABLE = ("embedding_making", "dendrogram", "rare_behaviour", "embedding_planes", "cluster_distances")
TABLES = {
    "text": lambda: cluster_table(),
    "text, a thousand features": lambda: cluster_table([[95, 1, 1], *[[4, 3]] * 1200]),
    "hostile text": lambda: cluster_table(words=HOSTILE, dictionary="neurons", tags=False),
    "image that enters": lambda: cluster_table(picture=(28, 28), inputs=784, dictionary="neurons"),
    "images": lambda: cluster_table(picture=(8, 8)),
    "two examples": lambda: cluster_table(([1, 1], [22, 1])),
    "many clusters": lambda: cluster_table(([1] * 70, [95, 1, 1])),
}


def logits(clusters: xr.Dataset, classes: int = 10) -> xr.Dataset:
    weights = np.random.default_rng(0).standard_normal((clusters.sizes["feature"], classes))
    order = np.argsort(-weights, axis=1)
    ranked = ("feature", "rank")
    return xr.Dataset(
        {
            "boosted_token": (ranked, order),
            "boost": (ranked, np.take_along_axis(weights, order, 1)),
            "suppressed_token": (ranked, order[:, ::-1]),
            "suppression": (ranked, np.take_along_axis(weights, order[:, ::-1], 1)),
        },
        {"feature": clusters["feature"]},
    )


def related(clusters: xr.Dataset, score: bool = True) -> dict[str, xr.Dataset]:
    features, name = clusters.sizes["feature"], clusters.attrs["dictionary"]
    random = np.random.default_rng(0)
    rows = np.eye(features) if name == "neurons" else random.standard_normal((features, 32))
    scores = {"monosemanticity_above_base": ("feature", random.random(features))} if score else {}
    return {
        "clusters": clusters,
        "frequency": frequency_table(np.linspace(0.01, 0.2, features), dictionary=name),
        "alignment": alignment_table(rows, name),
        "tags": xr.Dataset(scores),
        "logits": logits(clusters),
    }


def draw(name, clusters, analysis, **changes):
    return draw_from(name, related(clusters) | changes, analysis)


def words(figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).replace("\u00a0", " ").split())


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", [*ONE_TABLE, "label_free_measure"])
def test_every_figure_names_itself_and_no_text_covers_another(name, table, analysis, tmp_path, monkeypatch):
    clusters = TABLES[table]()
    try:
        figure = draw(name, clusters, analysis)
    except NotApplicable as reason:
        assert name == "label_free_measure" and table in ("two examples", "many clusters"), reason
        return
    texts = legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    assert f"{find_figure(name).CATALOGUE}  {find_figure(name).TITLE}" in texts


@pytest.mark.parametrize("table", ["image that enters", "images"])
def test_the_figure_of_an_image_feature_is_legible(table, analysis, tmp_path, monkeypatch):
    legible_texts(draw("image_feature", TABLES[table](), analysis), tmp_path / "figure.svg", monkeypatch)


@pytest.mark.parametrize("name", [*ONE_TABLE, "image_feature", "label_free_measure"])
def test_a_site_without_input_weights_says_which_sites_have_them(name, analysis):
    table = without_inputs()
    others = related(cluster_table(dictionary="neurons")) | {"clusters": table}
    with pytest.raises(NotApplicable, match=r"sites that have: blocks\.0\.mlp\.hook_post"):
        draw_from(name, others, analysis)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("embedding_making", "no feature has examples to cluster: 1 never active, 1 not a number"),
        ("dendrogram", "no feature has examples to cluster: 1 never active, 1 not a number"),
        ("rare_behaviour", "none of the 0 features with at least 20 examples has 90 %"),
        ("embedding_planes", "no feature has two clusters"),
        ("cluster_distances", "no feature has examples to cluster"),
        ("label_free_measure", "fewer than 3 features can be clustered"),
    ],
)
def test_a_dictionary_without_clusters_says_what_its_features_are(name, reason, analysis):
    with pytest.raises(NotApplicable, match=reason):
        draw(name, unclustered("not a number", "never active")[{"feature": [0, 2]}], analysis)


def test_all_activations_as_examples_are_called_so(analysis):
    table = cluster_table().assign_attrs(strong_share=0.0)
    assert "the first tokens met (at most 100) on which it is active." in words(draw("dendrogram", table, analysis))


def test_only_classifiers_have_image_features(analysis):
    with pytest.raises(NotApplicable, match="reads tokens"):
        draw("image_feature", cluster_table(), analysis)


def test_the_tree_has_the_distances_of_the_linkage():
    one = made([6, 4, 1], np.random.default_rng(3))
    tree = folded_tree(one.linkage, one.cluster, CUT, 40)
    assert not tree.clusters_left_out
    merged = squareform(cophenet(one.linkage))

    def check(node):
        for child in node.children:
            check(child)
        if node.children:
            left, right = (list(child.members) for child in node.children)
            np.testing.assert_allclose(merged[np.ix_(left, right)], node.height)

    check(tree.root)
    assert sorted(member for leaf in tree.root.leaves() for member in leaf.members) == list(range(11))
    assert int(one.cluster[next(tree.root.leaves()).members[0]]) == 0


def test_only_sub_clusters_below_the_cut_are_folded_and_the_smallest_clusters_left_out():
    cluster = np.repeat(np.arange(17), [50, 30, *[1] * 15])
    vectors = np.eye(17)[cluster] + 0.01 * np.random.default_rng(4).standard_normal((95, 17))
    tree = folded_tree(linkage(pdist(vectors, "cosine"), "average"), cluster, CUT, 12)
    leaves = list(tree.root.leaves())
    assert len(leaves) == 12 and tree.clusters_left_out == tree.examples_left_out == 5
    assert [len(leaf.members) for leaf in leaves if len(leaf.members) > 1] == [50, 30]
    for leaf in leaves:
        assert len({int(cluster[member]) for member in leaf.members}) == 1
    by_hand = np.array([[0, 1, 0.1, 2], [2, 3, 0.2, 2], [4, 5, 0.9, 4.0]])
    folded = folded_tree(by_hand, np.array([0, 0, 1, 1]), 0.5, 3)
    assert [leaf.members for leaf in folded.root.leaves()] == [(0, 1), (2,), (3,)]


def test_of_clusters_that_stay_whole_nothing_is_folded():
    cluster = np.repeat(np.arange(3), [90, 6, 4])
    vectors = np.eye(3)[cluster] + 0.01 * np.random.default_rng(4).standard_normal((100, 3))
    merges = linkage(pdist(vectors, "cosine"), "average")
    leaves = list(folded_tree(merges, cluster, CUT, 24, frozenset({1, 2})).root.leaves())
    of = [int(cluster[leaf.members[0]]) for leaf in leaves]
    assert [of.count(number) for number in range(3)] == [14, 6, 4]
    assert sum(len(leaf.members) for leaf in leaves) == 100


def test_the_examples_of_a_rare_behaviour_have_a_leaf_each_and_fit_on_a_screen(analysis):
    figure = draw("rare_behaviour", cluster_table(([93, 4, 3],)), analysis)
    bars = [patch for patch in figure.axes[1].patches if patch.get_x() == 0 and patch.get_width() == 4]
    assert sorted(round(bar.get_height() + 0.16) for bar in bars[1:]) == [3, 4]
    wide, tall = figure.get_size_inches()
    assert tall / wide * 832 < 720, "pixels, at the width of the report, on a screen of 800"


def test_the_dendrogram_draws_one_line_per_leaf_the_cut_and_the_numbers_of_clusters(analysis):
    table = cluster_table(([4, 3, 2],))
    figure = draw("dendrogram", table, analysis)
    left, right = figure.axes
    cut = [line for line in left.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in cut] == [CUT]
    numbers = [text.get_text() for text in right.texts if text.get_weight() == "bold"]
    assert numbers == ["1", "2", "3"] or sorted(numbers) == ["1", "2", "3"]
    outlined = [patch for patch in right.patches if not patch.get_fill()]
    assert len(outlined) == 9  # a key token per example
    assert "9 examples" in words(figure) and "3 clusters" in words(figure)


def test_tokens_are_shaded_by_their_share_of_the_largest_activation(analysis):
    figure = theme.sheet()
    axes = figure.subplots()
    theme.frame(figure, cluster_table(), title="", catalogue="")
    theme.lay_out(figure)
    width = shaded_tokens.prepare(axes, 1)
    offsets = np.arange(-2, 3)
    line = token_line.line([None, "a", "b", "c", "d"], np.array([np.nan, 0.0, 4.0, 2.0, np.nan]), offsets, 4.0)
    shaded_tokens.write(axes, 0, line, 0, width)
    shades = {patch.get_x(): patch.get_alpha() for patch in axes.patches if patch.get_fill()}
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    shares = {text: shades[place] for text, place in places.items() if place in shades}
    assert shares == {"b": shaded_tokens.DARKEST, "c": shaded_tokens.DARKEST / 2}
    assert places["a"] < places["b"] < places["c"] < places["d"]
    assert places["b"] == pytest.approx(shaded_tokens.KEY_COLUMN * width)


def test_a_run_from_right_to_left_is_turned_round_and_nothing_else_moves(analysis):
    def order(*texts):
        figure = theme.sheet()
        axes = figure.subplots()
        theme.frame(figure, cluster_table(), title="", catalogue="")
        theme.lay_out(figure)
        width = shaded_tokens.prepare(axes, 1)
        line = token_line.Line(texts, np.zeros(len(texts)), texts.index("KEY"))
        shaded_tokens.write(axes, 0, line, 0, width)
        placed = sorted((text.get_position()[0], text.get_text()) for text in axes.texts)
        return [text.strip() for _, text in placed]

    assert order("one", " שלום", ",", " עולם", "!", "KEY", " two") == ["one", "עולם", ",", "שלום", "!", "KEY", "two"]
    assert order("KEY", " שלום", " עולם") == ["KEY", "עולם", "שלום"]


def legible(*texts, key=0, shares=None):
    """Texts, shares and the key of a line as it is written."""
    shares = np.zeros(len(texts)) if shares is None else np.array(shares)
    line = token_line.legible(token_line.Line(texts, shares, key))
    return list(line.texts), line.shares.tolist(), line.key


def test_bytes_of_a_character_are_one_token_with_the_largest_share():
    shown = legible("a", " \\xd7", "\\x90\\xd7", "\\x91", " b", key=2, shares=[0.1, 0.2, 0.8, np.nan, 0.5])
    assert shown == (["a", " אב", " b"], [0.1, 0.8, 0.5], 1)
    assert legible("\\x90", "\\xd7", "a", "\\xd7")[0] == ["\\x90", "\\xd7", "a", "\\xd7"], "no character"
    assert legible("\\x41", "b")[0] == ["\\x41", "b"], "a text that looks like a byte"
    below = token_line.Line(["\\xd7", "\\x90"], np.zeros(2), 0, np.array([0.25, -0.5]))
    assert token_line.legible(below).effects.tolist() == [-0.5]


def test_a_long_word_is_shown_at_its_beginning_or_around_the_key_token():
    word = [f"{number:02}" for number in range(20)]
    assert legible("key ", *word)[0] == ["key ", "00", "01", "02", "03", "…"]
    assert legible(*word, " end", key=9)[0] == ["…", *word[5:14], "…", " end"]
    assert legible(*word[:12], key=11)[0] == word[:12], "of 24 characters"
    japanese = ["日本"] * 20
    assert legible(*japanese)[0] == japanese


def test_a_line_that_does_not_fit_ends_in_an_ellipsis_within_its_limits():
    figure = theme.sheet()
    axes = figure.subplots()
    theme.frame(figure, cluster_table(), title="", catalogue="")
    theme.lay_out(figure)
    shaded_tokens.prepare(axes, 1)
    line = token_line.Line([" token"] * 60, np.ones(60), 30)
    shaded_tokens.write(axes, 0, line, 50, 400)
    ends = [
        (text.get_position()[0], text.get_position()[0] + shaded_tokens.width(text.get_text())) for text in axes.texts
    ]
    assert min(left for left, _ in ends) >= 50 and max(right for _, right in ends) <= 400
    assert sum(text.get_text() == "…" for text in axes.texts) == 2


def test_the_making_of_an_embedding_is_drawn_from_the_central_examples(analysis):
    table = cluster_table(([7, 5, 1],))
    figure = draw("embedding_making", table, analysis)
    bars = [[bar.get_height() for bar in axes.containers[0]] for axes in figure.axes if axes.containers]
    central = table["central_example"].values[0, :2]
    entering = table["entering"].values[0][central].astype(float)
    weight = table["weight"].values[0].astype(float)
    order = np.argsort(-np.abs(entering * weight).max(0), kind="stable")[:40]
    for row in range(2):
        np.testing.assert_allclose(bars[3 * row], entering[row, order])
        np.testing.assert_allclose(bars[3 * row + 1], weight[order])
        np.testing.assert_allclose(bars[3 * row + 2], (entering[row] * weight)[order])
    assert "cluster 1 of 3, 7 examples" in words(figure) and "cluster 2 of 3, 5 examples" in words(figure)


def test_a_feature_of_one_cluster_shows_its_central_and_its_most_unlike_example(analysis):
    table = cluster_table(([12],), spread=0.1)
    assert table["cluster_size"].values[0, 0] == 12
    figure = draw("embedding_making", table, analysis)
    bars = [[bar.get_height() for bar in axes.containers[0]] for axes in figure.axes if axes.containers]
    entering = table["entering"].values[-1, :12].astype(float)
    central = int(table["central_example"].values[0, 0])
    products = entering * table["weight"].values[-1].astype(float)
    other = squareform(pdist(products, "cosine"))[central].argmax()
    order = np.argsort(-np.abs(products[[central, other]]).max(0), kind="stable")[:40]
    np.testing.assert_allclose(bars[5], products[other, order])
    assert "one cluster" in words(figure) and words(figure).count("cluster 1 of 1, 12 examples") == 2


def test_an_image_that_enters_is_drawn_as_an_image(analysis):
    table = cluster_table(([7, 5, 3],), picture=(6, 4), inputs=24)
    figure = draw("embedding_making", table, analysis)
    drawn = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    central = table["central_example"].values[0, :2]
    entering = table["entering"].values[0][central].reshape(2, 6, 4)
    np.testing.assert_allclose(drawn[3], entering[1])
    np.testing.assert_allclose(drawn[2], entering[0] * table["weight"].values[0].reshape(6, 4), rtol=1e-6)


def test_the_planes_say_the_distances_of_the_two_clusters(analysis):
    table = cluster_table(([9, 6],))
    figure = draw("embedding_planes", table, analysis)
    left, right = figure.axes[:2]
    intra, inter = (float(table[f"{name}_cluster_distance"].sel(embedding="neuron")[0]) for name in ("intra", "inter"))
    assert f"intra-cluster {intra:.2f}, inter-cluster {inter:.2f}" in right.get_title(loc="left")
    points = np.concatenate([np.column_stack(line.get_data()) for line in left.lines])
    plane = table["plane"].sel(embedding="input").values[0, :15]
    np.testing.assert_allclose(sorted(points.tolist()), sorted(plane.astype(float).tolist()))


def test_distances_count_clustered_features_alone_and_mark_their_medians(analysis):
    table = cluster_table()
    table["intra_cluster_distance"].values[:, -1] = 0.0  # identical examples, never counted
    figure = draw("cluster_distances", table, analysis)
    axes = figure.axes[0]
    heights = [patch.get_data()[0].sum() for patch in axes.patches if isinstance(patch, StepPatch)]
    assert heights == [5, 5, 5]
    medians = [line.get_xdata()[0] for line in axes.lines]
    clustered = table["state"].values == "clustered"
    wanted = [
        np.median(table["intra_cluster_distance"].sel(embedding="input").values[clustered]),
        np.median(table["intra_cluster_distance"].sel(embedding="neuron").values[clustered]),
        np.median(table["random_intra_cluster_distance"].values[clustered]),
    ]
    assert medians == pytest.approx(wanted)
    assert f"medians: {wanted[0]:.2f} input, {wanted[1]:.2f} neuron" in axes.get_title(loc="left")
    assert "0.31 (input) and 0.21 (neuron)" in words(figure)


def test_the_rare_behaviour_is_counted_over_the_dictionary(analysis):
    table = cluster_table(([40, 1], [22, 1, 1], [10, 9], [30]))
    said = words(draw("rare_behaviour", table, analysis))
    enough = 3  # clustered ones: those with values that are no numbers do not count
    assert f"Of the {enough} features with at least 20 examples, 2 ({theme.percent(2, enough)}) have at least" in said
    assert "another cluster beside it: 0, 1." in said


def test_importance_is_the_activation_map_times_the_mean_example(analysis):
    table = cluster_table(([9, 6], [5]), picture=(6, 4))
    figure = draw("image_feature", table, analysis)
    place = table["shown_for"].values.tolist().index("tightest")
    drawn = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    activation, mean = (table[name].values[place].reshape(6, 4) for name in ("activation_map", "mean_example"))
    np.testing.assert_allclose(drawn[0], activation)
    np.testing.assert_allclose(drawn[1], activation * mean)
    gap, examples = 1, table["drawn_example"].values[place]
    assert drawn[2].shape == (2 * 6 + gap, 4 * 4 + 3 * gap)
    for number, example in enumerate(examples[examples >= 0]):
        top, left = (6 + gap) * (number // 4), (4 + gap) * (number % 4)
        np.testing.assert_allclose(
            drawn[2][top : top + 6, left : left + 4], table["pixels"].values[place, example].reshape(6, 4), rtol=1e-6
        )
    assert np.isfinite(drawn[2]).sum() == 24 * (examples >= 0).sum()
    weights = logits(table)
    bars = [bar.get_height() for bar in figure.axes[2].containers[0]]
    row = int(table["shown_feature"].values[place])
    by_class = dict(zip(weights["boosted_token"].values[row], weights["boost"].values[row], strict=True))
    assert bars == pytest.approx([by_class[number] for number in range(10)])


def test_what_the_measure_is_held_against_is_said_with_its_baseline(analysis):
    figure = draw("label_free_measure", cluster_table(), analysis)
    title = figure.axes[0].get_title(loc="left")
    assert title.startswith("ρ = −0.31 (shuffled ±0.05), 5 features\nabove random: ρ = −0.15")
    assert "agrees with the ground truth" in words(figure)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.04, "does not agree"), (-0.2, "The measure agrees"), (0.2, "contradicts"), (np.nan, "too few features")],
)
def test_the_figure_says_whether_the_measure_agrees(value, said, analysis):
    table = cluster_table()
    table["agreement_monosemanticity"] = table["agreement_monosemanticity"] * 0 + value
    assert said in words(draw("label_free_measure", table, analysis))


def test_a_panel_without_its_numbers_says_why(analysis):
    table = cluster_table(dictionary="neurons", tags=False)
    tables = related(table, score=False)
    said = words(draw("label_free_measure", table, analysis, tags=tables["tags"]))
    assert said.count("the tokens have no tags") == 2 and "all its power in itself" in said
    assert "Without tags there is no ground truth" in said


def test_the_same_table_gives_the_same_bytes(analysis, tmp_path):
    for number in range(2):
        with matplotlib.rc_context({"font.size": 30} if number else {}):
            theme.save(draw("dendrogram", cluster_table(), analysis), tmp_path / f"{number}.svg")
    assert (tmp_path / "0.svg").read_bytes() == (tmp_path / "1.svg").read_bytes()


def test_as_many_activations_as_pixels_are_no_image(analysis):
    table = cluster_table(([7, 5, 3],), picture=(6, 4), inputs=24)
    table["image_enters"].values[:] = False
    figure = draw("embedding_making", table, analysis)
    assert sum(bool(axes.containers) for axes in figure.axes) == 6
