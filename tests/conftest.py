"""Token stores with tags and what is counted on them, for tables and figures."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import settings
from pretended_card import pretended_card

from polysem.io.stores import create_array, written_store
from polysem.numerics.determinism import deterministic_kernels
from polysem.saes.entries import SparseEntries
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.survey.blocks import Block
from polysem.tables.passes.survey.tags import TagCounts
from polysem.workflow import home_cache

settings.register_profile("any machine", deadline=None)  # a busy one takes longer than a test usually does
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Tests run where the home folder cannot be written, too, and with one thread of torch and one workspace of cuBLAS,
    as steps do."""
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    home_cache.provide(Path(tempfile.gettempdir()) / f"polysem-tests-{os.getuid()}")


@pytest.fixture
def gpu() -> Iterator[str]:
    """The device of a GPU, with kernels that do not vary, as steps ask for. Where there is none it is pretended."""
    with nullcontext() if torch.cuda.is_available() else pretended_card(), deterministic_kernels():
        yield "cuda"


@pytest.fixture
def real_gpu() -> Iterator[str]:
    """The same of a real one alone; the test is skipped where there is none."""
    if not torch.cuda.is_available():
        pytest.skip("no GPU is there")
    with deterministic_kernels():
        yield "cuda"


@pytest.fixture
def tagged_store(tmp_path) -> Callable[[Sequence[str], np.ndarray], Path]:
    """A token store of the tags `names`, from which tokens carry which, bool [sequence, position, tag]."""

    def write(names: Sequence[str], carried: np.ndarray) -> Path:
        path = tmp_path / "tokens/eval.zarr"
        words = np.zeros((*carried.shape[:2], -(-len(names) // 64)), np.uint64)
        for tag in range(len(names)):
            words[..., tag // 64] |= carried[..., tag].astype(np.uint64) << np.uint64(tag % 64)
        ids = np.zeros(carried.shape[:2], np.int32)
        with written_store(path, attributes={"tags": list(names)}, params={}, code="", device="cpu") as group:
            for key, values in {"ids": ids, "tags": words}.items() if len(names) else {"ids": ids}.items():
                dimensions = ("sequence", "position", "word")[: values.ndim]
                create_array(group, key, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
        return path

    return write


@pytest.fixture
def tag_table(tagged_store) -> Callable[..., xr.Dataset]:
    """The table `tags` of activations [sequence, position, feature], from sequence `start` on, in blocks of tokens."""

    def measure(f: np.ndarray, names: Sequence[str], carried: np.ndarray, block: int = 64, start: int = 0, **settings):
        counts = TagCounts(TokenTags(tagged_store(names, carried)), f.shape[-1], **settings)
        sequence, position = (place.reshape(-1).astype(np.int64) for place in np.indices(f.shape[:2]))
        rows = torch.from_numpy(f.reshape(-1, f.shape[-1]).astype(np.float32))
        firsts = range(start * f.shape[1], len(rows), block)
        blocks = [block_of(rows[first : first + block], first, sequence, position) for first in firsts]
        for one in blocks:
            counts.add(one)
        return counts.table(lambda: blocks)

    return measure


def block_of(f: torch.Tensor, first: int, sequence: np.ndarray, position: np.ndarray) -> Block:
    """Some tokens of the neurons' dictionary."""
    row, feature = torch.nonzero(f > 0, as_tuple=True)
    entries = SparseEntries(row, feature, f[row, feature], (len(f), f.shape[1]))
    part = slice(first, first + len(f))
    return Block(first, f, entries, sequence[part], position[part])
