"""Files as they are packed: compressed ones are opened as what is in them, other forms are called what they are."""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from zlib import error as ZlibError

import pyarrow as pa

from polysem.io.errors import InputError

PACKED = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\x00", ".zst": b"\x28\xb5\x2f\xfd"}
"""How compressed files begin, by the ending of their names."""
OTHER_FORMS = {
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"PK\x05\x06": "an empty ZIP archive; give the file of documents",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"PAR1": "a Parquet file; set `format: parquet`",
    b"ARROW1": "an Arrow file; convert it to Parquet",
    b"%PDF": "a PDF; take the text out of it",
    b"\x89HDF": "an HDF5 file; take the text out of it",
    b"\x93NUMPY": "a NumPy array; write its texts as JSON lines",
    b"SQLite format 3": "an SQLite data base; write its texts as JSON lines",
    b"\xff\xfe\x00\x00": "UTF-32; convert it with `iconv -f UTF-32 -t UTF-8`",
    b"\xff\xfe": "UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`",
}
"""What files of other forms begin with, and what to do with them."""
TAR = (257, b"ustar")


def unpacked_name(path: Path) -> Path:
    """`a.jsonl.gz` → `a.jsonl`: the name that says what is in it."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The content of a file, unpacked if it is compressed, whatever its name.

    Raises InputError for a file that is an archive or of another form that is no text, and for a damaged one.
    """
    packing = _packing(path)
    try:
        with _unpacking(path, packing) as stream:
            _require_text(path, stream, packing)
            yield stream
    except (OSError, EOFError, lzma.LZMAError, ZlibError) as error:
        if packing is None:
            raise
        raise InputError(f"{path} is a damaged or truncated {packing} file ({error}); copy it again") from None


def _packing(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(8)
    return next((ending for ending, magic in PACKED.items() if start.startswith(magic)), None)


def _unpacking(path: Path, packing: str | None) -> BinaryIO:
    match packing:
        case ".gz":
            return cast(BinaryIO, gzip.open(path))
        case ".bz2":
            return cast(BinaryIO, bz2.open(path))
        case ".xz":
            return cast(BinaryIO, lzma.open(path))
        case ".zst":
            return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression="zstd")))
        case _:
            return path.open("rb")


def _require_text(path: Path, stream: BinaryIO, packing: str | None) -> None:
    start = cast(io.BufferedReader, stream).peek(TAR[0] + len(TAR[1]))
    form = next((what for magic, what in OTHER_FORMS.items() if start.startswith(magic)), None)
    if start[TAR[0] :].startswith(TAR[1]):
        form = "a tar archive; unpack it"
    if form is not None:
        raise InputError(f"{path} {'holds' if packing else 'is'} {form}")
