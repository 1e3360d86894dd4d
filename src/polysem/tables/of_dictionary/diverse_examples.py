"""S4.X3: strong examples of each feature that differ, and how many of its top examples are repeats of each other.

`passes.embeddings.diverse` says how they are found. Over (`feature`, `example`), the largest activation first, −1 and
NaN behind a feature's last one: `activation`, `sequence`, `position`, `rank` among the candidates, `repeats` and
`similar`, other candidates that the example stands for; over (…, `offset`) `token` and `window_activation` as in the
table `examples`. Over `feature`: `candidates`; of the feature's `top_examples` strongest tokens, or fewer, as many as
it has: `distinct_tokens`, `distinct_contexts`, and `different_examples` as far as `different_distance` tells; and of
the diverse ones `diverse_tokens`. Images have neither tokens nor contexts.

Over `number`, 0 … `top_examples`: `tokens_at_most`, `contexts_at_most` and `different_at_most`, the shares of features
with at most so many of each. These and the scalars are over the features that are active on at least `top_examples`
tokens (`all_top_features`); they are NaN where there are none. Attributes: the params, `tokens`, and either `weights`,
which weights make the embeddings, or `no_embeddings`, why there are none.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.models.batches import TokenStore
from polysem.saes.sae import SAE
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import weights_around
from polysem.tables.parts.labels import COMPRESSED, index, labelled, scalar, variable
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.passes.embeddings.diverse import contexts, distinct, diversified
from polysem.tables.passes.embeddings.entering import Entering, entering, no_input_weights
from polysem.tables.passes.survey.candidates import Candidates
from polysem.tables.passes.survey.survey import gathered, surveyed
from polysem.tables.passes.survey.windows import Window, activations_around, places_of, tokens_around

CATALOGUE = "S4.X3"
READS = ("survey", "store", "weights", "tokens", "directions", "table:frequency")
PARAMS = (
    "top_examples",
    "further_examples",
    "repeat_context",
    "different_distance",
    "context_before",
    "context_after",
)
VARIABLES = {
    "activation": ("feature example", "activation", "activation of the feature"),
    "sequence": ("feature example", "1", "sequence in the token store"),
    "position": ("feature example", "1", "position in the sequence"),
    "rank": ("feature example", "1", "place among the candidates by activation, 0: the strongest; -1: none"),
    "repeats": ("feature example", "example", "other candidates with the same token in the same context"),
    "similar": ("feature example", "example", "other candidates that are similar to it, with their repeats"),
    "token": ("feature example offset", "1", "token id"),
    "window_activation": ("feature example offset", "activation", "activation of the same feature"),
    "candidates": ("feature", "example", "examples among which different ones are looked for"),
    "distinct_tokens": ("feature", "example", "different tokens among the top examples"),
    "distinct_contexts": ("feature", "example", "different tokens or contexts among the top examples"),
    "different_examples": ("feature", "example", "top examples that differ by their neuron embeddings"),
    "diverse_tokens": ("feature", "example", "different tokens among the diverse examples"),
    "tokens_at_most": (
        "number",
        "1",
        "share of features with at most so many different tokens among their top examples",
    ),
    "contexts_at_most": (
        "number",
        "1",
        "share of features with at most so many different tokens or contexts among their top examples",
    ),
    "different_at_most": (
        "number",
        "1",
        "share of features with at most so many top examples that differ by their neuron embeddings",
    ),
    "all_top_features": ("", "feature", "features that are active on as many tokens as top examples are kept"),
    "median_distinct_tokens": ("", "example", "median over features: different tokens among the top examples"),
    "median_distinct_contexts": (
        "",
        "example",
        "median over features: different tokens or contexts among the top examples",
    ),
    "median_different_examples": (
        "",
        "example",
        "median over features: top examples that differ by their neuron embeddings",
    ),
    "one_token_share": ("", "1", "share of features whose top examples are all of one token"),
    "one_token_found_more_share": ("", "1", "share of these features whose diverse examples have another token"),
    "feature": ("feature", "1", "feature"),
    "offset": ("offset", "1", "tokens behind the example"),
    "number": ("number", "example", "examples"),
}
ONLY = {
    "of text": (
        "distinct_tokens",
        "distinct_contexts",
        "diverse_tokens",
        "tokens_at_most",
        "contexts_at_most",
        "median_distinct_tokens",
        "median_distinct_contexts",
        "one_token_share",
        "one_token_found_more_share",
    ),
    "where features have neuron embeddings": (
        "different_examples",
        "different_at_most",
        "median_different_examples",
    ),
}
AT_MOST = {
    "tokens_at_most": "distinct_tokens",
    "contexts_at_most": "distinct_contexts",
    "different_at_most": "different_examples",
}
LARGE = ("token", "window_activation", "sequence", "position", "rank", "repeats", "similar")


def gatherer(inputs: Inputs) -> Candidates:
    """What keeps the candidates during the survey."""
    top = inputs.params.top_examples
    store = TokenStore(inputs.path("tokens"))
    return Candidates(dictionary_of(inputs).features, top + inputs.params.further_examples, top, store)


def measure(inputs: Inputs) -> xr.Dataset:
    """The table."""
    chosen, rows, tokens = inputs.params, activation_rows(inputs), TokenStore(inputs.path("tokens"))
    token, activation = gathered(inputs, Candidates).found()
    sequences, positions = (place.reshape(token.shape) for place in places_of(rows, token.ravel()))
    context = contexts(sequences, positions, tokens, chosen.repeat_context) if tokens.is_text else None
    into = _entering(inputs)
    found = diversified(
        token,
        context,
        into if isinstance(into, Entering) else None,
        chosen.different_distance,
        chosen.top_examples,
    )
    window = Window(chosen.context_before, chosen.context_after) if tokens.is_text else Window(0, 0)

    def of_kept(values: NDArray, missing: float) -> NDArray:
        taken = np.take_along_axis(values, np.maximum(found.place, 0), axis=1)
        return np.where(found.place >= 0, taken, np.asarray(missing, values.dtype))

    sequence, position = of_kept(sequences, -1), of_kept(positions, -1)
    around = activations_around(of_kept(token, -1), window, surveyed(inputs).again, rows)
    each, all_three = ("feature", "example"), ("feature", "example", "offset")
    values = {
        "activation": (each, of_kept(activation, np.nan)),
        "sequence": (each, sequence.astype(np.int32)),
        "position": (each, position.astype(np.int32)),
        "rank": (each, found.place.astype(np.int32)),
        "repeats": (each, found.repeats.astype(np.int32)),
        "similar": (each, found.similar.astype(np.int32)),
        "token": (all_three, tokens_around(sequence, position, window, tokens)),
        "window_activation": (all_three, around),
    }
    variables = {name: variable(dims, of, *_said(name)) for name, (dims, of) in values.items()}
    for name in LARGE:
        variables[name].encoding = dict(COMPRESSED)
    counts = {"candidates": (token >= 0).sum(axis=1)}
    if context is not None:
        ids = tokens_around(sequences, positions, Window(0, 0), tokens)[:, :, 0]
        top = slice(chosen.top_examples)
        numbers = np.unique(context, return_inverse=True)[1].reshape(context.shape)
        counts |= {
            "distinct_tokens": distinct(ids[:, top]),
            "distinct_contexts": distinct(np.where(token >= 0, numbers, -1)[:, top]),
            "diverse_tokens": distinct(of_kept(ids, -1)),
        }
    if isinstance(into, Entering):
        counts["different_examples"] = ((found.place >= 0) & (found.place < chosen.top_examples)).sum(axis=1)
    active = inputs.table("frequency")["active_tokens"].values >= chosen.top_examples
    variables |= {name: variable("feature", of.astype(np.int32), *_said(name)) for name, of in counts.items()}
    variables |= _at_most(counts, active, chosen.top_examples)
    variables |= {name: scalar(value, *_said(name)) for name, value in _scalars(counts, active).items()}
    coordinates = {
        "feature": index("feature", 0, len(token), "feature"),
        "offset": index("offset", -window.before, window.after + 1, "tokens behind the example"),
        "number": variable("number", np.arange(chosen.top_examples + 1), *_said("number")),
    }
    how = {"weights": into.kind} if isinstance(into, Entering) else {"no_embeddings": into}
    settings = {name: getattr(chosen, name) for name in PARAMS[:4]}
    return labelled(variables, coordinates, {**settings, **how, "tokens": rows.length})


def _entering(inputs: Inputs) -> Entering | str:
    """What enters the features, or why nothing is known of it."""
    dictionary, directions = dictionary_of(inputs), weights_around(inputs)
    if not isinstance(dictionary, SAE) and directions.input_weights(inputs.site) is None:
        return no_input_weights(directions, inputs.site)
    return entering(inputs.path("store"), dictionary, directions, inputs.site)


def _said(name: str) -> tuple[str, str]:
    """Long name and unit of a variable."""
    _, unit, words = VARIABLES[name]
    return words, unit


def _at_most(counts: dict[str, NDArray[np.int64]], counted: NDArray[np.bool_], top: int) -> dict[str, xr.Variable]:
    """The share of the features that are counted with at most 0, 1, … of something."""
    found = {}
    for name, of in AT_MOST.items():
        if of in counts:
            each = np.bincount(counts[of][counted], minlength=top + 1).cumsum()
            share = each / counted.sum() if counted.any() else np.full(top + 1, np.nan)
            found[name] = variable("number", share, *_said(name))
    return found


def _scalars(counts: dict[str, NDArray[np.int64]], counted: NDArray[np.bool_]) -> dict[str, float | int]:
    found: dict[str, float | int] = {"all_top_features": int(counted.sum())}
    for name in ("distinct_tokens", "distinct_contexts", "different_examples"):
        if name in counts:
            found[f"median_{name}"] = float(np.median(counts[name][counted])) if counted.any() else np.nan
    if "distinct_tokens" in counts:
        one = counted & (counts["distinct_tokens"] == 1)
        found["one_token_share"] = float(one.sum() / counted.sum()) if counted.any() else np.nan
        more = (counts["diverse_tokens"][one] > 1).mean() if one.any() else np.nan
        found["one_token_found_more_share"] = float(more)
    return found
