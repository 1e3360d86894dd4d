"""Strongest features of texts and their own tokens: worked by hand, and against a slow count."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from polysem.activations.left_out import NOTHING, LeftOut
from polysem.saes.dictionary import Neurons
from polysem.saes.ranking import QUANTILES, SCALES, Distributions, scaled
from polysem.tables.contract import load_table
from polysem.tables.of_model.match_layers import VARIABLES
from polysem.tables.passes.matches.alike import Alike
from polysem.tables.passes.matches.by_layer import Place, by_layer
from polysem.tables.passes.matches.judged import judged
from polysem.tables.passes.matches.metrics import match_metrics
from polysem.tables.passes.matches.own_tokens import OwnTokens
from polysem.tables.passes.matches.strong import TOP, active_features
from polysem.tables.passes.survey.blocks import search

NEURONS = 4


def fires(subject, activations):
    """Makes neurons of the one-layer model fire on tokens: {neuron: {token: activation}}."""
    subject.embedding = torch.zeros(9, len(activations))
    for neuron, of in activations.items():
        for token, value in of.items():
            subject.embedding[token, neuron] = value
    return subject


def uniform(features, largest=10.0, tokens=1000):
    """Features that are active on a tenth of the tokens, with activations from 0 to the largest."""
    knots = np.tile(largest * QUANTILES.astype(np.float32), (features, 1))
    return Distributions(np.full(features, largest, np.float32), np.full(features, 0.1, np.float32), knots, tokens)


@pytest.fixture
def make(subject, texts, tokenizer):
    """The table of neurons that fire on tokens, with the examples (sequence, token) of each neuron of each layer."""

    def table(layers, own_tokens, given, distributions=None):
        alike = Alike(Tokenizer.from_file(str(tokenizer)))
        places = []
        for layer, (activations, own) in enumerate(zip(layers, own_tokens, strict=True)):
            neurons = len(activations)
            found = active_features(fires(subject, activations), "mlp", [search(Neurons(neurons))], given, NOTHING)[0]
            padded = np.full((2, neurons, 3), -1)
            for neuron, examples in enumerate(own):
                for place, example in enumerate(examples):
                    padded[:, neuron, place] = example
            of = distributions[layer] if distributions else uniform(neurons)
            made = judged(found, given, of, OwnTokens(*padded), alike)
            places.append(Place(f"blocks.{layer}.mlp.hook_post", "neurons", layer, ("mlp.hook_post", "neurons"), made))
        found = by_layer(places, given, lambda token: f"<{token}>", VARIABLES, 0)
        load_table("model", "match_layers")[1].require(found)
        return found

    return table


def test_matches_of_three_neurons_worked_by_hand(make, texts, ids):
    """Sequence 0 is `red cats blue`. Neuron 0 fires on red, most of all in this very sequence, then on Red: exact.
    Neuron 1 fires on cats, and most on cat: by stem. Neuron 2 fires on blue, here alone. Neuron 3 does not fire."""
    red, capital, cat, cats, blue = ids(" red|Red| cat| cats| blue")
    firing = {0: {red: 5.0, cats: 1.0}, 1: {cats: 2.0}, 2: {blue: 4.0}, 3: {capital: 9.0}}
    own = [[(0, red), (7, capital)], [(3, cat)], [(0, blue)], [(5, capital)]]
    table = make([firing], [own], texts([ids("[B]| red| cats| blue"), ids("[B]| cats")], [ids("[B]| blue")]))
    assert table["top_features"].values.tolist() == [[3, 2, 1]]
    raw = table.sel(scale="raw").isel(place=0)
    # of the second text, one token long, neuron 0 is most active elsewhere and neuron 1 matches by stem
    assert raw["matches"].sel(match="exact").values.tolist() == [1, 0, 1]
    assert raw["matches"].sel(match="stem").values.tolist() == [2, 1, 1]
    assert raw["matches_anywhere"].sel(match="exact").values.tolist() == [2, 0, 1]
    assert raw["matches_anywhere"].sel(match="stem").values.tolist() == [3, 1, 1]
    assert table["top_feature"].values[0, 0, :4].tolist() == [0, 2, 1, -1]
    assert table["text_token"].values[0, 0, :4].tolist() == [red, blue, cats, -1]
    assert table["own_token"].values[0, 0, :4].tolist() == [capital, -1, cat, -1]
    assert table["text_tokens"].values.tolist() == [3, 1, 1]
    assert table["text_words"].values.tolist() == [f"<{red}><{cats}><{blue}>", f"<{cats}>", f"<{blue}>"]
    assert table["origin"].values.tolist() == ["eval", "own"]
    assert raw["mean_matches"].sel(match="stem").values.tolist() == [1.5, 1]
    assert np.isnan(raw["mean_matches_low"].sel(match="stem", origin="own"))
    assert raw["mean_matches_low"].sel(match="stem", origin="eval") == 1
    assert table["mean_top_features"].values.tolist() == [[2.5, 1]]


def test_of_equal_tokens_the_first_counts_and_of_equal_neurons_the_first_comes_first(make, texts, ids):
    red, cat = ids(" red| cat")
    firing = {0: {cat: 2.0, red: 2.0}, 1: {red: 2.0}}
    table = make([firing], [[[(9, red)], [(9, red)]]], texts([ids("[B]| cat| red"), ids("[B]| red| cat")]))
    assert table["top_feature"].values[0, :, :3].tolist() == [[0, 1, -1]] * 2
    assert table["text_token"].values[0, :, 0].tolist() == [cat, red]
    assert table["matches"].sel(scale="raw", match="exact").values.tolist() == [[1, 2]]


def test_on_a_share_of_the_largest_the_layer_of_small_activations_comes_forward(make, texts, ids):
    """In the second layer activations are a tenth; there the top neurons are as near to their largest ones."""
    red, blue = ids(" red| blue")
    layers = [
        {neuron: {red: 10.0 + neuron / 100} for neuron in range(20)},
        {neuron: {red: 1.5} for neuron in range(20)},
    ]
    distributions = [uniform(20, 20.0), uniform(20, 2.0)]
    own = [[[(9, red)]] * 20, [[(9, blue)]] * 20]
    table = make(layers, own, texts([ids("[B]| red")]), distributions)
    assert table["line_layers"].values.tolist() == [2] and table["line_of_place"].values.tolist() == [0, 0]
    taken = {scale: table["of_all_layers"].sel(scale=scale).values[:, 0].tolist() for scale in SCALES}
    assert taken == {"raw": [20, 5], "share": [5, 20], "quantile": [5, 20], "surprise": [5, 20]}
    matches = table["line_matches"].sel(match="exact", origin="eval").isel(line=0)
    assert matches.sel(layers="all").values.tolist() == [20, 5, 5, 5]
    assert matches.sel(layers="without the first").values.tolist() == [0, 0, 0, 0]
    metrics = match_metrics(table)
    assert metrics["blocks.1.mlp.hook_post", "neurons"]["top_of_all_layers_share"] == 20
    assert metrics["blocks.0.mlp.hook_post", "neurons"]["top_matches"] == 20
    assert "top_matches_own" not in metrics["blocks.0.mlp.hook_post", "neurons"]


def test_a_text_without_active_features_has_none_and_a_lone_layer_no_others(make, texts, ids):
    red, blue = ids(" red| blue")
    table = make([{0: {red: 1.0}}], [[[(9, red)]]], texts([ids("[B]| blue"), ids("[B]| blue| blue")]))
    assert table["top_features"].values.tolist() == [[0, 0]]
    assert not table["matches"].values.any()
    assert (table["top_feature"].values == -1).all() and (table["text_token"].values == -1).all()
    assert np.isnan(table["line_matches"].sel(layers="without the first").values).all()
    assert blue not in table["text_token"].values


@pytest.mark.parametrize("seed", range(4))
def test_counts_and_means_are_those_of_a_slow_search(make, texts, subject, seed):
    generator = np.random.default_rng(seed)
    neurons = int(generator.integers(10, 60))
    layers, own = [], []
    for _ in range(3):
        some = generator.integers(-3, 4, (9, neurons))
        layers.append({neuron: {token: float(some[token, neuron]) for token in range(9)} for neuron in range(neurons)})
        count = generator.integers(0, 4, neurons)
        own.append([[(int(generator.integers(5)), int(generator.integers(1, 9))) for _ in range(of)] for of in count])
    rows = [[0, *generator.integers(1, 9, generator.integers(1, 7)).tolist()] for _ in range(5)]
    distributions = [
        Distributions(generator.uniform(1, 4, neurons), generator.uniform(0, 1, neurons), knots, 500)
        for knots in np.sort(generator.uniform(0, 3, (3, neurons, len(QUANTILES))), axis=-1)
    ]
    table = make(layers, own, texts(rows), distributions)
    words = {0: "[b]", 1: "red", 2: "red", 3: "reds", 4: "blue", 5: "cat", 6: "cats", 7: "\n", 8: "?"}
    stems = words | {3: "red", 6: "cat"}
    for number, scale in enumerate(SCALES):
        for text, row in enumerate(rows):
            every = []
            for layer, activations in enumerate(layers):
                found = []
                for neuron in range(neurons):
                    value, place = max((activations[neuron][token], -place) for place, token in enumerate(row[1:]))
                    if value > 0:
                        on = scaled(np.array([value]), np.array([neuron]), distributions[layer], scale)[0]
                        token = row[1 - place]
                        outside = [token for sequence, token in own[layer][neuron] if sequence != text]
                        alike = [bool(outside) and of[outside[0]] == of[token] for of in (words, stems)]
                        found.append((-on, -value, layer, neuron, *alike))
                best = sorted(found)[:TOP]
                for match in range(2):
                    assert table["matches"].values[layer, number, match, text] == sum(one[4 + match] for one in best)
                every += found
            best = sorted(every)[:TOP]
            taken = [sum(one[2] == layer for one in best) for layer in range(3)]
            assert table["of_all_layers"].values[:, number, text].tolist() == taken
    counts = table["matches"].values
    np.testing.assert_allclose(table["mean_matches"].values[..., 0], counts.mean(axis=-1))
    low, high = (table[f"mean_matches_{end}"].values[..., 0] for end in ("low", "high"))
    assert (low <= counts.mean(axis=-1)).all() and (counts.mean(axis=-1) <= high).all() and (low < high).any()


def test_a_token_that_is_left_out_is_the_strongest_of_no_feature(subject, texts, ids):
    """Sequence 0 is `red cats blue`; cats is massive, so neuron 0 is strongest on red and neuron 1 nowhere."""
    red, cats, blue = ids(" red| cats| blue")
    given = texts([ids("[B]| red| cats| blue")], [])
    model = fires(subject, {0: {red: 2.0, cats: 50.0}, 1: {cats: 50.0}, 2: {blue: 4.0}})
    (every,), (kept,) = (
        active_features(model, "mlp", [search(Neurons(3))], given, rule)
        for rule in (NOTHING, LeftOut("massive", 3.0, 9))
    )
    everywhere, elsewhere = (
        sorted(zip(of.feature.tolist(), of.position.tolist(), of.value.tolist(), strict=True)) for of in (every, kept)
    )
    assert everywhere == [(0, 2, 50.0), (1, 2, 50.0), (2, 3, 4.0)]
    assert elsewhere == [(0, 1, 2.0), (2, 3, 4.0)]
