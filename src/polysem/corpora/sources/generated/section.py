"""`source: generated`: its keys."""

from typing import Literal

from polysem.params.base import CorpusSection, Documents, Seed, Share
from polysem.params.needs import STORY_BYTES, STORY_TOKENS, TOKEN_BYTES, CorpusNeeds


class GeneratedCorpus(CorpusSection):
    """Stories from the project's own grammar, with ground-truth tags on every span."""

    source: Literal["generated"]
    seed: Seed = 0
    """Seed of the generator; another seed gives other stories."""
    train_documents: Documents = 40_000
    """Documents in the train split."""
    eval_documents: Documents = 4_000
    """Documents in the eval split; none of them occurs in the train split."""
    other_kinds: Share = 0.084
    """Share of documents that are no stories: base64, DNA, code, Arabic and Hebrew letters, hexadecimal digests and
    product keys, in equal parts."""

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return []

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.corpora.sources.generated.make"]

    def needs(self) -> CorpusNeeds:
        """See `CorpusSection`."""
        documents = {"train": self.train_documents, "eval": self.eval_documents}
        stored = {split: float(number * STORY_TOKENS * TOKEN_BYTES) for split, number in documents.items()}
        return CorpusNeeds(float(STORY_BYTES * sum(documents.values())), stored=stored)
