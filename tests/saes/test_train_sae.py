import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from directions import random_directions, sparse_sums
from recipes import ARCHITECTURES, recipe_of
from safetensors.torch import load_file, save_file

from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.saes.dictionary import Neurons, load_dictionary
from polysem.saes.sae import load_sae
from polysem.saes.train_sae import train_sae
from polysem.saes.trainer import Trainer
from polysem.training.checkpoints import Checkpoint

RECIPE = {"architecture": "relu", "l1": 0.2, "expansion": 2, "tokens": 20_000, "batch_size": 100}


def stored(path):
    return {"store": str(path)}


def folder_bytes(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_an_sae_folder_is_saelens_6(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_sae(stored(store(sparse_sums(1000, random_directions(24, 16), 3))), tmp_path / "sae", "relu", RECIPE, "code")
    config = json.loads((tmp_path / "sae/cfg.json").read_text())
    assert config["architecture"] == "standard"
    assert (config["d_in"], config["d_sae"], config["dtype"]) == (16, 32, "float32")
    assert config["apply_b_dec_to_input"] is True
    assert config["normalize_activations"] == "none"
    assert config["metadata"]["hook_name"] == "blocks.0.mlp.hook_post"
    weights = load_file(tmp_path / "sae/sae_weights.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == {
        "W_enc": (16, 32),
        "b_enc": (32,),
        "W_dec": (32, 16),
        "b_dec": (16,),
    }
    sparsity = load_file(tmp_path / "sae/sparsity.safetensors")["sparsity"]
    assert sparsity.shape == (32,)
    assert sparsity.min() >= -10.0001
    assert sparsity.max() <= 0.0001
    history = read_table(tmp_path / "sae/training.nc")
    assert int(history["step"][-1]) == 200
    assert float(history["squared_error"][-1]) < float(history["squared_error"][0])


def test_known_directions_are_recovered(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directions = random_directions(16, 32)
    recipe = {"architecture": "topk", "k": 3, "expansion": 1, "tokens": 200_000, "batch_size": 100}
    train_sae(stored(store(sparse_sums(4000, directions, 3))), tmp_path / "sae", "topk", recipe, "code")
    sae = load_sae(tmp_path / "sae", 32)
    best = (sae.decoder() @ torch.from_numpy(directions).float().T).max(0).values
    assert best.mean() > 0.95


KILLED_AT = """
import json, os, signal, sys
from pathlib import Path

from polysem.saes.train_sae import train_sae
from polysem.saes.trainer import Trainer
from polysem.training.checkpoints import Checkpoint
from polysem.training.checkpoints import Checkpoint

calls = 0


def due(checkpoint):
    global calls
    calls += 1
    if calls == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    return calls % 400 == 0


Checkpoint.due = due
train_sae({"store": sys.argv[1]}, Path(sys.argv[2]), "relu", json.loads(sys.argv[3]), "code")
"""
"""A training with a checkpoint every 400 steps, which kills itself at a step; 0: at none."""


def test_an_interrupted_training_ends_with_the_bytes_of_an_undisturbed_one(store, tmp_path):
    path = store(sparse_sums(3000, random_directions(48, 32), 4))
    recipe = json.dumps(RECIPE | {"tokens": 200_000})

    def trained(name, killed_at=0):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        arguments = [sys.executable, "-c", KILLED_AT, str(path), "sae", recipe, str(killed_at)]
        return folder, subprocess.run(arguments, cwd=folder, stderr=subprocess.PIPE, text=True)

    undisturbed, done = trained("undisturbed")
    assert done.returncode == 0, done.stderr
    killed, done = trained("killed", 1100)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (killed / "sae").exists()
    assert len(list(killed.glob(".cache/checkpoints/*.pt"))) == 1
    _, done = trained("killed")
    assert done.returncode == 0, done.stderr
    assert "resumed at step 800" in done.stderr
    assert folder_bytes(killed / "sae") == folder_bytes(undisturbed / "sae")
    assert not list(killed.glob(".cache/checkpoints/*"))


def trained_on(devices, architecture, store, tmp_path, tokens):
    """The histories of the same training on some devices, by name; its folders lie below `tmp_path`."""
    path = store(sparse_sums(2000, random_directions(48, 32), 4))
    params = recipe_of(
        architecture, tokens=tokens, dead_features="auxk", auxk=4, embedding_loss=0.1, embedding_loss_from=20
    ).model_dump(exclude_unset=True)
    for name, device in devices.items():
        train_sae(stored(path), tmp_path / name, architecture, params, "code", device=device)
    return (read_table(tmp_path / name / "training.nc") for name in devices)


def require_alike(found, wanted):
    for name, apart in {"explained_variance": 0.03, "L0": 0.2}.items():
        assert float(found[name][-20:].mean()) == pytest.approx(float(wanted[name][-20:].mean()), abs=apart)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_training_on_a_card_goes_the_way_of_one_on_a_cpu(architecture, store, tmp_path, monkeypatch, gpu):
    monkeypatch.chdir(tmp_path)
    require_alike(*trained_on({"card": gpu, "CPU": "cpu"}, architecture, store, tmp_path, 4_000))


def test_a_training_on_a_card_is_resumed_on_a_card_alone(store, tmp_path, monkeypatch, gpu, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Checkpoint, "due", lambda _: True)
    path = store(sparse_sums(2000, random_directions(48, 32), 4))
    params = recipe_of("relu", dead_features="auxk", auxk=4, dead_every=5, embedding_loss=0.1, embedding_loss_from=5)
    advance = Trainer.advance

    def train(name, device, stop=-1):
        def advance_until(trainer):
            if trainer.step == stop:
                raise KeyboardInterrupt
            return advance(trainer)

        monkeypatch.setattr(Trainer, "advance", advance_until)
        train_sae(stored(path), tmp_path / name, "relu", params.model_dump(exclude_unset=True), "code", device=device)
        return folder_bytes(tmp_path / name), "resumed at step 20" in capsys.readouterr().err

    with pytest.raises(KeyboardInterrupt):
        train("stopped", gpu, stop=20)
    assert not train("stopped", "cpu")[1]
    found, resumed = train("stopped", gpu)
    assert resumed
    assert found == train("whole", gpu)[0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_training_on_a_real_card_repeats_its_bytes(architecture, store, tmp_path, monkeypatch, real_gpu):
    monkeypatch.chdir(tmp_path)
    devices = {"first": real_gpu, "again": real_gpu, "CPU": "cpu"}
    found, _, wanted = trained_on(devices, architecture, store, tmp_path, 40_000)
    assert folder_bytes(tmp_path / "first") == folder_bytes(tmp_path / "again")
    require_alike(found, wanted)


def test_a_store_smaller_than_a_batch_is_refused(store, tmp_path):
    with pytest.raises(InputError, match="holds 50 tokens, fewer than one batch of 100"):
        train_sae(stored(store(np.ones((50, 4)))), tmp_path / "sae", "relu", RECIPE, "code")


def test_a_loss_that_is_no_number_stops_the_training(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    activations = sparse_sums(500, random_directions(8, 8), 2)
    activations[:, 0] = np.inf
    with pytest.raises(FloatingPointError, match="learning_rate"):
        train_sae(
            stored(store(activations)), tmp_path / "sae", "relu", RECIPE | {"normalize_activations": False}, "code"
        )


@pytest.fixture
def sae_folder(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_sae(stored(store(sparse_sums(500, random_directions(12, 8), 2))), tmp_path / "sae", "relu", RECIPE, "code")
    return tmp_path / "sae"


def test_an_sae_of_another_width_is_refused(sae_folder):
    with pytest.raises(InputError, match=r"W_enc has shape \(8, 16\), expected \(9, 16\)"):
        load_sae(sae_folder, 9)


def test_weights_that_are_no_numbers_are_refused(sae_folder):
    weights = load_file(sae_folder / "sae_weights.safetensors")
    weights["b_enc"][3] = float("nan")
    save_file(weights, sae_folder / "sae_weights.safetensors")
    with pytest.raises(InputError, match="b_enc holds NaN"):
        load_sae(sae_folder, 8)


@pytest.mark.parametrize("file", ["cfg.json", "sae_weights.safetensors"])
def test_a_truncated_file_is_refused(sae_folder, file):
    content = (sae_folder / file).read_bytes()
    (sae_folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="holds no SAE"):
        load_sae(sae_folder, 8)


def test_an_unknown_architecture_is_refused(sae_folder):
    config = json.loads((sae_folder / "cfg.json").read_text()) | {"architecture": "gtd"}
    (sae_folder / "cfg.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="'gtd' is none of gated, jumprelu, standard, topk"):
        load_sae(sae_folder, 8)


def test_neurons_are_the_identity_dictionary(tmp_path):
    neurons = load_dictionary(tmp_path / "neurons", 5)
    x = torch.randn(3, 5)
    assert isinstance(neurons, Neurons)
    assert torch.equal(neurons.decode(neurons.encode(x)), x)
    assert torch.equal(neurons.decoder(), torch.eye(5))


def test_a_site_that_is_always_0_is_refused_in_one_sentence(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"all sampled activations are 0.*a lower learning_rate"):
        train_sae(stored(store(np.zeros((1000, 16), np.float32))), tmp_path / "sae", "relu", RECIPE, "code")
