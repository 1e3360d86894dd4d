"""Weights that strangers wrote: looked over before they are read, and nothing in them is ever run."""

import json
import math
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from polysem.io.errors import InputError

HEADER_BYTES = 25_000_000
"""More than the names of the tensors of any SAE or model need."""
PARTS = 10_000
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Number formats of safetensors that weights come in, with their bytes; all are read as float32."""
OTHER_KINDS = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
STATE_KINDS = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip
"""Number formats of a model's weights and buffers, all of which safetensors writes."""
COPIES = 4
"""Names that the same numbers may stand under in a model, on average: tied embeddings have two, encoders with decoders
four."""


class TensorFile:
    """Tensors by name. `shapes` is known without reading any; `values` holds what else stood beside them."""

    def __init__(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]],
        get: Callable[[str], Tensor],
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.shapes, self.values = path, dict(shapes), dict(values or {})
        self._get = get

    def require(self, *allowed: str) -> None:
        """InputError if there is a tensor of another name: it could change what is computed."""
        if unknown := sorted(set(self.shapes) - set(allowed)):
            raise InputError(
                f"{self.path} holds a tensor {unknown[0]!r}, which files of this format do not have; "
                f"known are {', '.join(allowed)}"
            )

    def matrix(self, name: str) -> tuple[int, int]:
        """Rows and columns of a matrix; InputError if there is none of the name or it is empty."""
        shape = self._shape(name)
        if len(shape) != 2 or 0 in shape:
            raise InputError(f"{self.path}: {name} has shape {list(shape)}, expected a matrix with rows and columns")
        return shape[0], shape[1]

    def tensor(self, name: str, *shape: int) -> Float[Tensor, "..."]:
        """A tensor as float32; InputError if it has another shape, holds no floats, NaN or infinite values."""
        if self._shape(name) != shape:
            raise InputError(f"{self.path}: {name} has shape {list(self.shapes[name])}, expected {list(shape)}")
        found = self._get(name)
        if not found.is_floating_point():
            raise InputError(f"{self.path}: {name} holds {found.dtype}, expected floating-point numbers")
        found = found.to(torch.float32).contiguous()
        if not torch.isfinite(found).all():
            raise InputError(f"{self.path}: {name} holds NaN or infinite values")
        return found

    def stored(self, name: str) -> Tensor:
        """A tensor in the number format that the file has it in."""
        self._shape(name)
        return self._get(name)

    def number(self, name: str) -> float:
        """A tensor of one number, an integer or a float; InputError if it is none."""
        if math.prod(self._shape(name)) != 1:
            raise InputError(f"{self.path}: {name} has shape {list(self.shapes[name])}, expected a single number")
        found = self._get(name)
        if found.dtype == torch.bool:
            raise InputError(f"{self.path}: {name} is {bool(found)}, expected a number")
        value = float(found.item())
        if not math.isfinite(value):
            raise InputError(f"{self.path}: {name} is {value}")
        return value

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self.shapes:
            raise InputError(f"{self.path} holds no tensor {name!r}; it holds {', '.join(self.shapes) or 'none'}")
        return self.shapes[name]


def open_tensors(path: Path) -> TensorFile:
    """The tensors of a `.safetensors` or a `.pt` file; InputError, with the file named, if it is neither, damaged, or
    promises more than it holds. No tensor is read yet."""
    if not path.is_file():
        raise InputError(f"{path} is no file")
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_torch(path)


def _open_safetensors(path: Path) -> TensorFile:
    shapes = _safetensors_shapes(path)

    def get(name: str) -> Tensor:
        try:
            with safe_open(path, framework="pt") as file:
                tensor: Tensor = file.get_tensor(name)
                return tensor
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path}: {name} cannot be read ({error})") from None

    return TensorFile(path, shapes, get)


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes out of the header, which is checked against the size of the file before anything is allocated."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(HEADER_BYTES, size - 8):
            raise InputError(
                f"{path} has {size:,} bytes and claims a header of {length:,}; it is damaged or no safetensors file"
            )
        try:
            header = json.loads(stream.read(length).decode("utf-8"))
            entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
            shapes = {name: _checked_entry(path, name, entry, size - 8 - length) for name, entry in entries.items()}
        except InputError:
            raise
        except (ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
            raise InputError(f"{path}: its header is no safetensors header ({type(error).__name__})") from None
    return shapes


def _checked_entry(path: Path, name: str, entry: Mapping[str, Any], available: int) -> tuple[int, ...]:
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end)):
        raise InputError(f"{path}: {name} has shape {shape} and offsets {begin}, {end}, which cannot be")
    bytes_each = (FLOATS | OTHER_KINDS).get(kind)
    if bytes_each is None:
        raise InputError(f"{path}: {name} holds {kind}; weights are {', '.join(FLOATS)}")
    if end - begin != math.prod(shape) * bytes_each or end > available:
        raise InputError(
            f"{path}: {name} of shape {shape} needs {math.prod(shape) * bytes_each:,} bytes, the file has "
            f"{min(end, available) - begin:,} for it; it is truncated or damaged"
        )
    return tuple(shape)


def _open_torch(path: Path) -> TensorFile:
    _check_archive(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the bytes of a hostile file can raise anything
        named = re.search(r"GLOBAL (\S+)", str(error))
        why = f"it names {named[1]}, which is code" if named else type(error).__name__
        raise InputError(
            f"{path} holds more than tensors and plain values, or is damaged ({why}); only tensors and plain values "
            "are read, and nothing of it was run"
        ) from None
    return tensors_of(path, loaded)


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights of a model that `torch.save` wrote, by name, in the number formats that they have.

    They are mapped, so that memory is taken by what is used. Tensors that share their numbers (tied embeddings) are
    separate names of the same memory here. InputError for a file that is damaged, holds anything but tensors by name,
    or names the same numbers so often that they would grow to many times the file.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file")
    file = _open_torch(path)
    if file.values or not file.shapes:
        other = ", ".join(f"{name} ({type(value).__name__})" for name, value in list(file.values.items())[:3])
        raise InputError(f"{path} is no state dict, a dictionary of tensors by name; it holds {other or 'nothing'}")
    state = {name: file.stored(name) for name in file.shapes}
    for name, tensor in state.items():
        if tensor.dtype not in STATE_KINDS:
            raise InputError(f"{path}: {name} holds {tensor.dtype}, which are no weights of a model that is read here")
    size, written = path.stat().st_size, sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if written > COPIES * size:
        raise InputError(f"{path} has {size:,} bytes and would grow to {written:,} when each name gets its own numbers")
    return state


def tensors_of(path: Path, loaded: Any) -> TensorFile:
    """The tensors and plain values of a dictionary that was read from a file; InputError for anything else."""
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise InputError(f"{path} holds a {type(loaded).__name__}, expected a dictionary of tensors by name")
    tensors = {name: value for name, value in loaded.items() if isinstance(value, Tensor)}
    for name, tensor in tensors.items():
        stored = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not stored or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise InputError(f"{path}: {name} of shape {list(tensor.shape)} is no plain tensor, stored entry by entry")
    values = {name: value for name, value in loaded.items() if name not in tensors}
    return TensorFile(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors.get, values)  # type: ignore[arg-type]


def _check_archive(path: Path) -> None:
    """`torch.save` writes a zip archive of uncompressed parts; one that would grow when it is read is refused."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is no file of torch.save, or is truncated ({error}); PyTorch before 1.6 wrote another form: load "
            "and save it again there"
        ) from None
    if len(parts) > PARTS or any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise InputError(f"{path} holds compressed parts or more than {PARTS:,}, which torch.save never writes")
    if sum(part.file_size for part in parts) > size:
        raise InputError(f"{path} has {size:,} bytes and promises more; it is damaged")
    if any(part.filename.endswith("data.pkl") and part.file_size > HEADER_BYTES for part in parts):
        raise InputError(f"{path} describes its tensors in more than {HEADER_BYTES:,} bytes; no model needs that")
