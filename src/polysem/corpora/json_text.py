"""Texts out of JSON: a value per line, or a file that is one array."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from polysem.io.errors import InputError

LINE_BYTES = 256 << 20
ARRAY_BYTES = 1 << 30
"""An array is read whole; what is larger goes line by line."""


def json_line_texts(stream: BinaryIO, path: Path, field: str) -> Iterator[str | None]:
    """The text of each line: the line itself if it is a text, `field` of it if it is an object. Blank lines are none.

    Raises InputError, with the number of the line, for one that is neither, lacks the field or holds no text there.
    """
    offset, number = 0, 0
    while line := stream.readline(LINE_BYTES):
        number += 1
        if len(line) == LINE_BYTES:
            raise InputError(f"{path}, line {number}: longer than {LINE_BYTES:,} bytes; each line is one document")
        content = decoded(line, path, offset).removeprefix("\ufeff").strip()
        offset += len(line)
        if content:
            where = f"{path}, line {number}"
            yield _text_of(_parsed(content, where, "each line is one object"), where, field)


def json_array_texts(stream: BinaryIO, path: Path, field: str) -> Iterator[str | None]:
    """The text of each element of an array: the element itself if it is a text, `field` of it if it is an object.

    Raises InputError for a file that is too large or no array, and for an element that holds no text.
    """
    content = stream.read(ARRAY_BYTES + 1)
    if len(content) > ARRAY_BYTES:
        raise InputError(
            f"{path} has more than {ARRAY_BYTES:,} bytes; convert it to JSON lines, which are read one by one"
        )
    rows = _parsed(decoded(content, path, 0).removeprefix("\ufeff"), str(path), "the file is one array")
    if not isinstance(rows, list):
        raise InputError(
            f'{path} holds {_kind(rows)} and no array: ["…", "…"] or [{{"{field}": "…"}}, …]; set '
            "`format: jsonl` if each of its lines is one object"
        )
    for number, row in enumerate(rows, start=1):
        yield _text_of(row, f"{path}, element {number}", field)


def decoded(piece: bytes, path: Path, offset: int) -> str:
    """Bytes as UTF-8, which stand at `offset` in the file; InputError that names the first that does not fit."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8: byte 0x{piece[error.start]:02x} at offset {offset + error.start} does not fit;"
            " convert the file, for example with `iconv -t UTF-8`"
        ) from None


def _parsed(content: str, where: str, expected: str) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if "\n" in content else f"column {error.colno}"
        raise InputError(f"{where}: not valid JSON ({error.msg}, {place}); {expected}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: JSON that cannot be read ({error}); {expected}") from None


def _text_of(row: Any, where: str, field: str) -> str | None:
    if isinstance(row, dict):
        if field not in row:
            raise InputError(f"{where}: no key `{field}`; set `field` to one of: {', '.join(row) or '(none)'}")
        where, row = f"{where}: `{field}`", row[field]
        if not isinstance(row, str | None):
            raise InputError(f"{where} is {_kind(row)} and not text")
    if not isinstance(row, str | None):
        hint = "; a file that is one array of texts is read with `format: json`" if isinstance(row, list) else ""
        raise InputError(f'{where}: {_kind(row)}, and neither a text nor an object; write {{"{field}": "..."}}{hint}')
    return row


def _kind(value: Any) -> str:
    """What JSON calls it."""
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
