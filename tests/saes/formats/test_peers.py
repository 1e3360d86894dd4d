"""Files that go to and come from the other libraries themselves. They are not among our dependencies: name an
interpreter that has sae-lens, dictionary-learning and eai-sparsify in POLYSEM_PEERS."""

import itertools
import os
import subprocess
from pathlib import Path

import pytest
import torch
from directions import random_directions, sparse_sums
from safetensors.torch import load_file, save_file

from polysem.cli import main
from polysem.saes.fetch import format_module
from polysem.saes.sae import load_sae
from polysem.saes.train_sae import train_sae

from .conftest import FEATURES, INPUTS, output
from .test_export import KINDS, run
from .test_transcoder_files import ARCHITECTURES, OUTPUTS, tensors
from .test_transcoder_files import run as run_transcoder

__all__ = ["run", "run_transcoder", "tensors"]
PEERS = os.environ.get("POLYSEM_PEERS")
pytestmark = pytest.mark.skipif(
    not PEERS, reason="POLYSEM_PEERS names no interpreter with sae-lens, dictionary-learning and eai-sparsify"
)


def peer(program: str, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(PEERS), "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=environment | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr


THROUGH_SAELENS = """
import sys, torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE
torch.set_grad_enabled(False)
sae = SAE.load_from_disk(sys.argv[1])
x = load_file("x.safetensors")["x"]
f = sae.encode(x)
f = f.to_dense() if f.is_sparse else f
save_file({"f": f.contiguous(), "output": sae(x).contiguous()}, "theirs.safetensors")
metadata = sae.cfg.metadata
assert (metadata.model_name, metadata.hook_name) == ("m", "blocks.0.mlp.hook_post"), metadata
"""


@pytest.mark.parametrize("normalization", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_ours_loads_in_saelens_with_the_same_reconstruction(run, x, kind, normalization):
    sae = run(kind, normalization)
    save_file({"x": x}, "x.safetensors")
    assert main(["export", "x", "--format", "saelens", "--output", "out"]) == 0
    peer(THROUGH_SAELENS, "out")
    theirs = load_file("theirs.safetensors")
    torch.testing.assert_close(output(sae, x), theirs["output"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sae.encode(x), theirs["f"], atol=1e-5, rtol=1e-5)


TRANSCODERS_THROUGH_SAELENS = """
import sys, torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE
torch.set_grad_enabled(False)
x = load_file("x.safetensors")["x"]
for folder in sys.argv[1:]:
    sae = SAE.load_from_disk(folder)
    save_file({"f": sae.encode(x).contiguous(), "output": sae(x).contiguous()}, folder + "/theirs.safetensors")
    metadata = sae.cfg.metadata
    assert (metadata.hook_name, metadata.hook_name_out) == ("blocks.0.mlp.hook_in", "blocks.0.hook_mlp_out"), metadata
    assert sae.cfg.architecture() == folder, sae.cfg
"""


def test_transcoders_of_ours_load_in_saelens_with_the_same_predictions(run_transcoder, x):
    saes = {}
    save_file({"x": x}, "x.safetensors")
    for architecture in ARCHITECTURES:
        saes[architecture] = run_transcoder(architecture)
        assert main(["export", "x", "--format", "saelens", "--output", architecture]) == 0
    peer(TRANSCODERS_THROUGH_SAELENS, *saes)
    for architecture, sae in saes.items():
        theirs = load_file(f"{architecture}/theirs.safetensors")
        torch.testing.assert_close(sae.encode(x), theirs["f"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output(sae, x), theirs["output"], atol=1e-5, rtol=1e-5)


NORMALIZATIONS = ("none", "layer_norm", "constant_norm_rescale")
TRANSCODERS_FROM_SAELENS = f"""
import itertools, torch
from safetensors.torch import save_file
from sae_lens.registry import get_sae_class
torch.manual_seed(0)
torch.set_grad_enabled(False)
x = torch.randn(100, {INPUTS}) * 2 + 0.3
for architecture, normalization in itertools.product({ARCHITECTURES}, {NORMALIZATIONS}):
    model, config = get_sae_class(architecture)
    sae = model(config(d_in={INPUTS}, d_out={OUTPUTS}, d_sae={FEATURES}, apply_b_dec_to_input=False,
        normalize_activations=normalization)).eval()
    for name, parameter in sae.named_parameters():
        parameter.data = torch.randn_like(parameter) * (0.1 if name == "threshold" else 0.5)
    folder = architecture + "-" + normalization
    sae.save_model(folder)
    found = {{"x": x, "output": sae(x).contiguous(), "f": sae.encode(x).contiguous()}}
    save_file(found, folder + "/theirs.safetensors")
"""


def test_transcoders_that_saelens_wrote_give_their_predictions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    peer(TRANSCODERS_FROM_SAELENS)
    for architecture, normalization in itertools.product(ARCHITECTURES, NORMALIZATIONS):
        folder = Path(f"{architecture}-{normalization}")
        theirs = load_file(folder / "theirs.safetensors")
        sae = format_module("saelens").read(folder / "sae_weights.safetensors").load().sae
        torch.testing.assert_close(sae.encode(theirs["x"]), theirs["f"], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(output(sae, theirs["x"]), theirs["output"], atol=1e-4, rtol=1e-5)


FROM_SAELENS = f"""
import sys, torch
from safetensors.torch import save_file
from sae_lens.saes import *
from sae_lens import StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig, JumpReLUSAE, JumpReLUSAEConfig, GatedSAE
from sae_lens import GatedSAEConfig
torch.manual_seed(0)
torch.set_grad_enabled(False)
kind, subtract, normalization = sys.argv[1], sys.argv[2] == "True", sys.argv[3]
classes = {{"standard": (StandardSAE, StandardSAEConfig, {{}}), "gated": (GatedSAE, GatedSAEConfig, {{}}),
    "topk": (TopKSAE, TopKSAEConfig, {{"k": 6}}), "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {{}}),
    "rescaled": (TopKSAE, TopKSAEConfig, {{"k": 6, "rescale_acts_by_decoder_norm": True}})}}
model, config, more = classes[kind]
sae = model(config(d_in={INPUTS}, d_sae={FEATURES}, apply_b_dec_to_input=subtract, normalize_activations=normalization,
    **more))
for name, parameter in sae.named_parameters():
    parameter.data = torch.randn_like(parameter) * (0.1 if name == "threshold" else 0.5)
x = torch.randn(100, {INPUTS}) * 2 + 0.3
sae.save_model("theirs")
save_file({{"x": x, "output": sae(x).contiguous()}}, "theirs.safetensors")
"""


@pytest.mark.parametrize("normalization", ["none", "layer_norm"])
@pytest.mark.parametrize("subtract", ["True", "False"])
@pytest.mark.parametrize("kind", [*KINDS, "rescaled"])
def test_a_folder_that_saelens_wrote_gives_its_reconstruction(tmp_path, monkeypatch, kind, subtract, normalization):
    monkeypatch.chdir(tmp_path)
    peer(FROM_SAELENS, kind, subtract, normalization)
    theirs = load_file("theirs.safetensors")
    sae = format_module("saelens").read(Path("theirs/sae_weights.safetensors")).load().sae
    torch.testing.assert_close(output(sae, theirs["x"]), theirs["output"], atol=1e-4, rtol=1e-5)


MATRYOSHKA_OF_SAELENS = """
import sys, torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE, MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig
torch.set_grad_enabled(False)
ours = SAE.load_from_disk("sae")
x = load_file("x.safetensors")["x"]
assert ours.cfg.architecture() == "jumprelu", ours.cfg
told = ours.cfg.metadata
torch.manual_seed(0)
config = MatryoshkaBatchTopKTrainingSAEConfig(d_in=16, d_sae=32, k=3, matryoshka_widths=[2, 4, 8, 16, 32])
theirs = MatryoshkaBatchTopKTrainingSAE(config)
theirs.topk_threshold.fill_(0.3)
theirs.save_inference_model("theirs")
wanted = theirs.cfg.get_inference_sae_cfg_dict()["metadata"]
assert told.training_architecture == wanted["training_architecture"], told.training_architecture
for key, value in told.training_architecture_details.items():
    assert wanted["training_architecture_details"][key] == value, key
assert told.training_architecture_details["matryoshka_widths"] == [2, 4, 8, 16, 32]
loaded = SAE.load_from_disk("theirs")
save_file(
    {"f": ours.encode(x).contiguous(), "output": ours(x).contiguous(), "theirs": loaded(x).contiguous()},
    "theirs.safetensors",
)
"""


def test_a_matryoshka_sae_loads_in_saelens_with_its_prefixes_and_one_of_saelens_loads_here(
    tmp_path, monkeypatch, store
):
    monkeypatch.chdir(tmp_path)
    rows = sparse_sums(1500, random_directions(24, 16), 3)
    recipe = {"architecture": "matryoshka_batchtopk", "k": 3, "expansion": 2, "tokens": 20_000, "batch_size": 128}
    train_sae({"store": str(store(rows))}, tmp_path / "sae", "matryoshka_batchtopk", recipe, "code")
    x = torch.from_numpy(rows[:200]).float()
    save_file({"x": x}, "x.safetensors")
    peer(MATRYOSHKA_OF_SAELENS)
    sae, found = load_sae(tmp_path / "sae", 16), load_file("theirs.safetensors")
    torch.testing.assert_close(sae.encode(x), found["f"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output(sae, x), found["output"], atol=1e-5, rtol=1e-5)
    assert 2 < float((found["f"] > 0).sum(1).float().mean()) < 4
    theirs = format_module("saelens").read(Path("theirs/sae_weights.safetensors")).load().sae
    torch.testing.assert_close(output(theirs, x), found["theirs"], atol=1e-5, rtol=1e-5)


OF_DICTIONARY_LEARNING = f"""
import json, sys, torch
from pathlib import Path
from safetensors.torch import save_file
import dictionary_learning.dictionary as d
from dictionary_learning.trainers.top_k import AutoEncoderTopK
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
torch.manual_seed(0)
torch.set_grad_enabled(False)
kind = sys.argv[1]
n, m = {INPUTS}, {FEATURES}
made = {{
    "AutoEncoder": lambda: d.AutoEncoder(n, m), "AutoEncoderNew": lambda: d.AutoEncoderNew(n, m),
    "GatedAutoEncoder": lambda: d.GatedAutoEncoder(n, m), "JumpReluAutoEncoder": lambda: d.JumpReluAutoEncoder(n, m),
    "AutoEncoderTopK": lambda: AutoEncoderTopK(n, m, 6), "BatchTopKSAE": lambda: BatchTopKSAE(n, m, 6),
    "MatryoshkaBatchTopKSAE": lambda: MatryoshkaBatchTopKSAE(n, m, 6, [10, 30]),
}}
x = torch.randn(100, n) * 2 + 0.3
if sys.argv[2] == "write":
    sae = made[kind]()
    for name, parameter in sae.named_parameters():
        parameter.data = torch.randn_like(parameter) * 0.5
    if hasattr(sae, "threshold") and sae.threshold.ndim == 0:
        sae.threshold.fill_(0.3)
    torch.save(sae.state_dict(), "ae.pt")
    trainer = {{"dict_class": kind, "activation_dim": n, "dict_size": m, "layer": 0, "lm_name": "x"}}
    Path("config.json").write_text(json.dumps({{"trainer": trainer, "buffer": {{}}}}))
else:
    config = json.loads(Path("out/config.json").read_text())["trainer"]
    assert config["dict_class"] == kind, config
    sae = made[kind]()
    sae.load_state_dict(torch.load("out/ae.pt"))
save_file({{"x": x, "output": sae(x).contiguous()}}, "theirs.safetensors")
"""


@pytest.mark.parametrize(
    "kind",
    ["AutoEncoder", "AutoEncoderNew", "AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE", "GatedAutoEncoder",
        "JumpReluAutoEncoder"],
)  # fmt: skip
def test_a_file_that_dictionary_learning_wrote_gives_its_reconstruction(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    peer(OF_DICTIONARY_LEARNING, kind, "write")
    theirs = load_file("theirs.safetensors")
    sae = format_module("dictionary_learning").read(Path("ae.pt")).load().sae
    torch.testing.assert_close(output(sae, theirs["x"]), theirs["output"], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("standard", "AutoEncoder"), ("topk", "AutoEncoderTopK"), ("gated", "GatedAutoEncoder"),
        ("jumprelu", "JumpReluAutoEncoder")],
)  # fmt: skip
def test_dictionary_learning_reads_what_is_exported_for_it(run, kind, name):
    sae = run(kind)
    assert main(["export", "x", "--format", "dictionary_learning", "--output", "out"]) == 0
    peer(OF_DICTIONARY_LEARNING, name, "read")
    theirs = load_file("theirs.safetensors")
    torch.testing.assert_close(output(sae, theirs["x"]), theirs["output"], atol=1e-5, rtol=1e-5)


FROM_SPARSIFY = f"""
import torch
from safetensors.torch import save_file
from sparsify import SparseCoder, SparseCoderConfig
torch.manual_seed(0)
torch.set_grad_enabled(False)
sae = SparseCoder({INPUTS}, SparseCoderConfig(num_latents={FEATURES}, k=6))
for parameter in sae.parameters():
    parameter.data = torch.randn_like(parameter) * 0.5
sae.save_to_disk("layers.3")
x = torch.randn(100, {INPUTS})
top = sae.encode(x)
f = torch.zeros(100, {FEATURES}).scatter(-1, top.top_indices, top.top_acts)
save_file({{"x": x, "output": f @ sae.W_dec + sae.b_dec}}, "theirs.safetensors")
"""


def test_a_folder_that_sparsify_wrote_gives_its_reconstruction(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    peer(FROM_SPARSIFY)
    theirs = load_file("theirs.safetensors")
    published = format_module("sparsify").read(Path("layers.3/sae.safetensors"))
    torch.testing.assert_close(output(published.load().sae, theirs["x"]), theirs["output"], atol=1e-5, rtol=1e-5)
    assert published.settings.module == "layers.3"
