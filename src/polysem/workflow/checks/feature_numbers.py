"""Checks of the features that a person names or counts, in recipes, `sheets.listed` and the files of labels and notes,
before any job starts."""

from pathlib import Path

from polysem.io.errors import InputError
from polysem.io.json_files import read_object
from polysem.layout.annotations import Annotations, read_annotations
from polysem.layout.json_sections import ENDING
from polysem.layout.place import ANY_DICTIONARY, LABELS, Place
from polysem.layout.studied import dictionaries
from polysem.params.base import NEURONS
from polysem.params.explain import nearest
from polysem.params.recipes.base import Recipe
from polysem.params.study import Study
from polysem.workflow.checks.shapes import width


def check(study: Study) -> None:
    """InputError for a feature that its dictionary lacks, for more active features than it has, as far as its size is
    known before it is there, and for a file of labels or notes that cannot be read."""
    for name, toy in study.toys.items():
        for sae in study.saes.values():
            if sae.trained and sae.recipe_name in toy.saes:
                _check_recipe(sae.id, sae.trained, sae.trained.expansion * toy.neurons, f"toys.{name}")
    for place in dictionaries(study):
        features = _features(study, place)
        if features is not None and place.dictionary != NEURONS and (recipe := study.saes[place.dictionary].trained):
            _check_recipe(place.dictionary, recipe, features, place.of("").path)
        _check_annotations(place, read_annotations(place, features=features))
        for feature in study.sheets.listed.get(place.path, []):
            if features is not None and feature >= features:
                raise InputError(f"sheets.listed: {place.path} has the features 0 … {features - 1}, and no {feature}")


def unread_labels(study: Study) -> list[str]:
    """Files of labels and folders of notes that belong to no dictionary, as far as they seem to be meant for this
    study: those of a model of another params file have a name of its own. And files among notes that cannot be any."""
    read = [path for place in dictionaries(study) for path in (place.labels, place.notes)]
    there = [*Path(LABELS).rglob("*.csv"), *(folder for folder in Path().glob(ANY_DICTIONARY.notes) if folder.is_dir())]
    unread = [path for path in sorted(there) if path.as_posix() not in read]
    meant = [(path, nearest(path.as_posix(), read)) for path in unread]
    return [
        f"{path.as_posix()} is of no dictionary of the params file, so nobody reads it{hint}"
        for path, hint in meant
        if hint or path.parts[1] in study.models
    ] + [
        f"{path.as_posix()} is no note, as notes end in {ENDING}, so nobody reads it"
        for place in dictionaries(study)
        for path in sorted(Path(place.notes).glob("[!.]*"))
        if path.suffix != ENDING
    ]


def _check_annotations(place: Place, annotations: Annotations) -> None:
    """InputError for a note about a feature that the dictionary lacks, as it is there now: another training may have
    other features, and notes of its own."""
    receipt = Path(place.tables_receipt)
    if annotations.notes and receipt.is_file():
        annotations.about(receipt, _features_there(place))


def _features_there(place: Place) -> int | None:
    """Features of a dictionary as the last run left it; None if it did not come so far."""
    if place.dictionary == NEURONS:
        store = Path(place.activations("eval").receipt)
        return int(read_object(store)["arrays"]["activations"]["shape"][1]) if store.is_file() else None
    config = Path(place.sae.file("cfg.json"))
    return int(read_object(config)["d_sae"]) if config.is_file() else None


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
