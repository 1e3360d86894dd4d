"""Files of text as somebody has them: whether they are enough, and where a document begins and ends in them."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.io.files import matching_files

SEPARATORS = ("<|endoftext|>", "\n\n", "\r\n\r\n", "\n")
"""What may stand between the documents of a text file: the first of these that is in there."""
FIELD = "text"
"""The key or column of the text, where there is one of that name."""
LOOKED_AT = 1 << 20
"""Bytes of a text in which separators are looked for."""
ROWS = 100
"""Rows in which keys are looked for."""
LEAST_TEXT = 200_000
"""Bytes of text to train a model on."""


def require_enough(paths: str) -> None:
    """InputError for text on which no model can be trained; packed files and Parquet, whose text is longer than they
    are, are not counted."""
    from polysem.corpora.compressed import unpacked_name  # imports pyarrow

    files = matching_files(paths)
    size = sum(file.stat().st_size for file in files)
    if size < LEAST_TEXT and unpacked_name(files[0]) == files[0] and _format(files[0]) != "parquet":
        raise InputError(
            f"{paths} has {size:,} bytes, and a model is trained on at least {LEAST_TEXT:,}; name more text, or a "
            "model that somebody trained"
        )


def reading_lines(paths: str) -> list[str]:
    """Lines of a params file that say how the files are read, by the beginning of the first of them."""
    first = matching_files(paths)[0]
    if (form := _format(first)) == "text":
        return [f"    separator: {json.dumps(_separator(first))} # between two documents"]
    return [f"    field: {json.dumps(_field(first, form), ensure_ascii=False)} # the key or column that holds the text"]


def _format(file: Path) -> str:
    """What its name says; `text` where that says nothing, which the checks of a run refuse."""
    from polysem.corpora.compressed import unpacked_name
    from polysem.corpora.readers import SUFFIXES

    return SUFFIXES.get(unpacked_name(file).suffix.lower(), "text")


def _separator(file: Path) -> str:
    """What stands between documents."""
    from polysem.corpora.compressed import opened

    with opened(file) as stream:
        text = stream.read(LOOKED_AT).decode("utf-8", "replace")
    return next((separator for separator in SEPARATORS if separator in text), SEPARATORS[0])


def _field(file: Path, form: str) -> str:
    """`text` if rows have it, else the key of which they have most text; `text` again for what cannot be read, as the
    checks of a run say why."""
    found: Counter[str] = Counter()
    try:
        for row in islice(_rows(file, form), ROWS):
            if isinstance(row, dict):
                found.update({name: len(value) for name, value in row.items() if isinstance(value, str)})
    except (InputError, OSError, ValueError):
        return FIELD
    return FIELD if FIELD in found or not found else found.most_common(1)[0][0]


def _rows(file: Path, form: str) -> Iterator[Any]:
    from polysem.corpora.compressed import opened

    if form == "parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(file).iter_batches(batch_size=ROWS):
            yield from batch.to_pylist()
        return
    with opened(file) as stream:
        yield from json.load(stream) if form == "json" else (json.loads(line) for line in stream if line.strip())
