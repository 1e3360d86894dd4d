"""Small real models, tokenizers and stores."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from polysem.corpora.tagged import TAGS_TYPE
from polysem.io.stores import create_array, written_store
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.models.subject import Batch, Subject

torch.set_num_threads(1)
CONFIG = {
    "d_model": 16,
    "d_head": 8,
    "n_heads": 2,
    "n_layers": 2,
    "n_ctx": 12,
    "d_vocab": 40,
    "d_mlp": 24,
    "act_fn": "gelu",
    "normalization_type": "LN",
    "seed": 3,
}
SETTINGS = {"context_length": 12, "processing": {}}


def with_inputs(subject: Subject, batch: Batch, site: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Activations at a site, and what enters its neurons."""
    found = []
    subject.visit(batch, [site], lambda name, x, entering: found.append((x, entering)), inputs=True)
    return found[0]


def perturbed(model: torch.nn.Module) -> torch.nn.Module:
    """Fresh models have biases of zero and norms of one, which would hide what is left out."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture
def plain() -> torch.nn.Module:
    return perturbed(new_model(CONFIG)).eval()


@pytest.fixture
def native_folder(tmp_path) -> Callable[..., Path]:
    def make(settings: dict[str, Any] | None = None, **config: Any) -> Path:
        folder = tmp_path / "models" / f"m{len(list(tmp_path.glob('models/*')))}"
        folder.mkdir(parents=True)
        whole = CONFIG | config
        save_native(bridge_of(perturbed(new_model(whole))), whole, folder)
        record_model(folder, "language", SETTINGS | (settings or {}), {})
        return folder

    return make


@pytest.fixture
def corpus(tmp_path) -> Callable[..., Path]:
    def make(texts: Sequence[str], splits: Sequence[str] | None = None, tags: list | None = None) -> Path:
        columns: dict[str, Any] = {"text": texts, "split": splits or ["train"] * len(texts)}
        if tags is not None:
            rows = [[dict(zip(("start", "end", "tag"), span, strict=True)) for span in row] for row in tags]
            columns["tags"] = pa.array(rows, TAGS_TYPE)
        path = tmp_path / "documents.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return make


@pytest.fixture
def text_store(tmp_path) -> Callable[..., Path]:
    def make(ids: np.ndarray, length: np.ndarray | None = None, name: str = "train") -> Path:
        path = tmp_path / "tokens" / f"{name}.zarr"
        length = np.full(len(ids), ids.shape[1], np.int32) if length is None else length.astype(np.int32)
        position = np.arange(ids.shape[1])
        arrays = {
            "ids": ids.astype(np.int32),
            "length": length,
            "counted": (position > 0) & (position < length[:, None]),
        }
        attributes = {"kind": "text", "tags": [], "context_length": ids.shape[1], "vocabulary": int(ids.max()) + 1}
        with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
            for key, values in arrays.items():
                dimensions = ("sequence", "position")[: values.ndim]
                create_array(group, key, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
        return path

    return make
