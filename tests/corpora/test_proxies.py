"""Regular expressions that stand in for the truth about real text."""

import re
import time
from base64 import b64encode
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from polysem.corpora import proxies
from polysem.corpora.make_corpus import make_corpus
from polysem.corpora.proxies import proxy_spans
from polysem.corpora.sources.files import make as files
from polysem.corpora.sources.generated.make import OTHER_KINDS
from polysem.corpora.sources.huggingface import make as huggingface
from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.models.tokenize_corpus import Tokenization, tag_names, tokenize_corpus
from polysem.models.tokenizer import load_tokenizer
from polysem.models.train_tokenizer import train_tokenizer
from polysem.params.proxies import DEFAULT_PROXIES, compiled_proxy
from polysem.params.study import load_study
from polysem.params.time_limit import time_limit
from polysem.tables.parts.token_tags import TokenTags

BYTES = b64encode(bytes(range(40, 70))).decode()
DOCUMENTS = [
    f"The key is {BYTES} and no more.",
    "He said שלום עולם, 3 times.",
    "مرحبا يا عالم. She said so.",
    ">seq1 mouse\nGATTACAGATTACA\nTTGACC\nthe cat sat on the mat at ten",
    "Look:\n\ndef add(one, other):\n    total = one + other\n    return total\n\nThat was all.",
    "Once upon a time, for the first time: a girl (called Lily) had a cat; it was return day.",
]


@pytest.fixture
def written(tmp_path) -> Path:
    """The documents, and enough others for both splits."""
    others = [f"story number {number}" for number in range(60)]
    (tmp_path / "a.txt").write_text("<|endoftext|>".join([*DOCUMENTS, *others]), encoding="utf-8")
    return tmp_path / "a.txt"


def corpus(path: Path, **params) -> pa.Table:
    return files.make({"source": "files", "paths": str(path), **params})


def matched(row: dict) -> list[tuple[str, str]]:
    """The tagged pieces of a document."""
    return [(span["tag"], row["text"][span["start"] : span["end"]]) for span in row["tags"]]


def test_the_default_proxies_find_five_kinds_of_text_and_leave_a_story_alone(written):
    rows = {row["text"]: row for row in corpus(written).to_pylist()}
    key, hebrew, arabic, dna, code, story = (matched(rows[text]) for text in DOCUMENTS)
    assert key == [("proxy:base64", BYTES)]
    assert hebrew == [("proxy:hebrew", "שלום עולם")]
    assert arabic == [("proxy:arabic", "مرحبا يا عالم")]
    assert dna == [("proxy:dna", "GATTACAGATTACA")]
    assert code == [
        ("proxy:code", "def add(one, other):\n"),
        ("proxy:code", "    total = one + other\n"),
        ("proxy:code", "    return total\n"),
    ]
    assert story == []


def test_both_sources_of_real_text_tag_alike_and_an_empty_mapping_switches_it_off(written):
    table = corpus(written)
    params = {"source": "huggingface", "dataset": "a/b", "local_copy": str(written)}
    assert huggingface.make(params).equals(table)
    assert corpus(written, proxies={}).equals(table.drop_columns(["tags"]))
    assert huggingface.make(params | {"proxies": {}}).column_names == ["text", "split"]


def test_proxies_become_the_tags_of_the_corpus(written, tmp_path):
    params = {"source": "files", "paths": str(written), "proxies": {"number": r"\d+", "never": "never there"}}
    make_corpus(tmp_path / "documents.parquet", "files", params)
    assert tag_names(tmp_path / "documents.parquet") == ["proxy:number"]


def test_tokens_of_a_text_in_several_scripts_carry_what_the_proxies_match(written, tmp_path):
    documents, tokenizer = tmp_path / "d.parquet", tmp_path / "tokenizer.json"
    make_corpus(documents, "files", {"source": "files", "paths": str(written)})
    train_tokenizer(documents, tokenizer, 400, "<|bos|>")
    values = {"context_length": 256, "packing": "documents", "bos_token": "<|bos|>", "mask_tokens": ["<|bos|>"]}
    decode = load_tokenizer(tokenizer).decode
    found = set()
    for split in ("train", "eval"):
        store = tmp_path / f"{split}.zarr"
        tokenize_corpus(documents, tokenizer, store, split, Tokenization(**values), "code")
        known = TokenTags(store)
        assert known.names == tuple(f"proxy:{name}" for name in sorted(DEFAULT_PROXIES))
        for sequence, ids in enumerate(TokenStore(store).batch(0, 1000).inputs.numpy()):
            carried = known.at(np.full(256, sequence), np.arange(256)).T
            found |= {(name, decode(ids[has]).strip()) for name, has in zip(known.names, carried, strict=True)}
    wanted = {("proxy:base64", BYTES), ("proxy:hebrew", "שלום עולם"), ("proxy:arabic", "مرحبا يا عالم")}
    code = "def add(one, other):\n    total = one + other\n    return total"
    assert found >= wanted | {("proxy:dna", "GATTACAGATTACA"), ("proxy:code", code)}


def test_spans_are_sorted_with_the_longer_first_and_empty_matches_are_left_out():
    compiled = {name: re.compile(pattern) for name, pattern in {"b": "a|$", "a": "ab+", "c": "b"}.items()}
    assert proxy_spans("abb", compiled) == [(0, 3, "a"), (0, 1, "b"), (1, 2, "c"), (2, 3, "c")]


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_the_default_proxies_know_the_kinds_of_the_generated_corpus(kind):
    compiled = {name: compiled_proxy(name, expression) for name, expression in DEFAULT_PROXIES.items()}
    texts = [OTHER_KINDS[kind](Random(seed)) for seed in range(100)]
    covered = dict.fromkeys(compiled, 0)
    for text in texts:
        for start, end, name in proxy_spans(text, compiled):
            covered[name] += end - start
    share = {name: count / sum(map(len, texts)) for name, count in covered.items()}
    assert kind not in compiled or share[kind] > 0.8
    assert all(other < 0.02 for name, other in share.items() if name != kind)


@pytest.mark.parametrize("piece", ["a", "A1 ", " ", "=", "(", "=;", "ACGT", "ا ", "{", "if :", "a.", "Aa1", "\n", "; "])
def test_a_megabyte_of_one_thing_keeps_no_default_proxy_busy(piece):
    # With time that grows like the square of the text, this would not end.
    for begin in ("", "  if ", "="):
        text = begin + piece * (1_000_000 // len(piece)) + "!"
        for name, expression in DEFAULT_PROXIES.items():
            assert all(match.end() > match.start() for match in compiled_proxy(name, expression).finditer(text))


@pytest.mark.parametrize(
    ("name", "expression", "message"),
    [
        ("x", "(", r"proxies: the expression of 'x' is no regular expression of Python: missing \), unterminated"),
        ("x", "a*", "proxies: the expression of 'x' matches the empty string"),
        ("x", r"\b", "proxies: the expression of 'x' matches the empty string"),
        ("x", "(?=A)", "proxies: the expression of 'x' matches the empty string"),
        ("x", "[[a]", "is no regular expression of Python: Possible nested set"),
        ("x", "a{99999999999999999999}", "is no regular expression of Python"),
        ("x y", "a", "proxies: the name 'x y' is not allowed"),
        ("x", "3", r"proxies\.x: found 3, allowed is text"),
    ],
)
@pytest.mark.parametrize("source", ["files, paths: a.txt", "huggingface, dataset: a/b"])
def test_a_proxy_that_cannot_serve_is_one_clear_error_before_any_work(tmp_path, source, name, expression, message):
    value = expression if expression == "3" else f"'{expression}'"
    text = f"corpora:\n  real: {{source: {source}, proxies: {{'{name}': {value}}}}}\n"
    (tmp_path / "params.yaml").write_text(text + "models:\n  m: {source: classifier, corpus: real}\n")
    with pytest.raises(InputError, match=r"corpora\.real\." if expression == "3" else message) as error:
        load_study(tmp_path / "params.yaml")
    assert "\n" not in str(error.value)
    assert re.search(message, str(error.value))


def test_the_step_refuses_what_the_schema_refuses(written):
    with pytest.raises(ValidationError, match="matches the empty string"):
        corpus(written, proxies={"all": ".*"})


def test_an_expression_that_does_not_end_is_named_with_its_document(written, monkeypatch):
    monkeypatch.setattr(proxies, "SECONDS", 0.2)
    text = written.read_text(encoding="utf-8") + "<|endoftext|>" + "a" * 60 + "!"
    written.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        corpus(written, proxies={"fine": "story", "endless": "(?:a+)+b", "after": "x+"})
    said = str(caught.value)
    assert said.startswith("proxies: the expression of 'endless' does not come to an end in document 67 ('aaaaaaaaaa")
    assert "for 61 characters" in said


def test_the_limit_of_time_is_lifted_behind_its_block():
    with pytest.raises(TimeoutError), time_limit(0.05):
        re.compile("(?:a+)+b").search("a" * 60)
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
