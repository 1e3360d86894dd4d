"""What a run recorded of itself: its names, and the params that figures and sheets are made with."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from polysem.io.errors import InputError
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS, Section
from polysem.params.sheets import SheetChoice, Sheets
from polysem.study.results import METRICS, Results

S = TypeVar("S", bound=Section)
Names = dict[str, dict[str, list[str]]]
"""Dictionaries by model and site."""


@dataclass(frozen=True)
class Recorded:
    """The names of a study, and its params where the run recorded them."""

    names: Names
    source: str
    """Where the names are from, as a sentence without its full stop."""
    params: dict[str, Any] | None

    @classmethod
    def of(cls, results: Results) -> "Recorded":
        """Names from the params that the run recorded; without them, from what the results hold."""
        params, said = results.params()
        if params is not None:
            return cls(_names(params, said), f"names {said}", params)
        return cls(_found(results), f"{said}; names are those that were found", None)

    def analysis(self, **changed: Any) -> Analysis:
        """The thresholds of the run, some of them changed; the defaults where none are recorded. InputError for an
        unknown key or a value that is not allowed."""
        return self._section(Analysis, "analysis", changed)

    def sheet_choice(self, model: str, site: str, dictionary: str) -> SheetChoice:
        """What the sheets of a dictionary depend on."""
        return self._section(Sheets, "sheets", {}).choice(model, site, dictionary, self.analysis())

    def recipe(self, dictionary: str) -> dict[str, Any]:
        """The recipe of an SAE, or where it was imported from; empty where that is not known, and for the neurons."""
        return deepcopy(dict((self.params or {}).get("saes", {}).get(dictionary, {})))

    def families(self) -> dict[str, str]:
        """The recipe of each dictionary by its name, of the neurons their own; SAEs are missing where the run recorded
        no params, or was one of a version that did not record this."""
        return {NEURONS: NEURONS, **(self.params or {}).get("families", {})}

    def hyper_parameters(self, dictionary: str) -> dict[str, Any] | None:
        """What `recipes` of the site's figures hold of an SAE; None for one that was not trained here."""
        from polysem.params.recipes.base import Recipe
        from polysem.params.study import kinds, section_class

        values = self.recipe(dictionary)
        if values.get("architecture") not in kinds("saes"):
            return None
        recipe = _validated(section_class("saes", values["architecture"]), values, f"saes.{dictionary}")
        assert isinstance(recipe, Recipe)
        return recipe.hyper_parameters()

    def _section(self, section: type[S], key: str, changed: dict[str, Any]) -> S:
        return _validated(section, dict((self.params or {}).get(key, {})) | changed, key)


def _validated(section: type[S], values: dict[str, Any], where: str) -> S:
    from polysem.params.explain import explain

    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, section, where)) from None


def _names(params: dict[str, Any], said: str) -> Names:
    """Of the params with all grids spanned: the neurons, and the SAEs that stand at a site."""
    try:
        return {
            model: {
                site: [NEURONS, *(sae for sae, recipe in params["saes"].items() if _stands_at(recipe, model, site))]
                for site in section["sites"]
            }
            for model, section in params["models"].items()
        }
    except (LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"the params {said} are not what a run writes ({type(error).__name__}: {error}); run snakemake again"
        ) from None


def _stands_at(recipe: dict[str, Any], model: str, site: str) -> bool:
    models = recipe["models"]
    sites = recipe.get("sites", "all") if "architecture" in recipe else [recipe["site"]]
    return (models == "all" or model in models) and (sites == "all" or site in sites)


def _found(results: Results) -> Names:
    """Names of what is there: where git has metrics, those in them; else the folders that hold a dictionary."""
    if results.text(METRICS) is not None:
        return _in_metrics(results.json(METRICS))
    names: Names = {}
    for model in results.names(f"{results.root}/models"):
        for site in results.names(results.place(model).tables):
            if there := on_disk(results, model, site):
                names.setdefault(model, {})[site] = there
    return names


def _in_metrics(metrics: dict[str, Any]) -> Names:
    """Dictionaries that metrics are of; toys have a `known` in place of a site, and medians over sites a blank."""
    return {
        model: {
            site: sorted(dictionaries, key=lambda name: (name != NEURONS, name))
            for site, dictionaries in sites.items()
            if site != "model" and "." in site
        }
        for model, sites in metrics.items()
        if "model" in sites
    }


def on_disk(results: Results, model: str, site: str) -> list[str]:
    """Dictionaries of which the results hold weights or tables, the neurons first."""
    place = results.place(model, site)
    saes = [name for name in results.names(place.dictionaries) if not name.endswith(".json")]
    tables = [name for name in results.names(place.tables) if not name.endswith((".nc", ".json"))]
    return sorted({*saes, *tables}, key=lambda name: (name != NEURONS, name))
