"""S1.F5: steering of a small model in which it is known what a feature makes it write."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import xarray as xr
from measured import made

from polysem.activations.rows import ActivationRows
from polysem.corpora.stories.lexicon import spans_of
from polysem.corpora.tagged import tags_column
from polysem.interventions.generation import continuations
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.models.text import token_batch
from polysem.models.tokenize_corpus import Tokenization, tokenize_corpus
from polysem.models.tokenizer import load_tokenizer
from polysem.models.train_tokenizer import train_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.saes.transcoder import with_target
from polysem.tables.of_model import steering
from polysem.tables.parts.recognised import carried
from polysem.tables.parts.spelled import spelled
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.steering import choice
from polysem.tables.passes.steering.numbers import spearman
from polysem.tables.passes.steering.output_scores import ranked_probability
from polysem.tables.passes.steering.prompts import EvalTexts
from polysem.tables.passes.steering.ways import MEASURED, NO_TAG, WAYS, difference_of_means

SITE, SAE_NAME, CONTEXT, WIDTH = "blocks.0.hook_mlp_out", "relu-x2", 24, 16
WORDS = ("red", "blue", "green", "ball", "car", "doll", "happy", "glad", "sad", "he", "she", "they")
SETTINGS = {"context_length": CONTEXT, "packing": "documents", "bos_token": "<|bos|>", "mask_tokens": ["<|bos|>"]}
PARAMS = {"steered_features": 3, "steering_tokens": 5, "steering_doses": [1.0, 4.0]}
FORCED, DEAD, OTHER, BLUE = range(4)


def write(place: Place, name: str, variables: dict[str, xr.Variable]) -> None:
    for one in variables.values():
        one.attrs |= {"long_name": name, "units": "1"}
    Path(place.tables).mkdir(parents=True, exist_ok=True)
    write_table(Path(place.table(name)), xr.Dataset(variables))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> SimpleNamespace:
    """A model of one layer whose SAE has a feature that leads to ` red`, a dead one, one of no tag, and one to ` blue`;
    tables of them by hand."""
    root = tmp_path_factory.mktemp("steering")
    place = Place("m", SITE, SAE_NAME, root=str(root))
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, 12)) + "." for _ in range(240)]
    spans = [sorted([(0, len(text), f"plot:{'ab'[number % 2]}"), *spans_of(text)]) for number, text in enumerate(texts)]
    corpus = root / "documents.parquet"
    split = ["train"] * 120 + ["eval"] * 120
    pq.write_table(pa.table({"text": texts, "split": split, "tags": tags_column(spans)}), corpus)
    folder = Path(place.weights.path)
    folder.mkdir(parents=True)
    train_tokenizer(corpus, Path(place.tokenizer), 299, "<|bos|>")
    config = {
        "d_model": WIDTH, "d_head": 8, "n_heads": 2, "n_layers": 1, "n_ctx": CONTEXT, "d_vocab": 299, "d_mlp": 32,
        "act_fn": "relu", "normalization_type": "LN", "seed": 0,
    }  # fmt: skip
    model = new_model(config)
    head = torch.randn(299, WIDTH, generator=torch.Generator().manual_seed(2))
    head = head - head.mean(1, keepdim=True)
    model.head.weight.data = 8 * head / head.norm(dim=1, keepdim=True)
    save_native(bridge_of(model), config, folder)
    record_model(folder, "language", {**SETTINGS, "processing": {}}, {})
    tokenize_corpus(
        corpus, Path(place.tokenizer), Path(place.tokens("eval").store), "eval", Tokenization(**SETTINGS), ""
    )
    tokenizer = load_tokenizer(Path(place.tokenizer))
    red, blue = (tokenizer.encode(f" {word}", add_special_tokens=False).ids[-1] for word in ("red", "blue"))
    W_dec = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(1))
    W_dec[FORCED], W_dec[BLUE] = model_row(folder, red), 0.5 * model_row(folder, blue)
    save_sae(
        SAE(torch.zeros(WIDTH, 4), torch.full((4,), -1.0), W_dec, torch.zeros(WIDTH), standard.Function()),
        Path(place.sae.path), {}, torch.zeros(4),
    )  # fmt: skip
    logits = W_dec @ load_subject(folder).unembedding()
    tags = list(TokenTags(Path(place.tokens("eval").store)).names)
    best = {"colour": FORCED, "feeling": DEAD, "plot:a": OTHER}
    for name, boosted, maximum, chosen in (
        (SAE_NAME, logits.topk(3).indices.numpy(), np.array([500.0, 0.0, 1.0, 5.0]), best),
        ("neurons", np.zeros((WIDTH, 3), int), np.ones(WIDTH), {"colour": 7}),
    ):
        own = place.of(name)
        write(own, "frequency", {"max_activation": xr.Variable("feature", maximum)})
        write(own, "logits", {"boosted_token": xr.Variable(("feature", "rank"), boosted)})
        main = np.full(len(maximum), -1)
        main[: min(4, len(main))] = tags.index("plot:a")
        write(own, "tags", {
            "best_feature": xr.Variable("tag", [chosen.get(tag, -1) for tag in tags]),
            "f1_choosing": xr.Variable("tag", [0.9 if tag in chosen else np.nan for tag in tags]),
            "main_tag": xr.Variable("feature", main),
            "tag": xr.Variable("tag", np.array(tags, object)),
        })  # fmt: skip
    activations(place, draw)
    relatives = [("m", SITE, name) for name in ("neurons", SAE_NAME)]
    made_table = table_of(root, relatives)
    return SimpleNamespace(
        root=root, place=place, table=made_table, red=red, blue=blue, relatives=relatives, W_dec=W_dec
    )


def model_row(folder: Path, token: int) -> torch.Tensor:
    column = load_subject(folder).unembedding()[:, token]
    return column / column.norm()


def activations(place: Place, draw: np.random.Generator) -> None:
    """Activations of the eval tokens that count, drawn at random, with more of neuron 3 where a colour is."""
    store = TokenStore(Path(place.tokens("eval").store))
    sequence, position = (found.numpy() for found in torch.nonzero(store.batch(0, store.sequences).counted).T)
    tags = TokenTags(Path(place.tokens("eval").store))
    x = draw.standard_normal((len(sequence), WIDTH)).astype(np.float32)
    x[:, 3] += 5 * tags.at(sequence, position)[:, tags.names.index("colour")]
    with written_store(
        Path(place.activations("eval").store), attributes={}, params={}, code="", device="cpu", libraries=()
    ) as group:
        for name, values in (("activations", x), ("sequence", sequence), ("position", position)):
            dimensions = ("token", "neuron")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=False)[:] = values


def table_of(root: Path, relatives: list[tuple[str, str, str]], **changed) -> xr.Dataset:
    place = Place("m", root=str(root))
    return made("model", "steering", place, "language", Analysis(**PARAMS | changed), relatives=relatives, proxies={})


def of(study, feature: int) -> xr.Dataset:
    return study.table.isel(steered=study.table["feature"].values.tolist().index(feature))


def test_a_feature_that_leads_to_a_word_makes_the_model_write_it(study):
    forced = of(study, FORCED)
    assert forced["tag"].item() == "colour" and forced["chosen_by"].item() == choice.BY_TAG
    assert (forced["tag_share"].sel(way="feature") == 1).all() and (forced["tag_share"].sel(way="unsteered") < 1).all()
    assert set(forced["continuation"].sel(way="feature").values.ravel()) == {" red" * 5}
    assert set(forced["marks"].sel(way="feature").values.ravel()) == {"0111" * 5}
    assert forced["tag_gain"].item() == pytest.approx(
        1 - float(forced["tag_share"].sel(way="unsteered", dose=1).mean())
    )
    assert (forced["tag_share"].sel(way="random") < 1).all()
    assert study.table.attrs["written_tokens"] == 5


def test_features_that_never_fire_and_tags_without_a_recogniser_are_not_steered_to(study):
    table = study.table
    assert table["feature"].values.tolist() == [FORCED, BLUE, OTHER], "by tag, then by output score"
    assert table["tag"].values.tolist() == ["colour", "", ""]
    other = of(study, OTHER)
    assert dict(zip(WAYS, other["state"].values, strict=True)) == {
        "feature": MEASURED, "random": MEASURED, "means": NO_TAG, "neuron": NO_TAG, "prompt": NO_TAG,
        "unsteered": MEASURED,
    }  # fmt: skip
    assert np.isnan(other["tag_share"]).all() and np.isfinite(other["loss"].sel(way=["feature", "unsteered"])).all()
    assert {"plot:a", "plot:b"} <= set(table.attrs["not_scored"].split(", "))
    f1 = dict(zip(table["recognised_tag"].values, table["recogniser_f1"].values, strict=True))
    assert f1["colour"] == 1 and "plot:a" not in f1


def test_baselines_add_as_much_as_the_feature_does(study):
    forced = of(study, FORCED)
    norm = dict(zip(WAYS, forced["norm"].values, strict=True))
    assert norm["feature"] == pytest.approx(500) == norm["random"] == norm["means"]
    assert norm["neuron"] == 1 and np.isnan(norm["prompt"])
    assert forced["state"].values.tolist() == [MEASURED] * 6


def test_losses_and_shares_are_those_of_each_text_alone(study):
    subject = load_subject(Path(study.place.weights.path))
    tokenizer, store = load_tokenizer(Path(study.place.tokenizer)), Path(study.place.tokens("eval").store)
    bos = tokenizer.token_to_id("<|bos|>")
    ids = continuations(subject, np.array([[bos]] * 2), np.arange(2), 5, 0)
    for text in range(2):
        unsteered = study.table.isel(text=text).sel(way="unsteered", dose=1)
        assert study.table["prompt"].values[text] == ""
        assert set(unsteered["continuation"].values) == {spelled(ids[text].tolist(), Vocabulary(tokenizer))[0]}
        whole = np.concatenate([[bos], ids[text]])
        scores = subject.log_probabilities(token_batch(whole[None], np.ones((1, 6), bool)))[0]
        loss = -np.mean([scores[place, whole[place + 1]].item() for place in range(5)])
        np.testing.assert_allclose(unsteered["loss"].values, loss, rtol=1e-5)
        for number, feature in enumerate(study.table["feature"].values.tolist()):
            logits = study.W_dec[feature] @ subject.unembedding()
            share = np.isin(ids[text], logits.topk(3).indices.numpy()).mean()
            assert unsteered["promoted_share"].values[number] == pytest.approx(share)
    prompts = study.table["prompt"].values.tolist()
    assert prompts[:2] == ["", ""] and prompts[2] == prompts[3] != prompts[4] and all(prompts[2:])
    assert store.exists() and study.table["sample"].values.tolist() == [0, 1] * 3


def test_means_are_over_features_and_the_models_numbers_those_at_the_maximum(study):
    table, forced = study.table, of(study, FORCED)
    loss = table["loss"].mean("text")
    np.testing.assert_allclose(
        table["perplexity"].sel(way="random").values[0], np.exp(loss.sel(way="random").mean("steered").values)
    )
    np.testing.assert_allclose(
        table["mean_tag_share"].values[0], forced["tag_share"].mean("text").values, err_msg="one feature has a tag"
    )
    assert table["features_scored"].values.tolist() == [[1] * 6]
    assert table["steering_tag_share_feature"].item() == 1
    own = np.exp(float(loss.sel(way="feature", dose=1).mean()))
    assert table["steering_perplexity_feature"].item() == pytest.approx(own)
    assert np.isnan(table["output_score_tag_gain"].item()), "too few features"


def test_prompts_with_the_tag_end_in_it(study):
    assert all(prompt.split()[-1] in ("red", "blue", "green") for prompt in of(study, FORCED)["tag_prompt"].values)
    assert (of(study, OTHER)["tag_prompt"] == "").all()


def test_the_difference_of_means_is_that_of_a_loop(study):
    rows = ActivationRows(Path(study.place.activations("eval").store))
    tags = TokenTags(Path(study.place.tokens("eval").store))
    x = rows.slice(0, rows.length).astype(np.float64)
    carried_by = tags.at(*rows.places(0, rows.length))[:, tags.names.index("colour")]
    found = difference_of_means(rows, tags, {"colour"})["colour"]
    np.testing.assert_allclose(found, x[carried_by].mean(0) - x[~carried_by].mean(0), atol=1e-5)
    assert found.argmax() == 3
    assert isinstance(difference_of_means(None, tags, {"colour"})["colour"], str)


def test_output_scores_are_those_by_hand():
    p = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]])
    found = ranked_probability(p.log(), torch.tensor([[1, 2], [2, 0]]))
    np.testing.assert_allclose(found, [0.3 * (1 - 1 / 3), 0.8], rtol=1e-6)


def test_the_feature_with_the_higher_output_score_comes_first(study):
    score = study.table["output_score"].values
    assert score[1] > score[2] and score[0] > 0.5
    before = study.table["output_score_before"].values
    assert ((before >= 0) & (before < 0.5)).all()


def test_a_dictionary_that_cannot_be_edited_is_named_and_the_others_are_as_they_are(study, monkeypatch):
    def load(path, width, device="cpu"):
        dictionary = real(path, width, device)
        if path.name != "neurons" and not left["done"]:
            left["done"] = True
            return with_target(dictionary, None, "blocks.9.hook_mlp_out")
        return dictionary

    real, left = choice.load_dictionary, {"done": False}
    monkeypatch.setattr(choice, "load_dictionary", load)
    found = table_of(study.root, [study.relatives[0], study.relatives[1], study.relatives[1]])
    assert "blocks.9.hook_mlp_out" in found.attrs["left_out"] and "cannot be edited" in found.attrs["left_out"]
    for name in ("feature", "continuation", "tag_share"):
        np.testing.assert_array_equal(found[name].values, study.table[name].values)


@pytest.mark.parametrize(
    ("changed", "relatives", "said"),
    [
        ({"steered_features": 0}, None, "steered_features is 0"),
        ({}, [], "no SAE of the model has a feature"),
    ],
)
def test_where_nothing_can_be_steered_the_table_says_so(study, changed, relatives, said):
    found = table_of(study.root, study.relatives if relatives is None else relatives, **changed)
    assert not found.data_vars and said in found.attrs["not_applicable"]
    json.dumps(found.attrs)


def test_a_classifier_writes_no_text(image_store, tmp_path):
    place = Place("c", root=str(tmp_path))
    image_store(np.zeros((4, 2), np.float32), np.zeros(4, np.int32), 3, "c/eval")
    table = made("model", "steering", place, "classifier", Analysis(), relatives=[], proxies={})
    assert table.attrs["not_applicable"] == "a classifier writes no text" and steering.CATALOGUE == "S1.F5"


def test_tokens_that_are_parts_of_a_character_share_it():
    vocabulary = SimpleNamespace(
        is_special=lambda token: token == 0,
        piece=lambda token: {1: b"a", 2: "é".encode()[:1], 3: "é".encode()[1:], 4: b" red"}[token],
    )
    text, offsets = spelled([0, 1, 2, 3, 4], vocabulary)
    assert text == "\naé red" and offsets.tolist() == [[0, 1], [1, 2], [2, 3], [2, 3], [3, 7]]
    assert carried(text, offsets, [(2, 3, "x")]).tolist() == [False, False, True, True, False]
    assert carried(text, offsets, [(4, 7, "x")]).tolist() == [False, False, False, False, True]
    assert spelled([1, 2], vocabulary)[0] == "a\ufffd"


def test_rank_correlations_need_features_with_both_numbers():
    one = np.array([1.0, 2, 3, 4, 5, np.nan])
    rho, low, high = spearman(one, np.array([1.0, 4, 9, 16, 25, 0]), 0)
    assert (rho, high) == pytest.approx((1, 1)) and low == pytest.approx(1)
    assert spearman(one, -(one**3), 0)[0] == pytest.approx(-1)
    assert all(np.isnan(spearman(one[:4], one[:4], 0))) and all(np.isnan(spearman(one, np.ones(6), 0)))


@pytest.mark.parametrize(("maximum", "prompts"), [([0.0, 0.0], [[1, 2]]), ([1.0, 2.0], [])])
def test_without_a_feature_that_fires_or_a_prompt_nobody_is_asked_for_output_scores(maximum, prompts):
    """The model, which is None here, is not run; of features that fire none has a score."""
    one = choice.Candidates("site", "sae", None, np.array(maximum), np.zeros((2, 3), np.int64), {})
    found = choice.chosen_features(None, [one], [], {}, 5, [np.array(ids) for ids in prompts])
    assert found == []


def test_a_document_may_be_just_as_long_as_a_prompt():
    ids = np.array([[9, 1, 2, 3, 4, 5, 6, 7, 8]])
    texts = EvalTexts(ids, ids < 9, None, np.array([9]))
    assert [found.tolist() for found in texts.beginnings(2)] == [ids[0].tolist()]
    assert texts.beginnings(0) == [] == EvalTexts(ids[:, :8], ids[:, :8] < 9, None, np.array([9])).beginnings(1)
