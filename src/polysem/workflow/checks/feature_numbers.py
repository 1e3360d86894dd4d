"""Checks of the features that a person names or counts, in recipes, `sheets.listed` and the files of labels, before any
job starts."""

from pathlib import Path

from polysem.io.errors import InputError
from polysem.layout.feature_labels import read_labels
from polysem.layout.place import LABELS, Place
from polysem.layout.studied import dictionaries
from polysem.params.base import NEURONS
from polysem.params.explain import nearest
from polysem.params.recipes.base import Recipe
from polysem.params.study import Study
from polysem.workflow.checks.shapes import width


def check(study: Study) -> None:
    """InputError for a feature that its dictionary lacks, for more active features than it has, as far as its size is
    known before it is there, and for a file of labels that cannot be read."""
    for name, toy in study.toys.items():
        for sae in study.saes.values():
            if sae.trained and sae.recipe_name in toy.saes:
                _check_recipe(sae.id, sae.trained, sae.trained.expansion * toy.neurons, f"toys.{name}")
    for place in dictionaries(study):
        features = _features(study, place)
        if features is not None and place.dictionary != NEURONS and (recipe := study.saes[place.dictionary].trained):
            _check_recipe(place.dictionary, recipe, features, place.of("").path)
        read_labels(Path(place.labels), features)
        for feature in study.sheets.listed.get(place.path, []):
            if features is not None and feature >= features:
                raise InputError(f"sheets.listed: {place.path} has the features 0 … {features - 1}, and no {feature}")


def unread_labels(study: Study) -> list[str]:
    """Files of labels that belong to no dictionary, as far as they seem to be meant for this study: that of a model of
    another params file has a name of its own."""
    read = [place.labels for place in dictionaries(study)]
    ours = [file for model in study.models for file in Path(LABELS, model).rglob("*.csv")]
    unread = [file for file in sorted(Path(LABELS).rglob("*.csv")) if file.as_posix() not in read]
    meant = [(file, nearest(file.as_posix(), read)) for file in unread]
    return [
        f"{file.as_posix()} is of no dictionary of the params file, so nobody reads it{hint}"
        for file, hint in meant
        if hint or file in ours
    ]


def _check_recipe(name: str, recipe: Recipe, features: int, where: str) -> None:
    try:
        recipe.check_features(features)
    except InputError as error:
        raise InputError(f"saes.{name}, at {where} with expansion {recipe.expansion}: {error}") from None


def _features(study: Study, place: Place) -> int | None:
    """Features of a dictionary; None where they are not known before the model or the SAE is there."""
    neurons = width(place.model, study.models[place.model], place.site)
    if place.dictionary == NEURONS:
        return neurons
    return study.saes[place.dictionary].recipe.needs().features_at(neurons)
