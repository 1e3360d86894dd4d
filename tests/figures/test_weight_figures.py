"""Figures of what weights alone tell, and of S1.F6, on realistic tables and where they do not apply."""

import re

import numpy as np
import pytest
from matplotlib.text import Text

from polysem.figures.parts import theme
from polysem.figures.parts.token_words import shown
from polysem.figures.registry import NotApplicable, find_figure

from .conftest import draw_from, legible_texts
from .weight_tables import CASES, WeightTables, clustered, made

FIGURES = {
    "ultra_low_encoders": "S2.F4",
    "ultra_low_projections": "S2.F5",
    "co_firing": "S2.F6",
    "ultra_low_singular_values": "S2.F7",
    "encoder_decoder_cosine": "S2.F11",
    "null_space": "S2.F12",
    "frequency_bias_product": "S2.F13",
    "decoder_cosines": "S2.F14",
    "logit_weights": "S1.F3",
    "feature_not_neuron": "S1.F6",
}
CLUSTER = {"ultra_low_encoders", "ultra_low_projections", "co_firing", "ultra_low_singular_values"}
ENCODER = {"encoder_decoder_cosine", "frequency_bias_product", "decoder_cosines", "feature_not_neuron"}
SILENT = {"co_firing", "frequency_bias_product", "decoder_cosines", "logit_weights", "feature_not_neuron"}
NOT_APPLICABLE = {
    "no ultra-low cluster": CLUSTER,
    "all features never active": SILENT | CLUSTER,
    "a site of the residual stream": {"null_space"},
    "no direct path": {"logit_weights"},
    "the identity dictionary": CLUSTER | ENCODER,
}


@pytest.fixture(scope="module")
def every() -> dict[str, WeightTables]:
    return {name: make() for name, make in CASES.items()}


def draw(name, tables, analysis):
    found = {table: getattr(tables, table.replace("/", "_")) for table in find_figure(name).READS if table != "labels"}
    return draw_from(name, found, analysis)


def words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\u00a0", " ").replace("\n", " ")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_names_itself_legibly_or_says_why_there_is_none(
    name, case, every, analysis, tmp_path, monkeypatch
):
    if name in NOT_APPLICABLE.get(case, ()):
        with pytest.raises(NotApplicable, match=r"\w+ \w+ \w+"):
            draw(name, every[case], analysis)
        return
    texts = legible_texts(draw(name, every[case], analysis), tmp_path / "figure.svg", monkeypatch)
    assert f"{FIGURES[name]}  {find_figure(name).TITLE}" in texts


@pytest.mark.parametrize("width", [0.07, 0.088, 0.089, 0.09, 0.12, 0.2])
def test_numbers_with_many_digits_stand_apart_on_the_axes(width, analysis, tmp_path, monkeypatch):
    tables = made(*clustered(4096, 64))
    bias = tables.geometry["encoder_bias"]
    bias[:] = np.linspace(-0.03 - width, -0.03, bias.size)
    legible_texts(draw("frequency_bias_product", tables, analysis), tmp_path / "figure.svg", monkeypatch)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_tables_give_the_same_bytes(name, every, analysis, tmp_path):
    for file in ("first.svg", "second.svg"):
        theme.save(draw(name, every["a small dictionary"], analysis), tmp_path / file)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_the_shares_in_words_are_those_of_the_tables(every, analysis):
    tables = every["an ultra-low cluster"]
    text = words(draw("ultra_low_encoders", tables, analysis))
    low, active = tables.frequency["frequency"].values < 1e-4, tables.frequency["frequency"].values > 0
    usual, low = ~low, low & active
    alike = int((tables.ultra_low["mean_cosine"].values[low] > 0.95).sum())
    assert f"Of {low.sum():,} ultra-low features, the never active left out, {alike:,} (" in text
    text = words(draw("encoder_decoder_cosine", tables, analysis))
    median = np.median(tables.geometry["encoder_decoder_cosine"].values[usual])
    assert f"median of the features that are not ultra-low: {median:.3f}" in text
    text = words(draw("co_firing", tables, analysis))
    most = tables.ultra_low.sizes["active"] - 1
    assert re.search(
        rf"at most {most:,} \(90\.0 %\) on one; the never active are none of them. The threshold is ", text
    )


def test_the_feature_and_its_neuron_are_those_of_the_associations(every, analysis):
    tables = every["an ultra-low cluster"]
    feature = int(tables.geometry["showcase"][0])
    neuron = int(tables.associations["correlated_neuron"][feature, 0])
    text = words(draw("feature_not_neuron", tables, analysis))
    assert f"feature {feature:,} neuron {neuron:,}: correlation" in text
    row = np.abs(tables.geometry["showcase_decoder"][0].values)
    assert f"that neuron has weight no. {(row > row[neuron]).sum() + 1}" in text


def test_the_context_of_a_feature_is_named(every, analysis):
    tables = every["an ultra-low cluster"]
    first, second = (int(feature) for feature in tables.logits["showcase"][:2])
    text = words(draw("logit_weights", tables, analysis))
    assert re.search(rf"feature {first:,}, active on [\d.]+ % of tokens; kind:dna", text)
    assert re.search(rf"feature {second:,}, active on [\d.]+ % of tokens (?!;)", text)
    assert "tokens of the feature's context" in text


def test_a_feature_without_a_correlated_neuron_is_passed_over(analysis):
    tables = made(*clustered(64, 16))
    first, second = (int(feature) for feature in tables.geometry["showcase"][:2])
    tables.associations["correlated_neuron"][first] = -1
    tables.associations["neuron_correlation"][first] = np.nan
    assert f"feature {second:,} " in words(draw("feature_not_neuron", tables, analysis))


def test_tokens_are_shown_with_what_cannot_be_seen():
    assert shown(" the") == "␣the"
    assert shown("\n\t") == "⏎⇥"
    assert shown("\x00") == "\\u0000"
    assert shown("日") == "\\u65e5"
    assert shown("x" * 15) == "x" * 13 + "…"
    assert shown("x" * 14) == "x" * 14
