"""Tokenizers and token stores."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import polysem
from polysem.corpora.make_corpus import make_corpus
from polysem.io.errors import InputError
from polysem.io.stores import create_array, open_store, read_array, read_receipt, receipt_path, written_store
from polysem.models.batches import TokenStore
from polysem.models.tokenize_corpus import BITS, Tokenization, tag_bits, tokenize_corpus
from polysem.models.tokenizer import load_tokenizer, token_id
from polysem.models.train_tokenizer import train_tokenizer

BOS = "<|bos|>"
LETTERS = {BOS: 0, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "<unk>": 6}


@pytest.fixture
def letters(tmp_path) -> Path:
    """One token per letter, so that sequences can be written down by hand."""
    tokenizer = Tokenizer(models.WordLevel(LETTERS, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens([AddedToken(BOS, normalized=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


@pytest.fixture
def tokenized(letters, tmp_path):
    def make(documents: Path, split: str = "train", tokenizer: Path = letters, **params) -> Path:
        known = {"context_length": 4, "packing": "documents", "bos_token": BOS, "mask_tokens": [BOS], **params}
        output = tmp_path / "tokens" / f"{split}.zarr"
        tokenize_corpus(documents, tokenizer, output, split, Tokenization(**known), "code")
        return output

    return make


def array(store: Path, name: str) -> list:
    return read_array(open_store(store), name)[:].tolist()


def test_documents_are_cut_and_padded_to_one_sequence_each(tokenized, corpus):
    store = tokenized(corpus(["ab", "abcde", "c", "x"], ["train", "train", "eval", "train"]))
    assert array(store, "ids") == [[0, 1, 2, 0], [0, 1, 2, 3], [0, 6, 0, 0]]
    assert array(store, "length") == [3, 4, 2]
    yes, no = True, False
    assert array(store, "counted") == [[no, yes, yes, no], [no, yes, yes, yes], [no, yes, no, no]]


def test_concatenated_documents_fill_every_sequence_and_the_last_incomplete_one_is_dropped(tokenized, corpus):
    store = tokenized(corpus(["ab", "cdeabcd", "", "e", "a"]), packing="concatenated")
    assert array(store, "ids") == [[0, 1, 2, 0], [3, 4, 5, 1], [2, 3, 4, 0], [0, 5, 0, 1]]
    assert array(store, "length") == [4, 4, 4, 4]
    counted = np.array(array(store, "counted"))
    assert (counted == (np.array(array(store, "ids")) != 0)).all()


def test_without_a_bos_token_nothing_stands_in_front_and_nothing_is_masked(tokenized, corpus):
    store = tokenized(corpus(["ab", ""]), bos_token=None, mask_tokens=[])
    assert array(store, "ids") == [[1, 2, 0, 0]]
    assert array(store, "counted") == [[True, True, False, False]]


def test_any_token_can_be_masked(tokenized, corpus):
    store = tokenized(corpus(["abab"]), mask_tokens=["b"], bos_token=None)
    assert array(store, "counted") == [[True, False, True, False]]


def test_targets_are_the_next_tokens_and_padding_is_not_scored(tokenized, corpus):
    batch = TokenStore(tokenized(corpus(["ab", "abcde"]))).batch(0, 9)
    assert batch.targets[:, :3].tolist() == [[1, 2, 0], [1, 2, 3]]
    assert batch.scored.tolist() == [[True, True, False, False], [True, True, True, False]]


@pytest.mark.parametrize("size", [1, 3, 1000, 2000])
def test_batches_of_any_size_bring_all_sequences_in_order(tokenized, corpus, size):
    store = TokenStore(tokenized(corpus(["abcde"[number % 5] for number in range(2500)])))
    batches = list(store.batches(size, start=7, stop=2400))
    assert [len(batch.inputs) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    whole = store.batch(7, 2400)
    for name in ("inputs", "targets", "scored", "counted"):
        wide = getattr(whole, name)
        parts = [
            np.pad(part, ((0, 0), (0, wide.shape[1] - part.shape[1]))) for part in (getattr(b, name) for b in batches)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), wide)


def test_more_sequences_than_a_chunk_are_all_kept(tokenized, corpus):
    store = tokenized(corpus(["a"] * 1024 + ["b"] * 1025))
    assert [row[1] for row in array(store, "ids")] == [1] * 1024 + [2] * 1025


def test_a_split_that_fills_no_sequence_is_refused_and_leaves_nothing(tokenized, corpus, tmp_path):
    with pytest.raises(InputError, match=r"the train split of .* fills no sequence of 4 tokens; add documents"):
        tokenized(corpus(["ab"]), packing="concatenated")
    assert list((tmp_path / "tokens").iterdir()) == []


def test_an_unknown_bos_token_is_refused_with_those_that_there_are(tokenized, corpus):
    with pytest.raises(InputError, match=r"no token '<s>'; its special tokens are <\|bos\|>"):
        tokenized(corpus(["ab"]), bos_token="<s>")
    with pytest.raises(InputError, match="no token 'zz'"):
        tokenized(corpus(["ab"]), mask_tokens=["zz"])


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(InputError, match=r"t\.json is no tokenizer\.json"):
        load_tokenizer(tmp_path / "t.json")


def test_a_sentence_gets_the_same_ids_every_time_and_those_of_its_tokenizer_without_dropout(tmp_path):
    vocabulary = {"a": 0, "b": 1, "c": 2, "d": 3, "ab": 4, "cd": 5, "abcd": 6}
    merges = [("a", "b"), ("c", "d"), ("ab", "cd")]
    sampling, plain = (Tokenizer(models.BPE(vocabulary, merges, dropout=dropout)) for dropout in (0.5, None))
    assert len({tuple(sampling.encode("abcdab").ids) for _ in range(100)}) > 1
    sampling.save(str(tmp_path / "t.json"))
    loaded = load_tokenizer(tmp_path / "t.json")
    assert {tuple(loaded.encode("abcdab").ids) for _ in range(100)} == {tuple(plain.encode("abcdab").ids)}


def test_the_same_work_gives_the_same_receipt(tokenized, corpus):
    documents = corpus(["ab", "cde"])
    first = receipt_path(tokenized(documents)).read_bytes()
    assert receipt_path(tokenized(documents)).read_bytes() == first
    assert read_receipt(tokenized(documents, context_length=3))["sha256"] not in first.decode()


def llama(normalized_bos: bool) -> Tokenizer:
    """Letters behind the blank that Llama tokenizers set in front of a text."""
    tokenizer = Tokenizer(models.BPE({"▁": 0, "a": 1, "b": 2, "▁a": 3}, [("▁", "a")]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens([AddedToken(BOS, normalized=normalized_bos)])
    return tokenizer


@pytest.mark.parametrize(("normalized", "ids"), [(True, [4, 1, 2]), (False, [4, 3, 2])])
def test_a_bos_token_that_is_part_of_the_text_keeps_the_blank_of_llama_tokenizers_away(
    tokenized, corpus, tmp_path, normalized, ids
):
    llama(normalized).save(str(tmp_path / "llama.json"))
    documents = corpus(["ab"], tags=[[(0, 1, "first"), (1, 2, "second")]])
    store = tokenized(documents, tokenizer=tmp_path / "llama.json", context_length=3)
    assert array(store, "ids") == [ids]
    assert array(store, "tags") == [[[0], [1], [2]]]


def test_training_a_tokenizer_gives_the_same_bytes_every_time_and_reads_the_train_split_alone(tmp_path):
    params = {"source": "generated", "train_documents": 400, "eval_documents": 20}
    for name, eval_documents in [("a", 20), ("b", 60)]:
        make_corpus(tmp_path / f"{name}.parquet", "generated", params | {"eval_documents": eval_documents})
    train_tokenizer(tmp_path / "a.parquet", tmp_path / "a.json", 600, BOS)
    environment = {**os.environ, "PYTHONPATH": str(Path(polysem.__file__).parents[1]), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "polysem", "step", "train_tokenizer", "--corpus", str(tmp_path / "b.parquet")]
    subprocess.run(
        [*command, "--output", str(tmp_path / "b.json"), "--vocabulary", "600", "--bos_token", BOS],
        env=environment,
        check=True,
    )
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    tokenizer = load_tokenizer(tmp_path / "a.json")
    assert tokenizer.get_vocab_size() == 600
    assert token_id(tokenizer, BOS) == 0
    text = "Lily ran.\n\tשלום é漢🙂  "
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_a_corpus_too_small_for_its_vocabulary_is_refused(corpus, tmp_path):
    with pytest.raises(InputError, match=r"yields only \d+ tokens, vocabulary is 1000; lower it or add text"):
        train_tokenizer(corpus(["ab ab ab"]), tmp_path / "t.json", 1000, BOS)
    assert not (tmp_path / "t.json").exists()


def tagged_characters(text: str, spans: list[dict]) -> list[set[str]]:
    """The tags of every character, by walking over all of them."""
    tags: list[set[str]] = [set() for _ in text]
    for span in spans:
        for position in range(span["start"], span["end"]):
            tags[position].add(span["tag"])
    return tags


def tags_of_token(text: str, tags: list[set[str]], start: int, end: int) -> set[str]:
    characters = list(range(start, end))
    if not characters:  # white space whose offsets were trimmed away
        return tags[start - 1] & tags[start] if 0 < start < len(text) else set()
    while len(characters) > 1 and text[characters[0]].isspace() and not text[start:end].isspace():
        characters.pop(0)
    return set().union(*(tags[position] for position in characters))


def byte_level(texts: list[str], trim_offsets: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if trim_offsets:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=[BOS], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def metaspace(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=[BOS, "<unk>"], unk_token="<unk>",
        show_progress=False)  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


KINDS_OF_TOKENIZERS = {
    "byte-level": byte_level,
    "byte-level with trimmed offsets": lambda texts: byte_level(texts, trim_offsets=True),
    "unigram": metaspace,
}


@pytest.mark.parametrize("kind", KINDS_OF_TOKENIZERS)
@pytest.mark.parametrize("bos", [None, BOS])
def test_tags_of_tokens_are_those_of_their_characters(tmp_path, tokenized, kind, bos):
    make_corpus(
        tmp_path / "g.parquet",
        "generated",
        {"source": "generated", "train_documents": 60, "eval_documents": 1, "other_kinds": 0.4},
    )
    rows = [row for row in pq.read_table(tmp_path / "g.parquet").to_pylist() if row["split"] == "train"]
    tokenizer = KINDS_OF_TOKENIZERS[kind]([row["text"] for row in rows])
    tokenizer.save(str(tmp_path / "t.json"))
    store = tokenized(
        tmp_path / "g.parquet", tokenizer=tmp_path / "t.json", context_length=400, bos_token=bos, mask_tokens=[]
    )
    names = open_store(store).attrs["tags"]
    assert len(names) > 20
    words, found = read_array(open_store(store), "tags")[:], 0
    for row, bits in zip(rows, words, strict=True):
        characters = tagged_characters(row["text"], row["tags"])
        offsets = tokenizer.encode(row["text"], add_special_tokens=False).offsets
        wanted = [tags_of_token(row["text"], characters, *pair) for pair in offsets]
        wanted = ([set()] if bos else []) + wanted
        for position, tags in enumerate(wanted[:400]):
            carried = {n for i, n in enumerate(names) if int(bits[position, i // BITS]) >> (i % BITS) & 1}
            assert carried == tags, (row["text"], position)
            found += len(tags)
        assert not bits[len(wanted) :].any()
    assert found > 1000


def test_more_than_64_tags_take_several_words(tokenized, corpus):
    spans = [[(0, 1, f"t{number:03}") for number in range(130)] + [(1, 2, "t064"), (1, 2, "t129")]]
    store = tokenized(corpus(["ab"], tags=spans))
    assert open_store(store).attrs["tags"] == [f"t{number:03}" for number in range(130)]
    tags = read_array(open_store(store), "tags")[:]
    assert tags.shape == (1, 4, 3)
    full = 2**64 - 1
    assert tags[0].tolist() == [[0, 0, 0], [full, full, 3], [0, 1, 2], [0, 0, 0]]


def test_the_blank_in_front_of_a_word_is_no_part_of_its_span():
    number = {"name": 0, "all": 1}
    spans = [{"start": 3, "end": 7, "tag": "name"}, {"start": 0, "end": 9, "tag": "all"}]
    text = "By Lily  "
    offsets = np.array([(0, 2), (2, 7), (7, 8), (8, 9)])
    assert tag_bits(offsets, text, spans, number)[:, 0].tolist() == [2, 3, 2, 2]
    before = [{"start": 0, "end": 3, "tag": "name"}]
    assert tag_bits(offsets, text, before, number)[:, 0].tolist() == [1, 0, 0, 0]


def test_a_trimmed_blank_at_the_end_of_a_text_is_no_error():
    spans = [{"start": 0, "end": 3, "tag": "all"}]
    assert tag_bits(np.array([(0, 2), (3, 3)]), "By ", spans, {"all": 0})[:, 0].tolist() == [1, 0]


def test_tags_of_a_corpus_without_any_are_left_out(tokenized, corpus):
    assert "tags" not in open_store(tokenized(corpus(["ab"])))
    assert "tags" not in open_store(tokenized(corpus(["ab"], tags=[[]])))


def test_batches_leave_out_the_padding_that_no_sequence_of_theirs_uses(tmp_path):
    ids = np.array([[1, 2, 3, 0, 0, 0], [1, 2, 0, 0, 0, 0], [1, 2, 3, 4, 5, 0]], np.int32)
    length = np.array([3, 2, 5], np.int32)
    counted = (np.arange(6) < length[:, None]) & (np.arange(6) > 0)
    with written_store(tmp_path / "eval.zarr", attributes={}, params={}, code="", device="cpu") as group:
        create_array(group, "ids", ids.shape, "int32", ("sequence", "position"), compressed=True)[:] = ids
        create_array(group, "length", length.shape, "int32", ("sequence",), compressed=True)[:] = length
        create_array(group, "counted", counted.shape, "bool", ("sequence", "position"), compressed=True)[:] = counted
    first, second = TokenStore(tmp_path / "eval.zarr").batches(2)
    assert first.inputs.tolist() == [[1, 2, 3], [1, 2, 0]]
    assert second.inputs.tolist() == [[1, 2, 3, 4, 5]]
    assert second.scored.tolist() == [[True, True, True, True, False]]
    assert int(first.counted.sum() + second.counted.sum()) == counted.sum()
