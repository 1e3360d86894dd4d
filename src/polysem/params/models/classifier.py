"""`source: classifier`: its keys."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from polysem.params.base import Activations, FilePath, ModelSection, Name, Width
from polysem.params.models.language import check_sites
from polysem.params.models.training import Training
from polysem.params.needs import ModelNeeds


class ClassifierModel(ModelSection):
    """A multi-layer perceptron on images, trained in the DAG or read from a file; its sites are
    `layers.<i>.hook_post`."""

    source: Literal["classifier"]
    corpus: Name
    """Key under `corpora:`, one of images."""
    hidden: Annotated[list[Width], Field(min_length=1, max_length=100)] = [64]
    """Neurons of each hidden layer."""
    activation: Literal["relu", "gelu"] = "relu"
    sites: list[str] = ["layers.0.hook_post"]
    """Hidden layers whose activations are studied."""
    weights: FilePath | None = None
    """A local `.pt` or `.safetensors` file of `layers.<i>.weight` and `layers.<i>.bias`, read in place of training."""
    input_mean: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    """What `weights` were trained with: the mean subtracted from each pixel in [0, 1]."""
    input_std: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """What `weights` were trained with: the divisor of each pixel."""
    training: Training = Training(tokens=60_000, batch_tokens=64, weight_decay=0.01)
    activations: Activations = Activations(train_tokens=1_000_000, eval_tokens=1_000_000, dtype="float32")

    @model_validator(mode="after")
    def sites_exist(self) -> "ClassifierModel":
        """A classifier has one site per hidden layer."""
        check_sites(self.sites, self.available_sites())
        return self

    @model_validator(mode="after")
    def pixels_are_scaled_for_given_weights_alone(self) -> "ClassifierModel":
        """Classifiers that are trained here read pixels in [0, 1]."""
        if self.weights is None and (self.input_mean, self.input_std) != (0.0, 1.0):
            raise ValueError("input_mean and input_std belong to weights, and none are given")
        return self

    @model_validator(mode="after")
    def images_have_no_first_token(self) -> "ClassifierModel":
        """An image is a sequence of one position: without the first there is nothing."""
        if self.activations.leave_out == "first":
            raise ValueError(
                "activations.leave_out is 'first', the first token of each text, and a classifier reads images; "
                "allowed here: massive, none"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """How pixels were scaled for weights that somebody else trained."""
        return {} if self.weights is None else {"input_mean": self.input_mean, "input_std": self.input_std}

    def available_sites(self) -> list[str]:
        """One site per hidden layer."""
        return [f"layers.{layer}.hook_post" for layer in range(len(self.hidden))]

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return [] if self.weights is None else [self.weights]

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.models.classifier"]

    def needs(self) -> ModelNeeds:
        """See `ModelSection`."""
        return ModelNeeds() if self.weights else ModelNeeds(self.training.tokens, self.training.batch_tokens)

    def files(self) -> list[str]:
        """See `ModelSection`."""
        return ["config.json", "model.safetensors"]
