"""Perceptrons that somebody else trained."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from polysem.io.errors import InputError
from polysem.models.classifier import load
from polysem.models.import_classifier import import_classifier
from polysem.models.record import Record
from polysem.models.subject import Batch

RECORD = Record(kind="classifier", settings={}, origin={}, files={})


@pytest.fixture
def weights(tmp_path) -> Path:
    """A perceptron of 6 pixels, 5 and 4 neurons, 3 classes."""
    torch.manual_seed(0)
    shapes = {0: (5, 6), 1: (4, 5), 2: (3, 4)}
    state = {f"layers.{index}.weight": torch.randn(shape) for index, shape in shapes.items()}
    state |= {f"layers.{index}.bias": torch.randn(shape[0]) for index, shape in shapes.items()}
    torch.save(state, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_the_scale_of_the_pixels_is_folded_into_the_first_layer(tmp_path, weights):
    import_classifier(tmp_path / "m", weights, [5, 4], "relu", 0.1307, 0.3081)
    state = torch.load(weights)
    x = torch.rand(50, 6)
    hidden = (x - 0.1307) / 0.3081
    for index in (0, 1):
        hidden = F.linear(hidden, state[f"layers.{index}.weight"], state[f"layers.{index}.bias"]).relu()
    logits = F.linear(hidden, state["layers.2.weight"], state["layers.2.bias"])
    labels = logits.argmax(-1)[:, None]
    everywhere = torch.ones_like(labels, dtype=torch.bool)
    subject, batch = load(tmp_path / "m", RECORD, "cpu"), Batch(x, labels, everywhere, everywhere)
    found = subject.activations(batch, ["layers.1.hook_post"])["layers.1.hook_post"][:, 0]
    torch.testing.assert_close(found, hidden, atol=1e-5, rtol=1e-5)
    losses = F.cross_entropy(logits, labels[:, 0], reduction="none")
    torch.testing.assert_close(subject.evaluate(batch).losses[:, 0], losses, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ([5, 7], r"has hidden layers of \[5, 4\] neurons, the params say hidden: \[5, 7\]"),
        ([5], "holds a tensor 'layers.2.bias'"),
        ([5, 4, 4], "holds no tensor 'layers.3.weight'"),
    ],
)
def test_other_layers_than_the_params_say_are_refused(tmp_path, weights, hidden, said):
    with pytest.raises(InputError, match=said):
        import_classifier(tmp_path / "m", weights, hidden, "relu", 0.0, 1.0)
