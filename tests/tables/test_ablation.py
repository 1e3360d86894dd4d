"""S1.F4: ablations through a real small model, held against one edit at a time and against numbers by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import xarray as xr
from measured import made, stated
from scipy.stats import spearmanr

from polysem.activations.extract_activations import extract_activations
from polysem.interventions.edits import ablation as ablated
from polysem.interventions.edits import replacements
from polysem.layout.place import Place
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.models.tokenize_corpus import Tokenization, tokenize_corpus
from polysem.models.train_tokenizer import train_tokenizer
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions import standard
from polysem.saes.dictionary import load_dictionary
from polysem.saes.sae import SAE, save_sae
from polysem.tables.measure_dictionary import measure_dictionary
from polysem.tables.parts.directions import directions_of, write_directions
from polysem.tables.parts.intervals import interval_of
from polysem.tables.passes.ablation.measured import Effects, random_directions, rank_correlation
from polysem.tables.passes.ablation.spots import Spots, choose_spots, chosen_features
from polysem.tables.passes.ablation.summaries import of_dictionary, of_features

SITES = ("blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post")
CONTEXT, NEURONS, FEATURES, BEHIND = 16, 24, 40, 3
SETTINGS = {"context_length": CONTEXT, "packing": "documents", "bos_token": "<|bos|>", "mask_tokens": ["<|bos|>"]}
PARAMS = Analysis(
    ablation_tokens=4, ablation_directions=6, context_before=4, context_after=BEHIND, baseline_seed=2
)  # with this seed tokens of the first sequence are drawn, too
WORDS = ("red", "blue", "green", "ball", "car", "doll", "sits", "runs", "sleeps", "Lily", "Tom", "Anna")
NEVER, DEAD = 7, 3


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> SimpleNamespace:
    """Two layers; at each the neurons and an SAE, of which feature 7 never fires; neuron 3 of the first is dead."""
    root = tmp_path_factory.mktemp("ablation")
    place = Place("m", root=str(root))
    draw = np.random.default_rng(0)
    documents = [" ".join(draw.choice(WORDS, 9)) + "." for _ in range(60)]
    corpus, tokens = root / "documents.parquet", Path(place.tokens("eval").store)
    pq.write_table(pa.table({"text": documents * 2, "split": ["train"] * 60 + ["eval"] * 60}), corpus)
    model = Path(place.weights.path)
    model.mkdir(parents=True)
    train_tokenizer(corpus, Path(place.tokenizer), 300, "<|bos|>")
    config = {
        "d_model": 16, "d_head": 8, "n_heads": 2, "n_layers": 2, "n_ctx": CONTEXT, "d_vocab": 300, "d_mlp": NEURONS,
        "act_fn": "relu", "normalization_type": "LN", "seed": 0,
    }  # fmt: skip
    bridge, drawn = bridge_of(new_model(config)), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in bridge.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=drawn)
        bridge.blocks[0].mlp.b_in[DEAD] = -100
    save_native(bridge, config, model)
    record_model(model, "language", {**SETTINGS, "processing": {}}, {})
    tokenize_corpus(corpus, Path(place.tokenizer), tokens, "eval", Tokenization(**SETTINGS), "")
    subject = load_subject(model)
    Path(place.directions).parent.mkdir(parents=True)
    write_directions(Path(place.directions), directions_of(subject, SITES, {}))
    relatives = []
    wanted = {name: stated("dictionary", name, PARAMS) for name in ("frequency", "alignment", "examples", "tags")}
    for site in SITES:
        extract_activations(model, tokens, site, Path(place.at(site).activations("eval").store), 10_000, "float32", "")
        W_enc, W_dec = (torch.randn(shape, generator=drawn) for shape in ((NEURONS, FEATURES), (FEATURES, NEURONS)))
        bias = torch.full((FEATURES,), -0.2)
        bias[NEVER] = -1e6
        sae = SAE(W_enc, bias, W_dec, torch.zeros(NEURONS), standard.Function())
        save_sae(sae, Path(place.at(site, "sae").sae.path), {}, torch.zeros(FEATURES))
        for name in ("neurons", "sae"):
            measure_dictionary("m", site, name, "language", wanted, root=str(root))
            relatives.append(("m", site, name))
    table = made("model", "ablation", place, "language", PARAMS, relatives=relatives)
    return SimpleNamespace(place=place, table=table, relatives=relatives, subject=subject, store=TokenStore(tokens))


@torch.inference_mode()
def slow_effect(study, site, dictionary, feature, sequence, position):
    """(KL there, KL behind, change of the next token, centred changes): one feature set to 0 at one token."""
    batch = study.store.batch(sequence, sequence + 1)
    there = torch.zeros(batch.targets.shape, dtype=torch.bool)
    there[0, position] = True
    edit = replacements(site, dictionary, ablated(torch.tensor([[feature]]), positions=there))
    clean = study.subject.log_probabilities(batch)[0].double()
    edited = study.subject.log_probabilities(batch, edit)[0].double()
    divergence = (clean.exp() * (clean - edited)).sum(-1) * batch.scored[0]
    change = edited[position] - clean[position]
    later = divergence[position + 1 : position + 1 + BEHIND].sum()
    return float(divergence[position]), float(later), float(change[batch.targets[0, position]]), change - change.mean()


def test_every_effect_is_that_of_one_edit_at_a_time(study):
    table = study.table
    weights = {site: study.subject.logit_directions(site).double() for site in SITES}
    rows = np.flatnonzero(table["state"].values == "ablated")
    spots = table["sequence"].values[rows]
    assert (spots == 0).any() and np.array_equal(np.isfinite(table["spot_kl"].values[rows]), spots >= 0)
    for row in rows[:: max(1, len(rows) // 25)]:
        one = table.isel(intervened=row)
        _, site, name = study.relatives[int(one["of_place"])]
        dictionary = load_dictionary(Path(study.place.at(site, name).sae.path), NEURONS)
        feature, changes = int(one["feature"]), []
        for spot in np.flatnonzero(one["sequence"].values >= 0):
            found = slow_effect(
                study, site, dictionary, feature, *(int(one[key][spot]) for key in ("sequence", "position"))
            )
            kl, later, target = (float(one[f"spot_{key}"][spot]) for key in ("kl", "later_kl", "target_change"))
            assert (kl, later, target) == pytest.approx(found[:3], rel=2e-3, abs=2e-5)
            changes.append(found[3].numpy())
        changed, direct = np.array(changes), (dictionary.decoder()[feature].double() @ weights[site]).numpy()
        direct -= direct.mean()
        along = (changed @ direct / np.linalg.norm(direct)) ** 2
        squares, mean = (changed**2).sum(1), np.abs(changed.mean(0))
        wanted = {
            "weight_correlation": spearmanr(changed.mean(0), -direct).statistic,
            "direct_share": along.sum() / squares.sum(),
            "concentration": np.sort(mean)[-10:].sum() / mean.sum(),
        }
        if len(changed) > 1:
            wanted["consistency"] = (changed.mean(0) ** 2).sum() / squares.mean()
        assert {key: float(one[key]) for key in wanted} == pytest.approx(wanted, rel=2e-3, abs=2e-3)


def test_later_predictions_change_where_attention_follows_and_nowhere_else(study):
    later, place = study.table["later_kl"].values, study.table["of_place"].values
    assert study.table["token_by_token"].values.tolist() == [0, 0, 1, 1]
    assert np.nanmedian(later[place < 2]) > 1e-5 and (later[(place >= 2) & np.isfinite(later)] == 0).all()


def test_the_last_layer_of_neurons_does_what_its_logit_weights_say_but_for_the_norm(study):
    middle = study.table["median_weight_correlation"].sel(estimate="estimate").values
    assert (middle[2:] > 0.8).all() and (
        study.table["median_direct_share"].sel(estimate="estimate").values[2:] > 0.6
    ).all()


def test_features_that_were_not_ablated_say_why(study):
    table = study.table.isel(intervened=study.table["state"].values != "ablated")
    known = set(zip(table["of_place"].values.tolist(), table["feature"].values.tolist(), strict=True))
    assert {(1, NEVER), (3, NEVER), (0, DEAD)} <= known and {*table["state"].values} == {"never active"}
    for name in ("kl", "target_change", "random_smaller", "random_ratio", "weight_correlation", "consistency"):
        assert np.isnan(table[name].values).all(), name
    assert (table["sequence"].values == -1).all() and np.isnan(table["random_kl"].values).all()


def test_random_directions_stand_at_the_tokens_of_the_feature_and_are_of_its_length(study):
    one = study.table.isel(intervened=int(np.flatnonzero(study.table["state"].values == "ablated")[60]))
    spots = int((one["sequence"].values >= 0).sum())
    paired = one["spot_kl"].values[np.arange(6) % spots]
    assert float(one["random_smaller"]) == pytest.approx((one["random_kl"].values < paired).mean())
    assert float(one["random_ratio"]) == pytest.approx(paired.sum() / one["random_kl"].values.sum(), rel=1e-5)
    decoder = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 6)[:, None]
    found = random_directions(decoder, 3, np.random.default_rng(0)).view(5, 3, 8)
    torch.testing.assert_close(found.norm(dim=2), decoder.norm(dim=1)[:, None].expand(5, 3))
    assert found[:, 0].ne(found[:, 1]).all()
    again = np.random.default_rng(0)
    parts = [random_directions(part, 3, again) for part in decoder.split(2)]
    torch.testing.assert_close(torch.cat(parts).view(5, 3, 8), found, rtol=0, atol=0)


def test_a_shown_context_is_without_its_feature_everywhere(study):
    table = study.table
    number = next(n for n, place in enumerate(table["shown_place"].values) if place == 1)
    one = table.isel(shown=number, context=0)
    site, feature = SITES[0], int(one["shown_feature"])
    dictionary = load_dictionary(Path(study.place.at(site, "sae").sae.path), NEURONS)
    sequence, position = int(one["shown_sequence"]), int(one["shown_position"])
    batch = study.store.batch(sequence, sequence + 1)
    edit = replacements(site, dictionary, ablated(torch.tensor([[feature]]), positions=batch.counted))
    with torch.inference_mode():
        change = (study.subject.log_probabilities(batch, edit) - study.subject.log_probabilities(batch))[0]
    for place, offset in enumerate(table["offset"].values):
        at, token = position + int(offset), int(one["shown_token"][place])
        found = float(one["shown_change"][place])
        if at < 1 or token < 0:
            assert np.isnan(found)
        else:
            assert token == batch.inputs[0, at]
            assert found == pytest.approx(float(change[at - 1, token]), abs=1e-4)
    assert np.nanmax(np.abs(one["shown_change"].values)) > 1e-3


def test_tokens_of_shown_contexts_have_their_logit_weights(study):
    """The unembedding's own product, less the mean over the vocabulary."""
    table, known = study.table, 0
    for row, place in enumerate(table["shown_place"].values.tolist()):
        _, site, name = study.relatives[place]
        decoder = load_dictionary(Path(study.place.at(site, name).sae.path), NEURONS).decoder()
        direction = decoder[int(table["shown_feature"][row])].double()
        weight = direction @ study.subject.logit_directions(site).double()
        token, found = (table[f"shown_{name}"].values[row] for name in ("token", "logit_weight"))
        there = token >= 0
        expected = (weight - weight.mean()).numpy()[token[there]]
        np.testing.assert_allclose(found[there], expected, rtol=1e-4, atol=1e-5)
        assert np.isnan(found[~there]).all()
        known += there.sum()
    assert known > 100


def test_the_same_seed_gives_the_same_table_and_another_one_other_directions(study):
    again, other = (
        made(
            "model",
            "ablation",
            study.place,
            "language",
            PARAMS.model_copy(update={"baseline_seed": seed}),
            relatives=study.relatives,
        )
        for seed in (PARAMS.baseline_seed, 1)
    )
    xr.testing.assert_identical(again, study.table)
    assert not np.array_equal(other["random_kl"].values, study.table["random_kl"].values)


def test_features_are_drawn_evenly_along_frequency_with_those_that_are_shown():
    active = np.array([0, 50, 10, 0, 30, 20, 40])
    frequency = xr.Dataset({"active_tokens": ("feature", active)})
    assert chosen_features(frequency, 7, [0]).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert chosen_features(frequency, 3, []).tolist() == [1, 2, 4], "the rarest, the middle and the most frequent one"
    assert chosen_features(frequency, 2, [6]).tolist() == [1, 2, 6]
    assert chosen_features(xr.Dataset({"active_tokens": ("feature", np.zeros(4))}), 2, []).tolist() == []


class Sequences:
    """A token store with sequences of four tokens each."""

    is_text, sequences = True, 40

    def batch(self, start, stop):
        scored = torch.ones(min(stop, self.sequences) - start, 4, dtype=torch.bool)
        scored[:, 3] = False
        return SimpleNamespace(scored=scored)


def example_tables(activation, sequence, position):
    histogram = np.zeros((len(activation), 128), np.int64)
    active = np.isfinite(activation).sum(1)
    histogram[np.arange(len(active)), 80] = active
    columns = {"activation": activation, "sequence": sequence, "position": position}
    examples = xr.Dataset({name: (("feature", "example"), np.array(of)) for name, of in columns.items()})
    frequency = {
        "active_tokens": ("feature", active),
        "max_activation": ("feature", np.nan_to_num(np.array(activation)).max(1)),
        "activation_histogram": (("feature", "bin"), histogram),
    }
    return examples, xr.Dataset(frequency)


def test_tokens_are_one_of_each_interval_from_the_highest_down_and_then_a_second_one():
    nan = np.nan
    activation = np.array([[10, 9.5, 9, 5, 5, 1, nan], [3, nan, nan, nan, nan, nan, nan], [nan] * 7])
    sequence = np.array([[1, 2, 2, 3, 4, 5, -1], [6, -1, -1, -1, -1, -1, -1], [-1] * 7])
    position = np.array([[0, 1, 1, 0, 3, 2, -1], [3, -1, -1, -1, -1, -1, -1], [-1] * 7])
    examples, frequency = example_tables(activation, sequence, position)
    found = choose_spots(np.arange(3), examples, frequency, Sequences(), 4, 0)
    assert found.interval[0].tolist() == [4, 2, 0, 4]
    assert sorted(found.sequence[0].tolist()) == [1, 2, 3, 5], "4 is at the end of its sequence, 2 is there twice"
    assert (found.sequence[1:] == -1).all() and found.active.tolist() == [True, True, False]
    assert activation[0, found.example[0]].tolist()[1:3] == [5, 1]
    assert interval_of(np.array([0.1, 2, 2.001, 10]), np.full(4, 10.0)).tolist() == [0, 0, 1, 4]


def test_features_take_the_same_contexts_as_far_as_they_can():
    draw = np.random.default_rng(0)
    sequence = np.stack([draw.permutation(40)[:20] for _ in range(50)])
    examples, frequency = example_tables(np.ones((50, 20)), sequence, np.zeros((50, 20), int))
    found = choose_spots(np.arange(50), examples, frequency, Sequences(), 1, 0)
    assert len(np.unique(found.sequence)) < 10, "of 40"
    assert not np.array_equal(
        found.sequence, choose_spots(np.arange(50), examples, frequency, Sequences(), 1, 1).sequence
    )


def test_numbers_of_a_feature_worked_by_hand():
    """Half of its active tokens in the lowest interval, with a KL of 1; a quarter in the highest, 3 and 5."""
    share = np.array([[0.5, 0.25, 0, 0, 0.25]])
    known = np.array([[4, 5, 6]])
    spots = Spots(np.array([0]), known, known, np.array([[4, 0, 4]]), known, np.array([True]), share)
    kl = np.array([[3.0, 1.0, 5.0]])
    random = np.array([[1.0, 2.0, 4.0, 4.0]])
    paired = kl[:, [0, 1, 2, 0]]
    one = np.array([0.5])
    effects = Effects(kl, 0 * kl, -kl, random, paired, one, one, one, np.array([np.nan]))
    found = of_features(spots, effects, 0)
    assert found["interval_kl"][0] == pytest.approx([1, np.nan, np.nan, np.nan, 4], nan_ok=True)
    assert found["kl"].tolist() == [pytest.approx((0.5 * 1 + 0.25 * 4) / 0.75)]
    assert found["target_change"].tolist() == [pytest.approx(-2.0)]
    assert found["random_smaller"].tolist() == [0.5] and found["random_ratio"].tolist() == [pytest.approx(12 / 11)]
    assert found["interval_random_kl"][0] == pytest.approx([2, np.nan, np.nan, np.nan, 3], nan_ok=True)
    numbers = of_dictionary(found, 0)
    assert numbers["median_kl"][0] == pytest.approx(2) and np.isnan(numbers["median_kl"][1:]).all()
    assert numbers["above_random_share"][0] == 0 and numbers["measured_features"] == 1
    assert numbers["interval_features"].tolist() == [1, 0, 0, 0, 1]


def test_intervals_of_a_feature_are_of_resampled_tokens():
    """Of two tokens a resample takes each once, or one of them twice; intervals count by their share of the active
    tokens, and the third column is a token that only the last feature has."""
    nan = np.nan
    share = np.array([[1.0, 0, 0, 0, 0], [0.75, 0, 0, 0, 0.25], [1.0, 0, 0, 0, 0]])
    interval = np.array([[0, 0, -1], [0, 4, -1], [0, 0, 0]])
    known = np.where(interval >= 0, 7, -1)
    spots = Spots(np.arange(3), known, known, interval, known, np.full(3, True), share)
    kl = np.array([[0.0, 1.0, nan], [0.0, 4.0, nan], [2.0, 2.0, 2.0]])
    random = np.array([[1.0, 0.5, 1.0, 0.5]] * 3)
    paired = kl[:, [0, 1, 0, 1]]
    effects = Effects(kl, 2 * kl, -kl, random, paired, *[np.full(3, nan)] * 4)
    found = of_features(spots, effects, 0)
    assert found["kl"].tolist() == [0.5, 1.0, 2.0]
    assert found["kl_low"].tolist() == [0, 0, 2] and found["kl_high"].tolist() == [1, 4, 2]
    assert found["later_kl_high"].tolist() == [2, 8, 4] and found["target_change_low"].tolist() == [-1, -4, -2]
    assert found["random_smaller"].tolist() == [0.5, 0.5, 1]
    assert found["random_smaller_low"].tolist() == [0, 0, 1] and found["random_smaller_high"].tolist() == [1, 1, 1]


def test_rank_correlations_are_scipys():
    drawn = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 50, generator=drawn), torch.randn(4, 50, generator=drawn)
    b[1], b[2] = a[1] ** 3, 0
    found = rank_correlation(a, b)
    assert found[[0, 3]] == pytest.approx([spearmanr(a[n], b[n]).statistic for n in (0, 3)])
    assert found[1] == 1 and np.isnan(found[2])
