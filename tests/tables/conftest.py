"""Small real stores, a small real model and a small real dictionary."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from polysem.io.atomic import write_json
from polysem.io.stores import create_array, written_store
from polysem.models.classifier import Perceptron, save
from polysem.models.record import Record, file_digest
from polysem.models.subject import Batch, Evaluation, Replacement, Subject, Take

SITE = "mlp"
torch.set_num_threads(1)
FEW = {
    "polysem.numerics.norms": {"ROWS": 5},
    "polysem.tables.of_dictionary.alignment": {"BLOCK": 5},
    "polysem.tables.of_model.model": {"SEQUENCES": 3},
    "polysem.tables.parts.decoder_cosines": {"BLOCK": 5},
    "polysem.tables.parts.recognised": {"SEQUENCES": 3},
    "polysem.tables.parts.slot_words": {"TOGETHER": 3},
    "polysem.tables.passes.ablation.spots": {"SEQUENCES": 3},
    "polysem.tables.passes.comparison.codes": {"ROWS": 50},
    "polysem.tables.passes.comparison.kin": {"TOGETHER": 3},
    "polysem.tables.passes.probing.columns": {"BLOCK": 70},
    "polysem.tables.passes.probing.hierarchy": {"BLOCK": 70},
    "polysem.tables.passes.steering.output_scores": {"TOGETHER": 3},
}
"""How many rows, features or sequences are taken together: so few that small inputs have several blocks, and the last
one is smaller."""


@pytest.fixture(scope="package", autouse=True)
def few_together():
    """Tests of tables see what happens between blocks."""
    with pytest.MonkeyPatch.context() as patch:
        for module, constants in FEW.items():
            for name, value in constants.items():
                assert getattr(import_module(module), name) > value, f"{module}.{name} is gone, or that small already"
                patch.setattr(f"{module}.{name}", value)
        yield


class TokenPerceptron(Subject):
    """Reads one token and predicts the next one through one hidden layer."""

    def __init__(self, vocabulary: int = 7, neurons: int = 6, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.device = torch.device("cpu")
        self.embedding = torch.randn(vocabulary, neurons, generator=generator)
        self.unembedding = torch.randn(neurons, vocabulary, generator=generator)

    @property
    def sites(self) -> Sequence[str]:
        return [SITE]

    def width(self, site: str) -> int:
        return self.embedding.shape[1]

    def visit(self, batch: Batch, sites: Sequence[str], take: Take, *, inputs: bool = False) -> None:
        take(SITE, self.embedding[batch.inputs].relu(), None)

    def evaluate(self, batch: Batch, replacements: Mapping[str, Replacement] | None = None) -> Evaluation:
        logits = self._logits(batch, replacements)
        losses = cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none").view_as(batch.targets)
        correct = logits.argmax(-1) == batch.targets
        return Evaluation(losses.masked_fill(~batch.scored, 0.0), correct & batch.scored)

    def log_probabilities(
        self,
        batch: Batch,
        replacements: Mapping[str, Replacement] | None = None,
        copies: int = 1,
        at: torch.Tensor | None = None,
    ) -> torch.Tensor:
        replace = (replacements or {}).get(SITE, lambda x: x)
        found = self._logits(batch, {SITE: lambda x: replace(x.repeat_interleave(copies, 0))}).log_softmax(-1)
        return found if at is None else found.gather(1, at[..., None].expand(-1, -1, found.shape[-1]))

    def _logits(self, batch: Batch, replacements: Mapping[str, Replacement] | None) -> torch.Tensor:
        x = self.activations(batch, [SITE])[SITE]
        return (replacements[SITE](x) if replacements else x) @ self.unembedding

    def input_weights(self, site: str) -> None:
        return None

    def output_weights(self, site: str) -> None:
        return None

    def logit_directions(self, site: str) -> None:
        return None


class ReluDictionary:
    """Features relu(x W + b), decoded by another matrix."""

    def __init__(self, neurons: int, features: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.inputs, self.outputs, self.features, self.target = neurons, neurons, features, None
        self.W_enc = torch.randn(neurons, features, generator=generator)
        self.b_enc = torch.randn(features, generator=generator) - 0.5
        self.W_dec = torch.randn(features, neurons, generator=generator) / features

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.W_enc + self.b_enc).relu()

    def decode(self, f: torch.Tensor) -> torch.Tensor:
        return f @ self.W_dec

    def reconstruct(self, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        return self.decode(f)

    def decoder(self) -> torch.Tensor:
        return self.W_dec


@pytest.fixture
def subject() -> TokenPerceptron:
    return TokenPerceptron()


@pytest.fixture
def relu_dictionary() -> Callable[..., ReluDictionary]:
    return ReluDictionary


@pytest.fixture
def activation_store(tmp_path: Path) -> Callable[..., Path]:
    def write(activations: np.ndarray, name: str = "eval") -> Path:
        path = tmp_path / "activations" / f"{name}.zarr"
        with written_store(path, attributes={}, params={}, code="", device="cpu") as group:
            dimensions = ("token", "neuron")
            array = create_array(
                group, "activations", activations.shape, str(activations.dtype), dimensions, compressed=False
            )
            array[:] = activations
            for column in ("sequence", "position"):
                values = np.arange(len(activations), dtype=np.int32)
                create_array(group, column, values.shape, "int32", ("token",), compressed=True)[:] = values
        return path

    return write


@pytest.fixture
def token_store(tmp_path: Path) -> Callable[..., Path]:
    """Sequences of ids, padded with 0; the first position of each is not counted."""

    def write(sequences: Sequence[Sequence[int]], vocabulary: int = 7, name: str = "eval") -> Path:
        path = tmp_path / "tokens" / f"{name}.zarr"
        length = np.array([len(ids) for ids in sequences], np.int32)
        ids = np.zeros((len(sequences), max(length)), np.int32)
        for row, values in zip(ids, sequences, strict=True):
            row[: len(values)] = values
        position = np.arange(ids.shape[1])
        counted = (position < length[:, None]) & (position > 0)
        attributes = {"kind": "text", "vocabulary": vocabulary}
        with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
            for key, values in {"ids": ids, "length": length, "counted": counted}.items():
                dimensions = ("sequence", "position")[: values.ndim]
                create_array(group, key, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
        return path

    return write


@pytest.fixture
def image_store(tmp_path: Path) -> Callable[..., Path]:
    def write(pixels: np.ndarray, labels: np.ndarray, classes: int, name: str = "eval") -> Path:
        path = tmp_path / "tokens" / f"{name}.zarr"
        attributes = {"kind": "images", "classes": classes, "height": 1, "width": pixels.shape[1]}
        with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
            create_array(group, "pixels", pixels.shape, "float32", ("image", "pixel"), compressed=True)[:] = pixels
            create_array(group, "labels", labels.shape, "int32", ("image",), compressed=True)[:] = labels
        return path

    return write


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """A model folder as the workflow makes it."""
    torch.manual_seed(0)
    folder = tmp_path / "models/m"
    folder.mkdir(parents=True)
    save(Perceptron([4, 8, 3], "relu"), [4, 8, 3], "relu", folder)
    files = {file.name: file_digest(file) for file in sorted(folder.iterdir())}
    write_json(folder / "model.json", Record(kind="classifier", settings={}, origin={}, files=files).values())
    return folder
