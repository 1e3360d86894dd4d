"""`source: transformer_lens`: its keys."""

from typing import Literal

from pydantic import model_validator

from polysem.params.models.imported import ImportedModel, is_gguf


class TransformerLensModel(ImportedModel):
    """An older TransformerLens model repository of the hub (`NeelNanda/GELU_1L512W_C4_Code`, weights in one
    *final.pth), or a local copy of one."""

    source: Literal["transformer_lens"]

    @model_validator(mode="after")
    def local_copy_is_a_folder(self) -> "TransformerLensModel":
        """Its repositories are folders."""
        if is_gguf(self.local_copy):
            raise ValueError(f"local_copy {self.local_copy!r} is a GGUF file, which `source: transformers` reads")
        return self
