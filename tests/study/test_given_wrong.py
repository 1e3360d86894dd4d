"""What is no number, name, path or array of the kind that is asked for is answered in one sentence."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import polysem
from polysem.figures.draw_figures import Sources
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.study.arrays import through
from polysem.study.figures import draw
from polysem.study.model import Model
from polysem.study.names import as_number, as_path
from polysem.study.stores import as_split


@pytest.mark.parametrize("number", [2.5, True, np.True_, "7", None, np.float64(3), np.array([1, 2])])
def test_only_integers_are_numbers_of_features(number):
    with pytest.raises(TypeError, match=r"found .*; a feature of m/s/d is asked for by its number from 0, an integer"):
        as_number(number, "feature", "m/s/d")


@pytest.mark.parametrize("number", [3, np.int32(3), np.uint64(3), np.array(3)])
def test_integers_of_numpy_are_numbers_of_features(number):
    assert as_number(number, "feature", "m/s/d") == 3 and type(as_number(number, "feature", "")) is int


@pytest.mark.parametrize(
    "array",
    [np.ones(2, complex), np.ones(2, bool), np.array(["a", "b"]), torch.ones(2, dtype=torch.complex64)],
    ids=["complex", "bool", "text", "complex tensor"],
)
def test_arrays_without_real_numbers_are_refused(array):
    with pytest.raises(polysem.InputError, match="its numbers must be real, floating or integer"):
        through(lambda x: x, array, reads="neuron", gives="feature", size=2)


def test_arrays_of_integers_are_read(recwarn):
    assert through(lambda x: x, np.arange(2), reads="neuron", gives="feature", size=2).tolist() == [0, 1]


@pytest.mark.parametrize("call", [polysem.open, polysem.load_sae, lambda path: as_path(path, "save")])
@pytest.mark.parametrize("path", [None, 3])
def test_what_is_no_path_is_named(call, path):
    with pytest.raises(TypeError, match=rf"found {path} \(\w+\); [\w.]+ takes the path of a folder or file, as text"):
        call(path)


def test_a_split_that_there_is_not_is_answered_with_those_there_are():
    assert as_split("eval") == "eval"
    with pytest.raises(polysem.InputError, match="there is no split 'test'; there are: train, eval"):
        as_split("test")


@pytest.fixture
def study(tmp_path) -> polysem.Study:
    folder = tmp_path / "results"
    for kind in ("classifier", "language"):
        (folder / "models" / kind).mkdir(parents=True)
        (folder / "models" / kind / "model.json").write_text(json.dumps({"kind": kind}))
        (folder / "tables" / kind / "a.b/s").mkdir(parents=True)
    (folder / "models/classifier/config.json").write_text(json.dumps({"widths": [4, 3]}))
    (folder / "report/pages").mkdir(parents=True)
    params = {"models": {"classifier": {"sites": ["a.b"]}, "language": {"sites": ["a.b"]}}, "saes": {}}
    (folder / "report/pages/params.json").write_text(json.dumps(params))
    return polysem.open(folder)


def test_params_are_a_copy(study):
    study.params["models"].clear()
    assert list(study.params["models"]) == ["classifier", "language"]


@pytest.mark.parametrize("number", [-1, 3])
def test_classes_that_there_are_not_have_no_text(study, number):
    assert study["classifier"].token_text(np.int64(2)) == "2"
    with pytest.raises(polysem.UnknownNameError, match=rf"classifier has no class {number}; it has 0 … 2"):
        study["classifier"].token_text(number)


def test_a_plot_that_there_is_not_is_answered_with_those_there_are(study):
    with pytest.raises(polysem.InputError, match="there is no plot 'nope'; there are: frequency_histogram, rank"):
        study.plot("language", "a.b", "neurons", "nope")


def test_a_table_is_asked_for_by_its_name(study):
    with pytest.raises(TypeError, match=r"found None \(NoneType\) as a table of language; there are: none"):
        study["language"].table(None)


def test_half_a_character_is_refused_before_the_tokenizer(study):
    with pytest.raises(polysem.InputError, match=r"its character 2, '\\ud800', is half of a surrogate pair"):
        study["language"].run("😀 \ud800")


def test_a_text_is_one_site(study, monkeypatch):
    asked = []
    monkeypatch.setattr(Model, "subject", SimpleNamespace(activations=lambda batch, sites: asked.extend(sites) or {}))
    monkeypatch.setattr(Model, "_images", lambda model, pixels: None)
    assert study["classifier"].run(np.zeros((1, 4)), sites="a.b") == {}
    assert asked == ["a.b"]


def test_a_threshold_that_a_figure_does_not_read_is_refused():
    nothing = Sources(lambda table: pytest.fail(f"{table} is read"), lambda table: "")
    with pytest.raises(
        polysem.InputError, match=r"decoder_power does not read cluster_cut, .* it reads rare_frequency"
    ):
        draw(Place("m", "s", "d"), "decoder_power", "of_dictionary", nothing, Analysis(), ["cluster_cut"])
