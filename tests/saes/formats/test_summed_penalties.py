"""The two collections whose losses add up the batch: Neel Nanda's, and those of TinyStories-2L-33M."""

import json

import pytest
import torch

from polysem.io.errors import InputError
from polysem.saes.formats import neel, tinystories

from .conftest import FEATURES, INPUTS, loaded, output, save

OLDER = {"seed": 52, "batch_size": 4096, "model_batch_size": 512, "lr": 1e-4, "num_tokens": 2_000_000_000,
    "l1_coeff": 3e-4, "beta1": 0.9, "beta2": 0.99, "dict_mult": 8, "seq_len": 128, "d_mlp": INPUTS,
    "enc_dtype": "fp32", "remove_rare_dir": False}  # fmt: skip
NEWER = {"batch_size": 4096, "l1_coeff": 3e-4, "seq_len": 128, "act_size": INPUTS, "d_mlp": 2048, "dict_size": FEATURES,
    "act_name": "blocks.1.hook_mlp_out", "site": "mlp_out", "layer": 1, "model_name": "gelu-2l"}  # fmt: skip
STORIES = {"l1_coeff": 4e-4, "reg": "l1", "dict_size": FEATURES, "batch_size": 5080}


def write(folder, name, config_name, config, tensors):
    path = save(folder / name, tensors)
    (folder / config_name).write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(("config", "hook", "model"), [
    (OLDER, "blocks.0.mlp.hook_post", "gelu-1l"), (NEWER, "blocks.1.hook_mlp_out", "gelu-2l"),
])  # fmt: skip
def test_older_and_newer_configs_of_neel_nanda(tmp_path, parts, x, config, hook, model):
    published = neel.read(write(tmp_path, "25.pt", "25_cfg.json", config, parts))
    f = torch.relu((x - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"])
    torch.testing.assert_close(output(loaded(published), x), f @ parts["W_dec"] + parts["b_dec"])
    assert published.settings.known() == {
        "model_name": model, "hook_name": hook, "prepend_bos": True, "context_size": 128, "fold_ln": True,
        "center_writing_weights": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "hook"),
    [
        ({"site": "post", "layer": 2}, "blocks.2.mlp.hook_post"),
        ({"site": "resid_pre", "layer": 0}, "blocks.0.hook_resid_pre"),
        ({"site": "mlp_out"}, "blocks.0.mlp.hook_post"),  # half of a name is none
        ({"layer": 3}, "blocks.0.mlp.hook_post"),
        ({}, "blocks.0.mlp.hook_post"),
    ],
)
def test_a_config_without_a_hook_names_it_by_site_and_layer_or_is_of_the_first_mlp(tmp_path, parts, keys, hook):
    published = neel.read(write(tmp_path, "25.pt", "25_cfg.json", OLDER | keys, parts))
    assert published.settings.hook_name == hook


def test_a_config_without_a_length_is_of_128_tokens(tmp_path, parts):
    config = {key: value for key, value in OLDER.items() if key != "seq_len"}
    assert neel.read(write(tmp_path, "25.pt", "25_cfg.json", config, parts)).settings.context_size == 128


def test_the_coefficient_of_a_summed_batch_becomes_one_per_token_and_the_metadata_say_so(tmp_path, parts):
    published = neel.read(write(tmp_path, "25.pt", "25_cfg.json", OLDER, parts))
    assert published.facts["l1_coefficient"] == pytest.approx(1.2288)
    assert published.facts["l1_coefficient_in_file"] == 3e-4
    assert published.notes == (
        "l1_coefficient 0.0003 was summed over a batch of 4096 (of its config); per token it is 1.229",
    )
    stories = tinystories.read(write(tmp_path, "185_upbeat_field.pt", "185_upbeat_field.json", STORIES, parts))
    assert stories.facts["l1_coefficient"] == pytest.approx(2.032)


def test_a_config_without_a_batch_size_takes_that_of_the_published_runs_and_says_so(tmp_path, parts):
    config = {key: value for key, value in OLDER.items() if key != "batch_size"}
    published = neel.read(write(tmp_path, "25.pt", "25_cfg.json", config, parts))
    assert published.facts["l1_coefficient"] == pytest.approx(1.2288)
    assert "of the published runs, as its config names none" in published.notes[0]


@pytest.mark.parametrize(
    ("name", "layer"), [("47_polar_thunder", 0), ("185_upbeat_field", 1), ("189_giddy_water", 1), ("12_odd_bird", None)]
)
def test_the_published_tinystories_saes_are_known_by_their_names(tmp_path, parts, name, layer):
    published = tinystories.read(write(tmp_path, f"{name}.pt", f"{name}.json", {"l1_coeff": 4e-4}, parts))
    assert published.settings.hook_name == (None if layer is None else f"blocks.{layer}.mlp.hook_post")
    assert published.settings.prepend_bos is False
    assert published.settings.center_writing_weights is published.settings.fold_ln is True
    assert published.facts["penalty"] == "l1"
    assert published.facts["l1_coefficient"] == pytest.approx(4e-4 * 5080)  # the batches of the published runs


def test_penalties_other_than_l1_keep_their_coefficients(tmp_path, parts):
    config = {"reg": ["hoyer", "sqrt"], "l1_coeff": [1e-4, 1.5e-4]}
    published = tinystories.read(write(tmp_path, "189_giddy_water.pt", "189_giddy_water.json", config, parts))
    assert published.facts == {"penalty": ["hoyer", "sqrt"], "coefficients_in_file": [1e-4, 1.5e-4]}
    assert "were not converted" in published.notes[0]


def test_files_that_do_not_fit_are_refused(tmp_path, parts):
    path = write(tmp_path, "25.pt", "25_cfg.json", OLDER | {"d_mlp": 2048}, parts)
    with pytest.raises(InputError, match=r"d_mlp is 2048, but W_enc of .* has 12"):
        neel.read(path)
    (tmp_path / "25_cfg.json").unlink()
    with pytest.raises(InputError, match=r"25_cfg\.json cannot be read as JSON"):
        neel.read(path)
    path = write(tmp_path, "renamed.pt", "renamed.json", STORIES, parts)
    with pytest.raises(InputError, match="the name is part of the format"):
        tinystories.read(path)
