"""S1.F9: automata, drawn."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from polysem.figures.of_model.automata import MOST
from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.numerics.motifs import KINDS, edges_of
from polysem.tables.of_model.automata import VARIABLES
from polysem.tables.parts.labels import labelled, variable
from polysem.tables.passes.automata.trace import BINS, LISTED
from polysem.tables.passes.automata.tried import DIRECTIONS

from .conftest import draw_from, legible_texts

SITES = ("blocks.0.mlp.hook_post", "blocks.0.hook_mlp_out")


def automata_table(
    names: tuple[str, ...] = ("neurons", "topk-x4"), tag: str = "kind:base64", token: str = " the", some: bool = True
) -> xr.Dataset:
    """As many motifs of each kind as are listed in every dictionary of two sites, or none."""
    draw = np.random.default_rng(0)
    places = [(site, name) for site in SITES for name in names]
    edges: dict[tuple[int, int, int], int] = {}
    nodes: dict[tuple[int, int], int] = {}
    motifs = []
    for place in range(len(places) if some else 0):
        first = 0
        for kind, size in zip(KINDS, (1, 2, 5), strict=True):
            for _ in range(LISTED[kind]):
                members = tuple(range(first, first + size))
                first += size
                of = [edges.setdefault((place, *edge), len(edges)) for edge in edges_of(kind, members)]
                for member in members:
                    nodes.setdefault((place, member), len(nodes))
                motifs.append((place, KINDS.index(kind), [*of, *[-1] * (4 - len(of))]))
    confirmed = draw.random(len(edges)) < 0.6
    of_motif = [all(confirmed[edge] for edge in of if edge >= 0) for _, _, of in motifs]
    tried = np.zeros((len(places), 3), int)
    kept = np.zeros((len(places), 3), int)
    for (place, kind, _), is_confirmed in zip(motifs, of_motif, strict=True):
        tried[place, kind] += 1
        kept[place, kind] += is_confirmed
    of_edge = np.array([place for place, _, _ in edges], int)
    numbers = len(places)
    bins = len(BINS) - 1
    values = {
        "kind": np.array(KINDS, object), "bin_edge": BINS,
        "place_site": np.array([site for site, _ in places], object),
        "place_dictionary": np.array([name for _, name in places], object),
        "place_unpredicted": np.full(numbers, "", object),
        **{
            f"place_{name}": np.full(numbers, 5000)
            for name in ("pairs", "features", "traced", "edges", "moves", "compared")
        },
        "place_chance_lift": np.full(numbers, 2.5),
        "lift_prediction_correlation": draw.uniform(-0.5, 0.9, numbers),
        "lift_prediction_correlation_exchanged": draw.uniform(-0.1, 0.1, numbers),
        "pairs_at": draw.poisson(1, (numbers, bins, bins)), "found": tried + 3, "tried": tried, "confirmed": kept,
        "tried_edges": np.bincount(of_edge, minlength=numbers),
        "confirmed_edges": np.bincount(of_edge, confirmed, numbers).astype(int),
        "motif_place": np.array([place for place, _, _ in motifs], int),
        "motif_kind": np.array([kind for _, kind, _ in motifs], int),
        "motif_edge": np.array([of for _, _, of in motifs], int).reshape(-1, 4),
        "motif_confirmed": np.array(of_motif, np.int8),
        "edge_place": of_edge,
        "edge_source": np.array([nodes[place, one] for place, one, _ in edges], int),
        "edge_target": np.array([nodes[place, other] for place, _, other in edges], int),
        **{name: draw.integers(10, 99, len(edges)) for name in ("coincidences", "together", "contexts")},
        **{
            name: np.exp(draw.normal(2, 1.5, len(edges)))
            for name in ("expected", "lift", "lift_in_document", "prediction", "expected_before", "expected_after")
        },
        "strength": draw.random(len(edges)), "drop": draw.normal(0, 0.2, len(edges)),
        "random_drop": draw.normal(0, 0.1, (len(edges), DIRECTIONS)), "edge_confirmed": confirmed.astype(np.int8),
        "node_place": np.array([place for place, _ in nodes], int),
        "node_feature": np.array([20_000 + feature for _, feature in nodes], int),
        "node_active": np.full(len(nodes), 50), "node_tag": np.full(len(nodes), tag, object),
        "node_token": np.full((len(nodes), 4), token, object), "node_boosted": np.full((len(nodes), 4), token, object),
    }  # fmt: skip
    made = {
        name: variable(tuple(VARIABLES[name][0].split()), found, VARIABLES[name][2], VARIABLES[name][1])
        for name, found in values.items()
    }
    attributes = {"model": "stories-1l", "directions": DIRECTIONS, "fewest": 10, "least_lift": 2.0}
    return labelled(made, {}, attributes)


def draw(name: str, table: xr.Dataset, analysis) -> Figure:
    return draw_from(name, {"automata": table}, analysis)


def test_a_box_is_a_feature_and_an_arrow_an_edge(tmp_path, monkeypatch, analysis):
    table = automata_table()
    table["prediction"][0] = np.nan
    figure = draw("automata", table, analysis)
    artists = figure.axes[0].get_children()
    boxes = [artist for artist in artists if isinstance(artist, FancyBboxPatch)]
    arrows = [artist for artist in artists if isinstance(artist, FancyArrowPatch)]
    assert len(boxes) == 4 * (5 + 2 * 2 + 2 * 5) and len(arrows) == 4 * (5 + 2 * 2 + 2 * 4)
    texts = legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    assert f"{SITES[0]} / topk-x4" in texts and f"{float(table['lift'][0]):.0f} (–)" in texts
    assert "20,003 base64" in texts and any("␣the" in text for text in texts)
    bold = sum(arrow.get_linewidth() == 1.5 for arrow in arrows)
    assert bold == int(table["edge_confirmed"].values.sum()) > 0


def test_no_box_lies_on_another_and_all_are_on_the_page(analysis):
    figure = draw("automata", automata_table(), analysis)
    boxes = [artist for artist in figure.axes[0].get_children() if isinstance(artist, FancyBboxPatch)]
    places = sorted((round(box.get_y(), 3), box.get_x()) for box in boxes)
    for (above, left), (below, right) in pairwise(places):
        assert above != below or right - left > boxes[0].get_width()
    assert max(box.get_x() + box.get_width() for box in boxes) <= figure.axes[0].get_xlim()[1] + 0.02


@pytest.mark.parametrize("name", ["automata", "automata_lift"])
def test_many_dictionaries_with_hostile_names_are_legible(name, tmp_path, monkeypatch, analysis):
    names = tuple(f"v5-{number}-$a_b$\u202e<b>" + "long" * 20 for number in range(7))
    table = automata_table(names, tag="$x$ \u202e" + "y" * 50, token="<b>$\\frac" + "w" * 40)
    figure = draw(name, table, analysis)
    texts = legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    words = " ".join(texts).replace("\u00a0", " ").replace("\n", " ")
    assert f"Not drawn: {14 - MOST} dictionaries." in words or "Not drawn: 2 more." in words
    assert "\u202e" not in words and figure.get_figheight() < 40


def test_points_are_the_edges_and_are_filled_where_confirmed(tmp_path, monkeypatch, analysis):
    table = automata_table(("neurons",))
    table["place_compared"][1] = 0
    table["lift"][0] = 1e6
    figure = draw("automata_lift", table, analysis)
    axes = figure.axes[0]
    hollow, filled = axes.lines[1:3]
    confirmed = table["edge_confirmed"].values[table["edge_place"].values == 0] == 1
    assert len(filled.get_xdata()) == confirmed.sum() and len(hollow.get_xdata()) == (~confirmed).sum()
    assert max(*filled.get_ydata(), *hollow.get_ydata()) == 2 ** BINS[-1]
    texts = " ".join(legible_texts(figure, tmp_path / "figure.svg", monkeypatch)).replace("\u00a0", " ")
    assert f"Without predictions, or too rarely active: neurons at {SITES[1]}." in texts
    assert f"{float(table['lift_prediction_correlation'][0]):+.2f}".replace("-", "−") in texts


def test_where_there_is_nothing_to_draw_the_figures_say_why(analysis):
    classifier = xr.Dataset(attrs={"not_applicable": "an image has no next token", "model": "digits"})
    for name in ("automata", "automata_lift"):
        with pytest.raises(NotApplicable, match="an image has no next token"):
            draw(name, classifier, analysis)
    nothing = automata_table(some=False)
    with pytest.raises(NotApplicable, match="no feature follows another beyond chance"):
        draw("automata", nothing, analysis)
    nothing["place_compared"][:] = 0
    with pytest.raises(NotApplicable, match="no two features meet often enough"):
        draw("automata_lift", nothing, analysis)
    nothing["place_unpredicted"][:] = "no way to the logits"
    with pytest.raises(NotApplicable, match="no way to the logits"):
        draw("automata_lift", nothing, analysis)


def test_the_same_table_gives_the_same_bytes(tmp_path, analysis):
    for name in ("automata", "automata_lift"):
        for copy in ("one", "two"):
            theme.save(draw(name, automata_table(), analysis), tmp_path / f"{copy}.svg")
        assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
