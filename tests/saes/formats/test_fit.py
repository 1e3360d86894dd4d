"""Published SAEs against the model entry, before anything runs and in the step."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from polysem.io.errors import InputError
from polysem.params.recipes.pretrained import PretrainedSae
from polysem.params.study import load_study
from polysem.saes.activation_functions.standard import Function
from polysem.saes.import_sae import import_sae
from polysem.saes.sae import SAE, load_sae, save_sae
from polysem.workflow.checks import preflight

from .conftest import FEATURES, INPUTS, output, save

SITE = "blocks.0.mlp.hook_post"
SETTINGS = {"context_length": 128, "packing": "concatenated", "bos_token": "<|bos|>", "mask_tokens": ["<|bos|>"],
    "processing": {"fold_ln": False, "center_writing_weights": False, "center_unembed": False}}  # fmt: skip
MODEL = f"""
corpora: {{c: {{source: generated}}}}
models:
  m:
    source: trained
    corpus: c
    sites: [{SITE}]
    architecture: {{d_mlp: {INPUTS}}}
saes:
  theirs:
    source: pretrained
    format: saelens
    models: [m]
    site: {SITE}
    path: published
"""


@pytest.fixture
def published(tmp_path, monkeypatch, parts) -> Path:
    """An SAE of ours, as `train_sae` writes it, in ./published."""
    monkeypatch.chdir(tmp_path)
    sae = SAE(parts["W_enc"], parts["b_enc"], parts["W_dec"], parts["b_dec"], Function())
    save_sae(sae, tmp_path / "published", {"hook_name": SITE, "training": {"settings": SETTINGS}}, None)
    return tmp_path / "published"


def receipt(tmp_path, width=INPUTS, **changed) -> Path:
    content = {
        "arrays": {"activations": {"shape": [9, width]}},
        "params": {"site": SITE, "settings": SETTINGS | changed},
    }
    (tmp_path / "eval.json").write_text(json.dumps(content))
    return tmp_path / "eval.json"


def entry(**keys) -> PretrainedSae:
    values = {"source": "pretrained", "format": "saelens", "models": ["m"], "site": SITE}
    return PretrainedSae.model_validate(values | keys)


def check(text: str) -> None:
    Path("params.yaml").write_text(text)
    preflight.check(load_study(Path("params.yaml")))


def test_an_sae_of_ours_passes(published):
    check(MODEL)
    study = load_study(Path("params.yaml"))
    section = study.saes["theirs"].imported
    assert section is not None
    assert study.saes_of("m", SITE) == ["theirs"]
    names = [file.name for file in preflight.outside_files(section)]
    assert names == ["cfg.json", "sae_weights.safetensors"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("path: published", "path: elsewhere", "saes.theirs: elsewhere is missing"),
        ("    path: published", "", "saes.theirs: give one of path, repository and url; found none of them"),
        ("path: published", "path: published\n    url: https://x.org/a.pt", "found path and url"),
        ("path: published", "url: file:///etc/passwd", "expected one that begins with https://"),
        ("path: published", "path: published\n    filename: a.pt", "filename belongs to a repository"),
        ("path: published", "repository: a/b\n    filename: ../x", "expected a place inside of the repository"),
        ("path: published", "path: published\n    sha256: abc", "saes.theirs.sha256: found 'abc'"),
        ("format: saelens", "format: saelen", "saes.theirs.format: found 'saelen', allowed is 'dictionary_learning', "),
        ("format: saelens", "format: openai", "is a folder; name the file of weights in it"),
        ("source: pretrained", "source: pretraind", "saes.theirs.source is 'pretraind'; allowed: pretrained"),
        ("models: [m]", "models: [n]", "saes.theirs: models names 'n'"),
        ("models: [m]", "models: all", "saes.theirs.models: found 'all'"),
        ("models: [m]", "models: [m]\n    l1: 3", "saes.theirs.l1: unknown key"),
        ("    site: blocks.0.mlp.hook_post", "    site: blocks.0.mlp.hook_pre",
            "saes.theirs: site is 'blocks.0.mlp.hook_pre' (did you mean 'blocks.0.mlp.hook_post'?)"),
        ("corpus: c", "corpus: c\n    context_length: 32",
            "it was trained on contexts of 128 tokens, and the model entry has context_length: 32"),
        (f"d_mlp: {INPUTS}", "d_mlp: 128", "it reads 12 neurons, and blocks.0.mlp.hook_post of the model has 128"),
        ("corpus: c", "corpus: c\n    processing: {center_writing_weights: true}",
            "center_writing_weights: false, and the model entry has processing.center_writing_weights: true"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_anything_runs(published, old, new, said):
    assert MODEL.count(old) == 1
    with pytest.raises(InputError) as caught:
        check(MODEL.replace(old, new))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bos_token": None}, "with a BOS token in front (prepend_bos: true), and the model entry has bos_token: null"),
        ({"context_length": 64}, "contexts of 128 tokens, and the model entry has context_length: 64"),
        ({"processing": {"fold_ln": True, "center_writing_weights": False}},
            "fold_ln: false, and the model entry has processing.fold_ln: true"),
        ({"width": 13}, "it reads 12 neurons, and blocks.0.mlp.hook_post of the model has 13"),
    ],
)  # fmt: skip
def test_the_step_checks_the_settings_of_the_activations(published, tmp_path, changed, said):
    with pytest.raises(InputError) as caught:
        import_sae(receipt(tmp_path, **changed), tmp_path / "out", entry(path="published"))
    assert said in str(caught.value)
    assert not (tmp_path / "out/cfg.json").exists()


def test_the_step_keeps_features_as_published_and_writes_the_origin_and_what_was_converted(published, tmp_path, x):
    import_sae(receipt(tmp_path), tmp_path / "out", entry(path="published"))
    before, after = load_sae(published, INPUTS), load_sae(tmp_path / "out", INPUTS)
    torch.testing.assert_close(output(after, x), output(before, x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.encode(x), before.encode(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.W_dec, before.W_dec)
    about = json.loads((tmp_path / "out/cfg.json").read_text())["metadata"]
    assert about["prepend_bos"] is True
    assert about["context_size"] == 128
    assert about["imported"] == {
        "format": "saelens",
        "file": "sae_weights.safetensors",
        "sha256": hashlib.sha256((published / "sae_weights.safetensors").read_bytes()).hexdigest(),
        "notes": ["decoder rows have norms of 0.5 to 3 and keep them, so that features are as published"],
        "not_known": ["model_name"],
    }


def test_a_wrong_digest_is_refused_with_both_named(published, tmp_path):
    found = hashlib.sha256((published / "sae_weights.safetensors").read_bytes()).hexdigest()
    with pytest.raises(InputError, match=f"has sha256 {found}, the params file says {'0' * 64}; do not use it"):
        import_sae(receipt(tmp_path), tmp_path / "out", entry(path="published", sha256="0" * 64))


def test_another_number_of_features_than_the_params_say_is_refused_in_the_step_and_before_it(published, tmp_path):
    with pytest.raises(InputError, match=f"has {FEATURES} features, the params file says {FEATURES + 1}"):
        import_sae(receipt(tmp_path), tmp_path / "out", entry(path="published", features=FEATURES + 1))
    import_sae(receipt(tmp_path), tmp_path / "out", entry(path="published", features=FEATURES))
    (tmp_path / "params.yaml").write_text(MODEL + f"    features: {FEATURES + 1}\n")
    with pytest.raises(InputError, match=rf"saes\.theirs\.features is {FEATURES + 1}, but published/.* has {FEATURES}"):
        preflight.check(load_study(tmp_path / "params.yaml"))


def test_a_bos_token_where_there_was_none_is_refused(tmp_path, parts):
    path = save(tmp_path / "185_upbeat_field.pt", parts)
    path.with_suffix(".json").write_text('{"l1_coeff": 4e-4, "layer": 0}')
    with pytest.raises(
        InputError, match=r"without a BOS token \(prepend_bos: false\), and the model entry has bos_token"
    ):
        import_sae(receipt(tmp_path), tmp_path / "out", entry(format="tinystories", path=str(path)))


@pytest.fixture
def server(tmp_path):
    """A web server of ./web on this machine."""
    (tmp_path / "web").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_sae_of_the_web_comes_with_what_lies_beside_it(published, tmp_path, server):
    published.rename(tmp_path / "web/sae")
    import_sae(receipt(tmp_path), tmp_path / "out", entry(url=f"{server}/sae/"))
    about = json.loads((tmp_path / "out/cfg.json").read_text())["metadata"]["imported"]
    assert about["url"] == f"{server}/sae/"
    assert not list(tmp_path.glob(".download-*"))


def test_the_folders_of_a_web_address_tell_openais_hook(tmp_path, parts, server):
    place = "gpt2-small/mlp_post_act_v4/autoencoders/0.pt"
    names = {"b_dec": "pre_bias", "b_enc": "latent_bias", "W_enc": "encoder.weight", "W_dec": "decoder.weight"}
    state = {names[key]: value.T.contiguous() if value.ndim == 2 else value for key, value in parts.items()}
    save(tmp_path / "web" / place, state)
    import_sae(receipt(tmp_path), tmp_path / "out", entry(format="openai", url=f"{server}/{place}"))
    with pytest.raises(InputError, match=r"trained at hook blocks.1.mlp.hook_post, and site is blocks.0.mlp.hook_post"):
        (tmp_path / "web" / place).rename(tmp_path / "web" / place.replace("0.pt", "1.pt"))
        import_sae(
            receipt(tmp_path), tmp_path / "out", entry(format="openai", url=f"{server}/{place}".replace("0.pt", "1.pt"))
        )


def test_a_web_address_that_fails_is_explained(tmp_path, server):
    with pytest.raises(InputError, match=r"cfg\.json answers 404"):
        import_sae(receipt(tmp_path), tmp_path / "out", entry(url=f"{server}/none/"))
    with pytest.raises(InputError, match="load it elsewhere, copy it here, and give path in place of url"):
        import_sae(receipt(tmp_path), tmp_path / "out", entry(url="http://127.0.0.1:9/a.safetensors"))


def test_a_hub_out_of_reach_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="some/saes"):
        import_sae(receipt(tmp_path), tmp_path / "out", entry(repository="some/saes", filename="layer_0"))
