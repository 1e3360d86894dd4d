"""What language models have in common that somebody else trained."""

from typing import Any, Self

from pydantic import model_validator

from polysem.io.files import expanded
from polysem.params.base import FilePath, HubId, Text
from polysem.params.models.language import LanguageModel, check_layers
from polysem.params.models.shape import Shape
from polysem.params.needs import ModelNeeds

GGUF = ".gguf"


def is_gguf(local_copy: str | None) -> bool:
    """Whether a local copy is one file, as llama.cpp reads them, and no folder."""
    return local_copy is not None and local_copy.lower().endswith(GGUF)


class ImportedModel(LanguageModel):
    """A repository of the Hugging Face hub, or a local copy of one."""

    repository: HubId
    """Hub id, `raincandy-u/TinyStories-656K`."""
    revision: Text = "main"
    """Commit, tag or branch; a commit makes the run reproducible."""
    local_copy: FilePath | None = None
    """A local folder of the repository's files (config.json, weights, tokenizer.json) to read in place of the hub, or,
    with `source: transformers`, a local `.gguf` file."""
    tokenizer: FilePath | None = None
    """Hub id or local `tokenizer.json`, where the repository has none."""
    shape: Shape | None = None
    """What its config says, to plan and check a run before it is downloaded; compared with that of a local copy."""

    @model_validator(mode="after")
    def sites_exist(self) -> Self:
        """Sites beyond the last layer are refused, if the layers are known."""
        return self if self.shape is None else check_layers(self, self.shape.layers)

    def outside_files(self) -> list[str]:
        """See `Entry`; a tokenizer that is no file can only be a hub id."""
        named = self.tokenizer if self.tokenizer and expanded(self.tokenizer).is_file() else None
        return [path for path in (named, self.local_copy) if path is not None]

    def needs(self) -> ModelNeeds:
        """See `ModelSection`."""
        return ModelNeeds(is_downloaded=self.local_copy is None)

    def files(self) -> list[str]:
        """See `ModelSection`."""
        return [*super().files(), "origin.json"]

    @property
    def form(self) -> str:
        """The form of its files: that of its source, but for a GGUF file."""
        return "gguf" if is_gguf(self.local_copy) else self.source

    @property
    def reader(self) -> str:
        """The module that reads files of this form."""
        return f"polysem.models.sources.{self.form}"

    def origin(self) -> dict[str, Any]:
        """The keys that say where the model comes from."""
        return self.model_dump(mode="json", include={"repository", "revision", "local_copy", "tokenizer"})
