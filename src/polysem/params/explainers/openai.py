"""`source: openai`: its keys."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from polysem.params.base import Text
from polysem.params.explainers.base import Explainer


def check_address(address: str) -> str:
    """The same without a slash at its end; ValueError for what is no address of HTTP, or names a user or a key."""
    scheme, _, rest = address.partition("://")
    if scheme not in ("http", "https") or not rest.partition("/")[0] or any(sign in rest for sign in "@?# \n"):
        raise ValueError(
            f"{address!r} is no address; write it as 'http://localhost:8000/v1', without user, key and question mark"
        )
    return address.rstrip("/")


def check_variable(name: str) -> str:
    """The same; ValueError, which does not repeat it, for what is no name in capitals: it may be a key."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name, re.ASCII):
        raise ValueError("it is to be the name of an environment variable in capitals, as OPENAI_API_KEY; never a key")
    return name


class OpenaiExplainer(Explainer):
    """A server that speaks the protocol of OpenAI (`/chat/completions`): OpenAI itself, vLLM, llama.cpp, Ollama."""

    source: Literal["openai"]
    address: Annotated[str, AfterValidator(check_address)]
    """Address before `/chat/completions`: `http://localhost:8000/v1`."""
    model: Text
    """Name of the model there."""
    key: Annotated[str, AfterValidator(check_variable)] | None = None
    """Name of the environment variable, in capitals, that holds the key, which itself stands in no file. null: none is
    needed."""
    timeout: Annotated[float, Field(gt=0, le=3600)] = 60
    """Seconds after which an answer is given up."""
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    """How often a question is asked again that the server is too busy for."""

    def outside_files(self) -> list[str]:
        """See `Entry`: there are none."""
        return []

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.explanations.language.openai"]
