"""`source: numerals`: its keys."""

from typing import Annotated, Literal

from pydantic import Field

from polysem.params.base import CorpusSection
from polysem.params.needs import CorpusNeeds


class NumeralsCorpus(CorpusSection):
    """Sums in words, each a document."""

    source: Literal["numerals"]
    documents: Annotated[int, Field(ge=10, le=1_000_000)]
    """How many."""

    def outside_files(self):
        """None: it is made of numbers."""
        return []

    def modules(self):
        """What makes it."""
        return ["polysem_extras.numerals.make"]

    def needs(self):
        """A few words for each document."""
        return CorpusNeeds(20.0 * self.documents)
