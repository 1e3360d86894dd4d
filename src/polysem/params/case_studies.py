"""`case_studies:` — features that get a page with everything that was measured of them (S1.F11)."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from polysem.io.errors import InputError
from polysem.params.base import NEURONS, Name, Section
from polysem.params.explain import nearest
from polysem.params.sheets import Feature

Tag = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
STUDIED = ["kind:arabic", "kind:hebrew", "kind:base64", "kind:dna", "kind:code", "object"]


class CaseStudies(Section):
    """Which features are case studies: of each tag the best feature, and the best neuron for contrast."""

    tags: Annotated[list[Tag], Field(max_length=1000)] = STUDIED
    """Tags whose best feature, the one with the highest F1 on half A, is studied, as far as the eval tokens of a model
    have them: the contexts that document S1 examines, code, and a kind of word."""
    saes: Annotated[list[Name], Field(max_length=1000)] = []
    """Recipes among whose first SAEs the best one is chosen; all without any, and of a model that has none of them."""
    features: dict[str, list[Feature]] = {}
    """These features beside them by number, under `model/site/dictionary`."""

    def require(self, recipes: list[str], dictionaries: list[str]) -> None:
        """InputError for an unknown recipe or dictionary; the latter are `model/site/dictionary`."""
        for named in self.saes:
            if named not in recipes:
                raise InputError(
                    f"case_studies.saes names {named!r}{nearest(named, recipes)}; recipes are {', '.join(recipes)}"
                )
        for named in self.features:
            if named not in dictionaries:
                some = ", ".join(dictionaries[:5]) + (", …" if len(dictionaries) > 5 else "")
                raise InputError(
                    f"case_studies.features names {named!r}{nearest(named, dictionaries)}; its keys are "
                    f"model/site/dictionary: {some}"
                )

    def of_model(self, model: str, families: dict[str, str]) -> dict[str, Any]:
        """What the case studies of a model depend on; `families` has the recipe of each of its dictionaries."""
        named = [name for name, recipe in families.items() if recipe in self.saes]
        chosen = named or [name for name in families if name != NEURONS]
        listed = {key.split("/", 1)[1]: own for key, own in self.features.items() if key.split("/", 1)[0] == model}
        return {"tags": self.tags, "dictionaries": chosen, "features": listed}
