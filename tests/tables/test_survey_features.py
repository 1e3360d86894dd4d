import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr

from polysem.io.tables import read_table
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.tables.alignment import neuron_alignment
from polysem.tables.frequency import feature_frequency
from polysem.tables.rank_frequency import rank_frequency
from polysem.tables.survey_features import survey_features


def read_tables(folder):
    return {file.stem: read_table(file) for file in folder.iterdir()}


def test_all_tables_are_of_the_tokens_of_the_eval_store_and_no_others(activation_store, tmp_path):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2500, 4)).astype(np.float16)
    activation_store(generator.standard_normal((50, 4)).astype(np.float16) + 10, "train")
    output = tmp_path / "tables/m/s/neurons"
    survey_features(activation_store(x, "eval"), tmp_path / "saes/m/s/neurons", output, Analysis())
    tables = read_tables(output)
    assert set(tables) == {"frequency", "rank_frequency", "alignment"}
    active = (x > 0).sum(axis=0)
    assert tables["frequency"].attrs["tokens"] == tables["rank_frequency"].attrs["tokens"] == 2500
    assert tables["frequency"]["active_tokens"].values.tolist() == active.tolist()
    assert tables["rank_frequency"]["frequency_sorted"].values.tolist() == sorted(active / 2500, reverse=True)
    assert tables["alignment"]["strongest_neuron"].values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("table", "catalogue"), [("frequency", "S0.F1"), ("rank_frequency", "S0.F2"), ("alignment", "S2.F1")]
)
def test_each_table_says_whose_it_is(activation_store, tmp_path, table, catalogue):
    output = tmp_path / "tables/m/s/neurons"
    survey_features(activation_store(np.eye(4, dtype=np.float32)), tmp_path / "saes/m/s/neurons", output, Analysis())
    attributes = read_tables(output)[table].attrs
    assert [attributes[key] for key in ("model", "site", "dictionary")] == ["m", "s", "neurons"]
    assert catalogue in attributes["catalogue"]


def test_an_sae_folder_is_measured_by_the_command_line_with_the_params_of_each_table(
    activation_store, relu_dictionary, tmp_path
):
    x = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    ours = relu_dictionary(4, 16)
    folder, output = tmp_path / "saes/m/s/l1", tmp_path / "tables/m/s/l1"
    sae = SAE(ours.W_enc, ours.b_enc, ours.W_dec, torch.zeros(4), standard.Function())
    folder.mkdir(parents=True)
    save_sae(sae, folder, {}, torch.zeros(16))
    files = ["--activations", activation_store(x), "--dictionary", folder, "--output", output]
    config = json.dumps({"params": {"baseline_seed": 1, "head_ranks": 10}})
    command = [sys.executable, "-m", "polysem.tables.survey_features", *map(str, files), "--config", config]
    subprocess.run(command, check=True)
    frequency = feature_frequency([x], ours)
    expected = {
        "frequency": frequency,
        "rank_frequency": rank_frequency(frequency["active_tokens"].values, 500, head_ranks=10),
        "alignment": neuron_alignment(iter([ours.W_dec.numpy()]), 4, baseline_seed=1),
    }
    tables = read_tables(output)
    for name, table in expected.items():
        xr.testing.assert_allclose(tables[name], table, rtol=1e-5)
