"""Images in the two forms in which MNIST is handed around: `.npz` and idx files."""

import gzip
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from polysem.io.errors import InputError

NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
LARGEST = 256 << 20
"""Bytes that the images or labels may have, unpacked."""
UNSIGNED_BYTES = 8
"""The element type's code in an idx header."""


def find_files(path: Path) -> list[Path]:
    """The `.npz` file itself, or the four idx files of a folder; InputError if it is neither."""
    if path.is_dir():
        found = [_idx_path(path, name) for name in IDX_FILES]
        if missing := [name for name, file in zip(IDX_FILES, found, strict=True) if file is None]:
            raise InputError(f"the folder {path} lacks {', '.join(missing)} (.gz or not); put the four idx files there")
        return [file for file in found if file is not None]
    if not path.is_file():
        raise InputError(f"`{path}` is no file and no folder (looked from {Path.cwd()}); mend `path` in params.yaml")
    if path.suffix != ".npz":
        raise InputError(f"`{path}` is no .npz file; give one, or the folder of the four idx files")
    return [path]


def read_npz(path: Path) -> list[np.ndarray]:
    """Train images and labels, test images and labels; raises InputError if one is missing."""
    try:
        with zipfile.ZipFile(path) as parts:
            if (size := sum(part.file_size for part in parts.infolist())) > LARGEST:
                raise InputError(f"{path} would grow to {size:,} bytes; MNIST has 55 million: download it again")
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in NPZ_ARRAYS if name not in archive.files]
            if missing:
                raise InputError(
                    f"{path} lacks {', '.join(missing)}; it holds {', '.join(archive.files) or 'nothing'}"
                    f" and must hold {', '.join(NPZ_ARRAYS)}"
                )
            return [archive[name] for name in NPZ_ARRAYS]
    except (zipfile.BadZipFile, EOFError, ValueError, AttributeError, MemoryError, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a readable .npz file of plain arrays ({error}); download it again") from None


def read_idx(path: Path) -> np.ndarray:
    """The array of unsigned bytes in an idx file (http://yann.lecun.com/exdb/mnist/ describes the form).

    Raises InputError if the header or the length is wrong.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a readable gzip file ({error}); download it again") from None
    if len(content) > LARGEST:
        raise InputError(f"{path} holds more than {LARGEST:,} bytes; MNIST has 47 million: download it again")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTES:
        raise InputError(f"{path} does not begin like an idx file of unsigned bytes; download it again")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", content[4:header]) if len(content) >= header else ()
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise InputError(f"{path} has {len(content):,} bytes and its header promises {expected:,}; download it again")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def check_pair(images: np.ndarray, labels: np.ndarray, side: int, classes: int, where: str) -> None:
    """Raise InputError unless there are images of bytes, `side` square, and a label below `classes` for each."""
    if images.ndim != 3 or images.shape[1:] != (side, side) or images.dtype != np.uint8 or not len(images):
        wanted = f"(images, {side}, {side}) of uint8"
        raise InputError(f"{where} images are {images.shape} of {images.dtype}; wanted {wanted}")
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise InputError(f"{where} labels are {labels.shape} of {labels.dtype}; wanted ({len(images)},) of integers")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"{where} labels run from {labels.min()} to {labels.max()}; wanted 0 to {classes - 1}")


def _idx_path(folder: Path, name: str) -> Path | None:
    # Some mirrors write `train-images.idx3-ubyte`.
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = [folder / f"{spelling}{suffix}" for spelling in spellings for suffix in ("", ".gz")]
    return next((path for path in candidates if path.is_file()), None)
