"""Params files, corpora, tokens and calls that cannot work: each is one sentence, before anything runs.

A case is what lies in a folder, the params file beside it, and words of the sentence. Nothing is run but the checks that
come before a run and, where a file is read to its end, the step that reads it.
"""
# ruff: noqa: E501 (a case is a line)

import bz2
import gzip
import json
import lzma
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from repository import plant

from campaigns.case import tried
from polysem.corpora.make_corpus import make_corpus
from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.workflow.checks import feature_numbers, preflight, special_tokens

TITLE = "Bad inputs"
SECONDS = 60
"""Processor time after which a case has hung."""
TOKENIZER = '{"version": "1.0", "added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, ' \
    '"rstrip": false, "normalized": false, "special": true}], "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1}, ' \
    '"merges": []}}'  # fmt: skip

CORPORA = "corpora: {c: {source: generated}, d: {source: images}}\n"
MODELS = "models: {m: {source: classifier, corpus: d, hidden: [8]}}\n"
RECIPE = "architecture: topk, k: 3, tokens: 2000, batch_size: 100"
STUDY = f"{CORPORA}{MODELS}saes: {{a: {{{RECIPE}}}}}\n"
LEVELS = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}' if before.strip() else 'x'] * 10)}]\n"
    for name, before in zip("abcdefghi", " abcdefgh", strict=True)
)
"""Nine lines that stand for a billion values."""
LONG = "".join(f"story number {number}\n" for number in range(60))


@dataclass(frozen=True)
class Bad:
    """One input, and words of the sentence that it shall get."""

    params: str
    words: str
    files: Mapping[str, str | bytes | Callable[[], bytes]] = field(default_factory=dict)
    made: bool = False
    """Whether the step that makes the corpus `c` says it, rather than the checks before."""


def texts(
    content: str | bytes | Callable[[], bytes], words: str, name: str = "a.txt", keys: str = "", made: bool = False
) -> Bad:
    """A corpus of one file."""
    study = f"corpora: {{c: {{source: files, paths: {json.dumps(name)}{keys}}}}}\n"
    model = "models: {m: {source: trained, corpus: c, sites: [blocks.0.mlp.hook_post]}}\n"
    return Bad(study + model, words, {name: content}, made)


def language(keys: str, words: str, **files: str) -> Bad:
    """A language model with some keys."""
    model = f"models: {{m: {{corpus: c, sites: [blocks.0.mlp.hook_post], {keys}}}}}\n"
    return Bad(f"corpora: {{c: {{source: generated}}}}\n{model}", words, {"tokenizer.json": TOKENIZER} | files)


def rows(*values: object) -> str:
    return "\n".join(json.dumps(value) for value in values)


def parquet(column: pa.Array, name: str = "text") -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: column}), sink)
    return sink.getvalue().to_pybytes()


def not_utf8() -> pa.Array:
    """Texts of which the second is no UTF-8, as writers that do not check it make them."""
    offsets, data = pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])), pa.py_buffer(b"a\xff")
    return pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])


YAML = {
    "alias bomb": Bad(LEVELS, "more than 200,000 values, aliases written out"),
    "alias of its parent": Bad("corpora: &a\n  b: *a\n", "line 1: an alias stands inside of what it is an alias of"),
    "alias in its list": Bad("corpora: {a: &a [1, *a]}", "an alias stands inside of what it is an alias of"),
    "unknown alias": Bad("corpora: *a", "undefined alias"),
    "5,000 open brackets": Bad("corpora: " + "[" * 5000, "nested too deeply; a params file has at most 20 levels"),
    "30 brackets": Bad("corpora: " + "[" * 30 + "]" * 30, "line 1: values are nested too deeply"),
    "1,500 indents": Bad("".join(" " * level + "a:\n" for level in range(1500)), "nested too deeply"),
    "merge key": Bad(
        "x: &x {a: 1}\ncorpora: {b: {<<: *x}}", "line 2: merge keys (<<) are not supported; write the keys"
    ),
    "no number": Bad("corpora: {a: {source: !!int abc}}", "line 1: 'abc' cannot be read as what it looks like"),
    "long number": Bad(
        "corpora: {a: {seed: " + "9" * 5000 + "}}", "'9999999999999999999999999999999999999999…' cannot"
    ),
    "no date": Bad("corpora: {a: {seed: 2001-13-45}}", "cannot be read as what it looks like: month must be"),
    "no base64": Bad("corpora: {a: {seed: !!binary a}}", "cannot be read as what it looks like"),
    "unknown tag": Bad("corpora: {a: !thing 3}", "could not determine a constructor for the tag"),
    "tagged key": Bad("? !!seq a\n: b", "a key must be a plain word"),
    "list as key": Bad("? [a]\n: b", "a key must be a plain word"),
    "two documents": Bad("a: 1\n---\nb: 1", "is no YAML file in UTF-8: line 2, column 1"),
    "tabulator": Bad("a:\n\tb: 1", "is no YAML file in UTF-8: line 2"),
    "zero byte": Bad("a: \0", "is no YAML file in UTF-8"),
    "code of a template": Bad("__use_yte__: true\n__definitions__: [import os]", "unknown key '__use_yte__'"),
    "python tag": Bad("corpora: !!python/object/apply:os.system [ls]", "corpora: expected entries by name"),
    "17 MB": Bad("# " + "x" * (17 << 20), "a params file has at most 16,777,216"),
    "empty": Bad("", "is empty; copy one from presets/"),
    "a word": Bad("hello", "found no mapping"),
    "a key twice": Bad("corpora: {a: 1, a: 2}", "the key 'a' stands there twice"),
}
ENTRIES = {
    "corpora": ("c: {source", "{source: generated}"),
    "models": ("m: {source", "{source: classifier, corpus: d, hidden: [8]}"),
    "saes": ("a: {architecture", f"{{{RECIPE}}}"),
    "toys": ("t: {saes", "{saes: [a]}"),
}
"""Per kind of name: where an entry stands in the study, and what another one holds."""
ALL = f"{STUDY}toys: {{t: {{saes: [a], neurons: 8, features: 16, active: 2, decay: 1}}}}\n"


def beside(kind: str, name: str) -> str:
    """The study with one more entry of a kind."""
    first, content = ENTRIES[kind]
    assert ALL.count(first) == 1
    return ALL.replace(first, f"{name}: {content}, {first}")


NAMES = {
    f"{kind} {name if len(name) < 20 else len(name)}": Bad(beside(kind, name), words)
    for kind, (first, _) in ENTRIES.items()
    for name, words in [
        *((f"{first[0]}.{ending}", f"ends in '.{ending}', as files do") for ending in
            ("json", "partial", "nc", "zarr", "html", "csv", "svg", "yaml", "JSON")),
        (first[0].upper(), "differ in case alone and become folders"),
        *((name, "is not allowed; names consist of") for name in
            ("neurons", "together", "index", "Index", "../x", "a/b", "a_b", ".a", "'a b'", "-x", "é", "1e5")),
        ("x" * 1000, "has 1000 characters, and folders are called so; 200 are allowed"),
        ("x" * 201, "has 201 characters, and folders are called so; 200 are allowed"),
    ]
}  # fmt: skip
VALUES = {
    "grid of a million": Bad(
        STUDY.replace("k: 3", f"k: {[*range(1, 1001)]}, seed: {[*range(1000)]}"),
        "saes.a: its lists span 1,000,000 SAEs; a recipe spans at most 10,000",
    ),
    "id of a grid too long": Bad(
        STUDY.replace("saes: {a", "saes: {" + "x" * 170).replace("k: 3", "k: [3, 4], beta1: [0.1, 0.2], beta2: [0.1, 0.2], "
            "learning_rate: [0.001, 0.002]"), "characters, and folders are called so"),
    "toy called as a model": Bad(ALL.replace("t: {saes", "M: {saes"), "toys.M: a model is called 'm', which differs in"),
    "k above the features": Bad(STUDY.replace("k: 3", "k: 65"), "saes.a, at m/layers.0.hook_post with expansion 8: k is 65, and it has 64 f"),
    "k above a toy's features": Bad(
        ALL.replace("k: 3", "k: 17, expansion: 2, models: []"), "saes.a, at toys.t with expansion 2: k is 17, and it has 16 features"),
    "target above the features": Bad(
        STUDY.replace("architecture: topk, k: 3", "architecture: relu, target_l0: 65"),
        "saes.a, at m/layers.0.hook_post with expansion 8: target_l0 is 65, and it has 64 features"),
    "digits with a path": Bad(
        STUDY.replace("source: images", "source: images, path: a.npz"), "images: digits comes with scikit-learn; remove path"),
    "MNIST in a folder without it": Bad(
        STUDY.replace("source: images", "source: images, images: mnist, path: ."),
        "corpora.d.path: the folder . lacks train-images-idx3-ubyte, train-labels"),
    "MNIST in a text": Bad(
        STUDY.replace("source: images", "source: images, images: mnist, path: params.yaml"),
        "corpora.d.path: `params.yaml` is no .npz file; give one, or the folder"),
    "followed feature": Bad(
        STUDY.replace("k: 3", "k: 3, followed_features: [63, 64]"), "saes.a, at m/layers.0.hook_post with expansion 8: followed_features holds 64; "),
    "listed feature": Bad(
        STUDY + "sheets: {listed: {m/layers.0.hook_post/a: [64]}}", "has the features 0 … 63, and no 64"),
    "infinity": Bad(STUDY.replace("k: 3", "k: .inf"), "saes.a.k: found inf"),
    "empty list": Bad(STUDY.replace("k: 3", "k: []"), "saes.a.k: an empty list spans no grid"),
    "empty text as site": Bad(STUDY.replace("hidden: [8]", "hidden: [8], sites: ['']"), "the model has no site ''"),
    "mask token that is no token": language(
        "source: trained, mask_tokens: [<pad>]", "models.m.mask_tokens names '<pad>', which the tokenizer trained here"),
    "mask token of an imported model": language(
        "source: transformers, repository: a/b, tokenizer: tokenizer.json, mask_tokens: [<pad>]",
        "models.m.mask_tokens: the tokenizer has no token '<pad>'; its special tokens are <s>"),
    "BOS token of an imported model": language(
        "source: transformers, repository: a/b, tokenizer: tokenizer.json, bos_token: <bos>",
        "models.m.bos_token: the tokenizer has no token '<bos>'"),
    "address as hub id": language(
        "source: transformers, repository: 'https://huggingface.co/gpt2'",
        "models.m.repository: 'https://huggingface.co/gpt2' is no hub id; one looks as 'gpt2' or"),
    "path as hub id": language("source: transformers, repository: ../x", "models.m.repository: '../x' is no hub id"),
    "data set of an address": Bad(
        texts("", "").params.replace("source: files, paths: \"a.txt\"", "source: huggingface, dataset: 'https://a/b'"),
        "corpora.c.dataset: 'https://a/b' is no hub id"),
    "SAE of an address": Bad(
        STUDY.replace(RECIPE, "source: pretrained, format: saelens, models: [m], site: layers.0.hook_post, repository: 'a/b/c'"),
        "saes.a.repository: 'a/b/c' is no hub id"),
    "tokenizer that can be neither": language(
        "source: transformers, repository: a/b, tokenizer: 'a b!'", "models.m: tokenizer: there is no such file, and 'a b!' is"),
    "tokenizer that is a folder": language(
        "source: transformers, repository: a/b, tokenizer: folder",
        "models.m: tokenizer 'folder' is a folder; name the file in it, folder/tokenizer.json", **{"folder/tokenizer.json": TOKENIZER}),
    "tokenizer that is not there": language(
        "source: transformers, repository: a/b, tokenizer: ./tokens.json",
        "models.m: tokenizer './tokens.json': there is no such file; paths start at"),
    "empty local copy": language(
        "source: transformers, repository: a/b, local_copy: ''", "models.m.local_copy: it names no file; write a path, or"),
    "tokenizer that is none": language(
        "source: transformers, repository: a/b, tokenizer: tokenizer.json, bos_token: <s>",
        "models.m: tokenizer.json is no tokenizer.json", **{"tokenizer.json": "[]"}),
    "proxy that never ends on a probe": texts(
        LONG, "proxies: the expression of 'x' does not come to an end on ''", keys=", proxies: {x: '(?:(?:(?:a?){999}){999}){999}'}"),
    "proxy that matches nothing": texts(LONG, "matches the empty string", keys=", proxies: {x: 'a*'}"),
    "proxy that is no expression": texts(LONG, "is no regular expression of Python", keys=", proxies: {x: '(a'}"),
}  # fmt: skip
PLAIN = ', separator: "\\n"'
TEXTS = {
    "no paths": Bad(texts("", "").params.replace('"a.txt"', "[]"), "corpora.c.paths: it names no file; give at least one path or glob"),
    "empty path": Bad(texts("", "").params.replace('"a.txt"', "['']"), "corpora.c.paths: it names no file; write a path"),
    "path that is none": Bad(texts("", "").params.replace('"a.txt"', "x" * 256), "corpora.c.paths: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'… is no path"),
    "path with a zero byte": Bad(texts("", "").params.replace('"a.txt"', '"a\\0"'), "corpora.c.paths: 'a\\x00'… is no path"),
    "path of 5,000 bytes": Bad(
        STUDY.replace("source: images", f"source: images, images: mnist, path: {'x/' * 2500}"), "in paths of at most 4000"),
    "missing file": Bad(texts("", "").params, "corpora.c.paths: "),
    "folder": Bad(texts("", "", "folder").params, "corpora.c.paths: 'folder' is a folder; write a glob", {"folder/a.txt": LONG}),
    "one document allowed": texts(LONG, "corpora.c.limit: found 1", keys=PLAIN + ", limit: 1"),
    "one document of a data set": Bad(
        texts("", "").params.replace("source: files, paths: \"a.txt\"", "source: huggingface, dataset: a/b, limit: 1"),
        "limit is 1, but both splits need a document"),
    "no separator": texts(LONG, "gave 1 distinct document and none of them is in the eval split; give more documents, raise "
        "`limit`, or choose another `eval_share`; the separator '<|endoftext|>' occurs nowhere in the file of text"),
    "same document again": texts("one\n" * 50, "gave 1 distinct document", keys=PLAIN),
    "empty file": texts("", "a.txt is empty"),
    "white space": texts(" \n\t\n", "holds nothing but white space"),
    "only separators": texts("<|endoftext|>" * 5, "a.txt yields no document"),
    "Latin 1": texts("naïve".encode("latin-1"), "a.txt is not UTF-8"),
    "UTF-16": texts(LONG.encode("utf-16"), "a.txt is UTF-16; convert it with `iconv -f UTF-16"),
    "UTF-8 that breaks off": texts(LONG.encode() + b"\xc3", "is not UTF-8", keys=PLAIN),
    "ZIP archive": texts(b"PK\x03\x04" + bytes(40), "a.txt is a ZIP archive; unpack it"),
    "tar archive": texts(b"x" * 257 + b"ustar" + bytes(200), "a.txt is a tar archive; unpack it"),
    "PDF": texts(b"%PDF-1.7\n" + b"x" * 40, "a.txt is a PDF; take the text out of it"),
    "NumPy array": texts(b"\x93NUMPY" + bytes(40), "a.txt is a NumPy array; write its texts"),
    "Parquet as text": texts(parquet(pa.array(["a"])), "a.txt is a Parquet file; set `format: parquet`"),
    "text as Parquet": texts(LONG, "a.parquet is not a Parquet file", "a.parquet"),
    "torn Parquet": texts(parquet(pa.array(["a" * 999]))[:-20], "is not a Parquet file", "a.parquet"),
    "Parquet of numbers": texts(parquet(pa.array([1, 2])), "column `text` of a.parquet is int64, not text", "a.parquet"),
    "Parquet of another column": texts(parquet(pa.array(["a"]), "body"), "has no column `text`; set `field`", "a.parquet"),
    "Parquet that is no UTF-8": texts(parquet(not_utf8()), "is not UTF-8 in row 2", "a.parquet"),
    "truncated gzip": texts(gzip.compress(os.urandom(4000))[:2000], "damaged or truncated .gz file", "a.txt.gz"),
    "truncated bzip2": texts(bz2.compress(LONG.encode())[:60], "damaged or truncated .bz2 file", "a.txt.bz2"),
    "truncated xz": texts(lzma.compress(LONG.encode())[:60], "damaged or truncated .xz file", "a.txt.xz"),
    "archive in gzip": texts(gzip.compress(b"PK\x03\x04" + bytes(40)), "a.txt.gz holds a ZIP archive", "a.txt.gz"),
    "gzip that is a bomb": texts(
        lambda: gzip.compress(bytes(300 << 20), 1), "set `separator` to what stands between its documents", "a.txt.gz"),
    "JSON line that is none": texts('{"text": "a"}\n{"text": ', "a.jsonl, line 2: not valid JSON", "a.jsonl"),
    "late JSON line that is none": texts(rows(*({"text": f"story {number}"} for number in range(300))) + "\n{", "a.jsonl, line 301: not valid JSON", "a.jsonl", made=True),
    "JSON line nested too deeply": texts("[" * 100_000, "a.jsonl, line 1: JSON that cannot be read", "a.jsonl"),
    "JSON line with a long number": texts("9" * 5000, "a.jsonl, line 1: JSON that cannot be read", "a.jsonl"),
    "JSON line without the key": texts(rows({"body": "a"}), "line 1: no key `text`; set `field` to one of: body", "a.jsonl"),
    "JSON line with a number": texts(rows({"text": 3}), "line 1: `text` is a number and not text", "a.jsonl"),
    "JSON lines of null alone": texts(rows({"text": None}, {"text": " "}), "a.jsonl yields no document", "a.jsonl"),
    "JSON array in JSON lines": texts(rows(["a", "b"]), "is read with `format: json`", "a.jsonl"),
    "JSON array that is none": texts('{"text": "a"}', "a.json holds an object and no array", "a.json"),
    "JSON array that breaks off": texts('["a", "b', "a.json: not valid JSON", "a.json"),
    "JSON array with an array": texts('["a", ["b"]]', "a.json, element 2: an array, and neither a text", "a.json"),
    "JSON array of one text": texts('["a"]', "gave 1 distinct document", "a.json"),
}  # fmt: skip
CALLS = {
    "missing params file": (
        ["--configfile", "none.yaml"],
        "error: --configfile none.yaml is missing; params files are",
    ),
    "folder as params file": (["--configfile", "presets"], "error: --configfile presets is a folder; params files are"),
    "target behind the params file": (
        ["--configfile", "params.yaml", "results/report"],
        "error: Snakemake takes 'results/report' behind --configfile params.yaml for another params file",
    ),
    "two params files": (
        ["--configfile", "params.yaml", "presets/quick.yaml"],
        "error: --configfile names 2 files (params.yaml, presets/quick.yaml); pass one --configfile",
    ),
    "params file with code": (["--configfile", "code.yaml"], "error: code.yaml: unknown key '__use_yte__'"),
    "bomb as params file": (["--configfile", "bomb.yaml"], "error: bomb.yaml, line "),
    "values on the command line": (["--config", "seed=1"], "error: --config is not supported"),
    "an option behind values": (["--config", "seed=1", "-n"], "error: --config is not supported"),
}
"""Calls of Snakemake, and how their answer begins."""
CHECKED: dict[str, Mapping[str, Bad]] = {
    "params files": YAML, "names": NAMES, "values": VALUES, "corpora": TEXTS,
}  # fmt: skip


def cases(scratch: Path, smoke: bool) -> Iterator:
    """All inputs, in folders of their own; calls of Snakemake last, and not in a smoke."""
    for kind, inputs in CHECKED.items():
        for number, (name, bad) in enumerate(inputs.items()):
            folder = scratch / f"{kind.replace(' ', '-')}-{number}"
            folder.mkdir()
            yield tried(kind, name, refused, folder, bad)
    if not smoke:
        repository = plant(scratch / "calls", STUDY)
        prepare_calls(repository)
        for name, (arguments, begins) in CALLS.items():
            yield tried("calls", name, call_is_refused, repository, arguments, begins)


def refused(folder: Path, bad: Bad) -> None:
    """AssertionError unless the input gets its sentence, in one line, and nothing is made."""
    for name, content in bad.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        given = content() if callable(content) else content
        (folder / name).write_bytes(given if isinstance(given, bytes) else given.encode())
    (folder / "params.yaml").write_bytes(bad.params.encode("utf-8", "surrogatepass"))
    begun = time.process_time()
    with within(folder):
        said = sentence(check)
        if bad.made:
            assert not said, f"the checks say {said!r} already"
            corpus = load_study(Path("params.yaml")).corpora["c"]
            said = sentence(lambda: make_corpus(Path("made.parquet"), corpus.source, corpus.values()))
            assert not Path("made.parquet").exists()
        assert not Path("results").exists()
    assert bad.words in said, f"expected {bad.words!r}, found {said!r}"
    assert "\n" not in said, said
    assert time.process_time() - begun < SECONDS


def check() -> None:
    """What the Snakefile checks before anything runs."""
    study = load_study(Path("params.yaml"))
    preflight.check(study)
    feature_numbers.check(study)
    special_tokens.check(study)


def sentence(action: Callable[[], None]) -> str:
    """The words of its InputError; '' if there is none."""
    try:
        action()
    except InputError as error:
        return str(error)
    return ""


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """The folder as current one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def prepare_calls(repository) -> None:
    """Write the params files that the calls name."""
    (repository / "code.yaml").write_text("__use_yte__: true\n__definitions__:\n  - open('ran', 'w')\n" + STUDY)
    (repository / "bomb.yaml").write_text(LEVELS)


def call_is_refused(repository, arguments: list[str], begins: str) -> None:
    """AssertionError unless Snakemake ends with the sentence, no traceback, and nothing made or run."""
    said = repository.snakemake("--dry-run", *arguments, fails=True)
    assert any(line.startswith(begins) for line in said.splitlines()), said
    assert "Traceback" not in said, said
    assert not (repository / "results").exists()
    assert not (repository / "ran").exists(), "the code of the params file was run"
