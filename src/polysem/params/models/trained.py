"""`source: trained`: its keys."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polysem.params.base import Section, Text, Width
from polysem.params.models.language import LanguageModel, check_layers
from polysem.params.models.training import Training
from polysem.params.needs import ModelNeeds


class Architecture(Section):
    """Shape of a transformer trained in the DAG."""

    layers: Annotated[int, Field(ge=1, le=1000)] = 1
    d_model: Width = 128
    """Width of the residual stream."""
    heads: Annotated[int, Field(ge=1, le=1024)] = 4
    """Attention heads; they divide d_model."""
    d_mlp: Width = 512
    """Neurons of a layer."""
    activation: Literal["relu", "gelu", "gelu_new", "silu"] = "relu"
    normalization: Literal["LN", "RMS"] = "LN"
    vocabulary: Annotated[int, Field(ge=257, le=1_000_000)] = 1024
    """Entries of the byte-level BPE trained on the corpus, special tokens included."""

    @model_validator(mode="after")
    def heads_divide(self) -> "Architecture":
        """Each head gets the same share of d_model."""
        if self.d_model % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide d_model = {self.d_model}")
        return self


class TrainedModel(LanguageModel):
    """A language model trained in the DAG on its corpus."""

    source: Literal["trained"]
    bos_token: Text = "<|bos|>"
    mask_tokens: list[str] = ["<|bos|>"]
    architecture: Architecture = Architecture()
    training: Training = Training(tokens=2_000_000, batch_tokens=4096)

    @model_validator(mode="after")
    def sites_exist(self) -> "TrainedModel":
        """Sites beyond the last layer are refused before anything runs."""
        return check_layers(self, self.architecture.layers)

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return []

    def needs(self) -> ModelNeeds:
        """See `ModelSection`."""
        return ModelNeeds(self.training.tokens, self.training.batch_tokens)
