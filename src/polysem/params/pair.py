"""Two dictionaries that are compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A dictionary of a site, and another one in which its features are looked for."""

    dictionary: str
    relation: str
    """What the other one is: another `seed`, another `setting` or `recipe`, `avoided`, the `neurons`, at another `site`
    or of another `model`."""
    model: str
    site: str
    other: str

    def values(self) -> dict[str, str]:
        """As plain JSON types."""
        return dict(vars(self))
