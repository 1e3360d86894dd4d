"""Random-model controls: the entry, and the weights in random order."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from polysem.io.errors import InputError
from polysem.models.randomise_model import randomise_model, shuffled
from polysem.params.study import load_study

SITE = "blocks.0.mlp.hook_post"
STUDY = """
corpora:
  stories: {source: generated, train_documents: 1500, eval_documents: 300}
  digits: {source: images, images: digits}
models:
  small:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_post, blocks.0.hook_mlp_out]
    context_length: 32
    architecture: {layers: 1, d_model: 32, heads: 2, d_mlp: 64, vocabulary: 512}
  digits: {source: classifier, corpus: digits, hidden: [32]}
  control: {source: randomised, CONTROL}
saes:
  topk: {architecture: topk, k: 8, expansion: 2, tokens: 8192, MODELS}
  others: {architecture: topk, k: 4, expansion: 1, tokens: 8192}
"""


def study(tmp_path, control="of: small", models="models: [small, control]"):
    file = tmp_path / "params.yaml"
    file.write_text(STUDY.replace("CONTROL", control).replace("MODELS", models))
    return load_study(file)


def test_a_control_stands_under_the_settings_of_its_model_and_is_no_model_of_the_study(tmp_path):
    found = study(tmp_path, f"of: small, sites: [{SITE}], seed: 3")
    control, model = found.controls["control"], found.models["small"]
    assert list(found.models) == ["small", "digits"]
    assert (control.of, control.seed, control.sites) == ("small", 3, [SITE])
    assert control.settings() == model.settings() and control.activations == model.activations
    assert control.corpus == "stories" and control.files() == model.files()
    assert list(found.control_dictionaries()) == [("control", SITE, "neurons"), ("control", SITE, "topk")]
    assert found.control_of("small") == "control" and found.control_of("digits") is None
    assert found.original("control") == "small" and found.original("digits") == "digits"
    assert not any(model == "control" for model, *_ in found.dictionaries())


def test_a_recipe_of_all_models_is_not_one_of_their_controls(tmp_path):
    found = study(tmp_path)
    assert found.saes_of("control", SITE) == ["topk"]
    assert found.saes_of("small", SITE) == ["topk", "others"]
    assert study(tmp_path, "of: small").controls["control"].sites == found.models["small"].sites


@pytest.mark.parametrize(
    ("control", "models", "says"),
    [
        ("of: smal", "models: [small]", "models.control.of names 'smal', which is no entry (did you mean 'small'?)"),
        ("of: digits", "models: [small]", "names 'digits', which is no language model"),
        ("of: control", "models: [small]", "names 'control', which is no language model"),
        ("of: small, sites: [blocks.0.hook_resid_pre]", "models: [small]", "which is no site of models.small"),
        ("of: small, sites: [blocks.0.nothing]", "models: [small]", "blocks.0.nothing"),
        ("of: small, context_length: 64", "models: [small]", "context_length"),
        ("of: small}\n  second: {source: randomised, of: small", "models: [small]", "are both controls of small"),
        ("of: small", "models: [control]", "and not small itself at the same sites"),
        ("of: small", "models: [controll]", "models names 'controll'"),
    ],
)
def test_what_can_be_no_control_is_refused(tmp_path, control, models, says):
    with pytest.raises(InputError) as refused:
        study(tmp_path, control, models)
    assert says in str(refused.value)


def test_weights_of_a_control_are_those_of_its_model_in_random_order(tmp_path):
    model, folder = tmp_path / "model", tmp_path / "control"
    model.mkdir()
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "blocks.0.mlp.in.weight": torch.randn(40, 30, generator=generator),
        "blocks.0.ln1.weight": torch.rand(30, generator=generator).to(torch.bfloat16),
        "h.0.attn.bias": torch.ones(8, 8).tril(),
        "positions": torch.arange(12),
    }
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    for name in ("config.json", "tokenizer.json"):
        (model / name).write_text(name)
    randomise_model(model, folder, 0)
    found = load_file(folder / "model.safetensors")
    assert found.keys() == tensors.keys()
    for name in ("blocks.0.mlp.in.weight", "blocks.0.ln1.weight"):
        assert found[name].dtype == tensors[name].dtype and found[name].shape == tensors[name].shape
        assert torch.equal(found[name].flatten().sort().values, tensors[name].flatten().sort().values)
        assert (found[name] == tensors[name]).float().mean() < 0.2
    for name in ("h.0.attn.bias", "positions"):
        assert torch.equal(found[name], tensors[name])
    assert [(folder / name).read_text() for name in ("config.json", "tokenizer.json")] == [
        "config.json",
        "tokenizer.json",
    ]
    with safe_open(folder / "model.safetensors", framework="pt") as stored:
        assert stored.metadata() == {"format": "pt"}
    again, other = tmp_path / "again", tmp_path / "other"
    randomise_model(model, again, 0)
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    randomise_model(model, other, 1)
    assert (other / "model.safetensors").read_bytes() != (folder / "model.safetensors").read_bytes()


def test_tensors_of_one_shape_have_orders_of_their_own():
    x = torch.arange(1000.0)
    one, two = shuffled("one", x, 0).numpy(), shuffled("two", x, 0).numpy()
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1
