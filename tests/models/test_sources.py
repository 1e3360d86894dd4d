"""Imported models: the hub's form, and the form of older TransformerLens repositories."""

import hashlib
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import GPTNeoConfig, GPTNeoForCausalLM, LlamaConfig, LlamaForCausalLM

import polysem
from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.models.import_model import import_model
from polysem.models.load import load_subject
from polysem.models.record_model import record_model
from polysem.models.sources.transformers import _patterns
from polysem.models.subject import Batch
from polysem.models.tokenize_corpus import Tokenization, tokenize_corpus

from .conftest import CONFIG, perturbed, with_inputs

DATA = Path(__file__).parents[2] / "../shared/data"
REAL = DATA / "models/tinystories-656k"
STORIES = DATA / "tinystories/tinystories_sample_2M.txt"
needs_real = pytest.mark.skipif(
    not (REAL.is_dir() and STORIES.is_file()),
    reason=f"needs a copy of raincandy-u/TinyStories-656K and real TinyStories in {DATA}",
)


def fetch(copy: Path, folder: Path, source: str = "transformers", **params: str | None) -> Path:
    folder.mkdir(parents=True)
    keys = {"repository": "some/model", "revision": "main", "local_copy": str(copy), "tokenizer": None, **params}
    import_model(folder, source, keys)
    record_model(folder, "language", {"context_length": 12, "processing": {}}, {"source": source})
    return folder


def write_tokenizer(folder: Path) -> None:
    Tokenizer(models.WordLevel({f"t{number}": number for number in range(40)}, unk_token="t0")).save(
        str(folder / "tokenizer.json")
    )


@pytest.fixture
def llama() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    return perturbed(LlamaForCausalLM(config)).eval()


@pytest.fixture
def copy(tmp_path, llama) -> Path:
    llama.save_pretrained(tmp_path / "copy")
    write_tokenizer(tmp_path / "copy")
    return tmp_path / "copy"


def some_batch() -> Batch:
    ids = torch.randint(0, 40, (2, 10), generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    return Batch(ids, ids.roll(-1, 1), everywhere, everywhere)


@torch.inference_mode()
def assert_same_model(folder: Path, llama: LlamaForCausalLM) -> None:
    batch = some_batch()
    logits = llama(batch.inputs).logits
    subject = load_subject(folder)
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
    torch.testing.assert_close(subject.evaluate(batch).losses.flatten(), losses, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_a_model_of_the_hubs_form_predicts_as_transformers_does(copy, llama, tmp_path):
    folder = fetch(copy, tmp_path / "m")
    assert_same_model(folder, llama)
    subject, batch = load_subject(folder), some_batch()
    hidden = []
    llama.model.layers[1].mlp.down_proj.register_forward_pre_hook(lambda module, args: hidden.append(args[0]))
    llama(batch.inputs)
    site = "blocks.1.mlp.hook_post"
    torch.testing.assert_close(subject.activations(batch, [site])[site], hidden[0], rtol=1e-4, atol=1e-5)
    mlp = llama.model.layers[1].mlp
    assert torch.equal(subject.input_weights(site), mlp.gate_proj.weight)
    assert torch.equal(subject.output_weights(site), mlp.down_proj.weight.T)
    unembedding = llama.model.norm.weight[:, None] * llama.lm_head.weight.T
    torch.testing.assert_close(
        subject.logit_directions(site), mlp.down_proj.weight.T @ unembedding, rtol=1e-4, atol=1e-4
    )
    assert json.loads((folder / "origin.json").read_text()) == {
        "repository": "some/model",
        "commit": None,
        "ignored_tensors": [],
        "tied_tensors": {},
    }


def assert_gated(folder: Path, batch: Batch, *, fold_ln: bool) -> None:
    """What enters, times the gate's weights and W_in, makes the activations."""
    record_model(folder, "language", {"context_length": 10, "processing": {"fold_ln": fold_ln}}, {})
    subject = load_subject(folder)
    for layer in (0, 1):
        site = f"blocks.{layer}.mlp.hook_post"
        activations, inputs = with_inputs(subject, batch, site)
        assert subject.reads_gate(site)
        gate = inputs @ subject.input_weights(site).T
        expected = torch.nn.functional.silu(gate) * (inputs @ subject.bridge.W_in[layer].detach())
        size = float(activations.abs().max())
        torch.testing.assert_close(activations, expected, rtol=1e-4, atol=1e-5 * size)
        torch.testing.assert_close(with_inputs(subject, batch, site.replace("post", "pre"))[0], gate)


@torch.inference_mode()
@pytest.mark.parametrize("fold_ln", [False, True])
def test_what_enters_a_gated_mlp_makes_its_activations(copy, tmp_path, fold_ln):
    assert_gated(fetch(copy, tmp_path / "m"), some_batch(), fold_ln=fold_ln)


@pytest.mark.real
@needs_real
@torch.inference_mode()
@pytest.mark.parametrize("fold_ln", [False, True])
def test_what_enters_a_real_gated_mlp_makes_its_activations(tmp_path, fold_ln):
    assert_gated(fetch(REAL, tmp_path / "m"), some_batch(), fold_ln=fold_ln)


def test_sharded_weights_are_merged(llama, tmp_path):
    llama.save_pretrained(tmp_path / "copy", max_shard_size="4KB")
    write_tokenizer(tmp_path / "copy")
    assert len(list((tmp_path / "copy").glob("model-*.safetensors"))) > 2
    assert_same_model(fetch(tmp_path / "copy", tmp_path / "m"), llama)


def test_a_tokenizer_elsewhere_can_be_named(copy, tmp_path):
    (copy / "tokenizer.json").rename(tmp_path / "other.json")
    with pytest.raises(InputError, match=r"has no tokenizer\.json; set tokenizer to a local tokenizer\.json"):
        fetch(copy, tmp_path / "a")
    folder = fetch(copy, tmp_path / "b", tokenizer=str(tmp_path / "other.json"))
    assert (folder / "tokenizer.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def pickled(copy: Path, state: object, name: str = "pytorch_model.bin") -> Path:
    """The repository with its weights as a pickle, as transformers wrote them before safetensors."""
    (copy / "model.safetensors").unlink(missing_ok=True)
    torch.save(state, copy / name)
    return copy


def test_pickled_weights_predict_as_their_safetensors_do(copy, llama, tmp_path):
    safe = load_subject(fetch(copy, tmp_path / "safe"))
    folder = fetch(pickled(copy, llama.state_dict()), tmp_path / "m")
    assert_same_model(folder, llama)
    batch = some_batch()
    assert torch.equal(load_subject(folder).evaluate(batch).losses, safe.evaluate(batch).losses)


def test_shards_of_pickled_weights_are_merged(copy, llama, tmp_path):
    state = llama.state_dict()
    halves = [dict(list(state.items())[:9]), dict(list(state.items())[9:])]
    for number, half in enumerate(halves, start=1):
        pickled(copy, half, f"pytorch_model-{number:05}-of-00002.bin")
    shard_of = {name: f"pytorch_model-{1 + (name in halves[1]):05}-of-00002.bin" for name in state}
    (copy / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": shard_of}))
    assert_same_model(fetch(copy, tmp_path / "m"), llama)
    (copy / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(InputError, match=r"pytorch_model-00002-of-00002\.bin is no file"):
        fetch(copy, tmp_path / "n")


@pytest.mark.parametrize("named", ["../pytorch_model.bin", "/etc/passwd", "..", "", 3])
def test_shards_outside_of_the_repository_are_refused(copy, tmp_path, named):
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": named}}))
    with pytest.raises(InputError, match=r"names no files of weights beside it \(weight_map\); it is damaged"):
        fetch(copy, tmp_path / "m")


@pytest.fixture
def neo(tmp_path) -> Path:
    """A small model of the architecture of TinyStories-2L-33M: GPT-Neo, embeddings tied, only a pickle of weights with
    the causal masks among them."""
    config = GPTNeoConfig(
        vocab_size=40,
        hidden_size=16,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=8,
        max_position_embeddings=32,
    )
    torch.manual_seed(1)
    model = perturbed(GPTNeoForCausalLM(config)).eval()
    folder = tmp_path / "neo"
    model.save_pretrained(folder)
    write_tokenizer(folder)
    state = model.state_dict()
    mask = torch.ones(32, 32, dtype=torch.bool).tril()[None, None]
    state |= {f"transformer.h.{layer}.attn.attention.bias": mask for layer in range(2)}
    state |= {f"transformer.h.{layer}.attn.attention.masked_bias": torch.tensor(-1e9) for layer in range(2)}
    (folder / "twin").mkdir()
    (folder / "model.safetensors").rename(folder / "twin/model.safetensors")
    (folder / "twin/config.json").write_bytes((folder / "config.json").read_bytes())
    write_tokenizer(folder / "twin")
    return pickled(folder, state)


def test_tied_embeddings_share_their_numbers_in_the_pickle_of_this_test(neo):
    state = torch.load(neo / "pytorch_model.bin", weights_only=True)
    one, other = state["lm_head.weight"], state["transformer.wte.weight"]
    assert one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


@pytest.mark.parametrize("processing", [{}, {"fold_ln": True, "center_writing_weights": True, "center_unembed": True}])
def test_a_gpt_neo_with_nothing_but_a_pickle_has_the_loss_of_its_safetensors_twin(neo, tmp_path, processing):
    subjects = []
    for name, source in (("pickle", neo), ("twin", neo / "twin")):
        folder = fetch(source, tmp_path / name)
        record_model(folder, "language", {"context_length": 12, "processing": processing}, {})
        subjects.append(load_subject(folder))
    batch, site = some_batch(), "blocks.1.mlp.hook_post"
    assert [subject.width(site) for subject in subjects] == [64, 64]
    assert torch.equal(*(subject.evaluate(batch).losses for subject in subjects))
    assert torch.equal(*(subject.activations(batch, [site])[site] for subject in subjects))
    with torch.inference_mode():
        logits = GPTNeoForCausalLM.from_pretrained(neo / "twin").eval()(batch.inputs).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
    torch.testing.assert_close(subjects[0].evaluate(batch).losses.flatten(), losses, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_code_in_pickled_weights_is_refused_and_not_run(copy, llama, tmp_path, save):
    trace = tmp_path / "trace"
    (copy / "model.safetensors").unlink()
    save(llama.state_dict() | {"code": Code(trace)}, copy / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin (holds more than tensors|is no file of torch\.save)"):
        fetch(copy, tmp_path / "m")
    assert not trace.exists()
    assert list((tmp_path / "m").iterdir()) == []


def test_truncated_pickled_weights_are_refused(copy, llama, tmp_path):
    file = pickled(copy, llama.state_dict()) / "pytorch_model.bin"
    whole = file.read_bytes()
    for kept in (0, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="is truncated"):
            fetch(copy, tmp_path / f"m{kept}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state | {"step": 3, "name": "x"}, r"is no state dict.*it holds step \(int\), name \(str\)"),
        (lambda state: {"model": state}, r"it holds model \((Ordered)?[dD]ict\)"),
        (lambda state: list(state.values()), "holds a list, expected a dictionary of tensors by name"),
        (lambda state: {}, "it holds nothing"),
        (lambda state: state | {"z": torch.zeros(2, dtype=torch.complex64)}, "z holds torch.complex64"),
        (lambda state: state | {"z": torch.zeros(1).expand(10**9)}, "z of shape .* is no plain tensor"),
        (lambda state: {f"n{k}": big for big in [torch.zeros(9999)] for k in range(9)}, "would grow to"),
    ],
)
def test_pickles_of_anything_but_weights_are_refused(copy, llama, tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        fetch(pickled(copy, change(dict(llama.state_dict()))), tmp_path / "m")


def test_pickles_are_left_alone_where_there_are_safetensors(copy, llama, tmp_path):
    (copy / "pytorch_model.bin").write_bytes(b"not looked at")
    assert_same_model(fetch(copy, tmp_path / "m"), llama)
    safe = ["config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json"]
    assert "pytorch_model.bin" not in _patterns(safe)
    assert "pytorch_model.bin" in _patterns([name for name in safe if name != "model.safetensors"])


def test_weights_under_another_name_are_refused_with_the_names_that_are_known(copy, tmp_path):
    (copy / "model.safetensors").rename(copy / "consolidated.pth")
    with pytest.raises(
        InputError, match=r"no weights but consolidated\.pth; model\.safetensors or pytorch_model\.bin is"
    ):
        fetch(copy, tmp_path / "m")


def test_a_model_that_brings_its_own_code_is_refused_before_anything_is_copied(copy, tmp_path):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling.Model"}}))
    (copy / "modeling.py").write_text("raise SystemExit('this code was run')")
    with pytest.raises(
        InputError, match=r"needs its own code to load \(auto_map in config\.json\), which is never run"
    ):
        fetch(copy, tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_that_is_no_model_is_refused(copy, tmp_path, missing):
    (copy / missing).unlink()
    with pytest.raises(
        InputError, match=r"has no config\.json|holds no weights; model\.safetensors or pytorch_model\.bin is needed"
    ):
        fetch(copy, tmp_path / "m")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"local_copy '.*none' of some/model is no folder"):
        fetch(tmp_path / "none", tmp_path / "m")


@pytest.mark.parametrize("source", ["transformers", "transformer_lens"])
def test_a_hub_out_of_reach_is_an_error_of_one_line_within_seconds(tmp_path, source):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        environment = os.environ | {
            "PYTHONPATH": str(Path(polysem.__file__).parents[1]),
            "HF_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",  # whoever has no network may have set it to 1
        }
        params = {"repository": "some/model", "revision": "main", "local_copy": None, "tokenizer": None}
        command = [sys.executable, "-m", "polysem", "step", "import_model", "--folder", str(tmp_path / "m")]
        begun = time.monotonic()
        found = subprocess.run(
            [*command, "--config", json.dumps({"source": source, "params": params})],
            env=environment,
            capture_output=True,
            text=True,
        )
    assert found.returncode == 1
    assert "error: the hub cannot be reached for 'some/model'" in found.stderr.splitlines()[-1]
    assert "set local_copy to its folder" in found.stderr
    assert time.monotonic() - begun < 60


class Hub(BaseHTTPRequestHandler):
    """What a hub answers for the one repository in `folder`."""

    folder: Path
    asked: list[str]
    commit = "c0ffee" + 34 * "0"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        names = sorted(file.name for file in self.folder.iterdir() if file.is_file())
        name = self.path.partition(f"/some/model/resolve/{self.commit}/")[2]
        if self.path.startswith("/api/models/some/model/tree/"):
            sizes = [(name, (self.folder / name).stat().st_size) for name in names]
            files = [{"type": "file", "path": name, "size": size, "oid": name} for name, size in sizes]
            self.answer(json.dumps(files).encode())
        elif self.path.startswith("/api/models/some/model"):
            about = {"id": "some/model", "sha": self.commit, "siblings": [{"rfilename": name} for name in names]}
            self.answer(json.dumps(about).encode())
        elif name in names:
            self.asked.append(name)
            self.answer((self.folder / name).read_bytes())
        else:
            self.send_error(404)

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        for header, value in (
            ("Content-Length", str(len(body))),
            ("ETag", f'"{hashlib.sha256(body).hexdigest()}"'),
            ("X-Repo-Commit", self.commit),
        ):
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("safe", [True, False], ids=["with safetensors", "pickled alone"])
def test_pickles_are_downloaded_only_from_a_repository_without_safetensors(copy, llama, tmp_path, safe):
    torch.save(llama.state_dict(), copy / "pytorch_model.bin")
    if not safe:
        (copy / "model.safetensors").unlink()
    asked: list[str] = []
    handler = type("Here", (Hub,), {"folder": copy, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = os.environ | {
            "PYTHONPATH": str(Path(polysem.__file__).parents[1]),
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",  # whoever has no network may have set it to 1
            "HF_HUB_DISABLE_XET": "1",
        }
        params = {"repository": "some/model", "revision": "main", "local_copy": None, "tokenizer": None}
        command = [sys.executable, "-m", "polysem", "step", "import_model", "--folder", str(tmp_path / "m")]
        found = subprocess.run(
            [*command, "--config", json.dumps({"source": "transformers", "params": params})],
            env=environment,
            capture_output=True,
            text=True,
        )
        server.shutdown()
    assert found.returncode == 0, found.stderr
    weights = "model.safetensors" if safe else "pytorch_model.bin"
    assert set(asked) == {"config.json", "tokenizer.json", weights}
    assert json.loads((tmp_path / "m/origin.json").read_text())["commit"] == Hub.commit
    record_model(tmp_path / "m", "language", {"context_length": 12, "processing": {}}, {"source": "transformers"})
    assert_same_model(tmp_path / "m", llama)


def test_what_is_no_hub_id_is_refused_without_asking(tmp_path):
    with pytest.raises(InputError, match="'no such id' is neither a hub id nor a local file"):
        fetch(tmp_path, tmp_path / "m", repository="no such id", local_copy=None)


OLD_CONFIG = {
    name: CONFIG[name] for name in ("d_model", "n_layers", "d_mlp", "d_head", "n_heads", "n_ctx", "act_fn")
} | {
    "d_vocab": 40,
    "normalization": "LN",
    "tokenizer_name": "NeelNanda/gpt-neox-tokenizer-digits",
    "attn_only": False,
    "seed": 259123,
}


def old_form(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of a HookedTransformer with the weights of a plain model: a matrix per head, inputs first."""
    heads, d_head, d_model = CONFIG["n_heads"], CONFIG["d_head"], CONFIG["d_model"]
    state = {
        "embed.W_E": model.tok_embed.weight,
        "pos_embed.W_pos": model.pos.weight,
        "ln_final.w": model.ln_out.weight,
        "ln_final.b": model.ln_out.bias,
        "unembed.W_U": model.head.weight.T,
        "unembed.b_U": torch.zeros(CONFIG["d_vocab"]),
    }
    for layer, block in enumerate(model.layers):
        at = f"blocks.{layer}"
        for name, linear in zip("QKV", (block.attn.q, block.attn.k, block.attn.v), strict=True):
            state[f"{at}.attn.W_{name}"] = linear.weight.view(heads, d_head, d_model).transpose(1, 2)
            state[f"{at}.attn.b_{name}"] = linear.bias.view(heads, d_head)
        state[f"{at}.attn.W_O"] = block.attn.o.weight.T.reshape(heads, d_head, d_model)
        state[f"{at}.attn.b_O"] = block.attn.o.bias
        state[f"{at}.attn.mask"] = torch.tril(torch.ones(CONFIG["n_ctx"], CONFIG["n_ctx"], dtype=torch.bool))
        state[f"{at}.attn.IGNORE"] = torch.tensor(-1e5)
        for name, norm in (("ln1", block.ln1), ("ln2", block.ln2)):
            state |= {f"{at}.{name}.w": norm.weight, f"{at}.{name}.b": norm.bias}
        state |= {f"{at}.mlp.W_in": block.mlp.fc_in.weight.T, f"{at}.mlp.b_in": block.mlp.fc_in.bias}
        state |= {f"{at}.mlp.W_out": block.mlp.fc_out.weight.T, f"{at}.mlp.b_out": block.mlp.fc_out.bias}
    return {name: tensor.detach().clone() for name, tensor in state.items()}


@pytest.fixture
def old(tmp_path) -> Path:
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(OLD_CONFIG))
    write_tokenizer(folder)
    return folder


@torch.inference_mode()
def test_an_old_repository_predicts_as_its_model_did(old, tmp_path, plain):
    bias = torch.randn(CONFIG["d_vocab"])
    state = old_form(plain) | {"unembed.b_U": bias}
    torch.save(state, old / "GELU_2L16W_final.pth")
    subject = load_subject(fetch(old, tmp_path / "m", "transformer_lens"))
    batch = some_batch()
    torch.testing.assert_close(subject.bridge(batch.inputs), plain(batch.inputs) + bias)
    site = "blocks.1.mlp.hook_post"
    assert torch.equal(subject.output_weights(site), plain.layers[1].mlp.fc_out.weight.T)
    losses = torch.nn.functional.cross_entropy(
        (plain(batch.inputs) + bias).flatten(0, 1), batch.targets.flatten(), reduction="none"
    )
    torch.testing.assert_close(subject.evaluate(batch).losses.flatten(), losses)


@torch.inference_mode()
def test_folded_layer_norms_keep_the_unembedding_bias_of_an_old_repository(old, tmp_path, plain):
    torch.save(old_form(plain) | {"unembed.b_U": torch.randn(CONFIG["d_vocab"])}, old / "final.pth")
    folder = fetch(old, tmp_path / "m", "transformer_lens")
    before = load_subject(folder).evaluate(some_batch()).losses
    processing = {"fold_ln": True, "center_writing_weights": True, "center_unembed": True}
    record_model(folder, "language", {"context_length": 12, "processing": processing}, {})
    torch.testing.assert_close(load_subject(folder).evaluate(some_batch()).losses, before, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_half_precision_and_a_missing_unembedding_bias_are_read(old, tmp_path, plain):
    state = {name: tensor.half() for name, tensor in old_form(plain).items() if name != "unembed.b_U"}
    torch.save(state, old / "final.pth")
    subject = load_subject(fetch(old, tmp_path / "m", "transformer_lens"))
    torch.testing.assert_close(subject.bridge(some_batch().inputs), plain(some_batch().inputs), rtol=1e-2, atol=3e-2)


class Code:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_code_in_a_pickle_is_refused_and_not_run(old, tmp_path, plain, save):
    trace = tmp_path / "trace"
    save(old_form(plain) | {"code": Code(trace)}, old / "final.pth")
    with pytest.raises(
        InputError, match=r"holds more than tensors and plain values, or is damaged|is no file of torch\.save"
    ):
        fetch(old, tmp_path / "m", "transformer_lens")
    assert not trace.exists()
    with (old / "final.pth").open("rb") as file:
        torch.load(file, weights_only=False) if save is torch.save else pickle.load(file)
    assert trace.exists(), "the pickle of this test does run code when it is let"


def wrong_head_count(state: dict) -> dict:
    return state | {"blocks.0.attn.W_Q": state["blocks.0.attn.W_Q"].reshape(4, 16, 4)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong_head_count, r"does not fit its config\.json: .*W_Q"),
        (
            lambda state: state | {"blocks.0.attn.rotary_sin": torch.zeros(2)},
            r"does not fit its config\.json: .*rotary",
        ),
        (lambda state: {k: v for k, v in state.items() if "b_in" not in k}, r"does not fit its config\.json"),
        (lambda state: state | {"step": 3}, "is no state dict"),
        (lambda state: [1, 2], "holds a list, expected a dictionary of tensors by name"),
    ],
)
def test_weights_that_do_not_fit_are_refused(old, tmp_path, plain, change, said):
    torch.save(change(old_form(plain)), old / "final.pth")
    with pytest.raises(InputError, match=f"(?s){said}"):
        fetch(old, tmp_path / "m", "transformer_lens")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"d_mlp": None}, "lacks d_mlp; it is no TransformerLens config"),
        ({"attn_only": True}, "only models with MLPs are studied"),
        ({"act_fn": "mystery"}, "mystery"),
    ],
)
def test_configs_of_other_models_are_refused(old, tmp_path, plain, change, said):
    config = {name: value for name, value in (OLD_CONFIG | change).items() if value is not None}
    (old / "config.json").write_text(json.dumps(config))
    torch.save(old_form(plain), old / "final.pth")
    with pytest.raises(InputError, match=said):
        fetch(old, tmp_path / "m", "transformer_lens")


OTHER_MODELS = {
    "attention_dir": "bidirectional",
    "normalization": "batch",
    "normalization_type": "RMS",
    "final_rms": "yes",
    "parallel_attn_mlp": True,
    "use_attn_scale": False,
    "attn_scale": 4.0,
    "scale_attn_by_inverse_layer_idx": True,
    "eps": 0,
    "ln_eps": "1e-5",
    "use_local_attn": True,
    "window_size": 4,
    "attn_types": ["global", "local"],
    "output_logits_soft_cap": 30.0,
    "attn_scores_soft_cap": 50,
    "post_embedding_ln": True,
    "positional_embedding_type": "rotary",
    "gated_mlp": True,
    "use_normalization_before_and_after": True,
    "n_key_value_heads": 1,
    "num_experts": 4,
    "use_qk_norm": True,
    "d_vocab_out": 39,
    "relative_attention_num_buckets": 32,
    "rmsnorm_uses_offset": True,
    "scale_embedding": True,
}


@pytest.mark.parametrize(("field", "value"), OTHER_MODELS.items())
def test_a_field_that_makes_it_another_model_is_refused_with_its_value(old, tmp_path, plain, field, value):
    (old / "config.json").write_text(json.dumps(OLD_CONFIG | {field: value}))
    torch.save(old_form(plain), old / "final.pth")
    with pytest.raises(InputError, match=rf"config\.json of .*: .*{field} is {re.escape(repr(value))}"):
        fetch(old, tmp_path / "m", "transformer_lens")


@pytest.mark.parametrize("change", [torch.ones_like, lambda mask: mask ^ mask.tril(-4), lambda mask: mask[0]])
def test_the_mask_of_another_attention_is_refused(old, tmp_path, plain, change):
    state = old_form(plain)
    torch.save(state | {"blocks.1.attn.mask": change(state["blocks.1.attn.mask"])}, old / "final.pth")
    with pytest.raises(InputError, match=r"blocks\.1\.attn\.mask is no causal mask; only models that look at all"):
        fetch(old, tmp_path / "m", "transformer_lens")


SAME_MODEL = {
    "shortformer_pos": False,
    "use_attn_scale": True,
    "attn_scale": -1.0,
    "ln_eps": 1e-5,
    "eps": 1e-5,
    "normalization_type": "LN",
    "attention_dir": "causal",
    "use_local_attn": False,
    "window_size": None,
    "n_key_value_heads": None,
    "d_vocab_out": 40,
    "attn_scores_soft_cap": -1.0,
    "output_logits_soft_cap": 0,
    "rotary_base": 10000,
    "use_attn_result": True,
    "default_prepend_bos": False,
    "init_mode": "gpt2",
    "initializer_scale_global": 1.0,
    "neuron_temp": 1.0,
    "dataset_name": "c4_code",
    "betas": [0.9, 0.99],
}


@torch.inference_mode()
@pytest.mark.parametrize("more", [SAME_MODEL, {"attn_scale": 8**0.5}, {"attn_scale": None, "d_vocab_out": -1}])
def test_fields_that_say_what_is_computed_anyway_are_no_obstacle(old, tmp_path, plain, more):
    (old / "config.json").write_text(json.dumps(OLD_CONFIG | more))
    torch.save(old_form(plain), old / "final.pth")
    subject = load_subject(fetch(old, tmp_path / "m", "transformer_lens"))
    torch.testing.assert_close(subject.bridge(some_batch().inputs), plain(some_batch().inputs))


@torch.inference_mode()
@pytest.mark.parametrize("name", ["eps", "ln_eps"])
def test_norms_of_an_old_repository_have_the_epsilon_of_its_config(old, tmp_path, plain, name):
    (old / "config.json").write_text(json.dumps(OLD_CONFIG | {name: 0.5}))
    torch.save(old_form(plain), old / "final.pth")
    subject, batch = load_subject(fetch(old, tmp_path / "m", "transformer_lens")), some_batch()
    for module in plain.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 0.5
    torch.testing.assert_close(subject.bridge(batch.inputs), plain(batch.inputs))


def test_none_or_two_files_of_weights_are_refused(old, tmp_path):
    with pytest.raises(InputError, match=r"must hold config\.json and one \*final\.pth; found config\.json, tok"):
        fetch(old, tmp_path / "a", "transformer_lens")
    for name in ("a_final.pth", "b_final.pth"):
        torch.save({}, old / name)
    with pytest.raises(InputError, match=r"one \*final\.pth; found a_final\.pth, b_final\.pth"):
        fetch(old, tmp_path / "b", "transformer_lens")


@pytest.mark.real
@needs_real
def test_tinystories_656k_has_its_known_loss_on_real_stories(tmp_path):
    stories = [text.strip() for text in STORIES.read_text(encoding="utf-8").split("<|endoftext|>")][:40]
    pq.write_table(pa.table({"text": stories, "split": ["eval"] * 40}), tmp_path / "d.parquet")
    folder = fetch(REAL, tmp_path / "m")
    settings = {"context_length": 512, "packing": "documents", "bos_token": "<|start_story|>", "mask_tokens": []}
    record_model(folder, "language", settings | {"processing": {}}, {})
    store = tmp_path / "tokens.zarr"
    tokenize_corpus(tmp_path / "d.parquet", folder / "tokenizer.json", store, "eval", Tokenization(**settings), "")
    subject, loss, count = load_subject(folder), 0.0, 0
    for batch in TokenStore(store).batches(8):
        loss += subject.evaluate(batch).losses.double().sum().item()
        count += int(batch.scored.sum())
    assert loss / count == pytest.approx(2.67, abs=0.02)
    assert loss / sum(len(story.encode()) for story in stories) == pytest.approx(0.57, abs=0.005)
    assert np.all(TokenStore(store).batch(0, 40).inputs[:, 0].numpy() == 1)
