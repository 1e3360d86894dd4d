"""`source: transformer_lens`: its keys."""

from typing import Literal

from polysem.params.models.imported import ImportedModel


class TransformerLensModel(ImportedModel):
    """An older TransformerLens model repository of the hub (`NeelNanda/GELU_1L512W_C4_Code`, weights in one
    *final.pth), or a local copy of one."""

    source: Literal["transformer_lens"]
