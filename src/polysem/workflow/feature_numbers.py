"""Checks of the features that a person names, in `sheets.listed` and in the files of labels, before any job starts."""

from polysem.io.errors import InputError
from polysem.io.feature_labels import label_file, read_labels
from polysem.params.base import NEURONS
from polysem.params.study import Study
from polysem.workflow.shapes import width


def check(study: Study) -> None:
    """InputError for a feature that its dictionary lacks, as far as its size is known before it is there, and for a
    file of labels that cannot be read."""
    for model, site, dictionary in study.dictionaries():
        features = _features(study, model, site, dictionary)
        read_labels(label_file(model, site, dictionary), features)
        for feature in study.sheets.listed.get(f"{model}/{site}/{dictionary}", []):
            if features is not None and feature >= features:
                raise InputError(
                    f"sheets.listed: {model}/{site}/{dictionary} has the features 0 … {features - 1}, and no {feature}"
                )


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
