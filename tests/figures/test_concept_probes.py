"""S4.X4: words and their replacements, drawn."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.tables.of_model.concept_probes import BEST, CONTROLS, IN_PIECES, MEASURED, VARIABLES
from polysem.tables.parts.labels import labelled, variable

from .conftest import draw_from, legible_texts

PROBES = {
    "My favorite color is […]": ["red", "crimson", "blue"],
    "They […] each other": ["love", "hate", "like"],
    "What she said was full of […]": ["insight", "insightful", "intuition", "absurd"],
    "In the garden there was a […]": ["dog", "puppy", "cat", "ball"],
}
SITES = [f"blocks.{layer}.mlp.hook_post" for layer in range(2)]


def probe_table(
    probes: dict[str, list[str]] | None = None,
    places: list[tuple[str, str]] | None = None,
    unknown: tuple[str, ...] = ("crimson",),
) -> xr.Dataset:
    """The table of some probes; words that are `unknown` are left out of them."""
    probes = PROBES if probes is None else probes
    places = places or [(site, name) for site in SITES for name in ("neurons", "topk-x4", "l1-x8_l1=3e-4_seed=0")]
    draw, words = np.random.default_rng(0), max(map(len, probes.values()))
    by_word, by_rank = (len(probes), words), (len(places), len(probes), BEST, words)
    text, state = np.full(by_word, "", object), np.full(by_word, "", object)
    for number, listed in enumerate(probes.values()):
        text[number, : len(listed)] = listed
        state[number, : len(listed)] = [IN_PIECES if word in unknown else MEASURED for word in listed]
    numbers = {"activation": draw.exponential(2, by_rank), "relative": draw.random(by_rank) * 1.3}
    numbers |= {"control_median": draw.random(by_rank) * 0.2, "control_high": draw.random(by_rank) * 0.6}
    numbers["controls_below"] = np.round(draw.random(by_rank) ** 0.3 * CONTROLS) / CONTROLS
    for values in numbers.values():
        values[np.broadcast_to((state != MEASURED)[None, :, None], by_rank)] = np.nan
    values = {
        "sentence": np.array(list(probes), object), "text": text, "state": state,
        "tokens": np.ones(by_word, int), "occurrences": np.full(by_word, 12),
        "control": np.full((*by_word, CONTROLS), "word", object),
        "control_occurrences": np.full((*by_word, CONTROLS), 12),
        "site": np.array([site for site, _ in places], object),
        "dictionary": np.array([name for _, name in places], object),
        "feature": draw.integers(0, 32_768, by_rank[:3]), "word_share": np.ones(len(places)),
        "concept_share": np.ones(len(places)), **numbers,
    }  # fmt: skip
    made = {
        name: variable(tuple(VARIABLES[name][0].split()), found, VARIABLES[name][2], VARIABLES[name][1])
        for name, found in values.items()
    }
    return labelled(made, {}, {"model": "stories-2l", "controls": CONTROLS, "candidates": 25, "above": 0.95})


def draw(table: xr.Dataset, analysis) -> Figure:
    return draw_from("concept_probes", {"concept_probes": table}, analysis)


def outlined(figure: Figure) -> int:
    """Cells with a strong edge; that of the legend does not stand on axes."""
    cells = [artist for axes in figure.axes for artist in axes.get_children() if isinstance(artist, Rectangle)]
    return sum(cell.get_linewidth() == 0.9 and not cell.get_fill() for cell in cells)


def test_the_best_feature_of_each_dictionary_stands_on_a_line_of_each_sentence(tmp_path, monkeypatch, analysis):
    table = probe_table()
    figure = draw(table, analysis)
    texts = legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    for sentence in PROBES:
        assert f"“{sentence}”" in texts
    for site in SITES:
        assert texts.count(site) == 2, "once for each row of sentences"
    for feature in table["feature"].values[:, :, 0].ravel().tolist():
        assert f"{feature:,}" in texts
    relative, below = (table[name].values[:, :, 0] for name in ("relative", "controls_below"))
    known = table["state"].values == MEASURED
    assert f"{relative[0, 1, 1]:.2f}" in texts and f"{table['activation'].values[0, 0, 0, 0]:.2g}" in texts
    assert outlined(figure) == (below[:, known] >= 0.95).sum() > 0
    words = " ".join(texts).replace("\u00a0", " ")
    assert "Left out, in pieces alone: crimson." in words and "stories-2l / all sites" in words
    assert "crimson" not in [text for text in texts if "Left out" not in text]


def test_twelve_layers_and_long_hostile_words_are_legible(tmp_path, monkeypatch, analysis):
    places = [
        (f"blocks.{layer}.mlp.hook_post", name) for layer in range(12) for name in ("neurons", "openai-mlp", "v5")
    ]
    probes = {"$\\alpha$ <b>x</b> \u202e" + "long " * 30 + "[…]": ["$a_b$" * 5, "\u202eabc", "w" * 60]} | PROBES
    figure = draw(probe_table(probes, places), analysis)
    texts = legible_texts(figure, tmp_path / "figure.svg", monkeypatch)
    assert any("Not drawn: 6 dictionaries." in text for text in texts) and any("$\\alpha$" in text for text in texts)
    assert not any("\u202e" in text for text in texts) and figure.get_figheight() < 30


def test_a_dictionary_without_a_feature_of_the_word_has_an_empty_line(analysis):
    table = probe_table({"a […]": ["b", "c"]}, [(SITES[0], "neurons")], unknown=())
    table["feature"][:] = -1
    table["activation"][:] = table["relative"][:] = table["controls_below"][:] = np.nan
    figure = draw(table, analysis)
    assert "–" in [text.get_text() for text in figure.axes[0].texts] and outlined(figure) == 0


def test_where_no_word_is_known_the_figure_says_what_would_change_it(analysis):
    with pytest.raises(NotApplicable, match=r"write probes of words that it knows into analysis\.probes"):
        draw(probe_table({"a […]": ["b", "c"]}, unknown=("b", "c")), analysis)
    said = xr.Dataset(attrs={"not_applicable": "a classifier reads no sentences", "model": "digits"})
    with pytest.raises(NotApplicable, match="a classifier reads no sentences"):
        draw(said, analysis)


def test_the_same_table_gives_the_same_bytes(tmp_path, analysis):
    for name in ("one", "two"):
        theme.save(draw(probe_table(), analysis), tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
