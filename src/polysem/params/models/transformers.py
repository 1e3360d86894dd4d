"""`source: transformers`: its keys."""

from typing import Annotated, Literal

from pydantic import Field

from polysem.params.models.language import LanguageModel


class TransformersModel(LanguageModel):
    """A language model of the Hugging Face hub, or a local copy of one."""

    source: Literal["transformers"]
    repository: Annotated[str, Field(min_length=1)]
    """Hub id, `raincandy-u/TinyStories-656K`."""
    revision: str = "main"
    """Commit, tag or branch; a commit makes the run reproducible."""
    local_copy: str | None = None
    """A local folder (config.json, model.safetensors, tokenizer.json) to read in place of the hub."""
    tokenizer: str | None = None
    """Hub id or local `tokenizer.json`, where the repository has none."""
