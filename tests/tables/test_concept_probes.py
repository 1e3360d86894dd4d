"""S4.X4: probes through a real small model, held against a slow computation and against numbers by hand."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from measured import made
from tokenizers import AddedToken, Tokenizer

from polysem.activations.extract_activations import extract_activations
from polysem.activations.left_out import LeftOut
from polysem.layout.place import Place
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.models.text import text_batch
from polysem.models.tokenize_corpus import Front, Tokenization, tokenize_corpus
from polysem.models.tokenizer import load_tokenizer
from polysem.models.train_tokenizer import train_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.params.analysis import Analysis
from polysem.params.probes import parsed
from polysem.saes.activation_functions import standard
from polysem.saes.dictionary import Neurons
from polysem.saes.sae import SAE, load_sae, save_sae
from polysem.tables.of_model import concept_probes
from polysem.tables.of_model.concept_probes import (
    ALONE,
    BASELESS,
    IN_PIECES,
    MEASURED,
    TOO_LONG,
    Asked,
    ask,
    best_first,
    shares,
)
from polysem.tables.parts.slot_words import Slotted, WordCounts, slotted, text_of

SITE, SAE_NAME, CONTEXT = "blocks.0.mlp.hook_post", "relu-x2", 24
WORDS = (
    "red", "blue", "green", "pink", "ball", "car", "doll", "kite", "sits", "runs", "sleeps", "jumps", "happy", "glad",
    "sad", "calm", "Lily", "Tom", "Anna", "Ben",
)  # fmt: skip
PROBES = [
    "A [red|blue|crimson] ball",
    "Tom was [happy|sad|redgreen]",
    "[Lily|Tom] sits",
    "A [qx|red] ball",
    "A [red|qx] ball",
]
SETTINGS = {"context_length": CONTEXT, "packing": "documents", "bos_token": "<|bos|>", "mask_tokens": ["<|bos|>"]}


def documents() -> list[str]:
    """Sentences of the words, some more often than others."""
    draw = np.random.default_rng(0)
    share = 1 / np.arange(1, len(WORDS) + 1)
    return [" ".join(draw.choice(WORDS, 8, p=share / share.sum())) + "." for _ in range(200)]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> SimpleNamespace:
    """A model of one layer with a tokenizer, eval tokens and an SAE of random weights."""
    root = tmp_path_factory.mktemp("probes")
    place = Place("m", SITE, SAE_NAME, root=str(root))
    corpus, tokens = root / "documents.parquet", Path(place.tokens("eval").store)
    pq.write_table(pa.table({"text": documents() * 2, "split": ["train"] * 200 + ["eval"] * 200}), corpus)
    model = Path(place.weights.path)
    model.mkdir(parents=True)
    train_tokenizer(corpus, Path(place.tokenizer), 320, "<|bos|>")
    config = {
        "d_model": 16, "d_head": 8, "n_heads": 2, "n_layers": 1, "n_ctx": CONTEXT, "d_vocab": 320, "d_mlp": 32,
        "act_fn": "relu", "normalization_type": "LN", "seed": 0,
    }  # fmt: skip
    save_native(bridge_of(new_model(config)), config, model)
    record_model(model, "language", {**SETTINGS, "processing": {}}, {})
    tokenize_corpus(corpus, Path(place.tokenizer), tokens, "eval", Tokenization(**SETTINGS), "")
    extract_activations(model, tokens, SITE, Path(place.activations("eval").store), 100, "float32", "")
    generator = torch.Generator().manual_seed(0)
    W_enc, W_dec = torch.randn(32, 64, generator=generator), torch.randn(64, 32, generator=generator)
    save_sae(
        SAE(W_enc, torch.full((64,), -0.02), W_dec, torch.zeros(32), standard.Function()),
        Path(place.sae.path),
        {},
        torch.zeros(64),
    )
    relatives = [("m", SITE, name) for name in ("neurons", SAE_NAME)]
    measured = made(
        "model", "concept_probes", Place("m", root=str(root)), "language", Analysis(probes=PROBES), relatives=relatives
    )
    return SimpleNamespace(place=place, tokens=tokens, table=measured, relatives=relatives, root=root)


def slow_activation(study, dictionary, sentence: str, word: str) -> np.ndarray:
    """Of each feature on a word of a sentence, one sentence at a time; tokens are found by what they decode to."""
    subject, tokenizer = (
        load_subject(Path(study.place.weights.path), "cpu"),
        load_tokenizer(Path(study.place.tokenizer)),
    )
    batch = text_batch(Path(study.place.tokenizer), sentence, Tokenization(**SETTINGS))
    ids = batch.inputs[0].tolist()
    text, inside = "", []
    for position, token in enumerate(ids[1:], 1):
        start = len(text)
        text += tokenizer.decode([token])
        at = sentence.index(word)
        if start < at + len(word) and len(text) > at and text[start:].strip():
            inside.append(position)
    assert text == sentence and inside
    x = subject.activations(batch, [SITE])[SITE][0, inside].double()
    return dictionary.encode(x.float()).double().numpy().max(axis=0)


def test_every_number_is_that_of_a_slow_computation(study):
    table = study.table
    for row, (_, _, name) in enumerate(study.relatives):
        dictionary = Neurons(32) if name == "neurons" else load_sae(Path(study.place.sae.path), 32)
        for number, probe in enumerate(map(parsed, PROBES[:3])):
            base = slow_activation(study, dictionary, probe.sentence(probe.words[0]), probe.words[0])
            controls = {}
            for place in range(len(probe.words)):
                names = [str(one) for one in table["control"].values[number, place] if one]
                controls[place] = np.array(
                    [slow_activation(study, dictionary, probe.sentence(one), one) for one in names]
                )
            first = sorted(np.flatnonzero(base > 0), key=lambda feature: -base[feature])[:25]
            margin = {
                feature: (base[feature] - np.quantile(controls[0][:, feature], 0.95)) / base[feature]
                for feature in first
            }
            best = sorted(first, key=lambda feature: -margin[feature])[:5]
            features = table["feature"].values[row, number]
            assert features[: len(best)].tolist() == best and (features[len(best) :] == -1).all() and len(best) >= 3
            for rank, feature in enumerate(best):
                for place, word in enumerate(probe.words):
                    found = {key: float(table[key].values[row, number, rank, place]) for key in concept_probes.NUMBERS}
                    if table["state"].values[number, place] != MEASURED:
                        assert all(np.isnan(value) for value in found.values())
                        continue
                    f, own = (
                        slow_activation(study, dictionary, probe.sentence(word), word)[feature],
                        controls[place][:, feature],
                    )
                    assert found == pytest.approx(
                        {
                            "activation": f,
                            "relative": f / base[feature],
                            "control_median": np.median(own) / base[feature],
                            "control_high": np.quantile(own, 0.95) / base[feature],
                            "controls_below": sum(one < f for one in own) / len(own),
                        },
                        rel=1e-4,
                        abs=1e-6,
                    )


def test_words_that_are_not_known_are_named_and_left_out(study):
    state = study.table["state"].values.tolist()
    assert state[0] == [MEASURED, MEASURED, IN_PIECES] and state[1] == [MEASURED, MEASURED, IN_PIECES]
    assert state[2] == [MEASURED, MEASURED, ""]
    assert state[3] == [IN_PIECES, BASELESS, ""] and state[4] == [ALONE, IN_PIECES, ""]
    assert (study.table["feature"].values[:, 3:] == -1).all() and np.isnan(
        study.table["activation"].values[:, 3:]
    ).all()
    assert study.table["tokens"].values[0, 0] == 1 and study.table["tokens"].values[0, 2] > 1
    assert study.table["tokens"].values[2, 2] == study.table["occurrences"].values[2, 2] == -1
    text = "\n".join(documents())
    assert study.table["occurrences"].values[0].tolist() == [text.count("red"), text.count("blue"), 0]


def test_controls_occur_as_often_as_the_word_and_begin_as_it_does(study):
    text = "\n".join(documents())
    control, occurrences = (study.table[name].values for name in ("control", "control_occurrences"))
    for number, probe in enumerate(map(parsed, PROBES[:3])):
        for place, word in enumerate(probe.words):
            names = [one for one in control[number, place] if one]
            assert bool(names) == (study.table["state"].values[number, place] == MEASURED)
            assert occurrences[number, place, : len(names)].tolist() == [text.count(one) for one in names]
            assert not {*names} & {*probe.words} and all(one[0].isupper() == word[0].isupper() for one in names)
            assert len({*names}) == len(names)
    assert {*control[2, 0]} - {""} == {"Anna", "Ben"}, "names alone stand in for a name"


def test_the_numbers_of_a_dictionary_are_shares_of_what_was_measured(study):
    below = study.table["controls_below"].values
    for row in range(2):
        word = [value for value in below[row, :, :, 0].ravel() if not np.isnan(value)]
        others = [value for value in below[row, :, :, 1:].ravel() if not np.isnan(value)]
        assert study.table["word_share"].values[row] == pytest.approx(sum(value >= 0.95 for value in word) / len(word))
        assert study.table["concept_share"].values[row] == pytest.approx(
            sum(one >= 0.95 for one in others) / len(others)
        )


def test_where_nothing_was_measured_there_is_no_share():
    below = np.full((2, 1, 1, 2), np.nan)
    below[1] = [[[0.96, 0.2]]]
    found = shares(below)
    assert np.isnan([found["word_share"][0], found["concept_share"][0]]).all()
    assert (found["word_share"][1], found["concept_share"][1]) == (1, 0)


def test_other_sentences_change_nothing_of_a_probe(study):
    alone = made(
        "model",
        "concept_probes",
        Place("m", root=str(study.root)),
        "language",
        Analysis(probes=PROBES[1:2]),
        relatives=study.relatives,
    )
    np.testing.assert_array_equal(alone["feature"].values[:, 0], study.table["feature"].values[:, 1])
    np.testing.assert_allclose(alone["activation"].values[:, 0], study.table["activation"].values[:, 1], rtol=1e-5)
    assert alone["control"].values[0].tolist() == study.table["control"].values[1].tolist()


def test_another_seed_draws_others_among_words_that_are_equally_near():
    counts = WordCounts(" ".join(f"{letter}x {letter}x" for letter in "abcdefgh") + " base base rare")
    probe = parsed("a [base|other]")
    drawn = [counts.alike(probe, "base", 3, seed) for seed in range(6)]
    assert all(len(one) == 3 and "rare" not in one and "base" not in one for one in drawn)
    assert len({tuple(one) for one in drawn}) > 1 and drawn[0] == counts.alike(probe, "base", 3, 0)


def test_controls_are_the_nearest_by_the_logarithm_of_their_occurrences():
    counts = WordCounts(
        " ".join(
            word
            for word, often in {"aa": 1, "bb": 4, "cc": 8, "dd": 30, "ee": 100, "Ff": 8, "base": 8}.items()
            for _ in range(often)
        )
    )
    probe = parsed("a [base|other]")
    assert [counts.alike(probe, "base", number, 0) for number in (1, 2, 3, 9)] == [
        ["cc"],
        ["cc", "bb"],
        ["cc", "bb", "dd"],
        ["cc", "bb", "dd", "aa", "ee"],
    ]
    assert counts.alike(probe, "other", 2, 0) == ["aa", "bb"], "a word that does not occur counts as one that does once"
    assert counts.alike(parsed("[Base|x]"), "Base", 9, 0) == ["Ff"]
    assert counts.alike(parsed("[Base|Ff]"), "Base", 9, 0) == []


def test_occurrences_are_those_of_whole_words():
    counts = WordCounts("Red red reddish, don't! New York; new York's New  York New York-based")
    assert [counts.of(word) for word in ("red", "Red", "redd", "don't", "York", "New York", "new York")] == [
        1,
        1,
        0,
        1,
        3,
        2,
        1,
    ]


def test_a_case_worked_by_hand():
    """One neuron per column; the base word has two tokens, of which the larger counts, a replacement one."""
    sentences = {"base": 0, "other": 1, **{f"c{number}": 2 + number for number in range(4)}}
    asked = Asked(
        parsed("a [base|other|gone]"),
        [MEASURED, MEASURED, IN_PIECES],
        [3, 2, 0],
        [[("c0", 3), ("c1", 3)], [("c2", 2), ("c3", 2)], []],
        {
            name: Slotted(np.array([number]), np.arange(2 if name == "base" else 1))
            for name, number in sentences.items()
        },
    )
    rows = {
        asked.sentences["base"].key: [[1.0, 4.0, 0.0], [2.0, 3.0, -1.0]],
        asked.sentences["other"].key: [[3.0, 0.0, 5.0]],
        asked.sentences["c0"].key: [[0.0, 4.0, 0.0]],
        asked.sentences["c1"].key: [[1.0, 0.0, 0.0]],
        asked.sentences["c2"].key: [[2.0, 0.0, 0.0]],
        asked.sentences["c3"].key: [[4.0, 0.0, 0.0]],
    }
    found = concept_probes.measured(Neurons(3), asked, {key: torch.tensor(value) for key, value in rows.items()})
    assert found.feature.tolist() == [0, 1], "neuron 2 is not active on the base word; 1 is on a control, too"
    np.testing.assert_array_equal(found.activation, [[2, 3, np.nan], [4, 0, np.nan]])
    table = concept_probes.table([asked], [("s", "neurons")], [[found]])
    numbers = {name: table[name].values[0, 0, :2].tolist() for name in concept_probes.NUMBERS}
    none = pytest.approx(np.nan, nan_ok=True)
    assert numbers["relative"] == [[1, 1.5, none], [1, 0, none]]
    assert numbers["control_median"] == [[0.25, 1.5, none], [0.5, 0, none]]
    assert numbers["control_high"] == [
        [pytest.approx(0.475), pytest.approx(1.95), none],
        [pytest.approx(0.95), 0, none],
    ]
    assert numbers["controls_below"] == [[1, 0.5, none], [0.5, 0, none]]
    assert table["word_share"].values.tolist() == [0.5] and table["concept_share"].values.tolist() == [0.0]


def test_tokens_of_a_word_that_are_left_out_do_not_count(subject):
    subject.embedding = torch.tensor([[1.0, 0.0], [0.0, 2.0], [90.0, 90.0]])
    sentences = [Slotted(np.array(ids), np.array([1, 2])) for ids in ([0, 1, 2], [0, 2, 2], [0, 1, 0])]
    found = concept_probes.slot_activations(subject, {"mlp": LeftOut("massive", 2.0, 9)}, sentences)["mlp"]
    rows = [found[one.key] for one in sentences]
    assert [len(one) for one in rows] == [1, 0, 2]
    largest = concept_probes._encoded(Neurons(2), rows, None)
    assert largest.tolist() == [[0, 2], [0, 0], [1, 2]]


def test_features_come_first_that_are_furthest_above_the_controls_and_as_they_come_without_any():
    on_base = np.array([10.0, 8.0, 2.0, 2.0])
    controls = np.array([[9.0, 9.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert best_first(on_base, controls).tolist() == [2, 3, 1, 0]
    assert best_first(on_base, np.zeros((4, 0))).tolist() == [0, 1, 2, 3]


def test_a_sentence_that_is_longer_than_the_context_is_named(study):
    tokenizer = load_tokenizer(Path(study.place.tokenizer))
    front = Front(tokenizer, "<|bos|>")
    counts = WordCounts("\n".join(documents()))
    probe = parsed(f"{'red ' * 30}[red|blue]")
    found = ask(probe, lambda word: slotted(tokenizer, front, probe, word), counts, CONTEXT, 0)
    assert found.states == [TOO_LONG, TOO_LONG] and found.sentences == {} and found.measured == []


def test_the_slot_is_where_the_word_stands_whatever_is_in_front_of_the_text(study):
    tokenizer = load_tokenizer(Path(study.place.tokenizer))
    probe = parsed("red ball sits [red|blue].")
    for bos in ("<|bos|>", None):
        front = Front(tokenizer, bos)
        found = slotted(tokenizer, front, probe, "red")
        assert tokenizer.decode([int(found.ids[place]) for place in found.slot]).strip() == "red"
        assert found.slot.min() >= 3 + (bos is not None)
    other = Tokenizer.from_str(tokenizer.to_str())
    other.add_tokens([AddedToken("<s>", normalized=True)])
    found = slotted(other, Front(other, "<s>"), probe, "red")
    assert other.decode([int(found.ids[place]) for place in found.slot]).strip() == "red" and found.slot.min() > 3


def test_text_of_a_stream_is_whole_and_of_cut_documents_the_last_word_is_left_out(study):
    store, vocabulary = TokenStore(study.tokens), Vocabulary(load_tokenizer(Path(study.place.tokenizer)))
    text = text_of(store, vocabulary, 10**6)
    full = [document for document in documents() if document in text]
    assert full and WordCounts(text).of("red") <= "\n".join(documents()).count("red")
    known = {*WORDS}
    assert set(WordCounts(text)._counts) <= known
    pieces = Path(study.root / "stream.zarr")
    tokenize_corpus(
        study.root / "documents.parquet",
        Path(study.place.tokenizer),
        pieces,
        "eval",
        Tokenization(**SETTINGS | {"packing": "concatenated"}),
        "",
    )
    stream = text_of(TokenStore(pieces), vocabulary, 10**6)
    assert set(WordCounts(stream)._counts) <= known | {stream.split()[-1].strip(".")}
    assert len(text_of(TokenStore(pieces), vocabulary, 60)) < len(stream) / 10


@pytest.mark.parametrize(("kind", "probes"), [("classifier", PROBES), ("language", [])])
def test_what_reads_no_sentences_and_no_probes_make_an_empty_table_that_says_so(
    study, image_store, tmp_path, kind, probes
):
    place = Place("m", root=str(study.root))
    if kind == "classifier":
        place = Place("c", root=str(tmp_path))
        image_store(np.zeros((4, 2), np.float32), np.zeros(4, np.int32), 3, "c/eval")
    table = made("model", "concept_probes", place, kind, Analysis(probes=probes), relatives=[])
    assert not table.data_vars and table.attrs["not_applicable"]
    json.dumps(table.attrs)
