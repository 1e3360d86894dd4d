"""All tables of a dictionary that need no model: one pass over its activations, and what its weights alone tell.

One step, because starting Python and loading the dictionary takes longer than most of the tables.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.io.atomic import write_json
from polysem.io.content import file_digest
from polysem.io.folders import TABLES_RECEIPT
from polysem.io.tables import write_table
from polysem.models.batches import TokenStore
from polysem.params.analysis import Analysis, GivenAnalysis
from polysem.params.base import NEURONS
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.tables.of_dictionary.alignment import decoder_blocks, identity_blocks, neuron_alignment
from polysem.tables.of_dictionary.clusters import clusters
from polysem.tables.of_dictionary.geometry import geometry
from polysem.tables.of_dictionary.logits import logits
from polysem.tables.of_dictionary.rank_frequency import rank_frequency
from polysem.tables.of_dictionary.tags import TagCounts
from polysem.tables.of_dictionary.ultra_low import ultra_low
from polysem.tables.parts.dead import dead_features
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.frequency_classes import is_ultra_low
from polysem.tables.parts.in_context import in_context_tokens
from polysem.tables.parts.labels import dictionary_attributes
from polysem.tables.parts.monosemanticity import alignment_statistics
from polysem.tables.parts.nearest import nearest
from polysem.tables.parts.null_space import seen_rows
from polysem.tables.parts.showcase import showcase, showcase_tags
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.parts.words import words
from polysem.tables.passes.survey.co_firing import CONTEXTS, co_firing, highest_projections
from polysem.tables.passes.survey.survey import ExampleChoice, Survey, survey
from polysem.tables.passes.survey.windows import Window
from polysem.workflow.running.command import run

CATALOGUE = {
    "frequency": "S0.F1 S1.F1 S2.F3",
    "rank_frequency": "S0.F2 S0.X3",
    "alignment": "S0.F3a S0.F3b S0.F3c S2.F1 S2.F2",
    "examples": "S0.F4",
    "associations": "S0.F4 S1.F6",
    "geometry": "S2.F11 S2.F12 S2.F13 S2.F14",
    "ultra_low": "S2.F4 S2.F5 S2.F6 S2.F7 S3.T3",
    "logits": "S0.F4 S1.F3",
    "tags": "S0.X3 S1.F2",
    "clusters": "S3.F1 S3.F2 S3.F3 S3.F4 S3.F5 S3.T1 S3.T3 S3.X1",
}
OF_DECODERS = ("alignment", "geometry")
"""Tables of directions in the basis of neurons."""
CONTEXT_TOKENS = 200_000
"""Eval tokens by which tokens of the vocabulary are told to belong to a context."""


def survey_features(
    activations: Path,
    tokens: Path,
    dictionary: Path,
    directions: Path,
    output: Path,
    site: str,
    params: GivenAnalysis,
    tokenizer: Path | None = None,
    training: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Write the tables of `CATALOGUE` of a dictionary into a folder, and then their receipt.

    Args:
        activations: Store of eval activations.
        tokens: Store of the eval tokens, or images, that they belong to.
        dictionary: Folder of an SAE, or a path that ends in `neurons`.
        directions: Weights around the sites of the model.
        output: Folder `…/{model}/{site}/{dictionary}`.
        site: The site.
        params: What is read of it stands in the rule.
        tokenizer: The model's `tokenizer.json`; a model of images has none.
        training: Store of the training activations, of a model of images, whose dead features are told by them.
        device: Where the features are encoded.
        threads: CPU threads.

    Raises InputError if a file is none of these, or the SAE is for another width.
    """
    torch.set_num_threads(threads)
    output.mkdir(parents=True, exist_ok=True)
    rows = ActivationRows(activations)
    features = load_dictionary(dictionary, rows.width, device)
    tagged = TagCounts(TokenTags(tokens), features.features)
    choice = ExampleChoice(
        params.top_examples,
        params.sampled_examples,
        Window(params.context_before, params.context_after),
        params.baseline_seed,
    )
    found = survey(rows, features, TokenStore(tokens), choice, [tagged], device, scratch=output)
    width, basis = features.outputs, features.target or site
    decoder = identity_blocks(width) if dictionary.name == NEURONS else decoder_blocks(dictionary, width)
    alignment = neuron_alignment(decoder, width, params.baseline_seed)
    tags = tagged.table(found.again)
    tags = tags.assign(alignment_statistics(tags, alignment, params.baseline_seed))
    frequency = found.frequency
    shown = showcase(frequency, tags)
    context = _context_tags(tags, shown)
    weights = Directions.read(directions)
    seen = seen_rows(features, weights, basis)
    neurons = [max(0, int(found.correlations["correlated_neuron"].values[feature, 0])) for feature in shown]
    tables = {
        "frequency": frequency,
        "rank_frequency": rank_frequency(
            frequency["active_tokens_of_half"].values,
            frequency["tokens_of_half"].values,
            params.head_ranks,
            params.baseline_seed,
        ),
        "alignment": alignment,
        "examples": found.examples,
        "associations": found.correlations.merge(nearest(features), combine_attrs="drop_conflicts", join="exact"),
        "geometry": geometry(features, frequency, alignment, weights, site, params, shown, seen),
        "ultra_low": _cluster(features, found, rows, params, training, device),
        "logits": logits(
            features,
            weights,
            site,
            shown,
            neurons,
            _contexts(rows, tokens, weights, basis, tags, context),
            words(tokenizer),
            [str(tags["tag"].values[tag]) if tag >= 0 else "" for tag in context],
            seen,
        ),
        "tags": tags,
        "clusters": clusters(
            activations, features, weights, site, found, tokens, tags, alignment, params, words(tokenizer)
        ),
    }
    digests = {}
    for name, table in tables.items():
        path = output / f"{name}.nc"
        attributes = dictionary_attributes(path, CATALOGUE[name]) | target_attributes(features, name)
        write_table(path, table.assign_attrs(attributes))
        digests[name] = file_digest(path)
    write_json(output / TABLES_RECEIPT, {"sha256": digests})


def target_attributes(features: Dictionary, table: str) -> dict[str, str]:
    """Of the tables of a transcoder: the site that it predicts, and which tables see decoder rows, whose neurons are
    those of that site."""
    if features.target is None:
        return {}
    return {"target": features.target} | ({"decoder_site": features.target} if table in OF_DECODERS else {})


def _cluster(
    features: Dictionary,
    found: Survey,
    rows: ActivationRows,
    params: Analysis,
    training: Path | None,
    device: str,
) -> xr.Dataset:
    """The table `ultra_low`: directions of the cluster, which of it fires together, where its direction is seen, and
    of a classifier which features are dead."""
    table = ultra_low(features, found.frequency, params)
    parts = [table, co_firing(is_ultra_low(found.frequency, params.ultra_low_frequency), rows, found.again)]
    if "mean_direction" in table:
        parts.append(highest_projections(rows, table["mean_direction"].values, CONTEXTS))
    if training is not None:
        parts.append(xr.Dataset(dead_features(ActivationRows(training), features, device)))
    return xr.merge(parts, combine_attrs="drop_conflicts", join="exact")


def _contexts(
    rows: ActivationRows, tokens: Path, weights: Directions, site: str, tags: xr.Dataset, context: NDArray[np.int64]
) -> NDArray[np.bool_] | None:
    """Which tokens of the vocabulary belong to the context of each feature shown; None without tags or tokens."""
    store, path = TokenStore(tokens), weights.logit_path(site)
    if not (store.is_text and tags.sizes["tag"] and len(context) and path):
        return None
    sequence, position = rows.places(0, min(rows.length, CONTEXT_TOKENS))
    ids = store.ids(0, int(sequence[-1]) + 1)[sequence, position]
    return in_context_tokens(ids, TokenTags(tokens).at(sequence, position), path[-1].shape[1], context)


def _context_tags(tags: xr.Dataset, shown: Sequence[int]) -> NDArray[np.int64]:
    """The tag for which each feature is shown, else its main tag, as places along `tag`; -1: none."""
    best = {int(tags["best_feature"].values[tag]): tag for tag in reversed(showcase_tags(tags, len(shown)))}
    return np.array([best.get(feature, int(tags["main_tag"].values[feature])) for feature in shown], np.int64)


if __name__ == "__main__":
    run(survey_features)
