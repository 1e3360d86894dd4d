import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polysem.corpora.sources.huggingface.make import from_splits, make
from polysem.corpora.sources.huggingface.section import HuggingFaceCorpus
from polysem.io.errors import InputError

PARAMS = {"source": "huggingface", "dataset": "somebody/stories"}


def many(count: int = 60, word: str = "story") -> list[str]:
    return [f"{word} number {index}" for index in range(count)]


def call_with_hub(endpoint: str, output: Path, **params) -> subprocess.CompletedProcess[str]:
    config = json.dumps({"source": "huggingface", "params": PARAMS | params})
    arguments = ["--output", str(output), "--config", config]
    command = [sys.executable, "-m", "polysem", "step", "make_corpus", *arguments]
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@contextmanager
def hub_that_knows_nothing() -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "stories"
    folder.mkdir()
    for split, texts in (("train", many(80)), ("validation", [*many(20, "held out"), *many(5)])):
        lines = [json.dumps({"text": text, "number": 1}) for text in texts]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


def test_a_hub_out_of_reach_is_named_at_once_with_the_way_out(tmp_path):
    began = time.monotonic()
    done = call_with_hub("http://127.0.0.1:9", tmp_path / "documents.parquet")
    assert done.returncode == 1
    assert "data set `somebody/stories`: the Hugging Face hub cannot be reached" in done.stderr
    assert "set `local_copy:` to a local .txt, .jsonl, .json or .parquet" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 60
    assert not list(tmp_path.iterdir())


def test_a_data_set_that_the_hub_does_not_know_is_not_called_out_of_reach(tmp_path):
    with hub_that_knows_nothing() as endpoint:
        done = call_with_hub(endpoint, tmp_path / "documents.parquet")
    assert done.returncode == 1
    assert "the hub has no data set `somebody/stories`" in done.stderr


def test_an_id_that_cannot_be_one_is_refused_without_asking():
    with pytest.raises(InputError, match="is no data set id"):
        make(PARAMS | {"dataset": "a/b/c"})


def test_splits_of_the_data_set_are_streamed_and_eval_repeats_nothing_of_train(folder):
    params = PARAMS | {"dataset": str(folder), "eval_split": "validation"}
    table = from_splits(HuggingFaceCorpus.model_validate(params), None)
    assert table["text"].to_pylist() == many(80) + many(20, "held out")
    assert table["split"].to_pylist() == ["train"] * 80 + ["eval"] * 20


def test_the_limit_holds_for_each_split(folder):
    params = PARAMS | {"dataset": str(folder), "eval_split": "validation", "limit": 7}
    table = from_splits(HuggingFaceCorpus.model_validate(params), None)
    assert table["text"].to_pylist() == many(7) + many(7, "held out")


def test_without_an_eval_split_the_split_is_by_hash(folder):
    table = from_splits(HuggingFaceCorpus.model_validate(PARAMS | {"dataset": str(folder)}), None)
    assert table["text"].to_pylist() == many(80)
    assert set(table["split"].to_pylist()) == {"train", "eval"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"field": "body"}, r"no text in a column `body`; set `field` to one of: text, number"),
        ({"field": "number"}, r"no text in a column `number`"),
        ({"split": "dev"}, r"dev.*check `config`, `split` and `eval_split`"),
    ],
)
def test_a_missing_column_or_split_is_named(folder, params, message):
    with pytest.raises(InputError, match=message):
        from_splits(HuggingFaceCorpus.model_validate(PARAMS | {"dataset": str(folder)} | params), None)


def test_a_local_copy_is_read_in_place_of_the_hub(tmp_path):
    (tmp_path / "copy/data").mkdir(parents=True)
    (tmp_path / "copy/README.md").write_text("not a document")
    (tmp_path / "copy/data/a.txt").write_text("<|endoftext|>".join(many(30)))
    (tmp_path / "copy/data/b.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in many(40)))
    pq.write_table(pa.table({"text": many(50)}), tmp_path / "copy/data/c.parquet")
    for local_copy in ("copy", "copy/data", "copy/data/*"):
        table = make(PARAMS | {"local_copy": str(tmp_path / local_copy)})
        assert table["text"].to_pylist() == many(50)
    assert make(PARAMS | {"local_copy": str(tmp_path / "copy/data/a.txt")})["text"].to_pylist() == many(30)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", r"holds no \.txt, .*\.parquet file"),
        ("none", "matches no file"),
        ("a.csv", r"ends in none of \.txt"),
    ],
)
def test_a_local_copy_that_cannot_be_read_is_named(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").write_text("text\na")
    with pytest.raises(InputError, match=message):
        make(PARAMS | {"local_copy": str(tmp_path / name)})
