"""`source: files`: its keys."""

from typing import Annotated, Literal

from pydantic import Field

from polysem.params.base import CorpusSection, Documents
from polysem.params.proxies import DEFAULT_PROXIES, Proxies


class FilesCorpus(CorpusSection):
    """Text from local files."""

    source: Literal["files"]
    paths: str | list[str]
    """A path or glob, or a list of them; relative ones start at the folder of the Snakefile."""
    format: Literal["text", "jsonl", "parquet"] = "text"
    """`text`: documents between separators; `jsonl`: a JSON object per line; `parquet`: a row per document."""
    separator: Annotated[str, Field(min_length=1)] = "<|endoftext|>"
    """What stands between two documents of a `text` file."""
    field: Annotated[str, Field(min_length=1)] = "text"
    """Key or column that holds the text of `jsonl` and `parquet` files."""
    eval_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of documents in the eval split, chosen by a hash of their text."""
    limit: Documents | None = None
    """Take at most this many documents, the first ones met."""
    proxies: Proxies = DEFAULT_PROXIES
    """Regular expressions by name; what they match is tagged `proxy:NAME` in place of a known truth. `{}`: none."""
