import numpy as np
import pytest
import torch
import xarray as xr
from dense import partners, sae, top, window
from surveyed import ExampleChoice, survey

from polysem.activations.rows import ActivationRows
from polysem.io.tables import read_table, write_table
from polysem.saes.dictionary import Neurons
from polysem.tables.passes.survey import blocks as blocks_module
from polysem.tables.passes.survey import correlation as correlation_module
from polysem.tables.passes.survey import windows as windows_module
from polysem.tables.passes.survey.frequency import Frequency, bin_edges
from polysem.tables.passes.survey.windows import Window

CHOICE = ExampleChoice(top=4, sampled=5, window=Window(5, 3), seed=0)


@pytest.fixture
def f(text, dictionary):
    return np.maximum(dictionary.encode(torch.from_numpy(text.x)).numpy(), 0).astype(np.float64)


@pytest.fixture(params=["one block", "small pieces", "strips"])
def pieces(request, monkeypatch):
    if request.param == "strips":
        monkeypatch.setattr(correlation_module, "STRIP", 7)
    if request.param == "small pieces":
        monkeypatch.setattr(blocks_module, "block_rows", lambda *shape: 70)
        monkeypatch.setattr(correlation_module, "TILE", 500)
        monkeypatch.setattr(correlation_module, "CHUNK", 300)
        monkeypatch.setattr(correlation_module, "PRODUCTS", 100)
        monkeypatch.setattr(windows_module, "DENSE_NUMBERS", 1)
        monkeypatch.setattr(windows_module, "PLACES", 50)
        monkeypatch.setattr(windows_module, "SEQUENCES", 2)


def test_frequencies_and_moments_are_those_of_the_whole_matrix(text, dictionary, f, pieces):
    table = survey(text.rows, dictionary, text.tokens, CHOICE).frequency
    active = (f > 0).sum(axis=0)
    assert table["active_tokens"].values.tolist() == active.tolist()
    assert table["frequency"].values.tolist() == (active / len(f)).tolist()
    np.testing.assert_allclose(table["mean"], f.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(table["standard_deviation"], f.std(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(table["max_activation"].values[active > 0], f.max(axis=0)[active > 0], rtol=1e-5)
    for feature in range(f.shape[1]):
        values = f[f[:, feature] > 0, feature].astype(np.float32)
        histogram, _ = np.histogram(values, bin_edges())
        assert table["activation_histogram"].values[feature].tolist() == histogram.tolist()


def test_top_examples_and_their_windows_are_those_of_the_whole_matrix(text, dictionary, f, pieces):
    table = survey(text.rows, dictionary, text.tokens, CHOICE).examples
    top_part = table.isel(example=slice(0, 4))
    assert top_part["kind"].values.tolist() == ["top"] * 4
    for feature in range(f.shape[1]):
        expected = top(f, feature, 4)
        found = top_part.sel(feature=feature)
        places = list(zip(found["sequence"].values, found["position"].values, strict=True))
        wanted = [(text.sequence[token], text.position[token]) for token in expected]
        assert places == wanted + [(-1, -1)] * (4 - len(expected))
        np.testing.assert_allclose(found["activation"].values[: len(expected)], f[expected, feature], rtol=1e-4)
        assert np.isnan(found["activation"].values[len(expected) :]).all()
        assert np.isnan(found["window_activation"].values[len(expected) :]).all()
        for example, token in enumerate(expected):
            around = window(f, feature, token, text.sequence, text.position, 5, 3)
            np.testing.assert_allclose(found["window_activation"].values[example], around, rtol=1e-4, atol=1e-4)


def test_samples_are_active_tokens_and_windows_show_the_text(text, dictionary, f, pieces):
    table = survey(text.rows, dictionary, text.tokens, CHOICE).examples.isel(example=slice(4, None))
    numbers = {place: row for row, place in enumerate(zip(text.sequence, text.position, strict=True))}
    assert table["offset"].values.tolist() == list(range(-5, 4))
    for feature in range(f.shape[1]):
        found = table.sel(feature=feature)
        places = [
            place for place in zip(found["sequence"].values, found["position"].values, strict=True) if place[0] >= 0
        ]
        active = np.flatnonzero(f[:, feature] > 0)
        drawn = [numbers[place] for place in places]
        assert len(set(drawn)) == len(drawn) == min(5, len(active))
        assert set(drawn) <= set(active)
        values = found["activation"].values[: len(drawn)]
        np.testing.assert_allclose(values, f[drawn, feature], rtol=1e-4)
        assert (np.diff(values) <= 0).all()
        for example, (sequence, position) in enumerate(places):
            ids = text.ids[sequence]
            around = [ids[p] if 0 <= p < len(ids) else -1 for p in range(position - 5, position + 4)]
            assert found["token"].values[example].tolist() == around
            assert found["window_activation"].values[example, 5] == found["activation"].values[example]
        assert (found["token"].values[len(drawn) :] == -1).all()


@pytest.mark.parametrize("dense", [False, True])
def test_correlations_are_those_of_the_whole_matrices(text, dictionary, f, pieces, dense, monkeypatch):
    for name in ("DENSE_ABOVE", "OUTER_DENSE_ABOVE"):
        monkeypatch.setattr(correlation_module, name, -1.0 if dense else 1.1)
    table = survey(text.rows, dictionary, text.tokens, CHOICE).correlations
    x = text.x.astype(np.float64)
    for kind, others, same in (("neuron", x, isinstance(dictionary, Neurons)), ("feature", f, True)):
        expected = partners(f, others, 5, same)
        for feature, pairs in enumerate(expected):
            found = table.sel(feature=feature)
            assert found[f"correlated_{kind}"].values.tolist() == [other for other, _ in pairs] + [-1] * (
                5 - len(pairs)
            )
            values = found[f"{kind}_correlation"].values
            np.testing.assert_allclose(values[: len(pairs)], [value for _, value in pairs], atol=2e-5)
            assert np.isnan(values[len(pairs) :]).all()
            one, cosines = f[:, feature], found[f"{kind}_activation_cosine"].values
            for place, (other, _) in enumerate(pairs):
                norms = np.linalg.norm(one) * np.linalg.norm(others[:, other])
                np.testing.assert_allclose(cosines[place], one @ others[:, other] / norms, atol=2e-5)
            assert np.isnan(cosines[len(pairs) :]).all()


def test_the_same_pass_gives_the_same_bytes(text, dictionary, tmp_path):
    written = []
    for name in ("one", "two"):
        found = survey(text.rows, dictionary, text.tokens, CHOICE)
        for kind in ("frequency", "examples", "correlations"):
            write_table(tmp_path / name / f"{kind}.nc", getattr(found, kind))
        written.append([(tmp_path / name / f"{kind}.nc").read_bytes() for kind in ("frequency", "examples")])
        xr.testing.assert_identical(read_table(tmp_path / name / "examples.nc"), found.examples)
    assert written[0] == written[1]


def test_what_else_is_gathered_sees_every_block_once(text, dictionary):
    class Count:
        tokens = 0

        def add(self, block):
            self.tokens += block.tokens

    count = Count()
    survey(text.rows, dictionary, text.tokens, CHOICE, also=[count])
    assert count.tokens == len(text.x)


def test_constant_neurons_are_no_partners_even_if_their_means_are_rounded(activation_store):
    generator = np.random.default_rng(0)
    x = np.repeat(generator.uniform(0, 100, (1, 40)), 3000, axis=0).astype(np.float32)
    x[:, 0] = generator.standard_normal(3000)
    assert (torch.from_numpy(x).mean(0) != torch.from_numpy(x[0]))[1:].any()
    rows = ActivationRows(activation_store(x))
    correlation, frequency = correlation_module.Correlation(40, 40), Frequency(40, True)
    for block in blocks_module.blocks(rows, Neurons(40)):
        correlation.add(block)
        frequency.add(block)
    table = correlation.table(frequency.table(), lambda: blocks_module.blocks(rows, Neurons(40)), True)
    assert (table["correlated_neuron"] == -1).all()
    assert (table["correlated_feature"] == -1).all()


@pytest.mark.parametrize("dense", [False, True])
def test_a_dictionary_that_is_never_active_has_all_tables(text, dense, monkeypatch):
    for name in ("DENSE_ABOVE", "OUTER_DENSE_ABOVE"):
        monkeypatch.setattr(correlation_module, name, -1.0 if dense else 1.1)
    dead = sae()
    dead.b_enc[:] = -1e6
    found = survey(text.rows, dead, text.tokens, CHOICE)
    assert (found.frequency["frequency"] == 0).all()
    assert np.isnan(found.examples["activation"]).all()
    assert (found.examples["token"] == -1).all()
    assert (found.correlations["correlated_neuron"] == -1).all()
    assert (found.correlations["correlated_feature"] == -1).all()


def test_no_file_is_left_where_active_features_were_recorded(text, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = survey(text.rows, sae(), text.tokens, CHOICE, scratch=scratch)
    assert sum(look.entries.count() for look in found.again()) == int(found.frequency["active_tokens"].sum())
    assert list(scratch.iterdir()) == []
