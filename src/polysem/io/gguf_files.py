"""GGUF files that strangers wrote: what their header says, looked over before a tensor is read.

Only the package `gguf` reads them, which is no dependency: it is asked for where such a file is named.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polysem.io.errors import InputError

if TYPE_CHECKING:
    from gguf import GGUFReader, ReaderField, ReaderTensor

MAGIC = b"GGUF"
INSTALL = "pip install 'gguf>=0.19,<0.20'"
PARTS = 5_000_000
"""Names, numbers and texts of a header; a vocabulary of 260,000 tokens with its merges takes two million."""


@dataclass(frozen=True)
class GgufFile:
    """The header of a file, and its tensors, none of which is read yet."""

    path: Path
    fields: "dict[str, ReaderField]"
    tensors: "dict[str, ReaderTensor]"

    def value(self, key: str) -> Any:
        """What the file says under a key (a number, a text, or a list of them); None where it says nothing."""
        field = self.fields.get(key)
        try:
            return None if field is None else field.contents()
        except (ValueError, IndexError) as error:
            raise InputError(f"{self.path}: {key} cannot be read ({error}); the file is damaged") from None

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, rows first, as PyTorch has it."""
        return tuple(int(size) for size in reversed(self.tensors[name].shape.tolist()))

    def kinds(self) -> dict[str, int]:
        """How many tensors are stored in which number format (`F32`, `Q4_1`)."""
        names = [tensor.tensor_type.name for tensor in self.tensors.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    def numbers(self, name: str) -> np.ndarray:
        """A tensor as float32, in the shape of `shape`; InputError for a number format that is not read."""
        from gguf import dequantize

        tensor = self.tensors[name]
        try:
            with np.errstate(all="ignore"):  # what is no number is found by whoever takes the weights
                values = dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError:
            raise InputError(
                f"{self.path}: {name} is stored as {tensor.tensor_type.name}, which the package gguf does not read; "
                "take a file in another number format (F16, Q8_0, Q4_K …)"
            ) from None
        return np.array(values, np.float32).reshape(self.shape(name))


def open_gguf(path: Path) -> GgufFile:
    """The header of a GGUF file; InputError if it is none, is torn, or claims more than it holds, and if the package
    that reads it is not installed."""
    _check_magic(path)
    try:
        import gguf
    except ImportError:
        raise InputError(
            f"{path} is a GGUF file, and the package gguf, which reads them, is not installed: {INSTALL}"
        ) from None
    try:
        reader = _bounded_reader()(path)
    except Exception as error:  # the bytes of a damaged file can raise anything
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} is damaged or cut off, or a version of GGUF that the package gguf does not read "
            f"({type(error).__name__}: {said}); download it again"
        ) from None
    if reader.endianess is not gguf.GGUFEndian.LITTLE:
        raise InputError(f"{path} has its numbers in big-endian order; take the file for little-endian machines")
    return GgufFile(path, dict(reader.fields), {tensor.name: tensor for tensor in reader.tensors})


def _check_magic(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is no file")
    with path.open("rb") as stream:
        begin = stream.read(len(MAGIC))
    if begin != MAGIC:
        found = f"begins with {begin!r}" if begin else "is empty"
        raise InputError(f"{path} is no GGUF file: it {found}, and GGUF files begin with {MAGIC!r}; download it again")


def _bounded_reader() -> "type[GGUFReader]":
    """The package's reader, which takes lengths on trust, held to the size of the file and to so many parts."""
    from gguf import GGUFReader

    class Bounded(GGUFReader):
        parts = 0

        def _get(self, offset: int, dtype: Any, count: int = 1, *rest: Any, **named: Any) -> Any:
            self.parts += 1
            if self.parts > PARTS:
                raise ValueError(f"a header of more than {PARTS:,} parts")
            size, end = len(self.data), int(offset) + int(count) * np.dtype(dtype).itemsize
            if not 0 <= offset <= end <= size:
                raise ValueError(f"it promises {end:,} bytes and has {size:,}")
            return super()._get(offset, dtype, count, *rest, **named)

    return Bounded
