"""`source: transformers`: its keys."""

from typing import Literal

from polysem.params.models.imported import ImportedModel


class TransformersModel(ImportedModel):
    """A language model of the Hugging Face hub (weights in model.safetensors or pytorch_model.bin), or a local copy of
    one, which may be a GGUF file."""

    source: Literal["transformers"]
