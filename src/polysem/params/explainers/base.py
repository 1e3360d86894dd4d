"""What explainers have in common that are language models."""

from typing import Annotated, Literal

from pydantic import Field

from polysem.params.base import Entry, Name, Seed

Score = Literal["simulation", "detection", "fuzzing"]
RESERVED = ("tag", "pattern", "token", "n-gram", "unigram")
"""Explainers that need no model, a name that no entry may have."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Explainer(Entry):
    """An entry under `explainers:`; the subclass of each source stands in a module of the source's name."""

    source: str
    models: Literal["all"] | list[Name] = "all"
    """The language models whose features it explains."""
    features: Count = 10
    """Features of each dictionary, evenly spread over those that are explained."""
    examples: Annotated[int, Field(ge=1, le=100)] = 10
    """Examples that a question shows: so many active ones, half of them the strongest."""
    scores: list[Score] = []
    """For which scores it is asked to predict by its own explanation; without them it has texts and no scores."""
    scored_examples: Annotated[int, Field(ge=2, le=1000)] = 10
    """Held-out examples that it is asked about for each score, half of them active, or strongest."""
    contexts_per_call: Annotated[int, Field(ge=1, le=100)] = 5
    """Contexts of one question of detection and fuzzing; simulation asks about one."""
    answer_tokens: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Tokens of an answer, at most."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0
    """0: the likeliest token each time."""
    seed: Seed = 0
    """Seed of drawn answers, where the temperature is not 0."""
    most_calls: Count = 1000
    """Questions about the features of one model, beyond which no more are asked; kept answers do not count."""
    most_tokens: Annotated[int, Field(ge=1, le=1_000_000_000_000)] = 1_000_000
    """Tokens of questions and answers about the features of one model, beyond which no more is asked."""

    def explains(self, model: str) -> bool:
        """Whether it explains features of a model."""
        return self.models == "all" or model in self.models

    def calls(self) -> int:
        """Questions about one feature, at most."""
        together = -(-self.scored_examples // self.contexts_per_call)
        return 1 + sum(self.scored_examples if score == "simulation" else together for score in set(self.scores))
