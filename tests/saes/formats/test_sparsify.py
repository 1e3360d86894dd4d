import json

import pytest
import torch
from safetensors.torch import save_file

from polysem.io.errors import InputError
from polysem.saes.formats.sparsify import read

from .conftest import FEATURES, INPUTS, loaded, output

CONFIG = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": FEATURES, "k": 5,
    "multi_topk": False, "skip_connection": False, "transcode": False, "d_in": INPUTS}  # fmt: skip


def write(folder, parts, config=None, **more):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(CONFIG | (config or {})))
    tensors = {"encoder.weight": parts["W_enc"].T, "encoder.bias": parts["b_enc"], "W_dec": parts["W_dec"],
        "b_dec": parts["b_dec"], **more}  # fmt: skip
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "sae.safetensors")
    return folder / "sae.safetensors"


@pytest.mark.parametrize("folder", ["layers.5", "h.0.mlp", "gpt_neox.layers.11.attention", "layers.3.mlp.experts"])
def test_the_folder_is_called_as_the_module(tmp_path, parts, folder):
    published = read(write(tmp_path / folder, parts))
    assert (published.settings.module, published.settings.hook_name) == (folder, None)
    assert not published.notes


def test_a_folder_that_is_called_otherwise_tells_no_module(tmp_path, parts):
    published = read(write(tmp_path / "embed_tokens", parts))
    assert published.settings.module is None
    assert "hook not known" in published.notes[0]


def test_the_features_are_the_k_largest(tmp_path, parts, x):
    (tmp_path / "config.json").write_text('{"model": "EleutherAI/pythia-160m", "ctx_len": 2048}')
    published = read(write(tmp_path / "layers.5", parts))
    kept = ((x - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"]).relu().topk(5, dim=-1)
    f = torch.zeros(len(x), FEATURES).scatter(-1, kept.indices, kept.values)
    torch.testing.assert_close(output(loaded(published), x), f @ parts["W_dec"] + parts["b_dec"])
    assert published.settings.context_size == 2048
    assert published.settings.model_name == "EleutherAI/pythia-160m"


def test_a_width_of_0_means_the_expansion_factor(tmp_path, parts):
    with pytest.raises(InputError, match=r"promises 384 features, encoder.weight of .* has 40"):
        read(write(tmp_path / "layers.5", parts, {"num_latents": 0}))


@pytest.mark.parametrize(
    ("config", "more", "said"),
    [
        ({"transcode": True}, {}, "is a transcoder: it predicts another site than it reads"),
        ({}, {"W_skip": torch.ones(INPUTS, INPUTS)}, "is a transcoder"),
        ({"activation": "groupmax"}, {}, "activation 'groupmax'; polysem reads topk"),
        ({"signed": True}, {}, "signed features; polysem reads topk"),
        ({"k": True}, {}, "k is True, expected a whole number"),
        ({"k": None}, {}, "k is None, expected a whole number"),
        ({"d_in": 3}, {}, "d_in is 3, but encoder.weight of .* reads 12"),
    ],
)
def test_what_is_no_sae_of_a_site_is_refused(tmp_path, parts, config, more, said):
    with pytest.raises(InputError, match=said):
        read(write(tmp_path / "layers.5", parts, config, **more)).load()
