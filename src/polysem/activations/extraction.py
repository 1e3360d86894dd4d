"""What an extraction of activations is of; a job that finds its store made already needs no torch to know it."""

from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from polysem.io.content import file_digest
from polysem.io.shards import SHARD_BYTES
from polysem.io.stores import receipt_path
from polysem.models.record import RECORD
from polysem.numerics.devices import Resolved
from polysem.params.base import LeaveOut

LIBRARIES = ("numpy", "torch", "transformer_lens", "zarr")
"""Libraries whose versions a receipt names."""
PLACE_BYTES = 8
"""Bytes of sequence and position of a row."""


@dataclass(frozen=True)
class Extraction:
    """What the activation stores of a model on a split have in common: all that determines them but the site."""

    model: Path
    """The folder of the model."""
    tokens: Path
    """The token store."""
    train_tokens: Path
    """The token store that says which norms are massive."""
    limit: int
    """Tokens that are kept at most."""
    dtype: Literal["float16", "float32"]
    code: str
    """Digest of the code that extracts."""
    device: Resolved
    inputs: bool
    """Whether what enters the neurons is kept, too."""
    leave_out: LeaveOut
    shard_bytes: int = SHARD_BYTES
    """Bytes of a shard, at most."""

    def determines(self, site: str) -> dict[str, Any]:
        """All that determines the store of a site, as plain JSON types: files by their content, libraries by their
        versions."""
        return self._in_common | {"site": site}

    @cached_property
    def _in_common(self) -> dict[str, Any]:
        """What determines the stores of all sites: files as they were before the pass began."""
        files = {"model": self.model / RECORD} | {
            name: receipt_path(store) for name, store in (("tokens", self.tokens), ("train_tokens", self.train_tokens))
        }
        digests = {name: file_digest(path) for name, path in files.items()}
        return asdict(self) | digests | {"versions": {library: version(library) for library in LIBRARIES}}
