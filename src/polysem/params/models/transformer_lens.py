"""`source: transformer_lens`: its keys."""

from typing import Literal

from pydantic import model_validator

from polysem.params.base import FilePath, Text
from polysem.params.models.language import LanguageModel, check_layers
from polysem.params.models.shape import Shape


class TransformerLensModel(LanguageModel):
    """An older TransformerLens model repository of the hub (`NeelNanda/GELU_1L512W_C4_Code`), or a local copy of
    one."""

    source: Literal["transformer_lens"]
    repository: Text
    """Hub id."""
    revision: Text = "main"
    """Commit, tag or branch; a commit makes the run reproducible."""
    local_copy: FilePath | None = None
    """A local folder of the same files to read in place of the hub."""
    tokenizer: FilePath | None = None
    """Hub id or local `tokenizer.json`, where the repository has none."""
    shape: Shape | None = None
    """What its config says, to plan and check a run before it is downloaded; compared with that of a local copy."""

    @model_validator(mode="after")
    def sites_exist(self) -> "TransformerLensModel":
        """Sites beyond the last layer are refused, if the layers are known."""
        return self if self.shape is None else check_layers(self, self.shape.layers)
