"""What the inference process is asked, and what it answers, as plain values that are the same on both sides."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

TEXT = 800
"""Characters of a text, at most."""
TOP = 1000
TEXTS, FEATURES = 64, 64
"""Texts and features of one test, at most."""
Scale = Literal["raw", "share", "quantile", "surprise"]
Kind = Literal["features", "neurons", "all"]
Text = Field(min_length=1, max_length=TEXT)


class Job(BaseModel):
    """Values that two equal requests share; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SearchJob(Job):
    """A text, and which of the strongest features of it are wanted."""

    model: str = Field(description="A language model of the study, by its name.")
    text: str = Field(min_length=1, max_length=TEXT, description="What the model reads; its BOS token is put in front.")
    top: int = Field(25, ge=1, le=TOP, description="How many results, at most.")
    scale: Scale = Field("raw", description="What features are ranked by.")
    sites: tuple[str, ...] | None = Field(None, description="Sites, by their names; all without any.")
    dictionaries: tuple[str, ...] | None = Field(None, description="Dictionaries, by their names; all without any.")
    kind: Kind = Field("all", description="Features of SAEs and transcoders, neurons, or both.")
    tokens: tuple[int, ...] | None = Field(
        None, description="Positions of the tokens that count, from 0; all but BOS without any."
    )
    density: float = Field(0.01, gt=0, le=1, description="Features active on a larger share of eval tokens are hidden.")
    bos: bool = Field(False, description="Whether BOS and masked tokens count, too.")


class ActivationsJob(Job):
    """Some texts, and some features of one dictionary whose activations on them are wanted."""

    place: str = Field(description="model/site/dictionary.")
    features: tuple[int, ...] = Field(min_length=1, max_length=FEATURES, description="Features, by their numbers.")
    texts: tuple[str, ...] = Field(min_length=1, max_length=TEXTS, description="Each at most 800 characters long.")
