"""What each job of a study takes, counted from the params: downloads, disk, operations, memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from polysem.activations.extraction import PLACE_BYTES
from polysem.corpora.sources.images.section import CLASSES
from polysem.layout.place import SPLITS, Place, known_table
from polysem.layout.place import corpus as documents_of
from polysem.params.base import NEURONS, ModelSection
from polysem.params.models.classifier import ClassifierModel
from polysem.params.models.language import LanguageModel
from polysem.params.recipes.base import Recipe
from polysem.params.study import Study
from polysem.workflow import artifacts
from polysem.workflow.checks.intervention_needs import intervention_flops
from polysem.workflow.checks.shapes import flops_to, forward_flops, input_width, known_shape, parameters, width
from polysem.workflow.contracts import together

PHASES = ("corpora", "models", "tokens", "activations", "saes", "toys", "tables", "figures and report")
FLOAT = 4
"""Bytes of a weight."""
TRAINING = 3
"""A step of training takes three times a forward pass."""
HELD_ROWS = 1024
"""Rows of each activation store that are held while it is written: a chunk."""
SEARCH, DENSE = 2, 10
"""Operations of an SAE's step per neuron, feature and token: the search for active features on a CPU, to which the rest
adds little; on a GPU five dense products."""
FOUR_COPIES = 4
"""Weights, gradients and Adam's two means."""
SURVEY = 1.4
"""The pass over the eval activations, in encoder products."""
CLUSTERINGS = 4
"""Gram matrices of a feature's strong examples: three embeddings and random tokens."""
REFERENCE_TOKENS = 200_000
"""Tokens on which a model's own loss is measured."""
ABLATIONS, SPLICES = 3, 2
"""Forward passes of a site's fidelity table: clean and two ablations; of each dictionary, with all features and without
the ultra-low ones."""
ROW_BYTES = 33_000
"""Of one feature, in the tables and again in the index, most of them contexts, uncompressed."""
START, DRAWING = 4.0, 15.0
"""Seconds in which a job starts, most of them imports; in which the figures of a dictionary are drawn."""


@dataclass(frozen=True)
class Job:
    """What one job takes. None: not known, and `missing` says what would tell; `flops` are for a CPU and for a GPU."""

    phase: str
    name: str
    outputs: tuple[str, ...]
    download: float | None = 0.0
    disk: float | None = 0.0
    flops: tuple[float, float] | None = (0.0, 0.0)
    seconds: float = START
    memory: float | None = 0.0
    missing: tuple[str, ...] = field(default=())
    at_most: tuple[float, float] | None = None
    """Where several jobs share work that any of them may do: all of it, of which `flops` are one's part."""

    @property
    def made(self) -> bool:
        """Whether everything that it makes is there; whether it is up to date, Snakemake knows."""
        return all(Path(output).exists() for output in self.outputs)


def jobs(study: Study) -> Iterator[Job]:
    """All jobs of a study that take more than a moment, phase by phase."""
    yield from _corpora(study)
    for name, model in study.models.items():
        yield _model(name, model, study)
        yield from _tokens(name, model, study)
    for name, control in study.controls.items():
        yield _control(name, study)
        yield from _tokens(name, control, study)
    yield from _activations(study)
    yield from _saes(study)
    yield from _toys(study)
    yield from _tables(study)
    yield from _figures(study)


def store_bytes(study: Study, at: Place, split: str) -> float | None:
    """Bytes of the activation store of a site, at most; None if the widths of its model are not known."""
    name, site = study.original(at.model), at.site
    model = study.models[name]
    neurons = width(name, model, site)
    if neurons is None:
        return None
    kept = neurons + (input_width(name, model, site, _pixels(study, model)) if split == "eval" else 0)
    return _rows(study, model, split) * (kept * _item(model) + PLACE_BYTES)


def _corpora(study: Study) -> Iterator[Job]:
    for name, section in study.corpora.items():
        needs = section.needs()
        missing = (f"corpora.{name}: {needs.missing}",) if needs.missing else ()
        yield Job(
            "corpora",
            name,
            (documents_of(name),),
            needs.download,
            needs.disk,
            memory=needs.memory,
            missing=missing,
        )


def _model(name: str, model: ModelSection, study: Study) -> Job:
    outputs = tuple(Place(name).weights.file(file) for file in artifacts.model_files(model))
    needs = model.needs()
    if isinstance(model, ClassifierModel):
        weights = _perceptron(model, study)
        flops = TRAINING * 2.0 * weights * needs.trained_tokens
        return Job("models", name, outputs, disk=FLOAT * weights, flops=(flops, flops), memory=16.0 * weights)
    shape = known_shape(name, model)
    if shape is None:
        return Job("models", name, outputs, None, None, memory=None, missing=(_no_shape(name),))
    size = float(FLOAT * parameters(shape))
    if needs.trained_tokens:
        assert isinstance(model, LanguageModel)
        flops = TRAINING * forward_flops(shape, model.context_length) * needs.trained_tokens
        logits = 2.0 * FLOAT * needs.batch_tokens * shape.vocabulary
        return Job("models", name, outputs, disk=size, flops=(flops, flops), memory=FOUR_COPIES * size + logits)
    return Job("models", name, outputs, size if needs.is_downloaded else 0.0, size, memory=2 * size)


def _control(name: str, study: Study) -> Job:
    """A random-model control, which is as large as its model."""
    original = study.original(name)
    outputs = tuple(Place(name).weights.file(file) for file in artifacts.model_files(study.controls[name]))
    shape = known_shape(original, study.models[original])
    if shape is None:
        return Job("models", name, outputs, 0.0, None, memory=None, missing=(_no_shape(original),))
    size = float(FLOAT * parameters(shape))
    return Job("models", name, outputs, 0.0, size, memory=2 * size)


def _tokens(name: str, model: ModelSection, study: Study) -> Iterator[Job]:
    stored = study.corpora[model.corpus].needs().stored
    for split in SPLITS:
        outputs = Place(name).tokens(split).files
        why = () if stored else (f"corpora.{model.corpus}: how many tokens it has; each takes 5 bytes or less",)
        yield Job("tokens", f"{name} {split}", outputs, disk=stored.get(split), missing=why)


def _activations(study: Study) -> Iterator[Job]:
    together: dict[tuple[str, str], list[Place]] = {}
    for at, split in artifacts.activation_splits(study):
        together.setdefault((at.model, split), []).append(at)
    for (_, split), places in together.items():
        yield from _stores(study, split, places)


def _stores(study: Study, split: str, places: list[Place]) -> Iterator[Job]:
    """The stores of a model on a split: the job that runs first makes those that are not there yet, in one pass."""
    name = study.original(places[0].model)
    model = study.models[name]
    outputs = {at: at.activations(split).files for at in places}
    sizes = {at: store_bytes(study, at, split) for at in places}
    known = [size for size in sizes.values() if size is not None]
    if len(known) < len(places):
        for at in places:
            label = f"{at.model} {at.site} {split}"
            yield Job("activations", label, outputs[at], 0.0, None, None, memory=None, missing=(_no_shape(name),))
        return
    rows = _rows(study, model, split)
    left = [at for at in places if not all(Path(output).exists() for output in outputs[at])] or places
    whole = rows * max(_flops_to(name, model, at.site, study) for at in left)
    memory = FLOAT * _weights(name, model, study) + HELD_ROWS * sum(known) / max(rows, 1)
    for at in places:
        yield Job(
            "activations",
            f"{at.model} {at.site} {split}",
            outputs[at],
            disk=sizes[at],
            flops=(whole / len(left),) * 2,
            at_most=(whole,) * 2,
            memory=memory,
        )


def _saes(study: Study) -> Iterator[Job]:
    for of, site, dictionary in (*study.dictionaries(), *study.control_dictionaries()):
        if dictionary == NEURONS:
            continue
        name = study.original(of)
        sae, model = study.saes[dictionary], study.models[name]
        files = artifacts.TRAINED_SAE_FILES if sae.trained else artifacts.SAE_FILES
        outputs = tuple(artifacts.sae_files(Place(of, site, dictionary), files))
        label = f"{of} {site} {dictionary}"
        neurons, features = width(name, model, site), _features(study, name, site, dictionary)
        if neurons is None or features is None:
            missing = (_no_shape(name) if neurons is None else _no_features(dictionary),)
            away = None if sae.recipe.needs().is_downloaded else 0.0
            known = (0.0, 0.0) if sae.imported else None
            yield Job("saes", label, outputs, away, None, known, memory=None, missing=missing)
            continue
        predicted = width(name, model, sae.target or site) or neurons
        skipped = neurons * predicted if sae.trained and sae.trained.skip else 0
        size = FLOAT * (float(neurons + predicted) * features + predicted + features + skipped)
        if sae.imported:
            yield Job("saes", label, outputs, size if sae.recipe.needs().is_downloaded else 0.0, size, memory=4 * size)
            continue
        assert sae.trained
        cpu, gpu = training_flops(sae.trained, neurons, features)
        memory = FOUR_COPIES * size + FLOAT * sae.trained.batch_size * (neurons + predicted + features)
        if sae.trained.embedding_loss:
            memory += FLOAT * neurons * features
        if sae.trained.activations == "streamed":
            forward = sae.trained.tokens * _flops_to(name, model, site, study)
            cpu, gpu = cpu + forward, gpu + forward
            memory += sae.trained.buffer_gib * 2**30 + FLOAT * _weights(name, model, study)
        yield Job("saes", label, outputs, 0.0, size, (cpu, gpu), memory=memory)


def training_flops(recipe: Recipe, neurons: int, features: int) -> tuple[float, float]:
    """Operations of a training, on a CPU and on a GPU, without those of the model.

    On a GPU the neuron-embedding loss has as many products as the rest of a step.
    """
    product = float(neurons) * features * recipe.tokens
    return SEARCH * product, DENSE * product * (2 if recipe.embedding_loss else 1)


def _toys(study: Study) -> Iterator[Job]:
    for toy, identity in study.known():
        recipe, neurons = study.saes[identity].trained, study.toys[toy].neurons
        assert recipe
        features = neurons * recipe.expansion
        memory = 4.0 * FLOAT * FOUR_COPIES * neurons * features
        path = known_table(toy, identity)
        flops = training_flops(recipe, neurons, features)
        yield Job("toys", f"{toy} {identity}", (path,), 0.0, 0.0, flops, memory=memory)


def _tables(study: Study) -> Iterator[Job]:
    for name, model in study.models.items():
        whole = _forward(name, model, study)
        cost = None if whole is None else (REFERENCE_TOKENS * whole,) * 2
        why = () if whole is not None else (_no_shape(name),)
        yield Job("tables", name, (Place(name).table("model"),), flops=cost, missing=why)
        yield _of_features(study, name)
    for name, site in study.sites():
        yield _fidelity(study, name, site)
    for of, site, dictionary in (*study.dictionaries(), *study.control_dictionaries()):
        name = study.original(of)
        model = study.models[name]
        label, outputs = f"{of} {site} {dictionary}", (Place(of, site, dictionary).tables_receipt,)
        neurons, features = width(name, model, site), _features(study, name, site, dictionary)
        if neurons is None or features is None:
            missing = (_no_shape(name) if neurons is None else _no_features(dictionary),)
            yield Job("tables", label, outputs, 0.0, None, None, memory=None, missing=missing)
            continue
        product = 2.0 * neurons * features
        flops = SURVEY * product * _rows(study, model, "eval") + product * features
        flops += CLUSTERINGS * 2.0 * study.analysis.strong_examples**2 * neurons * features
        memory = 2.0 * FLOAT * product
        disk = float(ROW_BYTES * features)
        yield Job("tables", label, outputs, 0.0, disk, (flops, flops), START, memory)


def _of_features(study: Study, name: str) -> Job:
    """The tables of a model that read its dictionaries, of which interventions take nearly all."""
    model, place = study.models[name], Place(name)
    label, outputs = f"{name} features", tuple(place.table(table) for table in together("model")["measure_features"])
    if not isinstance(model, LanguageModel):
        return Job("tables", label, outputs, seconds=2 * START)
    shape = known_shape(name, model)
    counts = {
        (site, dictionary): _features(study, name, site, dictionary) if shape else None
        for site in model.sites
        for dictionary in study.dictionaries_of(name, site)
    }
    missing = [_no_features(dictionary) for (_, dictionary), count in counts.items() if count is None]
    if shape is None or missing:
        why = (_no_shape(name),) if shape is None else tuple(missing[:1])
        return Job("tables", label, outputs, flops=None, memory=None, missing=why)
    known = {key: count for key, count in counts.items() if count is not None}
    flops = intervention_flops(study, name, model, shape, known)
    return Job(
        "tables", label, outputs, flops=(flops, flops), seconds=2 * START, memory=float(FLOAT * parameters(shape))
    )


def _fidelity(study: Study, name: str, site: str) -> Job:
    model, label = study.models[name], f"{name} {site} fidelity"
    outputs = (Place(name, site).table("fidelity"),)
    neurons, whole = width(name, model, site), _forward(name, model, study)
    if neurons is None or whole is None:
        return Job("tables", label, outputs, flops=None, memory=None, missing=(_no_shape(name),))
    widths = {dictionary: _features(study, name, site, dictionary) for dictionary in study.dictionaries_of(name, site)}
    if unknown := [dictionary for dictionary, features in widths.items() if features is None]:
        return Job("tables", label, outputs, flops=None, memory=None, missing=(_no_features(unknown[0]),))
    products = [2.0 * neurons * (features or 0) for features in widths.values()]
    passes = (ABLATIONS + SPLICES * len(products)) * whole + 3 * sum(products)
    flops = study.analysis.fidelity_tokens * passes
    memory = 2.0 * FLOAT * max(products) + FLOAT * _weights(name, model, study)
    return Job("tables", label, outputs, flops=(flops, flops), memory=memory)


def _figures(study: Study) -> Iterator[Job]:
    for place in artifacts.figure_places(study):
        yield Job("figures and report", place.path, place.figures.files, seconds=START + DRAWING)
    yield Job("figures and report", "report", (artifacts.REPORT_INDEX, artifacts.METRICS, artifacts.CLAIMS))


def _features(study: Study, name: str, site: str, dictionary: str) -> int | None:
    neurons = width(name, study.models[name], site)
    if dictionary == NEURONS:
        return neurons
    return study.saes[dictionary].recipe.needs().features_at(neurons)


def _rows(study: Study, model: ModelSection, split: str) -> int:
    rows = int(getattr(model.activations, f"{split}_tokens"))
    return min(rows, study.corpora[model.corpus].needs().images or rows)


def _pixels(study: Study, model: ModelSection) -> int:
    return study.corpora[model.corpus].needs().pixels


def _item(model: ModelSection) -> int:
    return int(np.dtype(model.activations.dtype).itemsize)


def _weights(name: str, model: ModelSection, study: Study) -> int:
    if isinstance(model, ClassifierModel):
        return _perceptron(model, study)
    shape = known_shape(name, model)
    return 0 if shape is None else parameters(shape)


def _perceptron(model: ClassifierModel, study: Study) -> int:
    widths = [_pixels(study, model), *model.hidden, CLASSES]
    return sum(one * other for one, other in pairwise(widths))


def _forward(name: str, model: ModelSection, study: Study) -> float | None:
    if isinstance(model, ClassifierModel):
        return 2.0 * _perceptron(model, study)
    shape = known_shape(name, model)
    assert isinstance(model, LanguageModel)
    return None if shape is None else forward_flops(shape, model.context_length)


def _flops_to(name: str, model: ModelSection, site: str, study: Study) -> float:
    if isinstance(model, ClassifierModel):
        return 2.0 * _perceptron(model, study)
    shape = known_shape(name, model)
    assert shape is not None
    assert isinstance(model, LanguageModel)
    return flops_to(shape, model.context_length, site)


def _no_shape(name: str) -> str:
    return f"models.{name}: the widths of the model; set shape, or local_copy to its files"


def _no_features(dictionary: str) -> str:
    return f"saes.{dictionary}: how many features it has; set features"
