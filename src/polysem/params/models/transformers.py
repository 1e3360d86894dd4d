"""`source: transformers`: its keys."""

from typing import Literal

from pydantic import model_validator

from polysem.params.base import FilePath, Text
from polysem.params.models.language import LanguageModel, check_layers
from polysem.params.models.shape import Shape


class TransformersModel(LanguageModel):
    """A language model of the Hugging Face hub, or a local copy of one."""

    source: Literal["transformers"]
    repository: Text
    """Hub id, `raincandy-u/TinyStories-656K`."""
    revision: Text = "main"
    """Commit, tag or branch; a commit makes the run reproducible."""
    local_copy: FilePath | None = None
    """A local folder (config.json, model.safetensors or pytorch_model.bin, tokenizer.json) to read in place of the
    hub."""
    tokenizer: FilePath | None = None
    """Hub id or local `tokenizer.json`, where the repository has none."""
    shape: Shape | None = None
    """What its config says, to plan and check a run before it is downloaded; compared with that of a local copy."""

    @model_validator(mode="after")
    def sites_exist(self) -> "TransformersModel":
        """Sites beyond the last layer are refused, if the layers are known."""
        return self if self.shape is None else check_layers(self, self.shape.layers)
