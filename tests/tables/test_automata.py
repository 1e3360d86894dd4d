"""S1.F9: a model that was made by hand of a grammar, and a dictionary in which its automaton is known."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from measured import made
from tokenizers import Tokenizer, models, pre_tokenizers

from polysem.activations.extract_activations import extract_activations
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.automata_metrics import automata_metrics
from polysem.tables.parts.labels import variable
from polysem.tables.passes.automata.expected import TokenActivity, compared_pairs, rank_correlation
from polysem.tables.passes.automata.sample import Sample, often_active, sampled
from polysem.tables.passes.automata.tried import CONTEXTS, DIRECTIONS, Effect, contexts

SITE, SAE_NAME, CONTEXT = "blocks.0.mlp.hook_post", "by-hand", 64
WORDS = ("[B]", "a", "b", "c", "d", "e", "f", "w", "x", "y", "z")
A, B, C, D, E, F = range(1, 7)
NOISE = range(7, 11)
NEXT = {A: B, B: A, C: C, D: E, E: F}
ORDER = [5, 2, 9, 1, 3, 10, 4, 7, 6, 8]
"""The word of each feature; the last feature of the dictionary is never active."""
FEATURE = {word: feature for feature, word in enumerate(ORDER)}
DEAD = len(ORDER)
SETTINGS = {"context_length": CONTEXT, "packing": "documents", "bos_token": "[B]", "mask_tokens": ["[B]"]}


def sentences() -> list[list[int]]:
    """a and b take turns, c repeats itself, f follows e follows d; in between is noise."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(60):
        tokens = [0]
        while len(tokens) < CONTEXT - 20:
            runs = ([A, B] * int(draw.integers(2, 5)), [C] * int(draw.integers(3, 8)), [D, E, F])
            tokens += draw.choice(NOISE, int(draw.integers(6, 12))).tolist() + runs[int(draw.integers(3))]
        found.append(tokens)
    return found


def write_tokens(path: Path, sequences: list[list[int]]) -> None:
    ids = np.zeros((len(sequences), CONTEXT), np.int32)
    for number, row in enumerate(sequences):
        ids[number, : len(row)] = row
    length = np.array([len(row) for row in sequences], np.int32)
    counted = (np.arange(CONTEXT) < length[:, None]) & (ids != 0)
    attributes = {"kind": "text", "vocabulary": len(WORDS), "context_length": CONTEXT}
    with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
        for key, values in {"ids": ids, "length": length, "counted": counted}.items():
            create_array(
                group, key, values.shape, str(values.dtype), ("sequence", "position")[: values.ndim], compressed=True
            )[:] = values


def write_model(folder: Path) -> None:
    """A neuron for each word, which writes the next one into another part of the stream. Attention does nothing."""
    words = len(WORDS)
    config = {
        "d_model": 2 * words, "d_head": 2, "n_heads": 1, "n_layers": 1, "n_ctx": CONTEXT, "d_vocab": words,
        "d_mlp": words, "act_fn": "relu", "normalization_type": "LN", "seed": 0,
    }  # fmt: skip
    model = new_model(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "ln" not in name:
                weights.zero_()
        places = torch.arange(words)
        parts = dict(model.named_parameters())
        parts["tok_embed.weight"][places, places] = 1
        parts["layers.0.mlp.fc_in.weight"][places, places] = 1
        parts["layers.0.mlp.fc_in.bias"] -= 1
        for word, following in NEXT.items():
            parts["layers.0.mlp.fc_out.weight"][words + following, word] = 1
        parts["head.weight"][places, words + places] = 1
    folder.mkdir(parents=True)
    save_native(bridge_of(model), config, folder)


def write_tables(place: Place) -> None:
    """What the tables of the dictionaries say of boosted tokens and of tags."""
    order = {SAE_NAME: [*ORDER, None], "neurons": range(len(WORDS))}[place.dictionary]
    boosted = np.array([[NEXT.get(word, 7), 8] for word in order])[:, :1]
    logits = {"boosted_token": variable(("feature", "rank"), boosted, "tokens", "token")}
    write_table(Path(place.tables) / "logits.nc", xr.Dataset(logits))
    main = np.array([0 if word == C else -1 for word in order])
    tags = {
        "main_tag": variable("feature", main, "tag", "1"),
        "tag": variable("tag", np.array(["c"], object), "tag", "1"),
    }
    write_table(Path(place.tables) / "tags.nc", xr.Dataset(tags))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("automata")
    place = Place("m", SITE, SAE_NAME, root=str(root))
    model = Path(place.weights.path)
    write_model(model)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="z"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["[B]"])
    tokenizer.save(place.tokenizer)
    record_model(model, "language", {**SETTINGS, "processing": {}}, {})
    texts = sentences()
    write_tokens(Path(place.tokens("eval").store), texts)
    extract_activations(
        model, Path(place.tokens("eval").store), SITE, Path(place.activations("eval").store), 10**6, "float32", ""
    )
    words, features = len(WORDS), len(ORDER) + 1
    W_enc, b_enc = torch.zeros(words, features), torch.zeros(features)
    W_enc[torch.tensor(ORDER), torch.arange(len(ORDER))] = 1
    b_enc[DEAD] = -1
    save_sae(
        SAE(W_enc, b_enc, W_enc.T.clone(), torch.zeros(words), Function()),
        Path(place.sae.path),
        {},
        torch.zeros(features),
    )
    relatives = [("m", SITE, SAE_NAME), ("m", SITE, "neurons")]
    for names in relatives:
        write_tables(Place.named(names, str(root)))
    table = made("model", "automata", Place("m", root=str(root)), "language", Analysis(), relatives=relatives)
    return SimpleNamespace(table=table, texts=texts, root=root, relatives=relatives)


def motifs(table: xr.Dataset, place: int) -> dict[str, list[tuple[int, ...]]]:
    """Features of the motifs of a dictionary, by kind."""
    found: dict[str, list[tuple[int, ...]]] = {str(kind): [] for kind in table["kind"].values}
    for motif in np.flatnonzero(table["motif_place"].values == place):
        edges = [edge for edge in table["motif_edge"].values[motif].tolist() if edge >= 0]
        nodes = [int(table["edge_source"].values[edge]) for edge in edges] + [
            int(table["edge_target"].values[edges[-1]])
        ]
        features = tuple(table["node_feature"].values[nodes].tolist())
        found[str(table["kind"].values[table["motif_kind"].values[motif]])].append(features)
    return found


def test_the_automaton_of_the_grammar_is_found_exactly_and_ablation_confirms_all_of_it(study):
    table = study.table
    for place, word in enumerate((FEATURE, {word: word for word in range(len(WORDS))})):
        found = motifs(table, place)
        assert found["loop of one"] == [(word[C], word[C])]
        assert [set(one) for one in found["loop of two"]] == [{word[A], word[B]}]
        assert found["chain"] == [(word[D], word[E], word[F])]
    np.testing.assert_array_equal(table["found"].values, [[1, 1, 1]] * 2)
    np.testing.assert_array_equal(table["confirmed"].values, table["tried"].values)
    assert table["edge_confirmed"].values.tolist() == [1] * 10 and (table["contexts"].values == CONTEXTS).all()
    assert table["place_edges"].values.tolist() == [5, 5] and table["place_moves"].values.tolist() == [4, 4]
    assert table["place_features"].values.tolist() == [11, 11] and table["place_traced"].values.tolist() == [10, 10]


def test_the_numbers_of_edges_are_those_of_a_slow_count(study):
    table, texts = study.table, [row[1:] for row in study.texts]
    pairs = [pair for row in texts for pair in itertools.pairwise(row)]
    assert table["place_pairs"].values.tolist() == [len(pairs)] * 2
    tokens = [token for row in texts for token in row]
    for edge in np.flatnonzero(table["edge_place"].values == 0).tolist():
        ends = (int(table[name].values[edge]) for name in ("edge_source", "edge_target"))
        one, other = (ORDER[int(table["node_feature"].values[node])] for node in ends)
        count = pairs.count((one, other))
        first, second = sum(a == one for a, _ in pairs), sum(b == other for _, b in pairs)
        within = 0.0
        for row in texts:
            here = list(itertools.pairwise(row))
            within += sum(a == one for a, _ in here) * sum(b == other for _, b in here) / len(here)
        numbers = {name: float(table[name].values[edge]) for name in ("coincidences", "expected", "lift", "together")}
        assert numbers == pytest.approx(
            {
                "coincidences": count,
                "expected": first * second / len(pairs),
                "lift": count * len(pairs) / first / second,
                "together": first if one == other else 0,
            },
            rel=1e-5,
        )
        assert float(table["lift_in_document"].values[edge]) == pytest.approx(count / within, rel=1e-5)
        wanted = len(tokens) / tokens.count(other)
        assert float(table["prediction"].values[edge]) == pytest.approx(wanted, rel=1e-5), "all of it on one token"


def test_ablation_takes_away_what_the_weights_say(study):
    """In this model a word's neuron is all that makes the next one likely: without it all words are equally likely."""
    table = study.table
    x = 1 / np.sqrt(1 / 22 - 1 / 22**2)
    f = x * (1 - 1 / 22) - 1
    mean, square = (1 + f) / 22, (1 + f * f) / 22
    logit = (f - mean) / np.sqrt(square - mean**2 + 1e-5) + mean / np.sqrt(square - mean**2 + 1e-5)
    before = np.exp(logit) / (np.exp(logit) + 10)
    for edge in range(table.sizes["edge"]):
        assert float(table["expected_before"].values[edge]) == pytest.approx(f * before, rel=1e-3)
        assert float(table["expected_after"].values[edge]) == pytest.approx(f / 11, rel=1e-3)
        assert float(table["drop"].values[edge]) == pytest.approx(1 - 1 / 11 / before, rel=1e-3)
    assert (table["random_drop"].values < table["drop"].values[:, None]).all()
    assert table["random_drop"].shape == (10, DIRECTIONS)


def test_features_have_their_words_and_tags(study):
    table = study.table
    for node in np.flatnonzero(table["node_place"].values == 0).tolist():
        word = ORDER[int(table["node_feature"].values[node])]
        assert table["node_token"].values[node].tolist() == [WORDS[word], "", "", ""]
        assert table["node_boosted"].values[node].tolist() == [WORDS[NEXT.get(word, 7)], "", "", ""]
        assert str(table["node_tag"].values[node]) == ("c" if word == C else "")
        assert int(table["node_active"].values[node]) == sum(row.count(word) for row in study.texts)
    assert DEAD not in table["node_feature"].values[table["node_place"].values == 0]


def test_lift_goes_with_the_prediction_and_not_with_that_of_other_features(study):
    own, other = (study.table[f"lift_prediction_correlation{end}"].values for end in ("", "_exchanged"))
    assert (own > other).all()
    compared = study.table["place_compared"].values
    assert (study.table["pairs_at"].values.sum(axis=(1, 2)) == compared).all() and (compared > 50).all()


def test_numbers_of_motifs_and_edges_are_small_integers(study):
    table = study.table
    for name in ("motif_place", "motif_kind", "motif_edge", "edge_place", "edge_source", "edge_target"):
        assert table[name].dtype == np.int32, name


def test_metrics_are_the_counts_and_correlations(study):
    found = automata_metrics(study.table)
    assert list(found) == [(SITE, SAE_NAME), (SITE, "neurons")]
    numbers = found[SITE, SAE_NAME]
    assert {name: numbers[name] for name in numbers if "correlation" not in name} == {
        "self_loops": 1, "tried_self_loops": 1, "confirmed_self_loops": 1,
        "two_loops": 1, "tried_two_loops": 1, "confirmed_two_loops": 1,
        "feature_chains": 1, "tried_feature_chains": 1, "confirmed_feature_chains": 1,
        "confirmed_edge_share": 1.0,
    }  # fmt: skip
    assert numbers["lift_prediction_correlation"] == float(study.table["lift_prediction_correlation"].values[0])
    json.dumps(found[SITE, "neurons"])
    assert automata_metrics(xr.Dataset(attrs={"not_applicable": "an image has no next token"})) == {}


def test_a_site_without_a_direct_path_has_lifts_and_no_predictions(study):
    place = Place("m", SITE, SAE_NAME, root=str(study.root))
    path = Path(place.tables) / "logits.nc"
    kept = path.read_bytes()
    write_table(path, xr.Dataset(attrs={"not_applicable": "no way to the logits"}))
    try:
        table = made(
            "model", "automata", Place("m", root=str(study.root)), "language", Analysis(), relatives=study.relatives[:1]
        )
    finally:
        path.write_bytes(kept)
    assert motifs(table, 0) == motifs(study.table, 0)
    assert np.isnan(table["prediction"].values).all() and np.isnan(table["lift_prediction_correlation"].values).all()
    assert table["place_unpredicted"].values.tolist() == ["no way to the logits"]
    assert (table["node_boosted"].values == "").all() and "lift_prediction_correlation" not in automata_metrics(table)
    np.testing.assert_array_equal(
        table["drop"].values, study.table["drop"].values[study.table["edge_place"].values == 0]
    )


def test_where_nothing_follows_anything_the_table_is_there_and_empty(study, tmp_path):
    """Noise alone."""
    place = Place("m", SITE, "neurons", root=str(tmp_path))
    (tmp_path / "models").symlink_to(study.root / "models")
    draw = np.random.default_rng(1)
    write_tokens(Path(place.tokens("eval").store), [[0, *draw.choice(NOISE, 30).tolist()] for _ in range(20)])
    extract_activations(
        Path(place.weights.path), Path(place.tokens("eval").store), SITE, Path(place.activations("eval").store), 10**6,
        "float32", "",
    )  # fmt: skip
    write_tables(place)
    table = made(
        "model", "automata", Place("m", root=str(tmp_path)), "language", Analysis(), relatives=[("m", SITE, "neurons")]
    )
    assert table.sizes["motif"] == table.sizes["edge"] == table.sizes["node"] == 0
    assert not table["found"].values.any() and "confirmed_edge_share" not in automata_metrics(table)[SITE, "neurons"]
    write_table(tmp_path / "automata.nc", table)


def test_a_sample_is_of_whole_sequences_and_ends_at_bos():
    rows = SimpleNamespace(length=40, places=lambda start, stop: (np.arange(40) // 10, np.arange(40) % 10))
    ids = np.arange(1, 41, dtype=np.int32).reshape(4, 10)
    ids[3, 5] = 0
    store = SimpleNamespace(ids=lambda start, stop: ids[start:stop])
    found = sampled(rows, store, 20, 0)
    assert found.row.tolist() == [*range(10), *range(30, 40)] and found.token.tolist() == ids[[0, 3]].ravel().tolist()
    assert found.near.first.tolist() == [*range(9), *range(10, 14), *range(15, 19)]
    assert sampled(rows, store, 10**6, None).near.first.tolist() == [
        *range(9),
        *range(10, 19),
        *range(20, 29),
        *range(30, 39),
    ]


def test_activity_on_tokens_worked_by_hand():
    """Token 0 twice, with 1 and 3 of feature 0; token 2 once, with 4 of feature 1; token 1 never."""
    from scipy import sparse

    activations = sparse.csc_array(np.array([[1.0, 0], [3, 0], [0, 4]]))
    found = TokenActivity.of(activations, np.array([0, 0, 2]), 3)
    assert found.mean.toarray().tolist() == [[2, 0], [0, 0], [0, 4]]
    assert found.overall.tolist() == pytest.approx([4 / 3, 4 / 3])
    predicted = found.predicted(np.array([[0, 1], [0, 2], [1, 1]]))
    assert predicted[:2].ravel().tolist() == pytest.approx([1.5, 0, 0.75, 1.5]) and np.isnan(predicted[2]).all()
    drawn = found.expected(np.array([[0.5, 0.25, 0.25], [0, 1, 0]]), np.array([1, 0]))
    assert drawn.tolist() == [[1.0, 1.0], [0, 0]]
    assert found.strongest(1, 2).tolist() == [2, -1]
    twice = TokenActivity.of(sparse.csc_array(np.array([[2.0], [2], [3]])), np.array([0, 0, 2]), 3)
    assert twice.strongest(0, 3).tolist() == [0, 2, -1], "2 + 2 are more than 3"
    assert often_active(sparse.csc_array(np.array([[1.0, 0, 2]] * 10 + [[0, 1, 0]] * 9))).tolist() == [0, 2]


def test_ranks_of_pairs_that_chance_brings_together():
    expected = np.array([[6.0, 4], [5, 9]])
    assert compared_pairs(expected, np.array([[1.0, 1], [np.nan, 2]])).tolist() == [0, 3]
    assert rank_correlation(np.array([1.0, 2, 9]), np.array([5.0, 6, 7])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 2]), np.array([3.0, 2, 1])) == pytest.approx(-np.sqrt(3) / 2)
    assert np.isnan(rank_correlation(np.array([1.0, 2]), np.array([1.0, 2])))
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0)))


def test_an_effect_is_confirmed_if_it_takes_away_more_than_every_random_direction():
    def effect(after: float, random: list[float]) -> Effect:
        return Effect(4, 2.0, after, np.array(random))

    assert effect(1.0, [1.1, 3.0]).drop == 0.5 and effect(1.0, [1.0, 3.0]).random_drop.tolist() == [0.5, -0.5]
    assert effect(1.0, [1.1, 3.0]).confirmed and not effect(1.0, [1.0, 3.0]).confirmed
    assert not effect(2.1, [2.2, 3.0]).confirmed, "it adds, if less than they do"


def test_contexts_are_drawn_where_the_feature_is_active_and_the_shorter_ones_are_taken():
    sequence, position = np.repeat(np.arange(30), 40), np.tile(np.arange(40), 30)
    near = SimpleNamespace(first=np.flatnonzero(position < 39))
    sample = Sample(np.arange(1200), sequence, position, np.zeros((30, 40), np.int64), near)
    activation = (np.arange(len(near.first)) % 3 == 0).astype(float)
    found = contexts(activation, sample, 5, 0)
    assert len(found) == CONTEXTS and (activation[found] > 0).all()
    assert found.tolist() == contexts(activation, sample, 5, 0).tolist() != contexts(activation, sample, 6, 0).tolist()
    assert position[near.first[found]].mean() < 15
    few = np.zeros(len(near.first))
    few[[7, 2]] = 1
    assert contexts(few, sample, 5, 0).tolist() == [2, 7]


def test_a_classifier_has_no_next_token(tmp_path, image_store):
    place = Place("c", root=str(tmp_path))
    path = image_store(np.zeros((4, 2), np.float32), np.zeros(4, np.int32), 3)
    target = Path(place.tokens("eval").store)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    path.with_suffix(".json").rename(target.with_suffix(".json"))
    table = made("model", "automata", place, "classifier", Analysis(), relatives=[])
    assert not table.data_vars and table.attrs["not_applicable"] == "an image has no next token"
