"""Searches in words: which features are strongest on a text, by names, numbers and texts alone; no torch.

`polysem.study.engine` answers them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from polysem.io.errors import InputError
from polysem.params.explain import nearest
from polysem.study.showing import table

if TYPE_CHECKING:
    import pandas as pd

Scale = Literal["raw", "share", "quantile", "surprise"]
Kind = Literal["features", "neurons", "all"]
TEXT = 800
"""Characters of a text, at most."""
TOP = 1000
"""Results of a search, at most."""


@dataclass(frozen=True)
class Query:
    """A text, and which of the features that are active on it are wanted. Raises InputError for what cannot be.

    Attributes:
        text: What the model reads, up to 800 characters; its BOS token is put in front, as it was in the corpus.
        top: How many features, at most.
        scale: What they are ranked by: the activation (`raw`), its `share` of the feature's largest on the eval tokens,
            its `quantile` among the feature's active eval tokens, or its `surprise`, −log₂ P(f ≥ a) in bits.
        sites: Names of sites; all without any.
        dictionaries: Names of dictionaries; all without any.
        kind: `features` of SAEs and transcoders, `neurons`, or `all`.
        tokens: Positions of the tokens that count, from 0, the BOS token where there is one; all without any.
        density: Features that are active on a larger share of the eval tokens are left out.
        bos: Whether BOS and other tokens that no statistic counts do count here; they do if `tokens` names them.
    """

    text: str
    top: int = 25
    scale: Scale = "raw"
    sites: tuple[str, ...] | None = None
    dictionaries: tuple[str, ...] | None = None
    kind: Kind = "all"
    tokens: tuple[int, ...] | None = None
    density: float = 0.01
    bos: bool = False

    def __post_init__(self) -> None:
        require_text(self.text)
        require_number("top", self.top, 1, TOP)
        for name, allowed in (("scale", get_args(Scale)), ("kind", get_args(Kind))):
            if (found := getattr(self, name)) not in allowed:
                hint = nearest(found, list(allowed)) if isinstance(found, str) else ""
                raise InputError(f"{name} is {found!r}{hint}; it is one of {', '.join(allowed)}")
        if not isinstance(self.density, int | float) or not 0 < self.density <= 1:
            raise InputError(f"density is {self.density!r}; it is a share of the eval tokens above 0, at most 1")
        for name in ("sites", "dictionaries"):
            if (found := getattr(self, name)) is not None and not found:
                raise InputError(f"no {name} are named; leave {name} out for all of them")
        if self.tokens is not None and not self.tokens:
            raise InputError("no tokens are chosen; leave tokens out for all of them")


def require_text(text: object) -> None:
    """InputError for what is no text, is empty or too long."""
    if not isinstance(text, str):
        raise InputError(f"found {text!r} ({type(text).__name__}); a search takes a text")
    if not text:
        raise InputError("the text is empty; give one with at least one token")
    if len(text) > TEXT:
        raise InputError(f"the text has {len(text):,} characters, a search takes {TEXT} at most; give a shorter one")


def require_number(name: str, found: object, least: int, most: int) -> None:
    """InputError for what is no whole number between two others."""
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise InputError(f"{name} is {found!r}; it is a whole number from {least} to {most}")


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
    ('<|endoftext|>', 25)
    >>> list(found.frame().columns[:4])
    ['model', 'site', 'dictionary', 'feature']
    """

    model: str
    """The model that read the text."""
    text: str
    """The text."""
    tokens: list[str]
    """Its tokens as texts, the BOS token in front where the model has one."""
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

    tokens: list[str]
    """Its tokens as texts."""
    counted: list[bool]
    """Which of them statistics count: not BOS and masked ones."""
    activations: list[list[float]]
    """For each feature its activation on each token."""


def named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for `Query` as a user gives them: a single name, or any sequence of names or positions, as a tuple."""
    found = dict(values)
    for key in ("sites", "dictionaries", "tokens"):
        given = found.get(key)
        if isinstance(given, str | int):
            found[key] = (given,)
        elif given is not None:
            found[key] = tuple(given)
    return found
