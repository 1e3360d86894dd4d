"""The step that makes the index of a model: a part for each dictionary, and one to search all of them by tokens."""

import json
from collections.abc import Iterator
from pathlib import Path

from polysem.index.feature_index import FeatureIndex
from polysem.index.stored_rows import FILES, write_rows
from polysem.index.token_search import Row, write_token_search
from polysem.index.top_tokens import Name, naming, top_tokens
from polysem.io.content import file_digest, text_digest
from polysem.io.folders import artifact_digests, renewed_folder
from polysem.layout.place import RESULTS, Place

SEARCH = "search"
"""What the receipt calls the search by tokens; parts are called `site/dictionary`."""
SEARCHED = ("examples", "frequency")
"""The tables that the search by tokens is made from."""


def index_features(
    model: str,
    dictionaries: list[tuple[str, str]],
    code: str,
    tokenizer: Path | None = None,
    images: Path | None = None,
    root: str = RESULTS,
) -> None:
    """Write the folder `Place.index`: a part for each dictionary whose tables are others than before, the search by
    tokens if any of what it holds is, and then the receipt of them all.

    Args:
        model: The model.
        dictionaries: Site and name of each of its dictionaries.
        code: Digest of the code that makes the index.
        tokenizer: `tokenizer.json` of a language model.
        images: Token store of a classifier, in its place.
        root: The folder of all artifacts.

    Raises InputError for tables or receipts that are missing or cannot be read.
    """
    place = Place(model, root=root)
    parts = {f"{site}/{dictionary}": place.at(site, dictionary) for site, dictionary in dictionaries}
    tables = {name: artifact_digests(Path(part.tables_receipt)) for name, part in parts.items()}
    searched = {name: [tables[name][table] for table in SEARCHED] for name in parts}
    digests = {name: _digest(code, tables[name]) for name in parts}
    digests[SEARCH] = _digest(code, [searched, _named_by(tokenizer, images)])
    with renewed_folder(Path(place.index.path), digests) as renewal:
        for name, part in parts.items():
            if name in renewal.missing:
                folder = renewal.folder / name
                folder.mkdir(parents=True)
                write_rows(folder, Path(part.tables), tables[name])
                header, *beside = (f"{name}/{file}" for file in FILES)
                renewal.add(name, header, *beside)
        if SEARCH in renewal.missing:
            called, file = naming(tokenizer, images), Path(place.token_search).name
            rows = ((part.site, part.dictionary, _rows(renewal.folder / name, called)) for name, part in parts.items())
            write_token_search(renewal.folder / file, rows)
            renewal.add(SEARCH, file)


def _digest(code: str, read: object) -> str:
    return text_digest(json.dumps([code, read], sort_keys=True))


def _named_by(tokenizer: Path | None, images: Path | None) -> str:
    """The digest of what tokens are called by; of images that of the receipt of their store."""
    if tokenizer is not None:
        return file_digest(tokenizer)
    from polysem.io.stores import receipt_path

    return "" if images is None else file_digest(receipt_path(images))


def _rows(folder: Path, called: Name) -> Iterator[Row]:
    index = FeatureIndex(folder)
    frequencies = index.column("frequency", "frequency").tolist()
    for feature, (frequency, tokens) in enumerate(zip(frequencies, top_tokens(index, called), strict=True)):
        yield Row(feature, frequency, tokens)
