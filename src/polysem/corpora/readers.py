"""Documents out of local files: text with separators, JSON lines, Parquet."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from polysem.io.errors import InputError
from polysem.io.files import matching_files

SUFFIXES = {".txt": "text", ".jsonl": "jsonl", ".parquet": "parquet"}
"""What a file's name says of its format."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLOCK = 1 << 22


def corpus_files(patterns: str | list[str]) -> list[Path]:
    """The files of paths and globs: patterns in the order given, the matches of each sorted, each file once.

    Raises InputError for a pattern that matches no file.
    """
    files: dict[Path, None] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if Path(pattern).expanduser().is_dir():
            raise InputError(
                f"`{pattern}` is a folder; write a glob of its files, such as `{pattern.rstrip('/')}/*.txt`"
            )
        found = matching_files(pattern)
        if not found:
            raise InputError(
                f"`{pattern}` matches no file (looked from {Path.cwd()}); mend the path or glob in params.yaml"
            )
        files.update(dict.fromkeys(found))
    if not files:
        raise InputError("the list of paths is empty; give at least one path or glob in params.yaml")
    return list(files)


def read_files(paths: Iterable[Path], file_format: str | None, separator: str, field: str) -> Iterator[str]:
    """The documents of all files; `file_format` (`text`, `jsonl`, `parquet`) goes by each file's name if None.

    Raises InputError for a file that is empty, holds no document or is not of its format.
    """
    for path in paths:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty; remove it from the paths or put documents into it")
        reader = _reader(path, file_format or _format_of(path), separator, field)
        any_document = False
        for text in reader():
            any_document = True
            yield text
        if not any_document:
            raise InputError(f"{path} yields no document: there is only white space, separators or null in it")


def _format_of(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} ends in none of {', '.join(SUFFIXES)}; rename or convert it")
    return SUFFIXES[path.suffix]


def _reader(path: Path, file_format: str, separator: str, field: str) -> Callable[[], Iterator[str]]:
    if file_format == "text":
        return lambda: read_text(path, separator)
    if file_format == "jsonl":
        return lambda: read_jsonl(path, field)
    return lambda: read_parquet(path, field)


def read_text(path: Path, separator: str) -> Iterator[str]:
    """Documents between separators, stripped of white space at both ends, empty ones dropped; read block by block.

    Raises InputError, with the offset in bytes, where the file is not UTF-8.
    """
    mark = separator.encode("utf-8")
    with path.open("rb") as file:
        start = len(BYTE_ORDER_MARK) if file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        file.seek(start)
        rest = b""
        while True:
            block = file.read(max(BLOCK, len(rest)))
            *pieces, rest = (rest + block).split(mark)
            for piece in pieces if block else [*pieces, rest]:
                text = _decoded(piece, path, start).strip()
                start += len(piece) + len(mark)
                if text:
                    yield text
            if not block:
                return


def read_jsonl(path: Path, field: str) -> Iterator[str]:
    """The value of `field` of each line's object; blank lines and blank texts are dropped.

    Raises InputError, with the line number, for a line that is no JSON object, lacks the field or holds no text there.
    """
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = _decoded(line, path, offset).removeprefix("\ufeff").strip()
            offset += len(line)
            if content:
                text = _field_of(content, f"{path}, line {number}", field)
                if text.strip():
                    yield text


def read_parquet(path: Path, field: str) -> Iterator[str]:
    """The column `field`; null and blank texts are dropped.

    Raises InputError for a file that is no Parquet file, lacks the column or has no text in it.
    """
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a Parquet file ({error}); set `format` to what it is, or convert it") from None
    columns = file.schema_arrow.names
    if field not in columns:
        raise InputError(f"{path} has no column `{field}`; set `field` to one of: {', '.join(columns)}")
    kind = file.schema_arrow.field(field).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise InputError(f"column `{field}` of {path} is {kind}, not text; columns are: {', '.join(columns)}")
    for batch in file.iter_batches(columns=[field]):
        for text in batch.column(0).to_pylist():
            if text is not None and text.strip():
                yield text


def _field_of(line: str, where: str, field: str) -> str:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: not valid JSON ({error.msg}, column {error.colno}); each line is one object"
        ) from None
    if not isinstance(row, dict):
        raise InputError(f'{where}: a {type(row).__name__} and not an object; write {{"{field}": "..."}}')
    if field not in row:
        raise InputError(f"{where}: no key `{field}`; set `field` to one of: {', '.join(row) or '(none)'}")
    if not isinstance(row[field], str):
        raise InputError(f"{where}: `{field}` is a {type(row[field]).__name__} and not text")
    text: str = row[field]
    return text


def _decoded(piece: bytes, path: Path, offset: int) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8: byte 0x{piece[error.start]:02x} at offset {offset + error.start} does not fit;"
            " convert the file, for example with `iconv -t UTF-8`"
        ) from None
