"""`source: huggingface`: its keys."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from polysem.params.base import CorpusSection, Documents, FilePath, Text
from polysem.params.needs import CorpusNeeds
from polysem.params.proxies import DEFAULT_PROXIES, Proxies


class HuggingFaceCorpus(CorpusSection):
    """A text data set of the Hugging Face hub, streamed, or a local copy of it."""

    source: Literal["huggingface"]
    dataset: Text
    """Hub id, `roneneldan/TinyStories`."""
    config: Text | None = None
    """Configuration of the data set, where it has several."""
    split: Text = "train"
    """Split that train documents come from."""
    eval_split: Text | None = None
    """Split that eval documents come from; without one, `eval_share` of `split` is set aside."""
    field: Text = "text"
    """Column that holds the text."""
    revision: Text = "main"
    """Commit, tag or branch; a commit makes the run reproducible."""
    limit: Documents = 100_000
    """Take at most this many documents of each split, the first ones met."""
    eval_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of documents set aside for eval where there is no `eval_split`, chosen by a hash of their text."""
    local_copy: FilePath | None = None
    """A local file, folder or glob (`.txt`, `.jsonl`, `.json`, `.parquet`, also `.txt.gz` …) to read in place of
    the hub."""
    separator: Text = "<|endoftext|>"
    """What stands between two documents of a `.txt` local copy."""
    proxies: Proxies = DEFAULT_PROXIES
    """Regular expressions by name; what they match is tagged `proxy:NAME` in place of a known truth. `{}`: none."""

    @model_validator(mode="after")
    def one_document_is_not_split(self) -> Self:
        """Both splits need a document."""
        if self.limit == 1 and (self.eval_split is None or self.local_copy is not None):
            raise ValueError("limit is 1, but both splits need a document; raise it, or give eval_split")
        return self

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return [] if self.local_copy is None else [self.local_copy]

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.corpora.sources.huggingface.make"]

    def needs(self) -> CorpusNeeds:
        """See `CorpusSection`."""
        if self.local_copy is not None:
            return CorpusNeeds(None, memory=None, missing="as large as the files that it is read from")
        return CorpusNeeds(None, None, None, f"how long the documents of {self.dataset} are; limit bounds their number")
