"""Dictionaries that stand for each other at the layers of a model: in tables and figures by layer each is one line."""

import re

from polysem.params.base import NEURONS
from polysem.params.comparisons import firsts_of_recipes
from polysem.params.models.language import SITE
from polysem.params.study import Sae, Study

ANY_LAYER = "*"
"""Stands in place of the number of the layer."""


def series(study: Study, model: str) -> dict[str, str]:
    """What the line is called that the neurons, and the first SAE of each recipe at each site of a model, belong to, by
    their ids.

    Neurons are one; SAEs that are trained here are of their recipe. Imported ones have an entry each, and those whose
    names differ in the number of their own layer alone are one line: `mlp-0` at layer 0 and `mlp-11` at layer 11 are
    `mlp-*`.
    """
    sites = study.models[model].sites
    saes = dict.fromkeys(name for site in sites for name in firsts_of_recipes(study, model, site))
    return {NEURONS: NEURONS} | {name: _of(study.saes[name]) for name in saes}


def _of(sae: Sae) -> str:
    place = SITE.fullmatch(sae.imported.site) if sae.imported else None
    numbers = [found for found in re.finditer(r"\d+", sae.recipe_name) if place and found[0] == place[1]]
    if not numbers:
        return sae.recipe_name
    start, stop = numbers[-1].span()
    return sae.recipe_name[:start] + ANY_LAYER + sae.recipe_name[stop:]
