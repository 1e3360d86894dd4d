"""Searches in words: which features are strongest on a text, by names, numbers and texts alone; no torch.

`polysem.study.engine` answers them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from polysem.io.errors import InputError
from polysem.params.base import Section
from polysem.params.explain import explain
from polysem.study.showing import table

if TYPE_CHECKING:
    import pandas as pd

    from polysem.study.model import Model
    from polysem.study.study import Study

Scale = Literal["raw", "share", "quantile", "surprise"]
Kind = Literal["features", "neurons", "all"]
TEXT = 800
"""Characters of a text, at most."""
TOP = 1000
"""Results of a search, at most."""
NAMES = 1000
"""Names, or positions of tokens, that a query may list."""


def readable(text: str) -> str:
    """The same; ValueError for a text that is empty, too long, or holds what is no character."""
    if not text:
        raise ValueError("the text is empty; give one with at least one token")
    if len(text) > TEXT:
        raise ValueError(f"the text has {len(text):,} characters, and {TEXT} are allowed; give a shorter one")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ValueError(
            f"the text cannot be read: its character {error.start}, {half!r}, is half of a surrogate pair and no "
            "character of Unicode; decode the text as what it is, UTF-8 or UTF-16"
        ) from None
    return text


ReadText = Annotated[str, AfterValidator(readable), Field(json_schema_extra={"minLength": 1, "maxLength": TEXT})]
"""A text that a model is asked about."""
Place = Annotated[int, Field(ge=0)]


class Query(Section):
    """A text, and which of the features that are active on it are wanted."""

    text: ReadText
    """What the model reads, up to 800 characters; its BOS token is put in front, as it was in the corpus."""
    top: int = Field(25, ge=1, le=TOP)
    """How many features, at most."""
    scale: Scale = "raw"
    """What they are ranked by: the activation (`raw`), its `share` of the feature's largest on the eval tokens, its
    `quantile` among the feature's active eval tokens, or its `surprise`, −log₂ P(f ≥ a) in bits."""
    sites: tuple[str, ...] | None = Field(None, min_length=1, max_length=NAMES)
    """Names of sites; all without any."""
    dictionaries: tuple[str, ...] | None = Field(None, min_length=1, max_length=NAMES)
    """Names of dictionaries; all without any."""
    kind: Kind = "all"
    """`features` of SAEs and transcoders, `neurons`, or `all`."""
    tokens: tuple[Place, ...] | None = Field(None, min_length=1, max_length=NAMES)
    """Positions of the tokens that count, from 0, the BOS token where there is one; all without any."""
    density: float = Field(0.01, gt=0, le=1)
    """Features that are active on a larger share of the eval tokens are left out."""
    bos: bool = False
    """Whether BOS and other tokens that no statistic counts do count here; they do if `tokens` names them."""


def asked(
    text: str,
    top: int,
    scale: str,
    sites: str | Sequence[str] | None,
    dictionaries: str | Sequence[str] | None,
    kind: str,
    tokens: int | Sequence[int] | None,
    density: float,
    bos: bool,
) -> Query:
    """The query of values as somebody gives them in Python: one name, or several. InputError, a sentence, for what is
    not allowed."""
    values = {"text": text, "top": top, "scale": scale, "kind": kind, "density": density, "bos": bos}
    for key, given in {"sites": sites, "dictionaries": dictionaries, "tokens": tokens}.items():
        values[key] = given if given is None else (given,) if isinstance(given, str | int) else tuple(given)
    try:
        return Query.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, Query, "search")) from None


@dataclass(frozen=True)
class SearchResult:
    """A feature that is active on a text."""

    model: str
    """Name of the model."""
    site: str
    """Hook name of the site."""
    dictionary: str
    """Name of the dictionary, `neurons` or that of an SAE."""
    feature: int
    """Its number."""
    label: str | None
    """What people call it; None where nobody labelled it."""
    value: float
    """Its largest activation on the tokens that count."""
    scaled: float
    """The same on the scale that the results are ranked by."""
    token: str
    """The token on which it is largest."""
    position: int
    """Where this token stands."""
    activations: list[float]
    """Its activation on each token of the text."""
    frequency: float | None
    """Share of the eval tokens on which it is active; None where that was not measured."""


@dataclass(frozen=True)
class SearchResults:
    """The features that are strongest on a text, the strongest first; `Study.search` gives them.

    >>> import polysem
    >>> found = polysem.open("results").search("Once upon a time", density=1)
    >>> found.tokens[0], len(found)
    ('<|bos|>', 25)
    >>> list(found.frame().columns[:4])
    ['model', 'site', 'dictionary', 'feature']
    """

    model: str
    """The model that read the text."""
    text: str
    """The text."""
    ids: list[int]
    """Its tokens by their numbers, the BOS token in front where the model has one."""
    tokens: list[str]
    """The same as texts."""
    counted: list[bool]
    """Which of them count: not BOS and masked ones, unless they were asked for, and only those that were chosen."""
    results: list[SearchResult]
    """The features."""
    notes: list[str]
    """Which dictionaries could not be ranked, and why, as sentences."""

    def __len__(self) -> int:
        """Number of features."""
        return len(self.results)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, as `/api/search` of the explorer answers."""
        return asdict(self)

    def frame(self) -> "pd.DataFrame":
        """The features as a pandas DataFrame, one in a row, with the columns of `SearchResult`."""
        import pandas as pd

        columns = [one.name for one in fields(SearchResult)]
        return pd.DataFrame([[getattr(result, name) for name in columns] for result in self.results], columns=columns)

    def _repr_html_(self) -> str:
        rows = [
            (f"{one.site}/{one.dictionary}", str(one.feature), one.label or "", f"{one.scaled:.4g}", one.token)
            for one in self.results
        ]
        columns = ("dictionary", "feature", "label", "activation", "token")
        return table(f"{self.model} on {self.text!r}", columns, rows, " ".join(self.notes))


@dataclass(frozen=True)
class TextActivations:
    """Activations of some features on a text."""

    ids: list[int]
    """Its tokens by their numbers."""
    tokens: list[str]
    """The same as texts."""
    counted: list[bool]
    """Which of them statistics count: not BOS and masked ones."""
    activations: list[list[float]]
    """For each feature its activation on each token."""


def labelled(study: "Study", found: SearchResults) -> SearchResults:
    """The same with what people call the features."""
    results = [replace(one, label=label_of(study[one.model], one)) for one in found.results]
    return replace(found, results=results)


def label_of(model: "Model", found: SearchResult) -> str | None:
    """What people call a feature, in one text; None where nobody labelled it."""
    dictionary = model[found.site][found.dictionary]
    return "; ".join(dict.fromkeys(label.text for label in dictionary.labels.get(found.feature, []))) or None
