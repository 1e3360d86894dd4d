import bz2
import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from polysem.corpora.readers import BLOCK, Reading, read_text
from polysem.corpora.sources.files.make import make
from polysem.corpora.splits import is_eval
from polysem.io.errors import InputError

REAL = Path(__file__).parents[3] / "shared/data/tinystories/tinystories_sample_2M.txt"


def corpus(paths, **params) -> pa.Table:
    return make({"source": "files", "paths": paths, **params})


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def many(count: int = 60, word: str = "story") -> list[str]:
    return [f"{word} number {index}" for index in range(count)]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_documents_between_separators_are_stripped_and_empty_ones_dropped():
    write("a.txt", "  one \n<|endoftext|>\n\n<|endoftext|>two\r\n<|endoftext|> ß three")
    assert list(Reading("text", "<|endoftext|>", "text").texts([Path("a.txt")])) == ["one", "two", "ß three"]


def test_a_separator_across_two_blocks_is_found():
    write("a.txt", "x" * (BLOCK - 3) + "<|endoftext|>" + "y" * BLOCK + "<|endoftext|>z")
    assert [len(text) for text in read_text(Path("a.txt"), "<|endoftext|>")] == [BLOCK - 3, BLOCK, 1]


def test_a_byte_order_mark_is_no_part_of_the_first_document():
    write("a.txt", b"\xef\xbb\xbfone")
    assert list(read_text(Path("a.txt"), "|")) == ["one"]


def test_globs_are_sorted_and_each_file_is_read_once():
    write("b/2.txt", "\n".join(many(40, "second")))
    write("b/1.txt", "\n".join(many(40, "first")))
    table = corpus(["b/*.txt", "b/1.txt"], separator="\n")
    assert table["text"].to_pylist() == many(40, "first") + many(40, "second")


def test_the_three_formats_give_the_same_table():
    write("a.txt", "\n".join(many()))
    write("a.jsonl", "\n\n".join(json.dumps({"id": 1, "body": text}) for text in many()))
    pq.write_table(pa.table({"body": [*many(), None], "id": range(61)}), "a.parquet")
    text = corpus("a.txt", separator="\n")
    assert corpus("a.jsonl", format="jsonl", field="body").equals(text)
    assert corpus("a.parquet", format="parquet", field="body").equals(text)


def test_duplicates_are_dropped_and_the_limit_counts_what_is_left():
    write("a.txt", "\n".join([*many(30), *many(30), *many(80)]))
    assert corpus("a.txt", separator="\n")["text"].to_pylist() == many(80)
    assert corpus("a.txt", separator="\n", limit=50)["text"].to_pylist() == many(50)


def test_a_limit_reads_no_further():
    write("a.txt", "\n".join(many(60)).encode() + b"\n\xff")
    assert len(corpus("a.txt", separator="\n", limit=60)) == 60


def test_the_split_of_a_document_depends_on_its_text_alone():
    write("a.txt", "\n".join(many(1000)))
    write("b.txt", "\n".join(reversed(many(1000))))
    split = dict(zip(*(corpus("a.txt", separator="\n")[name].to_pylist() for name in ("text", "split")), strict=True))
    again = dict(zip(*(corpus("b.txt", separator="\n")[name].to_pylist() for name in ("text", "split")), strict=True))
    assert split == again
    assert 60 < list(split.values()).count("eval") < 140


def test_the_hash_is_the_first_eight_bytes_of_sha256():
    # sha256("") begins with e3b0c442: 0xe3b0c442 / 2**32 = 0.88941...
    assert is_eval("", 0.8895) and not is_eval("", 0.8893)


@pytest.mark.parametrize(
    ("content", "params", "message"),
    [
        ("", {}, r"a\.txt is empty"),
        (" \n<|endoftext|>\n", {}, r"a\.txt yields no document"),
        (b"fine<|endoftext|>caf\xe9", {}, r"a\.txt is not UTF-8: byte 0xe9 at offset 20 .*iconv"),
        (
            "one",
            {},
            r"gave 1 distinct document and .*the separator '<\|endoftext\|>' occurs nowhere in",
        ),
        ('{"text": "a"}\n{"text": ', {"format": "jsonl"}, r"a\.txt, line 2: not valid JSON"),
        ('\n{"body": "a", "id": 3}', {"format": "jsonl"}, r"a\.txt, line 2: no key `text`.* one of: body, id"),
        ('["a"]', {"format": "jsonl"}, r"a\.txt, line 1: an array, and neither .* `format: json`"),
        ('{"text": 3}', {"format": "jsonl"}, r"a\.txt, line 1: `text` is a number and not text"),
        (b'{"text": "a"}\n\xff', {"format": "jsonl"}, r"a\.txt is not UTF-8: byte 0xff at offset 14"),
        ("no parquet", {"format": "parquet"}, r"a\.txt is not a Parquet file"),
    ],
)
def test_bad_files_are_named_with_what_to_do(content, params, message):
    write("a.txt", content)
    with pytest.raises(InputError, match=message):
        corpus("a.txt", **params)


def test_a_parquet_file_without_the_column_lists_its_columns():
    pq.write_table(pa.table({"body": ["a"], "id": [1]}), "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet has no column `text`.* one of: body, id"):
        corpus("a.parquet", format="parquet")
    with pytest.raises(InputError, match=r"column `id` of a\.parquet is int64, not text"):
        corpus("a.parquet", format="parquet", field="id")


@pytest.mark.parametrize("paths", ["no/*.txt", "missing.txt", ["a.txt", "missing.txt"]])
def test_a_path_that_matches_nothing_is_named(paths):
    write("a.txt", "a")
    with pytest.raises(InputError, match=r"`(no/\*|missing)\.txt` matches no file"):
        corpus(paths)


def test_an_empty_list_and_a_folder_are_refused_with_advice():
    write("folder/a.txt", "a")
    with pytest.raises(ValidationError, match="it names no file"):
        corpus([])
    with pytest.raises(InputError, match=r"is a folder; write a glob .*`folder/\*\.txt`"):
        corpus("folder/")


def counted(table: pa.Table) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}


def test_null_and_blank_texts_are_left_out_and_counted_alike_in_all_formats():
    rows = [*many(), None, " \n", None]
    write("a.jsonl", "\n".join(json.dumps({"text": text}) for text in rows))
    write("lines.jsonl", "\n".join(json.dumps(text) for text in rows))
    write("a.json", json.dumps([{"text": text} for text in rows]))
    write("texts.json", json.dumps(rows))
    pq.write_table(pa.table({"text": rows}), "a.parquet")
    for name in ("a.jsonl", "lines.jsonl", "a.json", "texts.json", "a.parquet"):
        table = corpus(name)
        assert table["text"].to_pylist() == many(), name
        assert counted(table) == {"rows_without_text": "3"}, name


def test_half_a_surrogate_pair_becomes_the_replacement_character_and_is_counted():
    lines = [json.dumps({"text": text}) for text in many()]
    write("a.jsonl", "\n".join([*lines, r'{"text": "half an emoji \ud83d in a story"}', r'{"text": "\ud83d\ude00"}']))
    table = corpus("a.jsonl")
    assert table["text"].to_pylist()[-2:] == ["half an emoji \ufffd in a story", "\U0001f600"]
    assert counted(table) == {"texts_with_half_a_surrogate_pair": "1"}


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard}


@pytest.mark.parametrize("ending", PACKERS)
def test_compressed_files_are_read_as_what_is_in_them(ending):
    pack = PACKERS[ending]
    write(f"a.jsonl.{ending}", pack("\n".join(json.dumps({"text": text}) for text in many()).encode()))
    write(f"a.txt.{ending}", pack("\n".join(many()).encode()))
    assert corpus(f"a.jsonl.{ending}")["text"].to_pylist() == many()
    assert corpus(f"a.txt.{ending}", separator="\n")["text"].to_pylist() == many()
    write("packed.txt", pack("\n".join(many()).encode()))
    assert corpus("packed.txt", separator="\n")["text"].to_pylist() == many()


def test_files_without_a_separator_are_a_document_each():
    for number in range(60):
        write(f"b/{number:02}.txt", f"story number {number}")
    assert corpus("b/*.txt")["text"].to_pylist() == many()


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="the TinyStories sample is not beside the project")
def test_all_2316_documents_of_the_tinystories_sample_are_read():
    table = corpus(str(REAL))
    assert len(set(REAL.read_text(encoding="utf-8").split("<|endoftext|>")) - {""}) >= len(table) > 2300
    assert 150 < table["split"].to_pylist().count("eval") < 320
