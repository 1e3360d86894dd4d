"""Checks of the features that a person names or counts, in recipes, `sheets.listed` and the files of labels, before any
job starts."""

from pathlib import Path

from polysem.io.errors import InputError
from polysem.layout.feature_labels import FOLDER, label_file, read_labels
from polysem.params.base import NEURONS
from polysem.params.explain import nearest
from polysem.params.recipes.base import Recipe
from polysem.params.study import Study, recipe_name
from polysem.workflow.checks.shapes import width


def check(study: Study) -> None:
    """InputError for a feature that its dictionary lacks, for more active features than it has, as far as its size is
    known before it is there, and for a file of labels that cannot be read."""
    for name, toy in study.toys.items():
        for sae in study.saes.values():
            if sae.trained and recipe_name(sae.id) in toy.saes:
                _check_recipe(sae.id, sae.trained, sae.trained.expansion * toy.neurons, f"toys.{name}")
    for model, site, dictionary in study.dictionaries():
        features = _features(study, model, site, dictionary)
        if features is not None and dictionary != NEURONS and (recipe := study.saes[dictionary].trained):
            _check_recipe(dictionary, recipe, features, f"{model}/{site}")
        read_labels(label_file(model, site, dictionary), features)
        for feature in study.sheets.listed.get(f"{model}/{site}/{dictionary}", []):
            if features is not None and feature >= features:
                raise InputError(
                    f"sheets.listed: {model}/{site}/{dictionary} has the features 0 … {features - 1}, and no {feature}"
                )


def unread_labels(study: Study) -> list[str]:
    """Files of labels that belong to no dictionary, as far as they seem to be meant for this study: that of a model of
    another params file has a name of its own."""
    read = [label_file(*dictionary).as_posix() for dictionary in study.dictionaries()]
    unread = [file.as_posix() for file in sorted(FOLDER.rglob("*.csv")) if file.as_posix() not in read]
    meant = [(file, nearest(file, read)) for file in unread]
    return [
        f"{file} is of no dictionary of the params file, so nobody reads it{hint}"
        for file, hint in meant
        if hint or Path(file).parts[1] in study.models
    ]


def _check_recipe(name: str, recipe: Recipe, features: int, where: str) -> None:
    try:
        recipe.check_features(features)
    except InputError as error:
        raise InputError(f"saes.{name}, at {where} with expansion {recipe.expansion}: {error}") from None


def _features(study: Study, model: str, site: str, dictionary: str) -> int | None:
    """Features of a dictionary; None where they are not known before the model or the SAE is there."""
    neurons = width(model, study.models[model], site)
    if dictionary == NEURONS:
        return neurons
    sae = study.saes[dictionary]
    if sae.imported:
        return sae.imported.features
    assert sae.trained is not None
    return None if neurons is None else sae.trained.expansion * neurons
