"""Sites of models that are not there yet, asked of their configs before any job starts."""

import hashlib
from pathlib import Path

import pytest
import torch
from campaigns.bad_input import TOKENIZER
from safetensors.torch import load_file, save_file
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
)

from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE, save_sae
from polysem.workflow.checks import preflight

SIZES = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MODEL = """
corpora: {c: {source: generated}}
models: {m: {source: transformers, repository: a/b, local_copy: copy, corpus: c, sites: [SITES]}}
"""
PLACE = 8
"""Bytes of a row beside its activations: which sequence, which position."""
HUGE = "activations: {train_tokens: 1000000000000, eval_tokens: 1, dtype: float32}"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def copied(model: PreTrainedModel) -> None:
    model.save_pretrained("copy")
    Path("copy/tokenizer.json").write_text(TOKENIZER)


def check(sites: str, saes: str = "") -> None:
    Path("params.yaml").write_text(MODEL.replace("SITES", sites) + saes)
    preflight.check(load_study(Path("params.yaml")))


def refused(sites: str, saes: str = "") -> str:
    with pytest.raises(InputError) as caught:
        check(sites, saes)
    return str(caught.value)


def test_a_parallel_block_has_nothing_between_attention_and_mlp():
    copied(GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, intermediate_size=48)))
    said = refused("blocks.0.hook_resid_mid")
    assert said.startswith(
        "models.m.sites: the model has no site 'blocks.0.hook_resid_mid'; it has blocks.0.hook_resid_pre"
    )
    assert "hook_resid_mid" not in said.split("it has")[1]
    check("blocks.1.hook_resid_post, blocks.0.attn.hook_z")
    copied(GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, intermediate_size=48, use_parallel_residual=False)))
    check("blocks.0.hook_resid_mid")


@pytest.mark.parametrize(("hook", "width"), [("mlp.hook_post", 96), ("attn.hook_z", 32), ("hook_mlp_out", 32)])
def test_widths_are_those_of_the_weights_and_no_multiple_of_the_residual_streams(hook, width):
    copied(OPTForCausalLM(OPTConfig(**SIZES, ffn_dim=96, word_embed_proj_dim=32)))
    said = refused(f"blocks.0.{hook}], {HUGE}, mask_tokens: [").replace(",", "")
    assert f"need up to {4 * width + PLACE}000.0 GB" in said


def test_heads_need_not_be_as_wide_as_the_residual_stream():
    copied(LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=48, head_dim=12)))
    assert f"need up to {4 * 48 + PLACE}000.0 GB" in refused(f"blocks.0.attn.hook_z], {HUGE}, mask_tokens: [").replace(
        ",", ""
    )


def test_an_sae_of_the_output_of_a_module_is_held_against_the_site_before_anything_runs():
    copied(LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=48)))
    sae = SAE(torch.randn(32, 8), torch.zeros(8), torch.randn(8, 32), torch.zeros(32), Function())
    save_sae(sae, Path("theirs"), {"hook_name": "model.layers.0.mlp.down_proj"}, None)
    entry = "saes: {theirs: {source: pretrained, format: saelens, path: theirs, models: [m], site: SITE}}"
    check("blocks.0.hook_mlp_out", entry.replace("SITE", "blocks.0.hook_mlp_out"))
    said = refused("blocks.0.hook_attn_out", entry.replace("SITE", "blocks.0.hook_attn_out"))
    assert "on the output of model.layers.0.mlp.down_proj, and site is blocks.0.hook_attn_out; set site to " in said
    assert "set site to blocks.0.hook_mlp_out" in said


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ({"b_dec": torch.zeros(31)}, "b_dec has shape [31], expected [32]"),
        ({"W_dec": torch.full((8, 32), torch.nan)}, "W_dec holds NaN or infinite values"),
    ],
)
def test_the_weights_of_a_local_sae_are_read_once_before_anything_runs(damaged, said):
    copied(LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=48)))
    sae = SAE(torch.randn(32, 8), torch.zeros(8), torch.randn(8, 32), torch.zeros(32), Function())
    save_sae(sae, Path("theirs"), {}, None)
    entry = (
        "saes: {theirs: {source: pretrained, format: saelens, path: theirs, models: [m], site: blocks.0.hook_mlp_out}}"
    )
    check("blocks.0.hook_mlp_out", entry)
    weights = Path("theirs/sae_weights.safetensors")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    check("blocks.0.hook_mlp_out", entry.replace("path:", f"sha256: {digest}, path:"))
    wrong = refused("blocks.0.hook_mlp_out", entry.replace("path:", f"sha256: {'a' * 64}, path:"))
    assert f"has sha256 {digest}, the params file says aaa" in wrong
    save_file(load_file(weights) | damaged, weights)
    assert said in refused("blocks.0.hook_mlp_out", entry)
