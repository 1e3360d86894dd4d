"""SAELens folders: version 6, what came before it, and everything that is folded."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from polysem.io.errors import InputError
from polysem.saes.activation_functions import topk
from polysem.saes.formats.saelens import read
from polysem.saes.published import norms_in_words
from polysem.saes.sae import save_sae

from .conftest import FEATURES, INPUTS, loaded, output

MODERN = {
    "d_in": INPUTS, "d_sae": FEATURES, "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": True,
    "normalize_activations": "none", "reshape_activations": "none", "architecture": "standard",
    "metadata": {"model_name": "gpt2", "hook_name": "blocks.3.hook_resid_pre", "model_class_name": "HookedTransformer",
        "model_from_pretrained_kwargs": {"center_writing_weights": False}, "prepend_bos": False, "context_size": 64,
        "dataset_path": "some/text", "sae_lens_version": "6.20.0"},
}  # fmt: skip
OLD = {
    "model_name": "gpt2-small", "hook_point": "blocks.8.hook_resid_pre", "hook_point_layer": 8,
    "hook_point_head_index": None, "dataset_path": "Skylion007/openwebtext", "context_size": 128, "d_in": INPUTS,
    "d_sae": FEATURES, "l1_coefficient": 8e-05, "dtype": "torch.float32", "device": "mps", "seed": 42,
}  # fmt: skip
"""As of the first published SAEs: no architecture, no apply_b_dec_to_input, no prepend_bos."""


def write(folder: Path, config: dict, tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "sae_weights.safetensors")
    return folder / "sae_weights.safetensors"


def reference(x, parts, activation=torch.relu, subtract=True):
    f = activation((x - parts["b_dec"] * subtract) @ parts["W_enc"] + parts["b_enc"])
    return f @ parts["W_dec"] + parts["b_dec"]


def test_a_folder_of_version_6_gives_its_reconstruction_and_its_settings(tmp_path, parts, x):
    published = read(write(tmp_path, MODERN, parts))
    torch.testing.assert_close(output(loaded(published), x), reference(x, parts))
    assert published.settings.known() == {
        "model_name": "gpt2", "hook_name": "blocks.3.hook_resid_pre", "prepend_bos": False, "context_size": 64,
        "center_writing_weights": False,
    }  # fmt: skip
    assert published.notes == ()


def test_an_old_config_without_the_keys_means_true(tmp_path, parts, x):
    published = read(write(tmp_path, OLD, parts))
    torch.testing.assert_close(output(loaded(published), x), reference(x, parts))
    assert published.settings.prepend_bos is True
    assert published.settings.hook_name == "blocks.8.hook_resid_pre"
    assert published.facts["l1_coefficient"] == 8e-05
    assert published.notes == (
        "a config from before version 6 without apply_b_dec_to_input and prepend_bos: taken as True",
    )


def test_an_old_topk_is_known_by_its_activation_function(tmp_path, parts, x):
    old = OLD | {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}, "apply_b_dec_to_input": False}
    sae = loaded(read(write(tmp_path, old, parts)))

    def largest(pre):
        kept = pre.topk(5, dim=-1)
        return torch.zeros_like(pre).scatter(-1, kept.indices, kept.values.relu())

    torch.testing.assert_close(output(sae, x), reference(x, parts, largest, subtract=False))


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
def test_a_bias_that_is_not_subtracted_is_folded_exactly(tmp_path, parts, x, architecture):
    tensors, config = dict(parts), MODERN | {"apply_b_dec_to_input": False, "architecture": architecture}
    pre = x @ parts["W_enc"]
    match architecture:
        case "standard":
            f = torch.relu(pre + parts["b_enc"])
        case "jumprelu":
            tensors["threshold"] = torch.linspace(0, 1, FEATURES)
            f = (pre + parts["b_enc"]).relu() * (pre + parts["b_enc"] > tensors["threshold"])
        case "gated":
            del tensors["b_enc"]
            tensors |= {"b_gate": parts["b_enc"], "b_mag": torch.rand(FEATURES), "r_mag": torch.randn(FEATURES) * 0.2}
            f = (pre + tensors["b_gate"] > 0) * (pre * tensors["r_mag"].exp() + tensors["b_mag"]).relu()
    sae = loaded(read(write(tmp_path, config, tensors)))
    torch.testing.assert_close(sae.encode(x), f, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(output(sae, x), f @ parts["W_dec"] + parts["b_dec"], atol=2e-5, rtol=1e-5)
    assert "norms of 0.5 to 3" in norms_in_words(sae)


def test_the_decoder_of_a_topk_keeps_its_norms_unless_the_file_compares_by_them(tmp_path, parts, x):
    config = MODERN | {"architecture": "topk", "k": 4}
    plain = loaded(read(write(tmp_path / "plain", config, parts)))
    torch.testing.assert_close(plain.W_dec, parts["W_dec"])
    rescaled = loaded(read(write(tmp_path / "rescaled", config | {"rescale_acts_by_decoder_norm": True}, parts)))
    norms = parts["W_dec"].norm(dim=1)
    kept = (((x - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"]) * norms).topk(4, dim=-1)
    f = torch.zeros(len(x), FEATURES).scatter(-1, kept.indices, kept.values.relu())
    torch.testing.assert_close(output(rescaled, x), (f / norms) @ parts["W_dec"] + parts["b_dec"])
    assert not torch.allclose(output(rescaled, x), output(plain, x), atol=0.1)


def test_the_layer_norm_of_each_vector_is_undone_without_the_epsilon(tmp_path, parts):
    x = torch.randn(50, INPUTS) * 1e-3 + 0.2
    sae = loaded(read(write(tmp_path, MODERN | {"normalize_activations": "layer_norm"}, parts)))
    mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
    wanted = reference((x - mean) / (std + 1e-5), parts) * std + mean
    torch.testing.assert_close(output(sae, x), wanted, rtol=1e-5, atol=1e-7)


def test_a_stored_scale_of_the_activations_is_folded_and_a_missing_one_is_refused(tmp_path, parts, x):
    config = MODERN | {"normalize_activations": "expected_average_only_in"}
    path = write(tmp_path, config, parts)
    with pytest.raises(
        InputError, match=r"no activation_scaler\.json beside it says by what factor; fold it in SAELens"
    ):
        read(path)
    (tmp_path / "activation_scaler.json").write_text('{"scaling_factor": 2.5}')
    sae = loaded(read(path))
    torch.testing.assert_close(output(sae, x), reference(x * 2.5, parts) / 2.5)
    f = torch.relu((2.5 * x - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"])
    torch.testing.assert_close(sae.encode(x), f / 2.5, atol=1e-5, rtol=1e-5)  # in the unit of the activations
    assert sae.normalization == "none"


def test_factors_of_fine_tuning_multiply_the_features_that_are_decoded(tmp_path, parts, x):
    factors = torch.rand(FEATURES) + 0.5
    path = write(tmp_path, OLD | {"finetuning_scaling_factor": True}, parts | {"scaling_factor": factors})
    f = torch.relu((x - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"])
    torch.testing.assert_close(output(loaded(read(path)), x), (f * factors) @ parts["W_dec"] + parts["b_dec"])
    path = write(tmp_path, OLD, parts | {"scaling_factor": factors})
    with pytest.raises(InputError, match="finetuning_scaling_factor is not set"):
        read(path).load()


def test_the_frequencies_of_a_folder_come_with_it(tmp_path, parts):
    path = write(tmp_path, MODERN, parts)
    frequency = torch.linspace(0, 1, FEATURES).double()
    save_file({"sparsity": (frequency + 1e-10).log10().float()}, tmp_path / "sparsity.safetensors")
    torch.testing.assert_close(read(path).load().frequency, frequency, atol=1e-6, rtol=1e-5)


def test_what_saelens_adds_to_a_frequency_before_the_logarithm_is_taken_off(tmp_path, parts):
    path = write(tmp_path, MODERN, parts)
    rare = torch.full((FEATURES,), 2e-8, dtype=torch.float64)
    save_file({"sparsity": (rare + 1e-10).log10().float()}, tmp_path / "sparsity.safetensors")
    torch.testing.assert_close(read(path).load().frequency, rare, atol=0, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"architecture": "temporal"},
            "architecture is 'temporal'; polysem reads standard, topk, jumprelu, gated, transco",
        ),
        ({"reshape_activations": "turned"}, "reshape_activations is 'turned'; polysem reads none, hook_z"),
        ({"normalize_activations": "covariance_whitening"}, "normalize_activations is 'covariance_whitening'"),
        ({"d_in": 13}, "d_in is 13, but W_enc of .* has 12"),
        ({"architecture": "topk", "k": 0}, "k is 0, expected a whole number of at least 1"),
        ({"architecture": "jumprelu"}, "holds no tensor 'threshold'"),
        ({"metadata": {"prepend_bos": "yes"}}, "prepend_bos is 'yes', expected a bool"),
        ({"metadata": {"context_size": -1}}, "context_size is -1, expected a whole number"),
        ({"metadata": {"hook_head_index": 3}}, "the SAE reads one attention head"),
        ({"apply_b_dec_to_input": 0}, "apply_b_dec_to_input is 0, expected true or false"),
        ({"metadata": {"hook_name": "a", "hook_name_out": "b"}}, "hook_name_out is 'b', another site than hook_name"),
        ({"metadata": []}, "metadata is no object with keys"),
    ],
)
def test_what_polysem_cannot_represent_is_refused(tmp_path, parts, change, said):
    path = write(tmp_path, MODERN | change, parts)
    with pytest.raises(InputError, match=said):
        read(path).load()


TRUE_K = [
    MODERN | {"architecture": "topk", "k": True},
    OLD | {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": True}},
]


@pytest.mark.parametrize("config", TRUE_K, ids=["version 6", "older"])
def test_a_k_that_is_true_is_refused_before_the_weights_are_read(tmp_path, parts, config):
    with pytest.raises(InputError, match=r"cfg\.json: k is True, expected a whole number of at least 1"):
        read(write(tmp_path, config, parts))
    with pytest.raises(InputError, match="k is True; a topk SAE needs a whole number above 0"):
        topk.Function.from_saved({"k": True}, {})


def test_a_scale_of_the_activations_that_is_true_is_refused(tmp_path, parts):
    path = write(tmp_path, MODERN | {"normalize_activations": "expected_average_only_in"}, parts)
    (tmp_path / "activation_scaler.json").write_text('{"scaling_factor": true}')
    with pytest.raises(InputError, match=r"activation_scaler\.json: scaling_factor is True, expected a number"):
        read(path).load()


def test_an_old_sae_of_attention_heads_is_known_by_its_hook(tmp_path, parts):
    path = write(tmp_path, OLD | {"hook_point": "blocks.1.attn.hook_z"}, parts)
    assert read(path).settings.hook_name == "blocks.1.attn.hook_z"


def test_an_sae_of_attention_heads_is_read_and_written_as_one(tmp_path, parts, x):
    config = MODERN | {"reshape_activations": "hook_z"}
    config["metadata"] = MODERN["metadata"] | {"hook_name": "blocks.1.attn.hook_z"}
    published = read(write(tmp_path, config, parts))
    torch.testing.assert_close(output(loaded(published), x), reference(x, parts))
    save_sae(loaded(published), tmp_path / "again", {"hook_name": published.settings.hook_name}, None)
    assert json.loads((tmp_path / "again/cfg.json").read_text())["reshape_activations"] == "hook_z"
    assert read(tmp_path / "again/sae_weights.safetensors").settings.hook_name == "blocks.1.attn.hook_z"


def test_a_module_of_transformers_in_place_of_a_hook_is_known_as_one(tmp_path, parts):
    config = MODERN | {"metadata": MODERN["metadata"] | {"hook_name": "model.layers.0.mlp.down_proj"}}
    settings = read(write(tmp_path, config, parts)).settings
    assert (settings.hook_name, settings.module) == (None, "model.layers.0.mlp.down_proj")


def test_an_empty_hook_name_says_nothing(tmp_path, parts):
    config = MODERN | {"metadata": MODERN["metadata"] | {"hook_name": ""}}
    settings = read(write(tmp_path, config, parts)).settings
    assert (settings.hook_name, settings.module) == (None, None)
