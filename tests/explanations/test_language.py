"""S1.F10: language models that explain and judge, over a real server and with a real small model."""

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from measured import made
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM

from polysem.explanations.explain_features import EXECUTABLE, explain_features
from polysem.explanations.language import openai, prompts
from polysem.explanations.language.answers import Answers, Reply, question_digest
from polysem.explanations.language.asking import UnavailableError
from polysem.explanations.language.transformers import Client
from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.params.explainers.openai import OpenaiExplainer
from polysem.params.explainers.transformers import TransformersExplainer
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.explanations.examples import HELD_OUT, Examples, Windows
from polysem.tables.passes.explanations.judged import judgements

from .case import ANIMAL, CAT, WORD, causes, read_said, texts
from .server import serving

SCORES = ["simulation", "detection", "fuzzing"]
KEY = "sk-very-secret"
IDS = texts()


@pytest.fixture
def study(explained, tmp_path) -> SimpleNamespace:
    """The files of the explained model, to be explained again."""
    for name in ("tokens", "models", "activations"):
        (tmp_path / name).symlink_to(explained.root / name)
    place = Place("m", root=str(tmp_path))
    Path(place.tables).mkdir(parents=True)
    for entry in Path(explained.place.tables).iterdir():
        if entry.name not in ("explanations.jsonl", "answers.jsonl"):
            (Path(place.tables) / entry.name).symlink_to(entry)
    return SimpleNamespace(root=tmp_path, place=place, explained=explained)


def entry(address: str, **changes: Any) -> dict[str, Any]:
    values = {
        "source": "openai", "address": address, "model": "tiny", "features": 3, "scores": SCORES, "retries": 0,
    } | changes  # fmt: skip
    return OpenaiExplainer.model_validate(values).values()


def explain(study: SimpleNamespace, params: dict[str, Any]) -> dict[str, Any]:
    """What a model says of the features, by its file."""
    explain_features("m", {"judge": params}, str(study.root))
    return read_said(study.place)


def table_of(study: SimpleNamespace):
    return made(
        "model", "explanations", study.place, "language", study.explained.analysis, relatives=study.explained.relatives
    )


def knowing(system: str, user: str) -> str:
    """A model that knows the causes: it says ` cat` of a feature that is active on it, and predicts by that."""
    if system == prompts.EXPLAIN:
        marked = set(re.findall(r"<<(.*?)>>", user))
        return f"\n  the word {sorted(marked)[0].strip()}\nand more" if len(marked) == 1 else "many things"
    word = re.search(r"reacts to: the word (\w+)", user)
    if word is None:
        return "I cannot know."
    if system == prompts.SIMULATE:
        return str([10 * (token.strip() == word[1]) for token in json.loads(user.split("tokens: ")[1])])
    lines = re.findall(r"Text \d+: (.*)", user)
    sign = f"<< {word[1]}>>" if system == prompts.FUZZ else f" {word[1]}"
    return f"My answer is {[int(sign in line) for line in lines]}"


def test_a_model_that_knows_has_full_scores_and_one_that_says_nothing_readable_none(study):
    with serving(knowing) as server:
        said = explain(study, entry(server.address, features=9))
    assert said["explainers"] == [*EXECUTABLE, "judge"] and said["notes"] == {}
    table = table_of(study)
    rows = {feature: row for row, feature in enumerate(table["feature"].values.tolist())}
    of_judge = table.sel(explainer="judge")
    assert of_judge["text"].values[rows[CAT]] == "the word cat"
    assert of_judge["score_of"].values[rows[CAT]] == pytest.approx([1, 1, 1])
    assert of_judge["unreadable"].values[rows[CAT]].tolist() == [0, 0, 0]
    assert of_judge["examples"].values[rows[CAT]].tolist()[1:] == [10, 10]
    assert of_judge["text"].values[rows[ANIMAL]] == "many things"
    assert of_judge["score_of"].values[rows[ANIMAL]].tolist() == [0, 0, 0], "what cannot be read is wrong"
    assert of_judge["unreadable"].values[rows[ANIMAL]].tolist() == of_judge["examples"].values[rows[ANIMAL]].tolist()
    assert np.isnan(of_judge["shuffled_score_of"].values).all(), "nobody was asked"
    for name in EXECUTABLE:
        np.testing.assert_array_equal(
            table["score_of"].sel(explainer=name).values, study.explained.table["score_of"].sel(explainer=name).values
        )


def test_judges_are_asked_about_held_out_texts_alone(study):
    with serving(knowing) as server:
        explain(study, entry(server.address))
    assert all(body["path"] == "/v1/chat/completions" and body["model"] == "tiny" for body in server.asked)
    halves: list[list[str]] = [[], []]
    for number, row in enumerate(IDS):
        halves[int(held_out(np.array([number]))[0])].append("".join(_words(row)))
    for body in server.asked:
        system, user = (message["content"] for message in body["messages"])
        half = 0 if system == prompts.EXPLAIN else 1
        if system == prompts.SIMULATE:
            found = ["".join(json.loads(user.split("tokens: ")[1]))]
        else:
            found = [
                line.replace("<<", "").replace(">>", "") for line in re.findall(r"(?:Text|Example) \d+: (.*)", user)
            ]
        for text in found:
            assert any(text in whole for whole in halves[half]), system[:40]


def _words(row: np.ndarray) -> list[str]:
    names = {number: word for word, number in WORD.items()}
    return [names[int(one)] for one in row]


def test_answers_are_kept_and_replayed_without_a_network_or_a_key(study, monkeypatch):
    monkeypatch.setenv("TINY_KEY", KEY)
    with serving(knowing) as server:
        params = entry(server.address, key="TINY_KEY")
        first = explain(study, params)
    assert server.asked and set(server.keys) == {f"Bearer {KEY}"}
    monkeypatch.delenv("TINY_KEY")
    content = Path(study.place.explanations).read_bytes()
    Path(study.place.explanations).unlink()
    assert explain(study, params) == first and Path(study.place.explanations).read_bytes() == content
    changed = explain(study, params | {"temperature": 0.5})
    assert "TINY_KEY" in changed["notes"]["judge"] and "is not set" in changed["notes"]["judge"]


def test_the_key_is_in_no_file_and_no_message(study, monkeypatch, capsys):
    monkeypatch.setenv("TINY_KEY", KEY)
    with serving(lambda system, user: (401, {}, json.dumps({"error": KEY}).encode())) as server:
        said = explain(study, entry(server.address, key="TINY_KEY"))
    assert "refuses the key (HTTP 401)" in said["notes"]["judge"] and server.keys == [f"Bearer {KEY}"]
    with serving(knowing) as server:
        explain(study, entry(server.address, key="TINY_KEY"))
    written = [file for file in study.root.rglob("*") if file.is_file() and not file.is_symlink()]
    assert {file.name for file in written} >= {"explanations.jsonl", "answers.jsonl"}
    assert not any(KEY.encode() in file.read_bytes() for file in written)
    assert KEY not in "".join(capsys.readouterr())


def test_the_key_does_not_go_where_an_answer_sends_to(study, monkeypatch):
    monkeypatch.setenv("TINY_KEY", KEY)
    with serving(knowing) as other:
        with serving(lambda system, user: (307, {"Location": f"{other.address}/chat/completions"}, b"")) as server:
            said = explain(study, entry(server.address, key="TINY_KEY"))
        assert other.asked == [] and "HTTP 307" in said["notes"]["judge"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((402, {}, b""), "demands money \\(HTTP 402\\)"),
        ((429, {"Retry-After": "0"}, b""), "asked too often, or the account has nothing left \\(HTTP 429\\)"),
        ((404, {}, b"<html>"), "does not know the address or the model \\(HTTP 404\\)"),
        ((500, {}, b""), "answers with an error \\(HTTP 500\\)"),
        ((200, {}, b"<html>nonsense"), "something else than the protocol says"),
        ((200, {}, b"[" * 100_000), "something else than the protocol says"),
        ((200, {}, b'{"choices": []}'), "something else than the protocol says"),
        ((200, {}, b" " * (openai.LARGEST + 1)), "more than 4,194,304 bytes"),
    ],
)
def test_a_server_that_fails_is_a_sentence_and_nothing_is_lost(study, answer, words):
    with serving(lambda system, user: answer) as server:
        said = explain(study, entry(server.address))
    assert len(server.asked) == 1
    assert re.fullmatch(
        f"{server.address} .*{words}; 0 of 3 features were asked about, the answers are kept", said["notes"]["judge"]
    )
    assert [one["by"].keys() == set(EXECUTABLE) for one in said["explanations"]] == [True] * 7
    table = table_of(study)
    assert str(table["note"].sel(explainer="judge").values) == said["notes"]["judge"]
    assert np.isnan(table["mean_score"].sel(explainer="judge").values).all()


def test_a_server_that_is_down_or_slow_is_a_sentence(study):
    with serving(knowing) as server:
        pass
    assert "does not answer" in explain(study, entry(server.address))["notes"]["judge"]

    def slow(system: str, user: str) -> str:
        time.sleep(1)
        return "late"

    with serving(slow) as server:
        start = time.perf_counter()
        said = explain(study, entry(server.address, timeout=0.1))
    assert "does not answer (TimeoutError" in said["notes"]["judge"] and time.perf_counter() - start < 10


def test_a_busy_server_is_asked_again_and_what_it_said_before_it_failed_is_there(study, monkeypatch):
    monkeypatch.setattr(openai, "WAITS", (0.0, 0.0))
    turns = iter([(429, {}, b""), (503, {"Retry-After": "Wed"}, b"")])

    def busy(system: str, user: str) -> Any:
        return next(turns, None) or knowing(system, user)

    with serving(busy) as server:
        said = explain(study, entry(server.address, retries=2, scores=[]))
    assert said["notes"] == {} and len(server.asked) == 5

    turns = iter([*[None] * 2, *[(402, {}, b"")] * 9])
    with serving(busy) as server:
        said = explain(study, entry(server.address, model="other", scores=[]))
    assert "2 of 3 features were asked about" in said["notes"]["judge"]
    assert sum("judge" in one["by"] for one in said["explanations"]) == 2
    with serving(knowing) as again:  # at another address, which is no reason to forget: it is another server
        params = entry(server.address, model="other", scores=[])
        answers = Answers(Path(study.place.answers))
        assert len(answers) == 3 + 2 and again.asked == [] and params["model"] == "other"


def test_caps_on_calls_and_tokens_are_kept_to(study):
    with serving(knowing) as server:
        said = explain(study, entry(server.address, most_calls=4))
        assert (
            len(server.asked) == 4
            and "the cap of 4 calls is reached; raise explainers.judge.most_calls" in (said["notes"]["judge"])
        )
        said = explain(study, entry(server.address, most_tokens=14))
    assert len(server.asked) == 4 + 2 and "the cap of 14 tokens is reached" in said["notes"]["judge"]


def test_calls_of_a_feature_are_those_that_the_plan_counts(study):
    with serving(knowing) as server:
        explain(study, params := entry(server.address, features=1, scored_examples=8, contexts_per_call=3))
    assert len(server.asked) == OpenaiExplainer.model_validate(params).calls() == 1 + 8 + 3 + 3


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("[1, 0,1]", [1, 0, 1]),
        ("Sure!\n[0, 0, 0].", [0, 0, 0]),
        ("[1, 0]", None),
        ("[1, 0, 2]", None),
        ("[1, 0, -1]", None),
        ("[1, 0, yes]", None),
        ("1, 0, 1", None),
        ("[1, 0, 1] or [0, 0, 1]", None),
        ("[١, 0, 1]", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_answers_are_lists_of_the_right_length_or_cannot_be_read(answer, numbers):
    assert prompts.read_numbers(answer, 3, 1) == numbers


def test_explanations_are_one_line_and_keep_their_markup_as_text():
    assert prompts.read_explanation("\n \n <b>nouns</b> \u202e x\nmore") == "<b>nouns</b> \u202e x"
    assert prompts.read_explanation("a" * 9999) == "a" * prompts.LONGEST and prompts.read_explanation(" \n") == ""


def test_judgements_worked_by_hand():
    """Two active contexts and two others; one right of each, and one that cannot be read."""
    windows = Windows(
        np.arange(4), np.array([0.0, 2, 0, 1]), np.array([[0, 1], [2, 3], [0, -1], [2, -1]]), np.array([1, 3, 0, 2])
    )
    role = np.array(["active", "active", "inactive", "inactive"], object)
    answers = {"detection": [[0, True], [1, None], [2, False], [3, True]], "simulation": [[0, [0, 10]], [1, None]]}
    score, count, unreadable = judgements(answers, windows, role)
    expected = np.corrcoef([0, 10, 0, 0], [0, 2, 0, 1])[0, 1]
    assert score[:2] == pytest.approx([expected, 0.5]) and np.isnan(score[2])
    assert count.tolist() == [4, 4, 0] and unreadable.tolist() == [2, 1, 0]
    for wrong in ({"detection": [[9, True]]}, {"simulation": [[0, [1, 2, 3]]]}, {"fuzzing": [[0]]}):
        with pytest.raises(InputError, match="are not of these examples"):
            judgements(wrong, windows, role)


def test_a_torn_line_of_answers_loses_none_of_the_others(tmp_path):
    path = tmp_path / "answers.jsonl"
    Answers(path).keep("a", Reply("one\n\u2028two \ud800", 3), "gpt")
    with path.open("ab") as file:
        file.write(b'{"question": "b", "answ')
    answers = Answers(path)
    assert len(answers) == 1 and answers.get("b") is None
    answers.keep("c", Reply("three", 1), "gpt")
    again = Answers(path)
    assert len(again) == 2 and again.get("c") == Reply("three", 1) and again.get("a").tokens == 3
    digests = {question_digest({"model": model}, [{"content": text}]) for model in "ab" for text in "cd"}
    assert len(digests) == 4


def tiny_model(folder: Path) -> Path:
    """A model of 30 characters, as transformers writes it, that has learned nothing."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "llama", vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=24, max_position_embeddings=4096, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    signs = ["[U]", *"abcdefghijklmnopqrstuvwxyz[]01,.: \n"]
    tokenizer = Tokenizer(models.WordLevel({sign: number for number, sign in enumerate(signs)}, unk_token="[U]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def test_a_local_model_explains_and_its_weak_answers_show(study, tmp_path_factory, monkeypatch):
    folder = tiny_model(tmp_path_factory.mktemp("model"))
    values = {"source": "transformers", "path": str(folder), "features": 2, "scores": ["detection"], "answer_tokens": 8}
    params = TransformersExplainer.model_validate(values | {"examples": 2, "scored_examples": 4}).values()
    said = explain(study, params)
    assert said["notes"] == {}
    texts_of = [one["by"]["judge"] for one in said["explanations"] if "judge" in one["by"]]
    assert len(texts_of) == 2 and all(len(one["text"]) <= 16 for one in texts_of)
    table = table_of(study).sel(explainer="judge")
    asked = table["examples"].values[:, 1] > 0
    assert asked.sum() == 1, "of the two, the first and the last, one is active everywhere"
    assert (table["score_of"].values[asked, 1] == 0).all() and (table["unreadable"].values[asked, 1] == 4).all()
    content = Path(study.place.explanations).read_bytes()
    monkeypatch.setattr(Client, "ask", None)  # nobody is asked again
    assert explain(study, params) == said and Path(study.place.explanations).read_bytes() == content


def test_a_local_model_that_cannot_be_read_or_is_too_short_is_a_sentence(tmp_path):
    folder = tiny_model(tmp_path / "model")
    params = TransformersExplainer.model_validate({"source": "transformers", "path": str(folder)}).values()
    messages = [{"role": "user", "content": "a" * 4096}]
    with pytest.raises(UnavailableError, match=r"the question has .* tokens and the answer up to 200, but"):
        Client(params).ask(messages)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UnavailableError, match="transformers cannot read"):
        Client(params).ask(messages)
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"GGUFnothing")
    with pytest.raises(UnavailableError, match=r"model\.gguf"):
        Client(params | {"path": str(broken)}).ask(messages)


def test_examples_in_prompts_are_marked_where_the_feature_is_active(study):
    examples = Examples.read(
        Path(study.place.table("explained_examples")),
        Path(study.place.tokens("eval").store),
        Path(study.place.tokenizer),
    )
    number = examples.values["feature"].tolist().index(CAT)
    with serving(knowing) as server:
        explain(study, entry(server.address, features=9, scores=[]))
    user = next(body["messages"][1]["content"] for body in server.asked if "<< cat>>" in body["messages"][1]["content"])
    lines = user.splitlines()
    assert len(lines) == 20 and all(line.count("<< cat>>") == line.count(" cat") for line in lines[::2])
    assert set(lines[1::2]) <= {"Activations: " + ", ".join(['" cat": 10'] * count) for count in range(1, 8)}
    assert (examples.windows(number, HELD_OUT).activation == causes(IDS)[..., CAT].max()).any()


@pytest.mark.parametrize(
    "address", ["localhost:8000", "ftp://a/v1", "http://", "http://user:key@host/v1", "http://a/v1?key=b", "http://a b"]
)
def test_addresses_with_keys_or_of_other_protocols_are_refused(address):
    with pytest.raises(ValueError, match="is no address"):
        OpenaiExplainer.model_validate({"source": "openai", "address": address, "model": "m"})


def test_explanations_of_older_examples_are_refused(study):
    with serving(knowing) as server:
        explain(study, entry(server.address, scores=["simulation"]))
    path = Path(study.place.table("explained_examples"))
    path.unlink()
    examples = study.explained.examples.copy(deep=True)
    examples["sequence"][:, HELD_OUT] = -1
    write_table(path, examples)
    with pytest.raises(InputError, match="are not of these examples"):
        table_of(study)
