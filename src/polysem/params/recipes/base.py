"""What all SAE recipes share (document S1, "Autoencoder")."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from polysem.params.base import Name, Rate, Section, Seed, Tokens


class Recipe(Section):
    """Hyper-parameters of a sparse autoencoder. A list in place of a value spans a grid; the subclass of each
    architecture stands in a module of the architecture's name."""

    saved_as: ClassVar[str]
    """SAELens's name of the architecture that the finished SAE has."""

    architecture: str
    models: list[Name] | Literal["all"] = "all"
    """Models at whose sites the recipe is trained."""
    expansion: Annotated[int, Field(ge=1, le=1024)] = 8
    """Features per input: the SAE has `expansion` times as many features as the site has neurons."""
    tokens: Tokens = 1_000_000
    """Activation rows to train on; above the number of stored rows they are repeated in another order."""
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] = 1024
    """Activation rows per step."""
    normalize_activations: bool = True
    """Train on activations scaled to a mean norm of sqrt(neurons), so that one L1 weight suits many sites; the scale is
    folded into the saved weights."""
    learning_rate: Rate = 1e-3
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of steps in which the learning rate rises from 0."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of steps at the end in which the learning rate falls to 0."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Adam's decay of the mean gradient."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Adam's decay of the mean squared gradient."""
    seed: Seed = 0
    """Seed of the initial weights and of the order of the rows."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads; a param because another number rounds sums in another order."""
