"""S0.T1, S2.T1, S3.T2: what a model achieves, beside which the losses of its dictionaries can be read.

The weights around its sites, for S1.F3 and S2.F12, are written by the same job, as it has loaded the model.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import read_record
from polysem.models.subject import Batch, Subject
from polysem.numerics.pair_counts import Ids, PairCounts
from polysem.numerics.resampling import BOOTSTRAPPED, interval_of_sums
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import directions_of, write_directions
from polysem.tables.parts.evaluation import Score, leading_batches
from polysem.tables.parts.labels import labelled, scalar

CATALOGUE = "S0.T1 S2.T1 S3.T2"
READS = ("model", "tokens", "training tokens", "sites")
PARAMS = ()
VARIABLES = {
    "cross_entropy": ("", "nat", "cross-entropy of the model"),
    "accuracy": ("", "1", "share of tokens predicted by the model"),
    "unigram_cross_entropy": ("", "nat", "cross-entropy of the * share of the train split"),
    "cross_entropy_low": (
        "",
        "nat",
        "cross-entropy of the model, lower end of the 95 % bootstrap interval over sequences",
    ),
    "cross_entropy_high": (
        "",
        "nat",
        "cross-entropy of the model, upper end of the 95 % bootstrap interval over sequences",
    ),
    "bigram_cross_entropy": ("", "nat", "cross-entropy of a bigram model of the train split"),
}
ONLY = {
    "of text": ("bigram_cross_entropy",),
}
FILES = ("directions.safetensors",)
LIMIT = 200_000
"""Eval tokens on which the model runs."""
SEQUENCES = 1024
"""Sequences of the train store per read, the length of its chunks."""


def measure(inputs: Inputs) -> xr.Dataset:
    """The numbers of `model_reference`: train tokens are counted whole, of the eval tokens whole sequences are taken
    until `LIMIT` counted tokens are reached."""
    store, train = TokenStore(inputs.path("tokens")), TokenStore(inputs.path("training tokens"))
    classes = train.attributes["vocabulary" if train.is_text else "classes"]
    counts = count_pairs(train.batches(SEQUENCES), classes, text=train.is_text)
    return model_reference(_subject(inputs), leading_batches(store, LIMIT), counts, text=store.is_text)


def write_files(inputs: Inputs, folder: Path) -> None:
    """The weights around the sites that are studied (see `Directions`)."""
    processing = read_record(inputs.path("model")).settings.get("processing", {})
    write_directions(folder / FILES[0], directions_of(_subject(inputs), inputs.value("sites"), processing))


def _subject(inputs: Inputs) -> Subject:
    path = inputs.path("model")
    return inputs.once(("model", path), lambda: load_subject(path, inputs.device))


def count_pairs(batches: Iterable[Batch], vocabulary: int, *, text: bool) -> PairCounts:
    """Counts of (token, next token) at the scored positions; for images of the classes alone, all after "class" 0."""
    counts = PairCounts(vocabulary)
    for batch in batches:
        previous, following = _pairs(batch, text=text)
        counts.add(previous, following)
    return counts


def model_reference(subject: Subject, batches: Iterable[Batch], counts: PairCounts, *, text: bool) -> xr.Dataset:
    """Cross-entropy of a model and of predictions that look no further back than one token, on the same positions.

    Scalars: `cross_entropy` (nats per scored token) with the ends of its bootstrap interval over sequences,
    `accuracy`, `unigram_cross_entropy` (add-one smoothing; for images
    that of the classes' shares) and for text `bigram_cross_entropy` (interpolated absolute discounting, see
    `PairCounts.bigram`); the counts are those of the train split. Attributes: `tokens` (scored), for text `discount`.
    Raises InputError if the batches hold no scored token.
    """
    score = Score()
    pairs = []
    for batch in batches:
        here = batch.to(subject.device)
        score.add(here, subject.evaluate(here))
        pairs.append(_pairs(batch, text=text))
    if not score.scored:
        raise InputError("the eval tokens hold no position that is scored; add documents")
    previous, following = (np.concatenate(ids) for ids in zip(*pairs, strict=True))
    unigram = -np.log(counts.unigram(following)).mean()
    what = "the next token's share" if text else "the class's share"
    variables = {
        "cross_entropy": scalar(score.cross_entropy, "cross-entropy of the model", "nat"),
        "accuracy": scalar(score.accuracy, "share of tokens predicted by the model", "1"),
        "unigram_cross_entropy": scalar(unigram, f"cross-entropy of {what} of the train split", "nat"),
    }
    loss, scored = score.sums().T
    ends = interval_of_sums({"loss": loss, "scored": scored}, lambda sums: sums["loss"] / sums["scored"])
    for end, value in zip(("low", "high"), ends, strict=True):
        variables[f"cross_entropy_{end}"] = scalar(value, f"cross-entropy of the model, {BOOTSTRAPPED[end]}", "nat")
    attributes: dict[str, float | int] = {"tokens": score.scored}
    if text:
        bigram = -np.log(counts.bigram(previous, following)).mean()
        variables["bigram_cross_entropy"] = scalar(bigram, "cross-entropy of a bigram model of the train split", "nat")
        attributes["discount"] = counts.discount
    return labelled(variables, {}, attributes)


def _pairs(batch: Batch, *, text: bool) -> tuple[Ids, Ids]:
    following = batch.targets[batch.scored].numpy()
    return (batch.inputs[batch.scored].numpy() if text else np.zeros_like(following)), following
