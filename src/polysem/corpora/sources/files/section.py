"""`source: files`: its keys."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from polysem.params.base import CorpusSection, Text, possible_path
from polysem.params.needs import CorpusNeeds
from polysem.params.proxies import DEFAULT_PROXIES, Proxies


def named_paths(paths: str | list[str]) -> str | list[str]:
    """The same; ValueError where there is none, or one that no file can have."""
    if not paths:
        raise ValueError("it names no file; give at least one path or glob")
    for path in [paths] if isinstance(paths, str) else paths:
        possible_path(path)
    return paths


class FilesCorpus(CorpusSection):
    """Text from local files."""

    source: Literal["files"]
    paths: Annotated[str | list[str], AfterValidator(named_paths)]
    """A path or glob, or a list of them; relative ones start at the folder of the Snakefile."""
    format: Literal["text", "jsonl", "json", "parquet"] | None = None
    """`text`: documents between separators; `jsonl`: a JSON object or text per line; `json`: an array of them;
    `parquet`: a row per document. Null: each file's name says it (`.jsonl`, `.json`, `.parquet`, else text).
    Files that are compressed (`.gz`, `.bz2`, `.xz`, `.zst`) are unpacked, but for Parquet. Rows whose text is null or
    blank are left out and counted."""
    separator: Text = "<|endoftext|>"
    """What stands between two documents of a `text` file."""
    field: Text = "text"
    """Key or column that holds the text of JSON objects and Parquet rows."""
    eval_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of documents in the eval split, chosen by a hash of their text."""
    limit: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = None
    """Take at most this many documents, the first ones met; two at least, as both splits need one."""
    proxies: Proxies = DEFAULT_PROXIES
    """Regular expressions by name; what they match is tagged `proxy:NAME` in place of a known truth. `{}`: none."""

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return [self.paths] if isinstance(self.paths, str) else self.paths

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.corpora.sources.files.make"]

    def needs(self) -> CorpusNeeds:
        """See `CorpusSection`."""
        return CorpusNeeds(None, memory=None, missing="as large as the files that it is read from")
