import numpy as np
import pytest
import torch

from polysem.io.errors import InputError
from polysem.saes.activation_functions import standard
from polysem.saes.exported import Exported
from polysem.saes.formats import openai
from polysem.saes.formats.openai import read
from polysem.saes.sae import SAE

from .conftest import FEATURES, loaded, output, save


def state(parts, **more):
    return {
        "pre_bias": parts["b_dec"],
        "latent_bias": parts["b_enc"],
        "stats_last_nonzero": torch.zeros(FEATURES, dtype=torch.long),
        "latents_activation_frequency": torch.linspace(0, 0.5, FEATURES),
        "latents_mean_square": torch.zeros(FEATURES),
        "encoder.weight": parts["W_enc"].T.contiguous(),
        "decoder.weight": parts["W_dec"].T.contiguous(),
        **more,
    }


TOPK = {"activation": "TopK", "activation_state_dict": {"k": 6, "postact_fn": "ReLU"}}


@pytest.mark.parametrize(
    ("place", "hook"),
    [
        ("gpt2-small/mlp_post_act/autoencoders/5.pt", "blocks.5.mlp.hook_post"),
        ("gpt2-small/resid_delta_mlp_v4/autoencoders/11.pt", "blocks.11.hook_mlp_out"),
        ("gpt2-small/resid_post_attn_v5_32k/autoencoders/0.pt", "blocks.0.hook_resid_mid"),
        ("gpt2-small/resid_post_mlp_v5_128k/autoencoders/7.pt", "blocks.7.hook_resid_post"),
        ("gpt2-small/resid_delta_attn_v5_32k/autoencoders/2.pt", "blocks.2.hook_attn_out"),
        ("my_copy.pt", None),
    ],
)
def test_location_and_layer_are_known_by_the_path(tmp_path, parts, place, hook):
    published = read(save(tmp_path / place, state(parts)))
    assert published.settings.hook_name == hook
    assert published.settings.center_writing_weights is False
    assert published.settings.prepend_bos is None


def test_versions_1_and_4_are_relu_on_the_activations_as_they_are(tmp_path, parts, x):
    published = read(save(tmp_path / "5.pt", state(parts)))
    f = torch.relu((x - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"])
    torch.testing.assert_close(output(loaded(published), x), f @ parts["W_dec"] + parts["b_dec"])
    torch.testing.assert_close(published.load().frequency, torch.linspace(0, 0.5, FEATURES))


def test_version_5_is_topk_on_normalised_vectors(tmp_path, parts, x):
    sae = loaded(read(save(tmp_path / "5.pt", state(parts, **TOPK))))
    mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
    kept = (((x - mean) / (std + 1e-5) - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"]).topk(6, dim=-1)
    f = torch.zeros(len(x), FEATURES).scatter(-1, kept.indices, kept.values.relu())
    torch.testing.assert_close(output(sae, x), (f @ parts["W_dec"] + parts["b_dec"]) * std + mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"activation": "Identity"}, "activation is 'Identity'; polysem reads ReLU and TopK"),
        ({"activation": "TopK"}, "activation_state_dict is missing"),
        ({**TOPK, "activation_state_dict": {"k": 6, "postact_fn": "Identity"}}, "keeps negative features"),
        ({**TOPK, "activation_state_dict": {"k": 0}}, "k is 0, expected a whole number of at least 1"),
        ({**TOPK, "activation_state_dict": {"k": True}}, "k is True, expected a whole number of at least 1"),
        ({**TOPK, "activation_state_dict": {"k": torch.tensor(True)}}, "k is True, expected a whole number"),
        ({"extra": torch.ones(2)}, "holds a tensor 'extra'"),
        ({"pre_bias": torch.ones(3)}, r"pre_bias has shape \[3\], expected \[12\]"),
        ({"decoder.weight": torch.ones(FEATURES, 12)}, r"decoder.weight has shape \[40, 12\], expected \[12, 40\]"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, parts, more, said):
    path = save(tmp_path / "5.pt", state(parts, **more))
    with pytest.raises(InputError, match=said):
        read(path).load()


def exported(parts, site="blocks.0.mlp.hook_post", frequency=None):
    sae = SAE(parts["W_enc"], parts["b_enc"], parts["W_dec"], parts["b_dec"], standard.Function())
    return Exported(sae=sae, model_name="m", site=site, name="x", metadata={}, stored_frequency=frequency)


def test_what_the_run_does_not_know_is_named_and_has_the_values_of_a_fresh_sae(tmp_path, parts):
    ours = exported(parts)
    openai.write(ours, tmp_path / "out")
    assert ours.missing == [
        "stats_last_nonzero, latents_mean_square, latents_activation_frequency hold what a fresh SAE has: this run "
        "does not measure them"
    ]
    state = torch.load(tmp_path / "out/mlp_post_act/autoencoders/0.pt")
    assert (state["latents_activation_frequency"] == 1).all()
    assert not state["stats_last_nonzero"].any() and not state["latents_mean_square"].any()
    assert openai.read(tmp_path / "out/mlp_post_act/autoencoders/0.pt").load().frequency is None


def test_frequencies_of_the_run_are_written_and_a_site_without_a_name_is_said(tmp_path, parts):
    measured = np.linspace(0, 1, FEATURES)
    ours = exported(parts, "blocks.3.hook_q", torch.from_numpy(measured))
    openai.write(ours, tmp_path / "out")
    assert ours.missing == [
        "stats_last_nonzero, latents_mean_square hold what a fresh SAE has: this run does not measure them",
        "OpenAI has no location for blocks.3.hook_q, so the file is called autoencoder.pt",
    ]
    state = torch.load(tmp_path / "out/autoencoder.pt")
    np.testing.assert_allclose(state["latents_activation_frequency"], measured, rtol=1e-6)
    np.testing.assert_allclose(openai.read(tmp_path / "out/autoencoder.pt").load().frequency, measured, rtol=1e-6)
