"""Documents out of local files: text with separators, JSON lines, JSON arrays, Parquet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from polysem.corpora.compressed import PACKED, opened, unpacked_name
from polysem.corpora.json_text import decoded, json_array_texts, json_line_texts
from polysem.io.errors import InputError
from polysem.io.files import expanded, matching_files

SUFFIXES = {".txt": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet"}
"""What a file's name says of its format; an ending of compressed files may follow."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLOCK = 1 << 22
LONGEST = 256 << 20
"""Bytes of a document; a file of text without separators is one."""


def corpus_files(patterns: str | list[str]) -> list[Path]:
    """The files of paths and globs: patterns in the order given, the matches of each sorted, each file once.

    Raises InputError for a pattern that matches no file.
    """
    files: dict[Path, None] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if expanded(pattern).is_dir():
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


@dataclass
class Reading:
    """How files are read, and what was met in them."""

    file_format: str | None
    """`text`, `jsonl`, `json`, `parquet`; None: by each file's name."""
    separator: str
    field: str
    unnamed: str | None = None
    """The format of files whose name says none; None: they are refused."""
    without_text: int = 0
    """Rows that were left out: null, or nothing but white space."""
    mended: int = 0
    """Texts in which U+FFFD stands for half of a surrogate pair."""
    unseparated: int = 0
    """Files of text in which no separator was found."""

    def texts(self, paths: Iterable[Path]) -> Iterator[str]:
        """The documents of all files, in order.

        Raises InputError for a file that is empty, holds no document or is not of its format.
        """
        for path in paths:
            if path.stat().st_size == 0:
                raise InputError(f"{path} is empty; remove it from the paths or put documents into it")
            any_document = False
            for text in self.kept(self._rows(path, self.file_format or self._format_of(path))):
                any_document = True
                yield text
            if not any_document:
                raise InputError(f"{path} yields no document: there is only white space, separators or null in it")

    def advice(self) -> str:
        """What explains that there are so few documents, or ''."""
        if not self.unseparated:
            return ""
        files = "the file of text" if self.unseparated == 1 else f"{self.unseparated:,} files of text"
        return f"; the separator {self.separator!r} occurs nowhere in {files}, so each is one document: set `separator`"

    def counts(self) -> dict[str, str]:
        """What was left out or changed, to be written down with the documents; nothing where nothing was."""
        found = {"rows_without_text": self.without_text, "texts_with_half_a_surrogate_pair": self.mended}
        return {name: str(count) for name, count in found.items() if count}

    def kept(self, rows: Iterable[str | None]) -> Iterator[str]:
        """Rows that hold text; the others are counted. Half of a surrogate pair, which is no character, becomes
        U+FFFD."""
        for row in rows:
            if row is None or not row.strip():
                self.without_text += 1
                continue
            try:
                row.encode("utf-8")
            except UnicodeEncodeError:
                self.mended += 1
                row = row.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            yield row

    def _format_of(self, path: Path) -> str:
        found = SUFFIXES.get(unpacked_name(path).suffix.lower(), self.unnamed)
        if found is None:
            raise InputError(
                f"{path} ends in none of {', '.join(SUFFIXES)} (packed ones in {', '.join(PACKED)} behind it); "
                "rename or convert it"
            )
        return found

    def _rows(self, path: Path, file_format: str) -> Iterator[str | None]:
        match file_format:
            case "text":
                pieces = 0
                for text in read_text(path, self.separator):
                    pieces += 1
                    if text:
                        yield text
                self.unseparated += pieces == 1
            case "jsonl":
                with opened(path) as stream:
                    yield from json_line_texts(stream, path, self.field)
            case "json":
                with opened(path) as stream:
                    yield from json_array_texts(stream, path, self.field)
            case _:
                yield from read_parquet(path, self.field)


def read_text(path: Path, separator: str) -> Iterator[str]:
    """Documents between separators, stripped of white space at both ends, empty ones among them; read block by block.

    Raises InputError, with the offset in bytes, where the file is not UTF-8, and for a document of more than `LONGEST`
    bytes.
    """
    mark = separator.encode("utf-8")
    with opened(path) as file:
        rest, start = file.read(BLOCK), 0
        if rest.startswith(BYTE_ORDER_MARK):
            rest, start = rest[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
        block = rest
        while True:
            *pieces, rest = rest.split(mark)
            for piece in pieces if block else [*pieces, rest]:
                yield decoded(piece, path, start).strip()
                start += len(piece) + len(mark)
            if not block:
                return
            if len(rest) > LONGEST:
                raise InputError(
                    f"{path} has no separator {separator!r} in {len(rest):,} bytes from byte {start:,} on; set "
                    f"`separator` to what stands between its documents, which have at most {LONGEST:,} bytes"
                )
            block = file.read(max(BLOCK, len(rest)))
            rest += block


def read_parquet(path: Path, field: str) -> Iterator[str | None]:
    """The column `field`, null where it is null.

    Raises InputError for a file that is no Parquet file, is damaged, lacks the column or has no text in it.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is not a Parquet file ({_first_line(error)}); set `format` to what it is, or convert it"
        ) from None
    columns = file.schema_arrow.names
    if field not in columns:
        raise InputError(f"{path} has no column `{field}`; set `field` to one of: {', '.join(columns)}")
    kind = file.schema_arrow.field(field).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise InputError(f"column `{field}` of {path} is {kind}, not text; columns are: {', '.join(columns)}")
    number = 0
    try:
        for batch in file.iter_batches(columns=[field]):
            for value in batch.column(0):
                number += 1
                yield value.as_py()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: column `{field}` is not UTF-8 in row {number:,} ({error}); convert it") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is a damaged Parquet file ({_first_line(error)}); copy it again") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
