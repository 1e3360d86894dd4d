"""All figures on realistic and on degenerate tables."""

import base64
import re

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from polysem.figures.parts import theme
from polysem.figures.registry import find_figure
from polysem.io.errors import InputError

from .conftest import (
    Tables,
    alignment_table,
    draw_from,
    frequency_table,
    legible_texts,
    mixture,
    rank_frequency_table,
)

FIGURES = {
    "frequency_histogram": "S0.F1",
    "rank_frequency": "S0.F2",
    "decoder_power": "S0.F3a",
    "decoder_kurtosis": "S0.F3b",
    "features_per_neuron": "S0.F3c",
    "neuron_sparsity": "S2.F1",
    "kurtosis_against_random": "S2.F2",
    "ultra_low_frequency": "S2.F3",
}


def draw(name, tables, analysis) -> Figure:
    return draw_from(name, vars(tables), analysis)


def words(figure: Figure) -> str:
    """All text of the figure, one artist per line, with plain spaces."""
    texts = [text.get_text() for text in figure.findobj(Text)]
    return "\n".join(texts).replace("\u00a0", " ")


def bars(figure: Figure, name: str) -> float:
    """Sum of the heights of the histograms in a colour of the theme."""
    colour = matplotlib.colors.to_rgba(theme.COLOURS[name])
    total = 0.0
    for axes in figure.axes:
        for patch in axes.patches:
            if isinstance(patch, matplotlib.patches.StepPatch) and np.allclose(patch.get_facecolor(), colour):
                heights, _, baseline = patch.get_data()
                total += (heights - (baseline if np.ndim(baseline) else 0)).sum()
    return total


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_every_table_names_itself_and_no_text_covers_another(
    name, tables, analysis, tmp_path, monkeypatch
):
    texts = legible_texts(draw(name, tables, analysis), tmp_path / "figure.svg", monkeypatch)
    origin = tables.frequency.attrs
    assert f"{FIGURES[name]}  {find_figure(name).TITLE}" in texts
    assert f"{origin['model']} / {origin['site']} / {origin['dictionary']}" in texts


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_tables_give_the_same_bytes_whatever_the_users_matplotlib_settings(name, analysis, tmp_path):
    tables = mixture(512, 48)
    theme.save(draw(name, tables, analysis), tmp_path / "first.svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink", "svg.fonttype": "none"}):
        theme.save(draw(name, tables, analysis), tmp_path / "second.svg")
    first = (tmp_path / "first.svg").read_bytes()
    assert first == (tmp_path / "second.svg").read_bytes()
    assert b"<dc:date>" not in first


@pytest.mark.parametrize("name", ["decoder_power", "neuron_sparsity"])
def test_a_hundred_thousand_points_become_one_picture_of_bounded_size(name, analysis, tmp_path):
    small = mixture(100, 16)
    every = np.arange(100_000) % 100
    tables = Tables(small.frequency.isel(feature=every), small.alignment.isel(feature=every), small.rank_frequency)
    theme.save(draw(name, tables, analysis), tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text()
    assert text.count("<image") == 1
    assert len(text) < 1_000_000


def test_the_frequency_histogram_counts_rare_common_and_never_active_features(analysis):
    table = frequency_table(np.array([0, 0, 0, 0.0005, 0.00099, 0.001, 0.2, 1.0]), tokens=100_000)
    figure = find_figure("frequency_histogram").draw(frequency=table, analysis=analysis)
    text = words(figure)
    assert "rare, active on < 10⁻³ of tokens: 2 (25.0 %)" in text
    assert "common: 3 (37.5 %)" in text
    assert "never\nactive\n3\n(37.5 %)" in text
    assert "8 features, 100,000 eval tokens." in text
    assert (bars(figure, "rare"), bars(figure, "common")) == (2, 3)


def test_frequencies_of_a_single_token_are_drawn(analysis, tmp_path):
    figure = find_figure("frequency_histogram").draw(
        frequency=frequency_table(np.r_[1.0, 0], tokens=1), analysis=analysis
    )
    theme.save(figure, tmp_path / "figure.svg")
    assert bars(figure, "common") == 1


def test_the_never_active_bar_says_when_it_is_cut(analysis):
    frequency = find_figure("frequency_histogram")
    few = frequency.draw(frequency=frequency_table(np.r_[np.full(9, 0.1), 0]), analysis=analysis)
    many = frequency.draw(frequency=frequency_table(np.r_[0.1, np.zeros(9)]), analysis=analysis)
    assert "bar cut" not in words(few)
    assert "9\n(90.0 %)\nbar cut" in words(many)


def test_the_ultra_low_figure_gives_the_share_and_the_resolution(analysis):
    table = frequency_table(np.array([0, 0.00005, 0.00009, 0.0001, 0.5]), tokens=100_000)
    figure = find_figure("ultra_low_frequency").draw(frequency=table, analysis=analysis)
    text = words(figure)
    assert "ultra-low, active on < 10⁻⁴: 2 (40.0 %)" in text
    assert "2 (40.0 %) of 5 features lie below 10⁻⁴; 1 (20.0 %) are never active and counted apart." in text
    assert "The ultra-low threshold is 10 firings on 100,000 eval tokens." in text
    assert "100,000 eval tokens resolve no frequency below one token, 10⁻⁵" in text
    assert (bars(figure, "ultra_low"), bars(figure, "bulk")) == (2, 2)


def test_the_ultra_low_figure_says_that_there_is_no_cluster(analysis):
    table = frequency_table(np.array([0.0001, 0.5]), tokens=100_000)
    text = words(find_figure("ultra_low_frequency").draw(frequency=table, analysis=analysis))
    assert "No ultra-low cluster: of 2 features none that is ever active lies below 10⁻⁴; 0 (0 %) are never" in text


def test_the_rank_figure_gives_parameters_and_the_law_of_each_range(analysis):
    table = rank_frequency_table(frequency_table(1 / np.arange(2.0, 3002.0)), head_ranks=800)
    table["exponent"].loc["head"] = [0.75, 0.0, 0.5]
    table["exponent"].loc["tail"] = [2.0, 0.0, 1.5]
    table["decay_length"].loc["head"] = [np.inf, 400.0, 900.0]
    table["decay_length"].loc["tail"] = [np.inf, 1234.0, 5000.0]
    table["exponential_share"] = ("range", [0.4321, -0.2])
    table["exponential_share_error"] = ("range", [0.05, 0.3])
    table["winner"] = ("range", ["truncated_power_law", "undecided"])
    text = words(find_figure("rank_frequency").draw(rank_frequency=table, analysis=analysis))
    assert "head, ranks 1 to 799: truncated power law\npower law, α = 0.75\nexponential, L = 400\n" in text
    assert "truncated, α = 0.50, L = 900\nshare of the exponential: 0.43 ± 0.05\n" in text
    assert "tail, ranks 800 to 3,000: undecided\npower law, α = 2.00\nexponential, L = 1,234\n" in text
    assert "share of the exponential: −0.20 ± 0.30" in text
    assert "head: ranks below 800." in re.sub(r"\s+", " ", text)


def test_the_rank_figure_draws_what_was_measured_and_each_law_where_it_was_fitted(analysis):
    frequency = frequency_table(0.3 * np.arange(1, 401.0) ** -0.9, tokens=10**9)
    table = rank_frequency_table(frequency, head_ranks=200)
    figure = find_figure("rank_frequency").draw(rank_frequency=table, analysis=analysis)
    measured, *curves = figure.axes[0].lines
    np.testing.assert_array_equal(measured.get_ydata(), table["bin_frequency"])
    assert len(curves) == 6
    for number, curve in enumerate(curves):
        ranks, fitted = (values[np.isfinite(curve.get_ydata())] for values in curve.get_data())
        assert (ranks[0], ranks[-1]) == pytest.approx((1, 199) if number < 3 else (200, 400), rel=0.05)
        if number % 3 == 0 and number < 3:
            np.testing.assert_allclose(fitted[ranks > 10], 0.3 * ranks[ranks > 10] ** -0.9, rtol=0.05)


def test_the_line_of_the_chosen_law_is_thick(analysis):
    table = rank_frequency_table(frequency_table(0.05 * np.exp(-np.arange(1, 400.0) / 100), tokens=10**6))
    assert table["winner"].to_numpy().tolist() == ["exponential", ""]
    figure = find_figure("rank_frequency").draw(rank_frequency=table, analysis=analysis)
    chosen = [line.get_linewidth() > 1.5 for line in figure.axes[0].lines[1:]]
    assert chosen == [False, True, False]


def test_the_rank_figure_says_what_was_not_fitted(analysis):
    short = rank_frequency_table(frequency_table(np.array([0.5, 0.1, 0.0])))
    text = words(find_figure("rank_frequency").draw(rank_frequency=short, analysis=analysis))
    assert "head and tail: too few ranks to fit" in text
    level = rank_frequency_table(frequency_table(np.full(150, 0.5)))
    text = words(find_figure("rank_frequency").draw(rank_frequency=level, analysis=analysis))
    assert "head, ranks 1 to 150: undecided" in text
    assert "tail: too few ranks to fit" in text


def decoder_by_hand() -> np.ndarray:
    """Over 20 neurons: two 1-sparse rows, one of two equal weights, one of twenty."""
    rows = np.zeros((4, 20))
    rows[0, 7] = 1
    rows[1, [7, 3]] = 3, 0.5
    rows[2, [2, 5]] = 1
    rows[3] = 1 + 0.01 * np.arange(20)
    return rows


def test_the_neuron_sparsity_figure_counts_its_clusters_and_what_it_leaves_out(analysis):
    alignment = alignment_table(decoder_by_hand())
    text = words(
        find_figure("neuron_sparsity").draw(
            alignment=alignment, frequency=frequency_table(np.array([0.1, 0.00001, 0.1, 0.0])), analysis=analysis
        )
    )
    assert "dense: 0 (0 %)" in text
    assert "10-sparse: 1 (50.0 %)" in text
    assert "1-sparse: 1 (50.0 %)" in text
    assert "Left out: 2 (50.0 %) of 4 features, active on < 10⁻⁴ of eval tokens." in re.sub(r"\s+", " ", text)


def test_the_features_per_neuron_figure_names_the_leader_and_its_split(analysis):
    alignment = alignment_table(decoder_by_hand())
    frequency = frequency_table(np.array([0.1, 0.0001, 0.1, 0.1]))
    figure = find_figure("features_per_neuron").draw(alignment=alignment, frequency=frequency, analysis=analysis)
    text = re.sub(r"\s+", " ", words(figure))
    assert "neuron 7 leads: strongest of 2 features, 1 rare and 1 common" in text
    assert "4 features over 20 neurons. Neurons that are the strongest of no feature: 17 (85.0 %)." in text
    (histogram,) = (patch for patch in figure.axes[0].patches if isinstance(patch, matplotlib.patches.StepPatch))
    assert list(histogram.get_data().values) == [17, 2, 1]


def test_the_decoder_power_figure_shows_each_feature_at_its_shares_in_its_colour(analysis):
    alignment = alignment_table(decoder_by_hand())
    frequency = frequency_table(np.array([0.1, 0.0001, 0.1, 0.0]))
    figure = find_figure("decoder_power").draw(alignment=alignment, frequency=frequency, analysis=analysis)
    (points,) = figure.axes[0].collections
    np.testing.assert_allclose(points.get_offsets()[:3], [[1, 0], [9 / 9.25, 0.25 / 9.25], [0.5, 0.5]], rtol=1e-6)
    colours = [matplotlib.colors.to_hex(colour) for colour in points.get_facecolors()]
    expected = [theme.COLOURS[name].lower() for name in ("common", "rare", "common", "rare")]
    assert colours == expected
    assert "rare, active on < 10⁻³ of tokens: 2 (50.0 %)" in words(figure)


def test_kurtosis_is_drawn_by_pearson_alone_and_by_fisher_against_random(analysis):
    tables = mixture(64, 32)
    pearson = draw("decoder_kurtosis", tables, analysis)
    fisher = draw("kurtosis_against_random", tables, analysis)
    largest = float(tables.alignment["kurtosis_excess"].max())
    usual = tables.frequency["frequency"] >= analysis.ultra_low_frequency
    assert f"up to {theme.scientific(largest + 3)}." in words(pearson)
    assert f"up to {theme.scientific(float(tables.alignment['kurtosis_excess'][usual].max()))}." in words(fisher)
    assert "Pearson kurtosis" in words(pearson) and "excess kurtosis (Gaussian = 0)" in words(fisher)


def test_the_clipped_tail_of_the_kurtosis_is_counted(analysis):
    table = alignment_table(np.eye(12)).isel(feature=slice(0, 12))
    table["kurtosis_excess"].values[:] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 500, 3000]
    figure = find_figure("decoder_kurtosis").draw(alignment=table, analysis=analysis)
    assert "2 (16.7 %) lie beyond, up to 3,003." in words(figure)
    assert bars(figure, "real") == 10


def test_a_feature_without_a_kurtosis_is_left_out_and_counted(analysis):
    rows = np.vstack([np.ones(16), np.random.default_rng(0).standard_normal((3, 16))])
    text = words(find_figure("decoder_kurtosis").draw(alignment=alignment_table(rows), analysis=analysis))
    assert "3 features: " in text
    assert "Left out: 1 (25.0 %) without a kurtosis." in text


def test_names_with_dollar_signs_are_no_formulas(analysis, tmp_path):
    table = frequency_table(np.array([0.1, 0.2])).assign_attrs(model="$\\frac$", dictionary="$x_$")
    figure = find_figure("frequency_histogram").draw(frequency=table, analysis=analysis)
    theme.save(figure, tmp_path / "figure.svg")
    assert "$\\frac$ / blocks.0.mlp.hook_post / $x_$" in words(figure)


@pytest.mark.parametrize("name", ["frequency_histogramm", "theme", "../theme", "draw_figures", ""])
def test_what_is_no_figure_is_refused_with_the_nearest_name(name):
    with pytest.raises(InputError, match=r"did you mean '\w+'\? Figures are: ablation, ") as refusal:
        find_figure(name)
    if name == "frequency_histogramm":
        assert "'frequency_histogram'?" in str(refusal.value)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "0 %"),
        (0, 7, "0 %"),
        (7, 7, "100 %"),
        (161, 4128, "3.9 %"),
        (1, 16384, "0.006 %"),
        (16383, 16384, "99.994 %"),
    ],
)
def test_a_share_is_never_rounded_to_nought_or_all(part, whole, text):
    assert theme.percent(part, whole) == text


def test_dense_layers_are_rasterised_at_the_resolution_of_the_theme(tmp_path, analysis):
    """Saving makes the layout itself, which leaves the figure at another resolution."""
    tables = mixture(3000, 16)
    figure = find_figure("decoder_power").draw(
        alignment=tables.alignment, frequency=tables.frequency, analysis=analysis
    )
    theme.save(figure, tmp_path / "figure.svg")
    size = re.search(r'<image[^>]*?\bwidth="([\d.]+)" height=', (tmp_path / "figure.svg").read_text(), re.DOTALL)
    pixels = re.search(r"base64,\s*([A-Za-z0-9+/=\s]+)\"", (tmp_path / "figure.svg").read_text())
    width = int.from_bytes(base64.b64decode(pixels[1])[16:20], "big")
    assert width == pytest.approx(float(size[1]) / 72 * theme.RASTER_DPI, rel=0.02)
