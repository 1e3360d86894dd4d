"""Processing of imported weights: done as recorded, or refused with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from polysem.io.errors import InputError
from polysem.models.load import load_subject
from polysem.models.record_model import record_model
from polysem.params.models.language import Processing
from polysem.params.study import load_study
from polysem.workflow.checks import preflight

from .test_broken_models import HEADS, SHAPE, before_the_run, fetch, llama, saved
from .test_sources import some_batch

EVERYTHING = dict.fromkeys(Processing.model_fields, True)


def gemma2() -> transformers.PretrainedConfig:
    return transformers.Gemma2Config(
        **SHAPE, **HEADS, intermediate_size=24, num_key_value_heads=2, head_dim=4, final_logit_softcapping=30.0
    )


def bloom() -> transformers.PretrainedConfig:
    return transformers.BloomConfig(vocab_size=40, hidden_size=16, n_layer=2, n_head=4)


def gpt2() -> transformers.PretrainedConfig:
    return transformers.GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=32)


def recorded(folder: Path, **processing: bool) -> Path:
    record_model(folder, "language", {"context_length": 12, "processing": processing}, {})
    return folder


@pytest.mark.parametrize(
    ("make", "key", "said"),
    [
        (llama, "center_writing_weights", "norms do not subtract the mean of the residual stream (LlamaRMSNorm)"),
        (gemma2, "center_writing_weights", "norms do not subtract the mean of the residual stream (Gemma2RMSNorm)"),
        (gemma2, "center_unembed", "the logits pass a soft cap (tanh, 30.0), which a common shift changes"),
        (bloom, "center_writing_weights", "a norm stands between the embedding and the first block (transformer.word_"),
    ],
)
def test_processing_that_cannot_be_done_is_refused_with_the_reason(tmp_path, monkeypatch, make, key, said):
    monkeypatch.chdir(tmp_path)
    copy = saved(make(), tmp_path / "copy")
    with pytest.raises(InputError) as early:
        before_the_run(copy, tmp_path, more=f", processing: {{{key}: true}}")
    assert f"models.m: processing.{key} cannot be done: " in str(early.value)
    assert said in str(early.value)
    folder = fetch(copy, tmp_path / "m")
    with pytest.raises(InputError) as late:
        recorded(folder, **{key: True})
    assert said in str(late.value)
    assert not (folder / "model.json").exists()


@torch.inference_mode()
@pytest.mark.parametrize(
    ("make", "processing"),
    [
        (gpt2, EVERYTHING),
        (llama, {"fold_ln": True, "center_unembed": True}),
        (bloom, {"center_unembed": True}),
    ],
)
def test_what_is_recorded_was_done_and_changes_no_prediction(tmp_path, make, processing):
    folder = fetch(saved(make(), tmp_path / "copy"), tmp_path / "m")
    raw = load_subject(recorded(folder)).evaluate(some_batch()).losses
    subject = load_subject(recorded(folder, **processing))
    assert json.loads((folder / "model.json").read_text())["settings"]["processing"] == processing
    torch.testing.assert_close(subject.evaluate(some_batch()).losses, raw, rtol=1e-3, atol=1e-3)
    unembedding = subject.bridge.W_U
    assert unembedding.mean(-1).abs().max() < 1e-5 * unembedding.abs().max()
    if processing.get("center_writing_weights"):
        for site in ("blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre", "blocks.1.hook_resid_post"):
            stream = subject.activations(some_batch(), [site])[site]
            assert stream.mean(-1).abs().max() < 1e-5 * stream.abs().max()
    if processing.get("fold_ln"):
        norms = [subject.bridge.blocks[1].ln1, subject.bridge.blocks[1].ln2, subject.bridge.ln_final]
        assert all(torch.equal(norm.weight, torch.ones(16)) for norm in norms)


def test_what_a_library_leaves_out_is_refused_when_the_model_is_loaded(tmp_path):
    """As if nothing had been known of the architecture in front: the loaded model itself is looked at."""
    folder = recorded(fetch(saved(bloom(), tmp_path / "copy"), tmp_path / "m"))
    record = json.loads((folder / "model.json").read_text())
    record["settings"]["processing"] = {"center_writing_weights": True}
    (folder / "model.json").write_text(json.dumps(record))
    with pytest.raises(
        InputError, match=r"center_writing_weights cannot be done: the residual stream keeps means of 0"
    ):
        load_subject(folder)


@pytest.mark.parametrize("normalization", ["LN", "RMS"])
def test_a_trained_model_with_rms_norms_cannot_be_centred(
    tmp_path, monkeypatch, native_folder: Any, normalization: str
):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        "corpora: {c: {source: generated}}\nmodels: {m: {source: trained, corpus: c, sites: [blocks.0.mlp.hook_post], "
        f"architecture: {{normalization: {normalization}}}, processing: {{center_writing_weights: true}}}}}}\n"
    )
    processing = {"processing": {"center_writing_weights": True}}
    if normalization == "LN":
        preflight.check(load_study(Path("params.yaml")))
        native_folder(processing)
        return
    for check in (
        lambda: preflight.check(load_study(Path("params.yaml"))),
        lambda: native_folder(processing, normalization_type="RMS"),
    ):
        with pytest.raises(InputError, match=r"center_writing_weights cannot be done: its norms do not subtract the m"):
            check()
