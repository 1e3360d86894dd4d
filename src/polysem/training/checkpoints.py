"""Checkpoints of running steps, outside of declared outputs: `.cache/checkpoints/{digest of the job}.pt`."""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from polysem.io.atomic import written

FOLDER = Path(".cache/checkpoints")
CHECKSUM = hashlib.sha256().digest_size


class Checkpoint:
    """State of one job, saved now and then, found again by the digest of everything that the job depends on."""

    def __init__(self, job: str, *depends_on: Any, seconds: float = 20.0) -> None:
        """`depends_on` are JSON values: params, code digests, receipts of inputs."""
        digest = hashlib.sha256(json.dumps([job, *depends_on], sort_keys=True).encode()).hexdigest()[:24]
        self.path = FOLDER / f"{digest}.pt"
        self._seconds = seconds
        self._saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The last saved state, or None; a torn file is ignored with a note on standard error."""
        if not self.path.exists():
            return None
        try:
            if not _is_whole(self.path):
                raise ValueError("its checksum is another")
            return torch.load(self.path, weights_only=True, map_location="cpu")
        except Exception as error:  # the bytes of a damaged file can raise anything
            print(f"note: checkpoint {self.path} cannot be read ({error}); starting over", file=sys.stderr)
            return None

    def due(self) -> bool:
        """Whether enough time has passed since the last save."""
        return time.monotonic() - self._saved >= self._seconds

    def save(self, state: dict[str, Any]) -> None:
        """Save tensors and plain values."""
        with written(self.path) as partial:
            torch.save(state, partial)
            digest = _digest(partial, partial.stat().st_size)
            with partial.open("ab") as file:
                file.write(digest)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Forget the state, once the outputs are written."""
        self.path.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint ends with the sha256 of all before it, which readers of its format do not mind."""
    length = path.stat().st_size - CHECKSUM
    if length < 0:
        return False
    with path.open("rb") as file:
        file.seek(length)
        return file.read() == _digest(path, length)


def _digest(path: Path, length: int) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while length and (block := file.read(min(length, 1 << 22))):
            digest.update(block)
            length -= len(block)
    return digest.digest()
