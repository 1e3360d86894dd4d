"""How models are trained in the DAG."""

from typing import Annotated

from pydantic import Field

from polysem.params.base import Rate, Section, Seed, Tokens


class Training(Section):
    """AdamW with a linear warm-up and a cosine schedule to zero."""

    tokens: Tokens
    """Tokens (for classifiers: images) to train on, with repeats."""
    batch_tokens: Annotated[int, Field(ge=1, le=100_000_000)]
    """Tokens (for classifiers: images) per step."""
    learning_rate: Rate = 3e-3
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of steps in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.1
    seed: Seed = 0
    """Seed of the initial weights and of the order of the data."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads; a param because another number rounds sums in another order."""
