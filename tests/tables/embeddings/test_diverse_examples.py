"""The table `diverse_examples` of a small store of text that repeats itself, against a slow way of finding the same."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from measured import made

from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.directions import Directions, write_directions
from polysem.tables.passes.embeddings import diverse as diverse_module

INPUTS, NEURONS, SITE = 5, 12, "blocks.0.mlp.hook_post"
PHRASES = ([7, 8, 9, 3], [7, 8, 9, 4], [1, 2, 9, 3], [5, 6, 3, 9], [10, 11, 12, 13])
ANALYSIS = Analysis(
    top_examples=6,
    further_examples=9,
    repeat_context=2,
    different_distance=0.4,
    context_before=3,
    context_after=2,
)


def write_site(place: Place, ids: list[list[int]], h: np.ndarray, x: np.ndarray, W: np.ndarray | None) -> None:
    """A token store, an activation store of all tokens but the first of each sequence, and the weights around it."""
    length = np.array([len(row) for row in ids], np.int32)
    padded = np.zeros((len(ids), length.max()), np.int32)
    for row, values in zip(padded, ids, strict=True):
        row[: len(values)] = values
    places = np.array([(s, p) for s, row in enumerate(ids) for p in range(1, len(row))], np.int32)
    attributes = {"kind": "text", "vocabulary": 20, "tags": []}
    tokens, store = Path(place.tokens("eval").store), Path(place.activations("eval").store)
    with written_store(tokens, attributes=attributes, params={}, code="", device="cpu") as group:
        for name, values in {"ids": padded, "length": length}.items():
            dimensions = ("sequence", "position")[: values.ndim]
            create_array(group, name, values.shape, "int32", dimensions, compressed=True)[:] = values
    with written_store(store, attributes={}, params={}, code="", device="cpu") as group:
        for name, values in {"activations": x, "inputs": h}.items():
            create_array(group, name, values.shape, "float32", ("token", name), compressed=False)[:] = values
        for name, values in zip(("sequence", "position"), places.T, strict=True):
            create_array(group, name, values.shape, "int32", ("token",), compressed=True)[:] = values
    tensors = {} if W is None else {f"{SITE}/input_weights": torch.from_numpy(W), f"{SITE}/gate": torch.zeros(0)}
    Path(place.directions).parent.mkdir(parents=True, exist_ok=True)
    write_directions(Path(place.directions), Directions(tensors))


def table_of(place: Place, analysis: Analysis = ANALYSIS):
    Path(place.tables).mkdir(parents=True, exist_ok=True)
    write_table(Path(place.tables) / "frequency.nc", made("dictionary", "frequency", place, "language", analysis))
    return made("dictionary", "diverse_examples", place, "language", analysis)


@pytest.fixture
def site(tmp_path):
    generator = np.random.default_rng(5)
    ids = [
        [0, *(token for _ in range(8) for token in PHRASES[generator.integers(len(PHRASES))])] for _ in range(9)
    ]  # fmt: skip
    places = [(s, p) for s, row in enumerate(ids) for p in range(1, len(row))]
    of_token = generator.standard_normal((20, INPUTS))
    h = np.array([of_token[ids[s][p]] + 0.5 * of_token[ids[s][p - 1]] for s, p in places])
    h = (h + 0.2 * generator.standard_normal(h.shape)).astype(np.float32)
    W = generator.standard_normal((NEURONS, INPUTS)).astype(np.float32)
    W[10] = 0  # never active
    x = np.maximum(h @ W.T + generator.uniform(-3, 0.5, NEURONS), 0).astype(np.float32)
    x[:, 10] = 0
    x[:, 11] = np.where(np.arange(len(x)) % 50 == 3, 2.0, 0)
    place = Place("m", SITE, "neurons", str(tmp_path))
    write_site(place, ids, h, x, W)
    return SimpleNamespace(ids=ids, places=places, h=h, W=W, x=x, place=place)


def slow(site, f, h, W, feature, analysis=ANALYSIS):
    """Kept tokens of a feature with their repeats and similar ones, in plain Python; and the counts of the top ones."""
    token_id = [site.ids[s][p] for s, p in site.places]
    before = analysis.repeat_context
    context = [tuple([-1] * max(0, before - p) + site.ids[s][max(0, p - before) : p + 1]) for s, p in site.places]
    order = sorted((t for t in range(len(f)) if f[t, feature] > 0), key=lambda t: (-f[t, feature], t))
    wide = order[: analysis.top_examples + analysis.further_examples]
    first_of = {}
    for token in order:
        first_of.setdefault(token_id[token], token)
    candidates = [t for t in order if t in {*wide, *list(first_of.values())[: analysis.top_examples]}]
    top = candidates[: analysis.top_examples]
    leaders = []
    for token in candidates:
        if context[token] not in [context[other] for other in leaders]:
            leaders.append(token)
    kept = []
    if W is not None:
        e = {token: (h[token] * W[feature]).astype(np.float64) for token in candidates}

        def distance(one, other):
            return 1 - e[one] @ e[other] / np.linalg.norm(e[one]) / np.linalg.norm(e[other])

        for token in leaders:
            far = all(distance(token, other) > analysis.different_distance for other in kept)
            if far and len(kept) < analysis.top_examples:
                kept.append(token)
    else:
        kept = leaders[: analysis.top_examples]
    groups = {token: sum(context[other] == context[token] for other in candidates) for token in leaders}
    similar = dict.fromkeys(kept, 0)
    for token in leaders:
        if W is not None and token not in kept:
            nearest = min(kept, key=lambda other: (distance(token, other), kept.index(other)))
            if distance(token, nearest) <= analysis.different_distance:
                similar[nearest] += groups[token]
    return SimpleNamespace(
        kept=kept,
        ranks=[candidates.index(token) for token in kept],
        repeats=[groups[token] - 1 for token in kept],
        similar=[similar[token] for token in kept],
        candidates=len(candidates),
        tokens=len({token_id[token] for token in top}),
        contexts=len({context[token] for token in top}),
        different=sum(token in top for token in kept),
        diverse_tokens=len({token_id[token] for token in kept}),
    )


def assert_as_slow(table, site, f, h, W):
    places = np.array(site.places)
    seen = {"repeats": 0, "similar": 0, "several": 0}
    for feature in range(f.shape[1]):
        row, wanted = table.isel(feature=feature), slow(site, f, h, W, feature)
        count = len(wanted.kept)
        assert row["sequence"].values[:count].tolist() == places[wanted.kept, 0].tolist() if count else True
        assert row["position"].values[:count].tolist() == places[wanted.kept, 1].tolist() if count else True
        assert (row["sequence"].values[count:] == -1).all()
        assert (row["rank"].values[count:] == -1).all()
        assert np.isnan(row["activation"].values[count:]).all()
        np.testing.assert_allclose(row["activation"].values[:count], f[wanted.kept, feature], rtol=1e-5)
        for name, values in {"rank": wanted.ranks, "repeats": wanted.repeats, "similar": wanted.similar}.items():
            assert row[name].values[:count].tolist() == values, (feature, name)
        assert (int(row["candidates"]), int(row["distinct_tokens"])) == (wanted.candidates, wanted.tokens)
        assert (int(row["distinct_contexts"]), int(row["diverse_tokens"])) == (wanted.contexts, wanted.diverse_tokens)
        if W is not None:
            assert int(row["different_examples"]) == wanted.different
        for slot, token in enumerate(wanted.kept):
            sequence, position = site.places[token]
            around = [
                site.ids[sequence][p] if 0 <= p < len(site.ids[sequence]) else -1
                for p in range(position - 3, position + 3)
            ]
            assert row["token"].values[slot].tolist() == around
            assert row["window_activation"].values[slot, 3] == row["activation"].values[slot]
        seen["repeats"] += sum(wanted.repeats)
        seen["similar"] += sum(wanted.similar)
        seen["several"] += count > 1
    return seen


def test_neurons_are_as_found_one_by_one(site):
    seen = assert_as_slow(table_of(site.place), site, site.x, site.h, site.W)
    assert all(seen.values())


def sae() -> SAE:
    generator = torch.Generator().manual_seed(0)
    W_enc = torch.randn(NEURONS, 20, generator=generator)
    return SAE(
        W_enc, torch.full((20,), -0.5), W_enc.T.contiguous(), torch.rand(NEURONS, generator=generator),
        standard.Function(),
    )  # fmt: skip


@pytest.mark.parametrize("features", [diverse_module.FEATURES, 3])
def test_features_of_an_sae_are_as_found_one_by_one_whatever_is_held_at_once(site, monkeypatch, features):
    monkeypatch.setattr(diverse_module, "FEATURES", features)
    dictionary, place = sae(), site.place.of("l1")
    save_sae(dictionary, Path(place.sae.path), {}, torch.zeros(20))
    f = dictionary.encode(torch.from_numpy(site.x)).numpy()
    seen = assert_as_slow(table_of(place), site, f, site.x - dictionary.b_dec.numpy(), dictionary.W_enc.T.numpy())
    assert all(seen.values())


def test_neurons_without_input_weights_keep_all_that_is_no_repeat(site, tmp_path):
    place = Place("m", SITE, "neurons", str(tmp_path / "without"))
    write_site(place, site.ids, site.h, site.x, None)
    table = table_of(place)
    seen = assert_as_slow(table, site, site.x, site.h, None)
    assert seen["repeats"] and seen["several"] and not seen["similar"]
    assert "have no input weights, which neuron embeddings need" in table.attrs["no_embeddings"]
    assert not {"different_examples", "different_at_most", "median_different_examples"} & set(table)


def test_scalars_and_shares_are_of_the_features_with_all_top_examples(site):
    table = table_of(site.place)
    counted = (site.x > 0).sum(axis=0) >= ANALYSIS.top_examples
    assert not counted[10] and 1 < counted.sum() < NEURONS
    assert int(table["all_top_features"]) == counted.sum()
    shares = {
        "tokens_at_most": "distinct_tokens",
        "contexts_at_most": "distinct_contexts",
        "different_at_most": "different_examples",
    }
    for share, name in shares.items():
        values = table[name].values[counted]
        assert float(table[f"median_{name}"]) == np.median(values)
        at_most = [(values <= number).mean() for number in range(ANALYSIS.top_examples + 1)]
        np.testing.assert_allclose(table[share].values, at_most)
    one = counted & (table["distinct_tokens"].values == 1)
    assert float(table["one_token_share"]) == one.sum() / counted.sum()


def lonely(tmp_path, active: int) -> Place:
    """A site of two neurons. The first fires most on token 7 wherever it stands, and a little on 8 and 9."""
    ids = [[0, 1 + number, 7] for number in range(6)] + [[0, 7, 8], [0, 7, 8], [0, 1, 9]]
    h = np.zeros((18, INPUTS), np.float32)
    x = np.zeros((18, 2), np.float32)
    rows = [(s, p) for s, row in enumerate(ids) for p in (1, 2)]
    for row, (s, p) in enumerate(rows):
        token = ids[s][p]
        h[row, {7: 0, 8: 1, 9: 2}.get(token, 3)] = 1
        x[row, 0] = {7: 5 - 0.1 * row, 8: 1, 9: 0.5}.get(token, 0)
        x[row, 1] = row < active
    place = Place("m", SITE, "neurons", str(tmp_path))
    write_site(place, ids, h, x, np.ones((2, INPUTS), np.float32))
    return place


def test_a_neuron_whose_strongest_are_all_of_one_token_worked_by_hand(tmp_path):
    """Its six strongest examples, the 4 top ones and 2 further ones, are all of token 7, behind another token each, and
    all in one direction. The strongest examples of 8 and of 9 are candidates beside them. So the diverse ones are 7,
    which stands for five others, 8 and 9."""
    chosen = ANALYSIS.model_copy(update={"top_examples": 4, "further_examples": 2, "repeat_context": 1})
    row = table_of(lonely(tmp_path, 3), chosen).isel(feature=0)
    assert row["token"].sel(offset=0).values.tolist() == [7, 8, 9, -1]
    assert row["rank"].values.tolist() == [0, 6, 7, -1]
    assert row["repeats"].values.tolist() == [0, 0, 0, 0]
    assert row["similar"].values.tolist() == [5, 0, 0, 0]
    assert int(row["candidates"]) == 8
    assert (int(row["distinct_tokens"]), int(row["distinct_contexts"]), int(row["different_examples"])) == (1, 4, 1)
    assert int(row["diverse_tokens"]) == 3
    assert float(row["one_token_share"]) == 1.0  # the other neuron is active on three tokens alone
    assert float(row["one_token_found_more_share"]) == 1.0


def test_without_features_that_are_active_often_enough_numbers_are_none(tmp_path):
    chosen = ANALYSIS.model_copy(update={"top_examples": 12})
    table = table_of(lonely(tmp_path, 3), chosen)
    assert int(table["all_top_features"]) == 0
    for name in ("median_distinct_tokens", "one_token_share", "one_token_found_more_share"):
        assert np.isnan(float(table[name]))
    assert np.isnan(table["tokens_at_most"]).all()


def test_the_top_examples_are_the_first_candidates(site):
    analysis = ANALYSIS.model_copy(update={"different_distance": 0.0, "repeat_context": 1000})
    table = table_of(site.place, analysis)
    top = made("dictionary", "examples", site.place, "language", analysis)
    is_top = top["kind"].values.astype(str) == "top"
    for feature in range(NEURONS):
        kept, rank = table.isel(feature=feature), table["rank"].values[feature]
        for slot in np.flatnonzero((rank >= 0) & (rank < is_top.sum())):
            for name in ("sequence", "position", "activation"):
                assert kept[name].values[slot] == top[name].values[feature, is_top][rank[slot]]
