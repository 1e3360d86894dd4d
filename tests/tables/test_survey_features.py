"""The step that writes all tables of a dictionary which need no model."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from polysem.io.stores import create_array, written_store
from polysem.io.tables import read_table
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.tables import survey_features as module
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.parts.directions import Directions, write_directions
from polysem.tables.parts.token_tags import held_out
from polysem.tables.survey_features import CATALOGUE, survey_features
from polysem.workflow.artifacts import FEATURE_TABLES

NEURONS, CLASSES, IMAGES = 4, 3, 500


@pytest.fixture
def study(activation_store, image_store, tmp_path):
    """A site of images: its activations, their classes, the weights behind it."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((IMAGES, NEURONS)).astype(np.float32)
    labels = generator.integers(0, CLASSES, IMAGES).astype(np.int32)
    weights = torch.randn(NEURONS, CLASSES, generator=torch.Generator().manual_seed(0))
    write_directions(
        tmp_path / "directions.safetensors", Directions({"s/output_weights": weights, "s/logits": torch.zeros(0)})
    )
    activation_store(x + 10, "train")
    files = {
        "activations": activation_store(x),
        "tokens": image_store(np.zeros((IMAGES, 2), np.float32), labels, CLASSES),
        "directions": tmp_path / "directions.safetensors",
    }
    return SimpleNamespace(x=x, labels=labels, weights=weights, files=files)


def read_tables(folder):
    return {file.stem: read_table(file) for file in folder.glob("*.nc")}


def test_all_tables_are_of_the_tokens_of_the_eval_store_and_each_says_whose_it_is(study, tmp_path):
    output = tmp_path / "tables/m/s/neurons"
    survey_features(**study.files, dictionary=tmp_path / "neurons", output=output, site="s", params=Analysis())
    tables = read_tables(output)
    assert set(tables) == set(FEATURE_TABLES) == set(CATALOGUE)
    active = (study.x > 0).sum(axis=0)
    assert tables["frequency"].attrs["tokens"] == tables["rank_frequency"].attrs["tokens"] == IMAGES
    assert tables["frequency"]["active_tokens"].values.tolist() == active.tolist()
    half_b = held_out(np.arange(IMAGES))
    of_half = np.stack([(study.x[half] > 0).sum(0) for half in (~half_b, half_b)], axis=1)
    assert tables["frequency"]["active_tokens_of_half"].values.tolist() == of_half.tolist()
    assert [tables["rank_frequency"].attrs[f"tokens_{use}"] for use in ("ranking", "counting")] == [
        (~half_b).sum(),
        half_b.sum(),
    ]
    by_half_a = of_half[np.argsort(-of_half[:, 0], kind="stable"), 1] / half_b.sum()
    np.testing.assert_allclose(tables["rank_frequency"]["bin_frequency"].values, by_half_a)
    assert tables["rank_frequency"]["frequency_sorted"].values.tolist() == sorted(active / IMAGES, reverse=True)
    assert tables["alignment"]["strongest_neuron"].values.tolist() == [0, 1, 2, 3]
    for name, table in tables.items():
        assert [table.attrs[key] for key in ("model", "site", "dictionary")] == ["m", "s", "neurons"]
        assert table.attrs["catalogue"] == CATALOGUE[name]


def test_an_sae_folder_is_surveyed_by_the_command_line_with_its_params(study, tmp_path):
    generator = torch.Generator().manual_seed(1)
    W_enc, W_dec = torch.randn(NEURONS, 16, generator=generator), torch.randn(16, NEURONS, generator=generator)
    sae = SAE(W_enc, torch.full((16,), -0.5), W_dec, torch.zeros(NEURONS), standard.Function())
    folder, output = tmp_path / "saes/m/s/l1", tmp_path / "tables/m/s/l1"
    folder.mkdir(parents=True)
    save_sae(sae, folder, {}, torch.zeros(16))
    files = {**study.files, "dictionary": folder, "output": output, "site": "s"}
    given = {"baseline_seed": 1, "head_ranks": 10, "top_examples": 3, "sampled_examples": 2}
    params = Analysis().values() | given
    command = [sys.executable, "-m", "polysem", "step", "survey_features", "--config", json.dumps({"params": params})]
    subprocess.run([*command, *(f"--{name}={value}" for name, value in files.items())], check=True)
    tables = read_tables(output)
    f = np.maximum(study.x @ W_enc.numpy() - 0.5, 0)
    np.testing.assert_allclose(tables["frequency"]["frequency"], (f > 0).mean(0), atol=1 / IMAGES)
    expected = neuron_alignment(iter([W_dec.numpy()]), NEURONS, baseline_seed=1)
    np.testing.assert_array_equal(tables["alignment"]["kurtosis_excess_random"], expected["kurtosis_excess_random"])
    assert int(tables["rank_frequency"]["first_rank"].sel(range="tail")) == 10
    best = np.sort(f, axis=0)[::-1][:3].T
    np.testing.assert_allclose(tables["examples"]["activation"].values[:, :3], best, rtol=1e-5)
    assert tables["examples"].sizes["example"] == 5
    lifted = W_dec @ study.weights
    assert tables["logits"]["boosted_token"].values[:, 0].tolist() == lifted.argmax(1).tolist()
    assert tables["tags"]["tag"].values.tolist() == ["class:0", "class:1", "class:2"]
    cosine = torch.nn.functional.cosine_similarity(W_dec[:, None], W_dec[None], dim=-1).fill_diagonal_(-2)
    assert tables["associations"]["nearest_feature"].values[:, 0].tolist() == cosine.argmax(1).tolist()
    correlation = np.corrcoef(np.concatenate([f.T, study.x.T]))[:16, 16:]
    assert tables["associations"]["correlated_neuron"].values[:, 0].tolist() == correlation.argmax(1).tolist()
    assert "ultra_low_active" in tables["ultra_low"]


def test_what_belongs_to_a_context_is_told_by_the_first_200_000_tokens(tmp_path):
    """Token 0 is in the context at both of its places among them, and at none behind them."""
    tokens = tmp_path / "tokens.zarr"
    arrays = {
        "ids": np.zeros((2, 3), np.int32),
        "length": np.array([3, 3], np.int32),
        "tags": np.array([[1] * 3, [0] * 3], np.uint64)[..., None],
    }
    with written_store(tokens, attributes={"tags": ["a"]}, params={}, code="", device="cpu") as group:
        for name, values in arrays.items():
            dimensions = ("sequence", "position", "word")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values

    class Rows:
        length = 1_000_000

        def places(self, start, stop):
            assert (start, stop) == (0, 200_000)
            return np.array([0, 0, 1]), np.array([0, 1, 0])

    directions = Directions({"s/output_weights": torch.eye(2), "unembedding": torch.ones(2, 4)})
    tags = xr.Dataset({"main_tag": ("feature", [0])}, coords={"tag": ["a"]})
    found = module._contexts(Rows(), tokens, directions, "s", tags, np.array([0, -1]))
    assert found.tolist() == [[True, False, False, False], [False] * 4]
    assert module._contexts(Rows(), tokens, directions, "elsewhere", tags, np.array([0])) is None
    assert module._contexts(Rows(), tokens, directions, "s", tags, np.array([], int)) is None
