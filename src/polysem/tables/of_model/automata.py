"""S1.F9: features that follow each other, as a finite-state automaton: loops of one and of two features, and chains.

One table for all sites of a model, because the model is loaded once. Its places are the neurons and the first SAE of
each recipe at every site. Motifs, edges and nodes of all of them stand in one list each, with the numbers of their
places.
Source: document S1, "Finite state automata".
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.io.tables import read_arrays
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import read_record
from polysem.models.subject import Subject
from polysem.models.tokenize_corpus import Tokenization
from polysem.models.tokenizer import load_tokenizer, token_id
from polysem.numerics.motifs import KINDS, LONGEST
from polysem.numerics.transitions import FEWEST, LEAST_LIFT, SHUFFLES
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import labelled, variable
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.parts.words import words
from polysem.tables.passes.automata.expected import EXPECTED
from polysem.tables.passes.automata.sample import active_features, sampled
from polysem.tables.passes.automata.trace import BINS, TOKENS, Trace, traced
from polysem.tables.passes.automata.tried import DIRECTIONS, tried

CATALOGUE = "S1.F9"
READS = (
    "model",
    "tokens",
    "tokenizer",
    "relatives:weights",
    "relatives:store",
    "relatives:table:logits",
    "relatives:table:tags",
)
PARAMS = ("automata_tokens", "baseline_seed")
VARIABLES = {
    "kind": ("kind", "1", "kind of motif"),
    "bin_edge": ("bin_edge", "1", "edges of the bins, as powers of 2; the outermost bins hold all beyond"),
    "place_site": ("place", "1", "site of the dictionary"),
    "place_dictionary": ("place", "1", "dictionary"),
    "place_unpredicted": ("place", "1", "why weights predict nothing; '' where they do"),
    "place_pairs": ("place", "1", "pairs of neighbouring tokens"),
    "place_features": ("place", "feature", "features"),
    "place_traced": ("place", "feature", "features active often enough to be traced"),
    "place_edges": ("place", "1", "pairs of features of which the second follows the first beyond chance"),
    "place_moves": ("place", "1", "the same, of different features whose order matters"),
    "place_chance_lift": ("place", "1", "largest lift of a frequent pair in shuffled tokens"),
    "place_compared": ("place", "1", "pairs of features over which lift and prediction are correlated"),
    "lift_prediction_correlation": ("place", "1", "rank correlation of lift and prediction"),
    "lift_prediction_correlation_exchanged": ("place", "1", "the same with predictions of other features"),
    "pairs_at": ("place prediction_bin lift_bin", "1", "pairs of features by prediction and lift"),
    "found": ("place kind", "1", "motifs"),
    "tried": ("place kind", "1", "motifs that were tried out by ablation, the strongest"),
    "confirmed": ("place kind", "1", "motifs all of whose edges ablation confirmed"),
    "tried_edges": ("place", "1", "edges that were tried out"),
    "confirmed_edges": ("place", "1", "edges that ablation confirmed"),
    "motif_place": ("motif", "1", "number of its dictionary"),
    "motif_kind": ("motif", "1", "number of its kind"),
    "motif_edge": ("motif step", "1", "numbers of its edges, −1: none"),
    "motif_confirmed": ("motif", "1", "whether ablation confirmed all its edges"),
    "edge_place": ("edge", "1", "number of its dictionary"),
    "edge_source": ("edge", "1", "number of the node in front"),
    "edge_target": ("edge", "1", "number of the node behind"),
    "coincidences": ("edge", "token", "tokens on which the first is active and the second on the next"),
    "expected": ("edge", "token", "tokens on which they would, were the next tokens in any order"),
    "lift": ("edge", "1", "coincidences over those expected"),
    "lift_in_document": ("edge", "1", "the same, were they in any order within each document"),
    "together": ("edge", "token", "tokens on which both are active"),
    "strength": ("edge", "1", "correlation of the first being active and the second on the next token"),
    "prediction": ("edge", "1", "activity of the second on the tokens that the first boosts, over its usual one"),
    "contexts": ("edge", "1", "texts at whose ends the first was ablated"),
    "expected_before": ("edge", "activation", "activity of the second that the model expects on the next token"),
    "expected_after": ("edge", "activation", "the same with the first ablated"),
    "drop": ("edge", "1", "share of it that ablation takes away"),
    "random_drop": ("edge direction", "1", "share that as much along random directions takes away"),
    "edge_confirmed": ("edge", "1", "whether ablation takes away something, and more than all random directions"),
    "node_place": ("node", "1", "number of its dictionary"),
    "node_feature": ("node", "feature", "feature of the dictionary"),
    "node_active": ("node", "token", "tokens on which it is active"),
    "node_tag": ("node", "1", "its main tag; '' for none"),
    "node_token": ("node rank", "1", "tokens that hold most of its activation; '' for none"),
    "node_boosted": ("node rank", "1", "tokens whose logits it raises most; '' for none"),
}  # fmt: skip


def measure(inputs: Inputs) -> xr.Dataset:
    """The automata of the neurons and the first SAE of each recipe, at every site.

    Features follow each other on `automata_tokens` eval tokens (`numerics.transitions`), and weights predict it: a
    feature raises the logits of tokens, on which others are active. The strongest motifs are tried out: behind a token,
    the model expects so much activity of the second feature, and less of it when the first is ablated there
    (`passes.automata.tried`).
    """
    store = TokenStore(inputs.path("tokens"))
    if not store.is_text:
        return xr.Dataset(attrs={"not_applicable": "an image has no next token"})
    subject = load_subject(inputs.path("model"), inputs.device)
    settings = read_record(inputs.path("model")).settings
    told = Tokenization(**{key: settings[key] for key in Tokenization.model_fields})
    tokenizer = load_tokenizer(inputs.path("tokenizer"))
    bos = None if told.bos_token is None else token_id(tokenizer, told.bos_token)
    each = inputs.each("relatives")
    traces = [trace(subject, store, one, bos, inputs) for one in each]
    attributes: dict[str, Any] = {
        "shuffles": SHUFFLES,
        "fewest": FEWEST,
        "least_lift": LEAST_LIFT,
        "compared_from": EXPECTED,
        "directions": DIRECTIONS,
    }
    if told.packing == "concatenated" and bos is None:
        attributes["borders"] = "documents stand in sequences without a mark between them: pairs may go across"
    return table(each, traces, words(inputs.path("tokenizer"))).assign_attrs(attributes)


def trace(subject: Subject, store: TokenStore, one: Inputs, bos: int | None, inputs: Inputs) -> tuple[Trace, int]:
    """The automata of one dictionary, and over how many pairs of tokens."""
    rows, dictionary, seed = activation_rows(one), dictionary_of(one), inputs.params.baseline_seed
    wanted = inputs.params.automata_tokens
    sample = inputs.once(("sample", one.site), lambda: sampled(rows, store, wanted, bos))
    boosted = boosted_tokens(one)
    vocabulary = max(store.attributes["vocabulary"], 0 if boosted is None else int(boosted.max()) + 1)
    activations = active_features(rows, sample, dictionary, inputs.device)
    try_out = partial(tried, subject, one.site, dictionary, sample, seed=seed)
    found = traced(activations, sample, boosted, vocabulary, try_out, seed)
    return found, len(sample.near.first)


def boosted_tokens(one: Inputs) -> Int[NDArray, "feature rank"] | None:
    """The tokens whose logits each feature raises most; None where no weights lead from the site to the logits."""
    path = one.table_file("logits")
    found = one.once(("boosted", path), lambda: read_arrays(path, "boosted_token".__eq__))
    return found["boosted_token"].astype(np.int64) if found else None


def main_tags(one: Inputs) -> dict[str, NDArray]:
    """All tags, and the main one of each feature as its place among them."""
    path = one.table_file("tags")
    return one.once(("main tags", path), lambda: read_arrays(path, {"tag", "main_tag"}.__contains__))


def unpredicted(one: Inputs) -> str:
    """Why no weights lead from a site to the logits; '' where some do."""
    return "" if boosted_tokens(one) is not None else str(one.table("logits").attrs["not_applicable"])


class _Lists:
    """Nodes, edges and motifs of all dictionaries."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        self.nodes = [(place, node) for place, of in enumerate(traces) for node in of.nodes]
        self.edges = [(place, edge) for place, of in enumerate(traces) for edge in of.numbers]
        self.motifs = [(place, motif) for place, of in enumerate(traces) for motif in of.motifs]
        self.node = {one: number for number, one in enumerate(self.nodes)}
        self.edge = {one: number for number, one in enumerate(self.edges)}


def table(each: Sequence[Inputs], found: Sequence[tuple[Trace, int]], text: Any) -> xr.Dataset:
    """The table of some dictionaries, from the automata of each and the pairs of tokens they were counted over; `text`
    is what a token is called."""
    traces = [one for one, _ in found]
    lists = _Lists(traces)
    made = (
        _of_places(each, found)
        | _of_motifs(lists, traces)
        | _of_edges(lists, traces)
        | _of_nodes(lists, traces, each, text)
    )
    variables = {}
    for name, values in made.items():
        dimensions, unit, words_of = VARIABLES[name]
        variables[name] = variable(tuple(dimensions.split()), values, words_of, unit)
    coordinates = {name: variables.pop(name) for name in ("kind", "bin_edge")}
    return labelled(variables, coordinates, {})


def _of_places(each: Sequence[Inputs], found: Sequence[tuple[Trace, int]]) -> dict[str, NDArray]:
    traces = [one for one, _ in found]
    scalars = {name: np.array([one.scalars[name] for one in traces]) for name in traces[0].scalars}
    whole = {name: scalars[name].astype(np.int64) for name in ("features", "traced", "edges", "moves", "compared")}
    listed = [[[motif for motif in one.motifs if motif.kind == kind] for kind in KINDS] for one in traces]
    effects = [list(one.effects.values()) for one in traces]
    return {
        "kind": np.array(KINDS, object),
        "bin_edge": BINS,
        "place_site": np.array([one.site for one in each], object),
        "place_dictionary": np.array([one.place.dictionary for one in each], object),
        "place_unpredicted": np.array([unpredicted(one) for one in each], object),
        "place_pairs": np.array([pairs for _, pairs in found], np.int64),
        **{f"place_{name}": values for name, values in whole.items()},
        "place_chance_lift": scalars["chance_lift"],
        **{name: values for name, values in scalars.items() if name.startswith("lift_prediction")},
        "pairs_at": np.array([one.histogram for one in traces], np.int32),
        "found": np.array([[one.found[kind] for kind in KINDS] for one in traces], np.int32),
        "tried": np.array([[len(motifs) for motifs in of] for of in listed], np.int32),
        "confirmed": np.array(
            [
                [sum(one.is_confirmed(motif) for motif in motifs) for motifs in of]
                for one, of in zip(traces, listed, strict=True)
            ],
            np.int32,
        ),
        "tried_edges": np.array([len(of) for of in effects], np.int32),
        "confirmed_edges": np.array([sum(one.confirmed for one in of) for of in effects], np.int32),
    }


def _of_motifs(lists: _Lists, traces: Sequence[Trace]) -> dict[str, NDArray]:
    edges = np.full((len(lists.motifs), LONGEST - 1), -1, np.int32)
    for number, (place, motif) in enumerate(lists.motifs):
        edges[number, : len(motif.edges)] = [lists.edge[place, edge] for edge in motif.edges]
    return {
        "motif_place": np.array([place for place, _ in lists.motifs], np.int32),
        "motif_kind": np.array([KINDS.index(motif.kind) for _, motif in lists.motifs], np.int32),
        "motif_edge": edges,
        "motif_confirmed": np.array([traces[place].is_confirmed(motif) for place, motif in lists.motifs], np.int8),
    }


def _of_edges(lists: _Lists, traces: Sequence[Trace]) -> dict[str, NDArray]:
    effects = [traces[place].effects[edge] for place, edge in lists.edges]
    numbers: list[Mapping[str, float]] = [traces[place].numbers[edge] for place, edge in lists.edges]
    random = np.array([one.random_drop for one in effects]).reshape(len(effects), DIRECTIONS)
    whole, real = ("coincidences", "together"), ("expected", "lift", "lift_in_document", "strength", "prediction")
    return {
        "edge_place": np.array([place for place, _ in lists.edges], np.int32),
        "edge_source": np.array([lists.node[place, edge[0]] for place, edge in lists.edges], np.int32),
        "edge_target": np.array([lists.node[place, edge[1]] for place, edge in lists.edges], np.int32),
        **{name: np.array([of[name] for of in numbers], np.int64) for name in whole},
        **{name: np.array([of[name] for of in numbers], np.float64) for name in real},
        "contexts": np.array([one.contexts for one in effects], np.int32),
        "expected_before": np.array([one.before for one in effects], np.float64),
        "expected_after": np.array([one.after for one in effects], np.float64),
        "drop": np.array([one.drop for one in effects], np.float64),
        "random_drop": random,
        "edge_confirmed": np.array([one.confirmed for one in effects], np.int8),
    }


def _of_nodes(lists: _Lists, traces: Sequence[Trace], each: Sequence[Inputs], text: Any) -> dict[str, NDArray]:
    tokens, boosted = (np.full((len(lists.nodes), TOKENS), "", object) for _ in range(2))
    tags = []
    for number, (place, feature) in enumerate(lists.nodes):
        tokens[number] = [text(int(token)) for token in traces[place].nodes[feature].strongest]
        raised = boosted_tokens(each[place])
        if raised is not None:
            first = raised[feature, :TOKENS].tolist()
            boosted[number, : len(first)] = [text(token) for token in first]
        of = main_tags(each[place])
        main = int(of["main_tag"][feature])
        tags.append(str(of["tag"][main]) if main >= 0 else "")
    return {
        "node_place": np.array([place for place, _ in lists.nodes], np.int32),
        "node_feature": np.array([feature for _, feature in lists.nodes], np.int32),
        "node_active": np.array([traces[place].nodes[feature].active for place, feature in lists.nodes], np.int64),
        "node_tag": np.array(tags, object),
        "node_token": tokens,
        "node_boosted": boosted,
    }
