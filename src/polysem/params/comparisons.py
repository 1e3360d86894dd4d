"""Which dictionaries are compared (S0.X1, S1.F7, S1.F8, S2.F8, S2.F9): as many pairs as SAEs, however large a grid."""

from collections.abc import Iterable, Iterator
from typing import Any

from polysem.params.base import NEURONS
from polysem.params.pair import Pair
from polysem.params.study import Sae, Study

SIZES = 4
"""Dictionaries of so many sizes, at most, are compared for feature splitting."""


def pairs(study: Study, model: str, site: str) -> list[Pair]:
    """What is compared at a site.

    Each SAE is held against one other of its site: the first that differs from it in its seed alone, else the first of
    its recipe, else the first of the site, whichever comes before it. Then one that it was trained to avoid; the first
    SAE of the site against its next seed; and the first of each recipe against the neurons and, at each other place
    (site of this model, or of an earlier one that reads the same tokens), against the SAE of the same id, else the
    first.
    Pairs of a site grow with its SAEs plus recipes times places, never with the square of its SAEs.
    """
    saes = [study.saes[sae] for sae in study.saes_of(model, site)]
    if not saes:
        return []
    found = [Pair(sae.id, relation, model, site, other) for sae, relation, other in _references(saes)]
    known = {(pair.dictionary, pair.other) for pair in found}
    for sae in saes:
        avoided = sae.trained.orthogonal_to if sae.trained else None
        if avoided and (sae.id, avoided) not in known:
            found.append(Pair(sae.id, "avoided", model, site, avoided))
    twins = (pair.dictionary for pair in found if pair.relation == "seed" and pair.other == saes[0].id)
    if twin := next(twins, None):
        found.insert(0, Pair(saes[0].id, "seed", model, site, twin))
    firsts = firsts_of_recipes(study, model, site)
    found += [Pair(first, "neurons", model, site, NEURONS) for first in firsts]
    for relation, other_model, other_site in places(study, model, site):
        there = study.saes_of(other_model, other_site)
        for first in firsts if there else ():
            other = first if first in there else there[0]
            found.append(Pair(first, relation, other_model, other_site, other))
    return found


def places(study: Study, model: str, site: str) -> Iterator[tuple[str, str, str]]:
    """(relation, model, site) of other places whose activations may be of the same tokens, in the order of the params
    file: all other sites of the model, and those of models that stand before it, so that a model that is added below
    the others runs nothing of theirs again. Whether tokens are the same is seen from the token stores, as tokenizers
    may differ."""
    earlier = list(study.models)[: list(study.models).index(model)]
    for other, section in study.models.items():
        if other == model or (other in earlier and _reads_alike(study, model, other)):
            relation = "site" if other == model else "model"
            yield from ((relation, other, hook) for hook in section.sites if (other, hook) != (model, site))


def firsts_of_recipes(study: Study, model: str, site: str) -> list[str]:
    """The first SAE of each recipe at a site, in the order of the params file."""
    return list({study.saes[sae].recipe_name: sae for sae in reversed(study.saes_of(model, site))}.values())[::-1]


def reseeded(study: Study, model: str, site: str) -> dict[str, str]:
    """Of the first SAE of each recipe at a site the first other one that differs from it in nothing but the seed; those
    that have none are missing."""
    firsts = set(firsts_of_recipes(study, model, site))
    found: dict[str, str] = {}
    for later, relation, earlier in _references([study.saes[sae] for sae in study.saes_of(model, site)]):
        if relation == "seed" and earlier in firsts:
            found.setdefault(earlier, later.id)
    return found


def sizes(study: Study, model: str, site: str) -> list[str]:
    """SAEs of several sizes for feature splitting (S1.F8), ascending; [] if the site has one size alone.

    The recipe with the most expansions is taken, the first of them if several have as many, and its first SAE of each
    expansion at one setting of everything else; if no recipe has two, the first SAE of each expansion of the first
    architecture that has. Imported SAEs say their size when they are read: then all are named, and the step keeps the
    first of each size. Those that are taken predict the same site, so that their decoder rows have one basis.
    """
    saes = [study.saes[sae] for sae in study.saes_of(model, site)]
    trained = [sae for sae in saes if sae.trained]
    for group in (_but_expansion, _architecture):
        families: dict[str, dict[int, str]] = {}
        for sae in trained:
            assert sae.trained
            families.setdefault(group(sae), {}).setdefault(sae.trained.expansion, sae.id)
        several = [family for family in families.values() if len(family) > 1]
        if several:
            largest = max(several, key=len)
            return _spread([largest[expansion] for expansion in sorted(largest)])
    imported: dict[str | None, list[str]] = {}
    for sae in saes:
        if sae.imported:
            imported.setdefault(sae.target, []).append(sae.id)
    return next((names for names in imported.values() if len(names) > 1), [])


def _spread(names: list[str]) -> list[str]:
    """The first, the last, and what lies evenly between, at most `SIZES`."""
    if len(names) <= SIZES:
        return names
    return [names[round(step * (len(names) - 1) / (SIZES - 1))] for step in range(SIZES)]


def _references(saes: list[Sae]) -> Iterator[tuple[Sae, str, str]]:
    by_setting: dict[str, str] = {}
    by_recipe: dict[str, str] = {}
    for sae in saes:
        setting, recipe = _but_seed(sae), sae.recipe_name
        if setting in by_setting:
            yield sae, "seed", by_setting[setting]
        elif recipe in by_recipe:
            yield sae, "setting", by_recipe[recipe]
        elif by_recipe:
            yield sae, "recipe", saes[0].id
        by_setting.setdefault(setting, sae.id)
        by_recipe.setdefault(recipe, sae.id)


def _but_seed(sae: Sae) -> str:
    return _all_but(sae, "seed") if sae.trained else sae.id


def _but_expansion(sae: Sae) -> str:
    return f"{sae.recipe_name} {_all_but(sae, 'expansion')}"


def _architecture(sae: Sae) -> str:
    return f"{sae.trained and sae.trained.architecture} {sae.target}"


def _all_but(sae: Sae, key: str) -> str:
    values: Iterable[tuple[str, Any]] = sorted(sae.recipe.values().items())
    return repr([(name, value) for name, value in values if name != key])


def _reads_alike(study: Study, one: str, other: str) -> bool:
    """Whether two models may read the same tokens: the same corpus, cut into sequences in the same way."""
    left, right = study.models[one], study.models[other]
    if left.corpus != right.corpus or (left.source == "classifier") != (right.source == "classifier"):
        return False
    if left.source == "classifier":
        return True
    return left.tokenization() == right.tokenization()  # type: ignore[attr-defined]
