"""What language models have in common that somebody else trained."""

from typing import Any, Self

from pydantic import model_validator

from polysem.params.base import FilePath, HubId, Text
from polysem.params.models.language import LanguageModel, check_layers
from polysem.params.models.shape import Shape


class ImportedModel(LanguageModel):
    """A repository of the Hugging Face hub, or a local copy of one."""

    repository: HubId
    """Hub id, `raincandy-u/TinyStories-656K`."""
    revision: Text = "main"
    """Commit, tag or branch; a commit makes the run reproducible."""
    local_copy: FilePath | None = None
    """A local folder of the repository's files (config.json, weights, tokenizer.json) to read in place of the hub."""
    tokenizer: FilePath | None = None
    """Hub id or local `tokenizer.json`, where the repository has none."""
    shape: Shape | None = None
    """What its config says, to plan and check a run before it is downloaded; compared with that of a local copy."""

    @model_validator(mode="after")
    def sites_exist(self) -> Self:
        """Sites beyond the last layer are refused, if the layers are known."""
        return self if self.shape is None else check_layers(self, self.shape.layers)

    def origin(self) -> dict[str, Any]:
        """The keys that say where the model comes from."""
        return self.model_dump(mode="json", include={"repository", "revision", "local_copy", "tokenizer"})
