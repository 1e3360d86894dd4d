"""Training of language models and classifiers: the schedule, resuming, and what stops it."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import polysem
from polysem.corpora.make_corpus import make_corpus
from polysem.io.errors import InputError
from polysem.io.stores import open_store, read_array
from polysem.models.batches import TokenStore
from polysem.models.classifier import Perceptron
from polysem.models.load import load_subject
from polysem.models.record_model import record_model
from polysem.models.store_images import store_images
from polysem.params.models.language import Processing
from polysem.params.models.trained import Architecture
from polysem.params.models.training import Training
from polysem.training import optimise as optimise_module
from polysem.training.checkpoints import Checkpoint
from polysem.training.optimise import learning_rate, optimise
from polysem.training.order import EpochOrder
from polysem.training.train_classifier import train_classifier
from polysem.training.train_model import train_model

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(polysem.__file__).parents[1])}
ARCHITECTURE = {"layers": 1, "d_model": 16, "heads": 2, "d_mlp": 32, "vocabulary": 257}
TRAINING = {"tokens": 12_000, "batch_tokens": 128, "seed": 5}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Checkpoints are kept below the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tokens(text_store) -> Path:
    """Sequences that count up from a random number, so that there is something to learn."""
    start = np.random.default_rng(0).integers(0, 50, (64, 1))
    return text_store((start + np.arange(16)) % 50 + 1)


@pytest.fixture
def images(tmp_path) -> Path:
    make_corpus(tmp_path / "digits.parquet", "images", {"source": "images"})
    for split in ("train", "eval"):
        store_images(tmp_path / "digits.parquet", tmp_path / f"{split}.zarr", split, "code")
    return tmp_path / "train.zarr"


def train(tokens: Path, folder: Path, training: dict | None = None) -> bytes:
    train_model(tokens, folder, Architecture(**ARCHITECTURE), Training(**(TRAINING | (training or {}))), 16, "code")
    return (folder / "model.safetensors").read_bytes()


def test_the_learning_rate_rises_and_falls_in_half_a_cosine():
    training = Training(tokens=1, batch_tokens=1, learning_rate=0.4, warmup=0.1)
    rates = [learning_rate(training, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.04 * step for step in range(1, 11)])
    assert rates[55] == pytest.approx(0.2)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


def test_training_learns_and_the_same_work_gives_the_same_bytes(tokens, tmp_path):
    first = train(tokens, tmp_path / "a")
    torch.manual_seed(8)
    assert train(tokens, tmp_path / "b") == first
    assert train(tokens, tmp_path / "c", {"seed": 6}) != first
    record_model(tmp_path / "a", "language", {"context_length": 16, "processing": {}}, {})
    batch = TokenStore(tokens).batch(0, 64)
    assert load_subject(tmp_path / "a").evaluate(batch).losses[batch.scored].mean() < 0.7 * math.log(50)
    assert list((tmp_path / ".cache/checkpoints").glob("*")) == []


def test_training_that_was_interrupted_ends_in_the_same_bytes(tokens, tmp_path, monkeypatch):
    undisturbed = train(tokens, tmp_path / "whole")
    state_of, saved = optimise_module._state, []

    def saving(*args):
        saved.append(len(args[2]))
        return state_of(*args)

    def rate(training: Training, step: int, steps: int) -> float:
        if step in stops:
            stops.remove(step)
            raise InterruptedError
        return learning_rate(training, step, steps)

    stops = [1, 20, 41]
    monkeypatch.setattr(Checkpoint, "due", lambda self: True)
    monkeypatch.setattr(optimise_module, "_state", saving)
    monkeypatch.setattr(optimise_module, "learning_rate", rate)
    while stops:
        with pytest.raises(InterruptedError):
            train(tokens, tmp_path / "again")
        assert not (tmp_path / "again/model.safetensors").exists()
    assert train(tokens, tmp_path / "again") == undisturbed
    assert saved == list(range(1, 94))


def test_training_that_was_killed_ends_in_the_same_bytes(tokens, tmp_path, capsys):
    script = f"""
    import os, signal, sys
    from pathlib import Path
    import torch
    from polysem.training.checkpoints import Checkpoint
    from polysem.training.train_model import train_model
    from polysem.params.models.trained import Architecture
    from polysem.params.models.training import Training
    save, Checkpoint.due = Checkpoint.save, lambda self: True
    def save_and_die(self, state):
        save(self, state)
        if len(state["losses"]) == 30:
            os.kill(os.getpid(), signal.SIGKILL)
    Checkpoint.save = save_and_die
    torch.set_num_threads(1)
    architecture, training = Architecture(**{ARCHITECTURE}), Training(**{TRAINING})
    train_model(Path(sys.argv[1]), Path(sys.argv[2]), architecture, training, 16, "code")
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tokens), str(tmp_path / "a")]
    killed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list((tmp_path / ".cache/checkpoints").glob("*.pt"))) == 1
    resumed = train(tokens, tmp_path / "a")
    assert "resumed at step 30 of 93" in capsys.readouterr().err
    assert resumed == train(tokens, tmp_path / "b")


def test_equal_models_of_two_names_do_not_share_a_checkpoint(tokens, tmp_path, monkeypatch):
    saved = set()
    monkeypatch.setattr(Checkpoint, "due", lambda self: not saved.add(self.path))
    assert train(tokens, tmp_path / "a") == train(tokens, tmp_path / "b")
    assert len(saved) == 2


def test_too_few_sequences_for_a_batch_are_refused(tokens, tmp_path):
    with pytest.raises(
        InputError, match=r"holds 64 sequences of 16 tokens, training\.batch_tokens = 2000 asks for 125"
    ):
        train(tokens, tmp_path / "a", {"batch_tokens": 2000})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_training_with_advice(bad):
    model = torch.nn.Linear(2, 1)
    training = Training(tokens=10, batch_tokens=1)

    def loss_on(numbers: torch.Tensor) -> torch.Tensor:
        return model.weight.sum() * (bad if len(losses := steps) == 3 or losses.append(1) else 1.0)

    steps: list[int] = []
    with pytest.raises(FloatingPointError, match=r"loss is -?(nan|inf) at step 3; lower training\.learning_rate"):
        optimise(model, loss_on, EpochOrder(4, 1, 0), 10, training, Checkpoint("test"))


def test_matrices_decay_and_vectors_do_not():
    model = torch.nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(1.0)
    training = Training(tokens=1, batch_tokens=1, learning_rate=0.1, weight_decay=0.5, warmup=0.0)
    optimise(model, lambda _: 0.0 * (model.weight.sum() + model.bias.sum()), EpochOrder(4, 1, 0), 1, training,
        Checkpoint("test"))  # fmt: skip
    torch.testing.assert_close(model.weight, torch.full((2, 3), 0.95))
    torch.testing.assert_close(model.bias, torch.ones(2))


def classify(images: Path, folder: Path, **training) -> bytes:
    known = {"tokens": 20_000, "batch_tokens": 64, "learning_rate": 3e-3, "weight_decay": 0.01} | training
    train_classifier(images, folder, [32], "relu", Training(**known), "code")
    return (folder / "model.safetensors").read_bytes()


def test_a_classifier_learns_the_digits_and_the_same_work_gives_the_same_bytes(images, tmp_path):
    first = classify(images, tmp_path / "a")
    torch.manual_seed(8)
    assert classify(images, tmp_path / "b") == first
    assert classify(images, tmp_path / "c", seed=1) != first
    record_model(tmp_path / "a", "classifier", {}, {})
    subject = load_subject(tmp_path / "a")
    store = TokenStore(tmp_path / "eval.zarr")
    evaluation = subject.evaluate(store.batch(0, store.sequences))
    assert evaluation.correct.float().mean() > 0.9


def test_an_interrupted_classifier_ends_in_the_same_bytes(images, tmp_path, monkeypatch):
    undisturbed = classify(images, tmp_path / "whole")
    monkeypatch.setattr(Checkpoint, "due", lambda self: True)
    with monkeypatch.context() as patch:
        patch.setattr(EpochOrder, "at", lambda self, step, at=EpochOrder.at: at(self, step if step < 100 else 1 / 0))
        with pytest.raises(ZeroDivisionError):
            classify(images, tmp_path / "again")
    assert classify(images, tmp_path / "again") == undisturbed


def test_too_few_images_for_a_batch_are_refused(images, tmp_path):
    with pytest.raises(InputError, match=r"holds 14\d\d images, training\.batch_tokens = 5000; lower it"):
        classify(images, tmp_path / "a", batch_tokens=5000)


def test_images_are_stored_as_they_are(images):
    from sklearn.datasets import load_digits

    digits, group = load_digits(), open_store(images)
    known = {
        tuple(np.round(pixels).astype(int)): label for pixels, label in zip(digits.data, digits.target, strict=True)
    }
    pixels, labels = read_array(group, "pixels")[:], read_array(group, "labels")[:]
    assert dict(group.attrs) == {"kind": "images", "tags": [], "height": 8, "width": 8, "classes": 10}
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert [known[tuple(np.round(row * 16).astype(int))] for row in pixels] == labels.tolist()


def test_a_corpus_of_text_is_refused_for_a_classifier(corpus, tmp_path):
    with pytest.raises(InputError, match="holds text; a classifier needs a corpus of images"):
        store_images(corpus(["text"]), tmp_path / "a.zarr", "train", "code")


def test_a_classifier_as_a_subject_agrees_with_a_forward_pass_by_hand(tmp_path):
    from polysem.models.classifier import ClassifierSubject
    from polysem.models.subject import Batch

    torch.manual_seed(0)
    model = Perceptron([4, 5, 6, 3], "gelu")
    subject = ClassifierSubject(model, "cpu")
    x, labels = torch.rand(7, 4), torch.randint(0, 3, (7, 1))
    batch = Batch(x, labels, torch.ones_like(labels, dtype=torch.bool), torch.ones_like(labels, dtype=torch.bool))
    a = torch.nn.functional.gelu(x @ model.layers[0].weight.T + model.layers[0].bias)
    b = torch.nn.functional.gelu(a @ model.layers[1].weight.T + model.layers[1].bias)
    found = subject.activations(batch, subject.sites)
    torch.testing.assert_close(found["layers.0.hook_post"][:, 0], a)
    torch.testing.assert_close(found["layers.1.hook_post"][:, 0], b)
    logits = lambda hidden: hidden @ model.layers[2].weight.T + model.layers[2].bias  # noqa: E731
    losses = -logits(b).log_softmax(-1).gather(1, labels)
    torch.testing.assert_close(subject.evaluate(batch).losses, losses)
    zero = subject.evaluate(batch, {"layers.1.hook_post": torch.zeros_like}).losses
    torch.testing.assert_close(zero, -logits(torch.zeros_like(b)).log_softmax(-1).gather(1, labels))
    same = subject.evaluate(batch, dict.fromkeys(subject.sites, torch.clone)).losses
    assert torch.equal(same, subject.evaluate(batch).losses)
    assert torch.equal(subject.logit_directions("layers.1.hook_post"), model.layers[2].weight.T)
    assert subject.logit_directions("layers.0.hook_post") is None
    with pytest.raises(InputError, match=r"no site 'layers\.2\.hook_post'; it has layers\.0\.hook_post, layers\.1"):
        subject.width("layers.2.hook_post")


def test_the_record_names_every_file_and_the_settings(native_folder):
    folder = native_folder({"bos_token": "x"})
    (folder / "origin.json").write_text('{"commit": "abc"}')
    settings = {"context_length": 12, "processing": Processing().values()}
    record_model(folder, "language", settings, {"source": "transformers"})
    record = json.loads((folder / "model.json").read_text())
    assert set(record["files"]) == {"config.json", "model.safetensors", "origin.json"}
    assert record["origin"] == {"source": "transformers", "commit": "abc"}
    assert record["settings"] == settings
