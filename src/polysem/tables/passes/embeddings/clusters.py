"""What the table `clusters` says (S3.F1-F5, S3.T1, S3.T3, S3.X1): what strong examples of a feature have in common.

Strong examples are the first `strong_examples` tokens whose activation is at least `strong_share` of the feature's
largest. Over `embedding`, an embedding of an example is

- "neuron": what enters the feature at the key token times its weights, element by element (S3.M1);
- "input": what enters alone;
- "weighted": the mean of what enters at the tokens up to the key token, weighted by the feature's activation, times the
  weights (S3.X1).

What enters a neuron is its layer's input; what enters a feature of an SAE is the activation minus b_dec. The variables,
integers being −1 and others NaN where there is nothing:

- feature: `state` ("clustered", "never active", "one example", "identical examples", "not a number"), `size`,
  `largest_cluster_share`, `rare_secondary` (see `first_clusters.rare_secondary`), and `random_{measure}` of as many
  random tokens under the embedding "neuron".
- (embedding, feature): the measures of `measures.MEASURES`, and with tags those of `tag_agreement.TAG_MEASURES`;
  over embedding `median_{measure}`, over the features whose state is "clustered"; over distance
  `random_median_distance`, the same of random tokens.
- (feature, example), in the order of the store: `example_sequence`, `example_position`, `example_activation`,
  `example_cluster` (by size, the largest 0, the earlier first among equals).
- (feature, cluster) of the first 6 clusters: `cluster_size`, `central_example`; (…, member), the central example and
  the earliest others, 3 in all: `cluster_example`, `cluster_sequence`; (…, offset), tokens from −`context_before` to
  `AFTER` around the key token, of images 0 alone: `cluster_token`, `cluster_activation`.
- shown (up to 6 features): `shown_feature`, `shown_for` ("two clusters", "rare secondary behaviour", "most clusters",
  "tightest", "most examples"); `token`, `token_text` (text alone) and `window_activation` (shown, example, offset);
  `linkage` (shown, merge, column) as scipy writes it, of the feature's `size` examples; `entering` (shown, example,
  input) and `weight` (shown, input); `plane` (shown, embedding, example, axis), classical scaling of the distances;
  `contrast_…` and `two_clusters_…` of `contrast`; of images `pixels` (shown, example, pixel), `image_enters` (shown),
  `drawn_example` (shown, draw), `activation_map`, `mean_example` and their product `importance_map` (shown, pixel).
  Absent where no feature is clustered.
- scalars: features of each state, `rare_secondary_features`, `median_size`, and `agreement_…` of `rank_correlation`.

Attributes: `strong_share`, `strong_examples`, `cluster_cut`, `tokens`, and `weights`: "input weights", "gate weights"
or "encoder rows"; of images `height` and `width`. Neurons without input weights have the attribute `not_applicable`
alone, and no variables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.models.batches import TokenStore
from polysem.params.analysis import Analysis
from polysem.saes.dictionary import Dictionary
from polysem.saes.sae import SAE
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.labels import COMPRESSED, index, labelled, variable
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.embeddings.entering import Entering, entering, no_input_weights
from polysem.tables.passes.embeddings.feature_variables import DISTANCES, measure_variables, state_variables
from polysem.tables.passes.embeddings.measured import EMBEDDINGS, RANDOM, Around, Clustered, clustered, joined, states
from polysem.tables.passes.embeddings.rank_correlation import agreement_scalars
from polysem.tables.passes.embeddings.shown import ShownGroups, shown_features, shown_variables
from polysem.tables.passes.embeddings.shown_images import drawn_examples, example_images, image_enters, image_variables
from polysem.tables.passes.embeddings.shown_texts import token_texts
from polysem.tables.passes.embeddings.strong_examples import StrongExamples, collect_examples, strong_thresholds
from polysem.tables.passes.embeddings.tag_agreement import agreement, rarest_tags
from polysem.tables.passes.embeddings.windows import only, rows_before
from polysem.tables.passes.survey.recording import SecondLook
from polysem.tables.passes.survey.windows import Window, activations_around, places_of, tokens_around

Variables = dict[str, xr.Variable]
AFTER = 5
"""Tokens behind the key token that the document shows."""
NUMBERS = 1 << 24
"""Tokens around examples whose activations are held at once: 200 MiB."""
COMPRESSIBLE = {"cluster_token", "cluster_activation", "example_sequence", "example_position", "example_cluster"}


def clusters(
    store: Path,
    dictionary: Dictionary,
    directions: Directions,
    site: str,
    again: SecondLook,
    tokens: Path,
    frequency: xr.Dataset,
    tags: xr.Dataset,
    alignment: xr.Dataset,
    analysis: Analysis,
    text: Callable[[int], str] = str,
) -> xr.Dataset:
    """The table `clusters` of a dictionary; for neurons without input weights the attribute `not_applicable` alone.

    `store` holds the eval activations, `tokens` their tokens or images, `again` are the active features of all of them;
    `frequency`, `tags` and `alignment` are the tables of these names. Source: document S3.
    """
    settings = {name: getattr(analysis, name) for name in ("strong_share", "strong_examples", "cluster_cut")}
    if not isinstance(dictionary, SAE) and directions.input_weights(site) is None:
        return xr.Dataset(attrs={"not_applicable": no_input_weights(directions, site)})
    into = entering(store, dictionary, directions, site)
    largest = frequency["max_activation"].values
    examples = collect_examples(again, strong_thresholds(largest, analysis.strong_share), analysis.strong_examples)
    texts = TokenStore(tokens)
    window = Window(analysis.context_before, AFTER) if texts.is_text else Window(0, 0)
    context = Context(into.rows, again, texts, window, len(largest))
    places = places_of(context.rows, examples.token.ravel())
    sequence, position = (place.astype(np.int32).reshape(examples.token.shape) for place in places)
    known, described = _clustered(examples, context, into, sequence, position, analysis)
    measures = {of: dict(known.measures[of]) for of in known.measures}
    state = states(examples.size, measures["neuron"]["max_distance"], largest)
    counted = state == "clustered"
    if tags.sizes["tag"]:
        tag = rarest_tags(examples.token, tags["base_rate"].values, TokenTags(tokens), context.rows)
        for place, of in enumerate(EMBEDDINGS):
            measures[of] |= agreement(known.cluster[place], tag)
    variables = measure_variables(measures, counted) | state_variables(state, examples, known.first)
    variables |= _example_variables(examples, sequence, position, known.cluster[0]) | described
    variables |= _agreement(measures, counted, frequency, alignment, tags, analysis.baseline_seed)
    rare = variables["rare_secondary"].values
    often = frequency["frequency"].values
    shown = shown_features(examples.size, measures["neuron"], known.first.size, rare, often, counted)
    if shown.feature:
        chosen = np.array(shown.feature)
        few, groups = examples.part(chosen), ShownGroups(known.cluster[0, chosen], known.first.example[chosen, :, 0])
        around, activation = context.around(few.token, chosen)
        token = tokens_around(sequence[chosen], position[chosen], window, texts)
        variables |= shown_variables(shown, few, groups, around, token, activation, into, analysis.cluster_cut)
        if texts.is_text:
            variables["token_text"] = token_texts(token, text)
        else:
            pixels = example_images(sequence[chosen], texts)
            variables |= {"pixels": pixels, "image_enters": image_enters(pixels.values, variables["entering"].values)}
            variables["drawn_example"] = drawn_examples(few.size, analysis.baseline_seed)
            variables |= image_variables(shown, sequence[chosen], texts, dictionary, directions, site)
    for name in variables.keys() & COMPRESSIBLE:
        variables[name].encoding = dict(COMPRESSED)
    coordinates = {
        "feature": index("feature", 0, len(largest), "feature"),
        "embedding": variable("embedding", np.array(EMBEDDINGS, object), "embedding of an example", "1"),
        "distance": variable("distance", np.array(DISTANCES, object), "measure of distances", "1"),
        "offset": index("offset", -window.before, window.after + 1, "tokens behind the key token"),
    }
    size = {name: texts.attributes[name] for name in ("height", "width") if not texts.is_text}
    return labelled(variables, coordinates, {**settings, **size, "weights": into.kind, "tokens": into.rows.length})


@dataclass
class Context:
    """Where the tokens around examples come from."""

    rows: ActivationRows
    again: SecondLook
    tokens: TokenStore
    window: Window
    features: int
    _kept: dict[int, int] = field(default_factory=dict)
    _rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _activation: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def around(self, token: NDArray[np.int64], features: NDArray[np.int64]) -> tuple[Around, NDArray[np.float32]]:
        """Tokens up to the key tokens [feature, example] of some features, and activations in the whole window.

        The last answer is kept for questions about some of its features: passes over neurons take longest.
        """
        if set(features.tolist()) <= self._kept.keys():
            place = [self._kept[feature] for feature in features.tolist()]
            rows, activation = self._rows[place], self._activation[place]
        else:
            again = only(self.again, features, self.features)
            activation = activations_around(token, self.window, again, self.rows)
            rows = rows_before(token, self.window.before, self.rows)
            self._kept = {feature: place for place, feature in enumerate(features.tolist())}
            self._rows, self._activation = rows, activation
        return Around(rows, activation[:, :, : self.window.before + 1]), activation


def _clustered(
    examples: StrongExamples,
    context: Context,
    into: Entering,
    sequence: NDArray[np.int32],
    position: NDArray[np.int32],
    analysis: Analysis,
) -> tuple[Clustered, Variables]:
    """The clusters of all features, and what is shown of the first ones, some features at a time."""
    features, width = examples.token.shape
    size = max(1, NUMBERS // (width * context.window.width))
    found, activations = [], []
    for start in range(0, features, size):
        part = np.arange(start, min(start + size, features))
        few = examples.part(part)
        around, activation = context.around(few.token, part)
        here = clustered(few, around, into, analysis.cluster_cut, analysis.baseline_seed, start)
        found.append(here)
        activations.append(_of_members(activation, here.first.example, np.nan))
    known = joined(found)
    member = known.first.example
    of_sequence, of_position = (_of_members(of, member, -1) for of in (sequence, position))
    token = tokens_around(of_sequence, of_position, context.window, context.tokens)
    dimensions = ("feature", "cluster", "member")
    return known, {
        "cluster_size": variable(dimensions[:2], known.first.size, "examples of the cluster", "example"),
        "central_example": variable(
            dimensions[:2], member[:, :, 0], "its example nearest to the others, -1: no such cluster", "1"
        ),
        "cluster_example": variable(
            dimensions, member, "examples of the cluster: the central one, then the earliest others; -1: none", "1"
        ),
        "cluster_sequence": variable(dimensions, of_sequence, "sequence in the token store", "1"),
        "cluster_token": variable((*dimensions, "offset"), token, "token id", "1"),
        "cluster_activation": variable(
            (*dimensions, "offset"), np.concatenate(activations), "activation of the same feature", "activation"
        ),
    }


def _of_members(values: NDArray, member: NDArray[np.int16], missing: float) -> NDArray:
    """Values [feature, example, …] of members [feature, cluster, member]; `missing` where there is none."""
    place = np.maximum(member, 0).astype(np.int64)
    taken = values[np.arange(len(values))[:, None, None], place]
    taken[member < 0] = missing
    return taken


def _example_variables(
    examples: StrongExamples,
    sequence: NDArray[np.int32],
    position: NDArray[np.int32],
    cluster: NDArray[np.int16],
) -> Variables:
    both = ("feature", "example")
    return {
        "example_sequence": variable(both, sequence, "sequence in the token store, -1: no such example", "1"),
        "example_position": variable(both, position, "position in the sequence", "1"),
        "example_activation": variable(both, examples.activation, "activation of the feature", "activation"),
        "example_cluster": variable(both, cluster, "cluster of the neuron embedding, the largest 0; -1: none", "1"),
    }


def _agreement(
    measures: Mapping[str, Mapping[str, NDArray]],
    counted: NDArray[np.bool_],
    frequency: xr.Dataset,
    alignment: xr.Dataset,
    tags: xr.Dataset,
    seed: int,
) -> Variables:
    with np.errstate(divide="ignore"):
        against = {
            "frequency": (np.log10(frequency["frequency"].values), "log frequency"),
            "power_top1": (alignment["power_top1"].values, "share of squared weight in the strongest neuron"),
        }
    if "monosemanticity_above_base" in tags:
        against["monosemanticity"] = (tags["monosemanticity_above_base"].values, "monosemanticity above base")
    distance = np.where(counted, measures["neuron"]["mean_distance"], np.nan)
    return agreement_scalars(distance, measures[RANDOM]["mean_distance"], against, seed)
