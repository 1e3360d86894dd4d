"""What the report knows of one line of a document."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """An option of recipes: an SAE has it if its value of `key` is one of `on` or, with none given, is not `off`."""

    key: str
    on: tuple[Any, ...] = ()
    off: Any = None

    def chosen(self, recipe: dict[str, Any]) -> bool:
        """Whether a recipe, as plain JSON types, has the option."""
        if self.key not in recipe:
            return False
        return recipe[self.key] in self.on if self.on else recipe[self.key] != self.off


@dataclass(frozen=True)
class Entry:
    """One catalogue id: what its document states, and what in this project shows it.

    Figures whose module carries the id need not be named: `figures` are further ones, whose own id is another. The same
    holds for metrics of which a claim exists. A number in brackets is the published one.
    """

    id: str
    title: str
    published: str
    shown: str
    absent: str
    """Why a run may show nothing of it, and what would change that."""
    figures: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    sites: str = ""
    """How the names of the sites end at which it is studied; empty for all."""
    sheets: bool = False
    labels: bool = False
    toys: bool = False
    cases: bool = False
    """Whether it is about case studies."""
    rubric: bool = False
    """Whether people score on the rubric sheets of the models, to which its article leads."""
    tool: str = ""
    """The command that opens what people do themselves, on the results of any run."""

    @property
    def document(self) -> str:
        """`S0` of `S0.F3a`."""
        return self.id.split(".")[0]
