"""`source: classifier`: its keys."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polysem.params.base import Activations, ModelSection, Name, Width
from polysem.params.models.language import check_sites
from polysem.params.models.training import Training


class ClassifierModel(ModelSection):
    """A multi-layer perceptron on images, trained in the DAG; its sites are `layers.<i>.hook_post`."""

    source: Literal["classifier"]
    corpus: Name
    """Key under `corpora:`, one of images."""
    hidden: Annotated[list[Width], Field(min_length=1, max_length=100)] = [64]
    """Neurons of each hidden layer."""
    activation: Literal["relu", "gelu"] = "relu"
    sites: list[str] = ["layers.0.hook_post"]
    """Hidden layers whose activations are studied."""
    training: Training = Training(tokens=60_000, batch_tokens=64, weight_decay=0.01)
    activations: Activations = Activations(train_tokens=1_000_000, eval_tokens=1_000_000, dtype="float32")

    @model_validator(mode="after")
    def sites_exist(self) -> "ClassifierModel":
        """A classifier has one site per hidden layer."""
        check_sites(self.sites, self.available_sites())
        return self

    def available_sites(self) -> list[str]:
        """One site per hidden layer."""
        return [f"layers.{layer}.hook_post" for layer in range(len(self.hidden))]
