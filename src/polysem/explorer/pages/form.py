"""What the search page is asked: the form's fields, which are those of the API, and the address that says them."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from polysem.explorer.inference.jobs import SearchJob, checked
from polysem.io.errors import InputError

SCALES = {
    "raw": "activation",
    "share": "share of its largest",
    "quantile": "quantile where active",
    "surprise": "surprise in bits",
}
"""The scales in the words of the form."""
KINDS = {"all": "features and neurons", "features": "features", "neurons": "neurons"}
TOPS = (25, 50, 100, 250, 1000)
DENSITIES = {0.001: "0.1 % of tokens", 0.01: "1 % of tokens", 0.1: "10 % of tokens", 1.0: "nothing hidden"}
SEVERAL = ("sites", "dictionaries", "tokens")
"""Fields that may stand several times in an address."""


@dataclass(frozen=True)
class Form:
    """A search as the page's address says it; what is not said has the value here."""

    model: str = ""
    text: str = ""
    top: int = 25
    scale: str = "raw"
    kind: str = "all"
    sites: tuple[str, ...] = ()
    dictionaries: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    density: float = 0.01
    bos: bool = False
    first_model: str = ""
    """The one that is searched where the address names none."""

    def job(self) -> SearchJob:
        """The same for the inference process; InputError for a text that is too long, and the like."""
        return checked(SearchJob, {name: getattr(self, name) for name in self._said()}, "search")

    def address(self, **changed: Any) -> str:
        """The page's address, of this search or of one that differs in some fields."""
        return "/?" + urlencode(self.pairs(**changed)) if self.pairs(**changed) else "/"

    def json_address(self) -> str:
        """The same search as JSON."""
        said = [pair for pair in self.pairs() if pair[0] != "model"]
        return "/api/search?" + urlencode([("model", self.model), *said])

    def address_of(self, page: str) -> str:
        """The address of a feature's page on which the text stands in the box."""
        return f"{page}?{urlencode({'text': self.text})}"

    def pairs(self, **changed: Any) -> list[tuple[str, str]]:
        """Names and values that say this search, or one that differs in some fields."""
        other = replace(self, **changed)
        said = [(name, getattr(other, name)) for name in other._said()]
        if other.model == self.first_model:
            said = [(name, value) for name, value in said if name != "model"]
        return [
            (name, _spelled(one)) for name, value in said for one in (value if isinstance(value, tuple) else (value,))
        ]

    def _said(self) -> list[str]:
        """Names of the fields that differ from what holds without them."""
        return [name for name in SearchJob.model_fields if getattr(self, name) != getattr(Form, name)]


def read_form(params: QueryParams, models: list[str]) -> Form:
    """The search of an address, of the first model unless one is named. InputError, a sentence, for what it cannot say:
    an unknown field, a model that is none of these, a number that is none."""
    if not models:
        raise InputError("this study has no model that reads text; its dictionaries can be browsed")
    text = params.get("text", "").replace("\r\n", "\n")
    given: dict[str, Any] = {"model": models[0], **dict(params), "text": text or "."}
    given |= {name: params.getlist(name) for name in SEVERAL if name in params}
    job = checked(SearchJob, given, "search")
    if job.model not in models:
        raise InputError(f"there is no language model {job.model!r}; there are: {', '.join(models)}")
    values: dict[str, Any] = {name: () if value is None else value for name, value in vars(job).items()}
    return Form(**values | {"text": text}, first_model=models[0])


def _spelled(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "true" if value is True else str(value)
