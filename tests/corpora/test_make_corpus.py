import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from polysem.corpora.make_corpus import make_corpus
from polysem.io.errors import InputError

SMALL = {"source": "generated", "train_documents": 60, "eval_documents": 10}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


def test_the_command_line_writes_the_bytes_that_the_function_writes_whatever_the_hash_seed(tmp_path):
    make_corpus(tmp_path / "a.parquet", "generated", SMALL)
    for seed in ("1", "2"):
        output = tmp_path / f"{seed}/documents.parquet"
        options = ["--output", str(output), "--config", json.dumps({"source": "generated", "params": SMALL})]
        done = command("-m", "polysem", "step", "make_corpus", *options, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        assert digest(output) == digest(tmp_path / "a.parquet")


def test_another_seed_gives_other_bytes(tmp_path):
    make_corpus(tmp_path / "a.parquet", "generated", SMALL)
    make_corpus(tmp_path / "b.parquet", "generated", SMALL | {"seed": 1})
    assert digest(tmp_path / "a.parquet") != digest(tmp_path / "b.parquet")


def test_the_file_is_compressed_and_keeps_the_metadata_of_images(tmp_path):
    make_corpus(tmp_path / "a.parquet", "images", {"source": "images"})
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.schema_arrow.metadata[b"height"] == b"8"


def test_an_unknown_source_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"source `web`; choose one of: files, generated, huggingface, images"):
        make_corpus(tmp_path / "a.parquet", "web", {})


def test_params_that_the_source_does_not_know_are_named(tmp_path):
    with pytest.raises(ValidationError, match=r"sed\s+Extra inputs are not permitted"):
        make_corpus(tmp_path / "a.parquet", "generated", SMALL | {"sed": 1})


def test_bad_input_leaves_no_file_and_no_traceback(tmp_path):
    config = {"source": "files", "params": {"source": "files", "paths": "missing.txt"}}
    options = ["--output", str(tmp_path / "a.parquet"), "--config", json.dumps(config)]
    done = command("-m", "polysem", "step", "make_corpus", *options)
    assert done.returncode == 1
    assert done.stderr.startswith("error: `missing.txt` matches no file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["generated", "files", "images", "huggingface"])
def test_a_source_imports_only_what_it_needs(source):
    heavy = "{'torch', 'datasets', 'sklearn', 'transformers'}"
    code = f"import sys, polysem.corpora.sources.{source}.make; print({heavy} & set(sys.modules))"
    done = command("-c", code)
    assert done.stdout.strip() == "set()", done.stderr
