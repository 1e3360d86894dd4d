"""`source: numerals`: its keys."""

from typing import Annotated, Literal

from pydantic import Field

from polysem.params.base import CorpusSection


class NumeralsCorpus(CorpusSection):
    """Sums in words, each a document."""

    source: Literal["numerals"]
    documents: Annotated[int, Field(ge=10, le=1_000_000)]
    """How many."""
