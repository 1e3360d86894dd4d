"""Types of the lazy names; a test holds them against `PUBLIC`."""

from polysem.io.errors import InputError as InputError
from polysem.study.dictionary import Dictionary as Dictionary
from polysem.study.feature import Example as Example
from polysem.study.feature import Feature as Feature
from polysem.study.model import Model as Model
from polysem.study.names import UnknownNameError as UnknownNameError
from polysem.study.sae import Sae as Sae
from polysem.study.sae import load_sae as load_sae
from polysem.study.search import SearchResult as SearchResult
from polysem.study.search import SearchResults as SearchResults
from polysem.study.site import Site as Site
from polysem.study.study import Study as Study
from polysem.study.study import open_study as open

PUBLIC: dict[str, tuple[str, str]]

__all__ = [
    "PUBLIC",
    "Dictionary",
    "Example",
    "Feature",
    "InputError",
    "Model",
    "Sae",
    "SearchResult",
    "SearchResults",
    "Site",
    "Study",
    "UnknownNameError",
    "load_sae",
    "open",
]
