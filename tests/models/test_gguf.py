"""Models out of GGUF files: the same as the same weights in a folder, and one sentence for what cannot be read."""

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from pydantic import ValidationError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from polysem.io import gguf_files
from polysem.io.errors import InputError
from polysem.models.gguf_tokenizer import gguf_tokenizer
from polysem.models.import_model import import_model
from polysem.models.load import load_subject
from polysem.models.record_model import record_model
from polysem.models.subject import Batch
from polysem.params.study import load_study
from polysem.workflow.checks import checked, local_configs, needs, preflight, shapes, special_tokens
from polysem.workflow.running.stated import OutsideFiles

from .gguf_case import CASES, SPECIAL, TEXTS, header, some_file, some_model, some_tokenizer, tensors, write_gguf

SETTINGS = {"context_length": 12, "processing": {}}


def fetch(copy: Path, folder: Path, source: str = "gguf", tokenizer: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    keys = {"repository": "a/b", "revision": "main", "local_copy": str(copy), "tokenizer": tokenizer}
    import_model(folder, source, keys)
    record_model(folder, "language", SETTINGS, {"source": "transformers"})
    return folder


def saved(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder)
    some_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def logits(folder: Path) -> torch.Tensor:
    ids = torch.randint(0, 280, (2, 12), generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    subject = load_subject(folder)
    with torch.inference_mode():
        assert subject.evaluate(Batch(ids, ids.roll(-1, 1), everywhere, everywhere)).losses.isfinite().all()
        return subject.bridge(ids, return_type="logits")


def assert_same_weights(one: Path, other: Path) -> None:
    found, wanted = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert torch.equal(found[name], weight.float()), name


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_the_model_of_the_same_weights_in_a_folder(tmp_path, case):
    copy = saved(some_model(case), tmp_path / "copy")
    folder = fetch(copy, tmp_path / "folder", "transformers")
    file = fetch(some_file(tmp_path / "m.gguf", case), tmp_path / "file")
    assert_same_weights(file, folder)
    torch.testing.assert_close(logits(file), logits(folder), rtol=1e-5, atol=1e-5)
    origin = json.loads((file / "origin.json").read_text())
    tied = {"lm_head.weight": "model.embed_tokens.weight"} if case == "llama-tied" else {}
    tied = {"lm_head.weight": "transformer.wte.weight"} if case == "gpt2" else tied
    assert origin == {
        "repository": "a/b", "commit": None, "ignored_tensors": [], "tied_tensors": tied,
        "stored_as": {"F32": len(load_file(file / "model.safetensors"))},
    }  # fmt: skip


@pytest.mark.parametrize("stored", [Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_1], ids=lambda kind: kind.name)
def test_quantised_weights_are_the_numbers_that_they_stand_for(tmp_path, stored):
    model = some_model("llama")
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(torch.tensor(gguf.dequantize(gguf.quantize(weight.numpy(), stored), stored)))
    folder = fetch(saved(model, tmp_path / "copy"), tmp_path / "folder", "transformers")
    file = fetch(some_file(tmp_path / "m.gguf", stored=stored), tmp_path / "file")
    assert_same_weights(file, folder)
    assert torch.equal(logits(file), logits(folder))
    assert json.loads((file / "origin.json").read_text())["stored_as"] == {stored.name: 16, "F32": 5}


@pytest.mark.parametrize("case", ["llama", "qwen2", "gpt2"])
def test_transformers_reads_the_same_weights_out_of_a_file(tmp_path, case):
    file = some_file(tmp_path / "m.gguf", case, stored=Kind.Q8_0)
    config = some_model(case).config
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", config=config, dtype=torch.float32)
    ours = load_file(fetch(file, tmp_path / "file") / "model.safetensors")
    for name, weight in ours.items():
        assert torch.equal(weight, theirs.state_dict()[name]), name


@pytest.mark.parametrize("text", [*TEXTS[:2], f"{SPECIAL}é\n\n  日本  x{SPECIAL}", "0123456789  7 ½"])
def test_the_tokenizer_of_a_file_gives_the_ids_of_the_one_it_was_made_of(tmp_path, text):
    folder = fetch(some_file(tmp_path / "m.gguf"), tmp_path / "m")
    found, wanted = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text), some_tokenizer().encode(text)
    assert found.ids == wanted.ids
    assert found.offsets == wanted.offsets


@pytest.mark.parametrize(
    ("rule", "pieces"),
    [
        ("gpt-2", ["In", "Ġ1998", "Ġ", "Ġ42", "Ġcats"]),
        ("smollm", ["In", "Ġ", "1", "9", "9", "8", "ĠĠ", "4", "2", "Ġcats"]),
        ("qwen2", ["In", "Ġ", "1", "9", "9", "8", "Ġ", "Ġ", "4", "2", "Ġcats"]),
    ],
)
def test_text_is_cut_by_the_rule_that_the_header_names(tmp_path, rule, pieces):
    tokenizer = gguf_tokenizer(gguf_files.open_gguf(some_file(tmp_path / "m.gguf", rule=rule)))
    cut = tokenizer.pre_tokenizer.pre_tokenize_str("In 1998  42 cats")
    assert [piece for piece, _ in cut] == pieces
    if rule == "qwen2":
        assert tokenizer.encode("e\u0301").ids == tokenizer.encode("é").ids


def before_the_run(copy: Path, folder: Path, more: str = "") -> None:
    params = folder / "params.yaml"
    params.write_text(
        f"corpora: {{c: {{source: generated}}}}\nmodels: {{m: {{source: transformers, repository: a/b, "
        f"local_copy: {copy}, corpus: c, sites: [blocks.0.mlp.hook_post], context_length: 32{more}}}}}\n"
    )
    study = load_study(params)
    preflight.check(study)
    special_tokens.check(study)


def refused(copy: Path, tmp_path: Path, monkeypatch: Any) -> str:
    """The sentence with which a file is refused, before the run and by the import, which leaves nothing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as early:
        before_the_run(copy, tmp_path)
    with pytest.raises(InputError) as late:
        fetch(copy, tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []
    assert str(early.value) == f"models.m.local_copy: {late.value}"
    assert "\n" not in str(late.value)
    return str(late.value)


def damaged(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        some_file(path)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def long_text(content: bytes) -> bytes:
    """The length of the first key, behind magic, version and two counts, is 2^60."""
    return content[:24] + struct.pack("<Q", 1 << 60) + content[32:]


def long_list(content: bytes) -> bytes:
    place = content.index(b"tokenizer.ggml.token_type") + len("tokenizer.ggml.token_type")
    return content[: place + 8] + struct.pack("<Q", 1 << 60) + content[place + 16 :]


def big_endian(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama", endianess=gguf.GGUFEndian.BIG)
    writer.add_uint32("llama.block_count", 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (damaged(lambda content: b""), "is no GGUF file: it is empty, and GGUF files begin with b'GGUF'; download it"),
        (damaged(lambda content: b"PK\3\4" + content), r"is no GGUF file: it begins with b'PK\x03\x04', and"),
        (damaged(lambda content: content[:3]), "is no GGUF file: it begins with b'GGU'"),
        (damaged(lambda content: content[:20]), "is damaged or cut off, or a version of GGUF that the package gguf"),
        (damaged(lambda content: content[:3000]), "is damaged or cut off"),
        (damaged(lambda content: content[:-40]), "is damaged or cut off"),
        (damaged(lambda content: content[:4] + struct.pack("<I", 1) + content[8:]), "appears to be version 1"),
        (damaged(long_text), "it promises 1,152,921,504,606,8"),
        (damaged(long_list), "is damaged or cut off"),
        (big_endian, "has its numbers in big-endian order; take the file for little-endian machines"),
    ],
)  # fmt: skip
def test_what_is_no_whole_file_is_refused(tmp_path, monkeypatch, make, said):
    assert said in refused(make(tmp_path / "m.gguf"), tmp_path, monkeypatch)


def test_a_header_of_too_many_parts_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_files, "PARTS", 1000)
    said = refused(some_file(tmp_path / "m.gguf"), tmp_path, monkeypatch)
    assert "a header of more than 1,000 parts" in said


def without(parts: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if key != name}


def changed_tensors(**more: np.ndarray | None) -> dict[str, np.ndarray]:
    found = tensors(some_model("llama")) | {name.replace("__", "."): values for name, values in more.items()}
    return {name: values for name, values in found.items() if values is not None}


def number_is_nan() -> np.ndarray:
    values = np.ones(32, np.float32)
    values[3] = np.nan
    return values


LLAMA_KEYS = header(some_model("llama"))
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"more": {"general.type": "adapter"}}, "holds a part of a model (general.type is 'adapter'); take the whole"),
    ({"more": {"split.count": 3}}, "is one of 3 parts; join them with `llama-gguf-split --merge`"),
    (
        {"more": {"llama.rope.scaling.type": "linear"}},
        "says llama.rope.scaling.type = linear, which is not read here and could change what the model computes: set "
        "local_copy to a folder with the model's own files",
    ),
    ({"keys": without(LLAMA_KEYS, "block_count")}, "does not say llama.block_count, which files of llama models do"),
    ({"keys": LLAMA_KEYS | {"block_count": 5000}}, "num_hidden_layers is 5,000; models have at most 1,000"),
    ({"keys": LLAMA_KEYS | {"attention.head_count": [4, 2]}}, "llama.attention.head_count is [4, 2], expected a whole"),
    ({"keys": LLAMA_KEYS | {"rope.freq_base": -1.0}}, "llama.rope.freq_base is -1.0, expected a number above 0"),
    (
        {"keys": LLAMA_KEYS | {"attention.value_length": 16}},
        "llama.attention.value_length is 16, and other keys say that head_dim is 8; such models are not read from GGUF",
    ),
    ({"keys": LLAMA_KEYS | {"vocab_size": 99}}, "vocabulary has 99 entries, and its token_embd.weight has 288 rows"),
    ({"keys": LLAMA_KEYS | {"feed_forward_length": 96}}, "has shape [32, 64], but its header makes a model in which"),
    ({"weights": changed_tensors(token_embd__weight=None)}, "holds no token_embd.weight; it is no whole model"),
    ({"weights": changed_tensors(rope_freqs__weight=np.ones(4, np.float32))}, "header: left over is rope_freqs.weight"),
    ({"weights": changed_tensors(blk__0__attn_q__bias=np.ones(32, np.float32))}, "left over is blk.0.attn_q.bias"),
    ({"weights": changed_tensors(blk__1__ffn_up__weight=None)}, "missing is model.layers.1.mlp.up_proj.weight"),
    ({"weights": changed_tensors(output_norm__weight=number_is_nan())}, "model.norm.weight holds NaN or infinite val"),
    (
        {"weights": changed_tensors(output_norm__weight=np.ones(32, np.int32))},
        "output_norm.weight is stored as I32, which the package gguf does not read; take a file in another number for",
    ),
    ({"tokenizer": None}, "has no tokenizer; of GGUF files byte-level BPE ('gpt2') is read: set tokenizer to"),
    ({"rule": "tekken"}, "cuts text by the rule 'tekken'; known are gpt-2, smollm, qwen2: set tokenizer to the"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=lambda part: part[:40] if isinstance(part, str) else "")
def test_what_a_file_says_wrongly_or_what_is_not_read_is_refused(tmp_path, monkeypatch, change, said):
    assert said in refused(some_file(tmp_path / "m.gguf", **change), tmp_path, monkeypatch)


@pytest.mark.parametrize("architecture", ["bert", "mamba", "gemma2", "t5"])
def test_other_architectures_are_refused_with_those_that_are_read(tmp_path, monkeypatch, architecture):
    model = some_model("llama")
    file = write_gguf(tmp_path / "m.gguf", architecture, header(model), tensors(model), some_tokenizer())
    assert (
        f"holds a model of the architecture '{architecture}'; of GGUF files llama, qwen2, qwen3, gpt2 are read, which "
        "are causal language models: set local_copy to a folder" in refused(file, tmp_path, monkeypatch)
    )


def test_tokens_that_the_model_does_not_know_or_that_are_there_twice_are_refused(tmp_path, monkeypatch):
    model, tokenizer = some_model("llama"), some_tokenizer()
    model.resize_token_embeddings(280)
    file = write_gguf(
        tmp_path / "m.gguf",
        "llama",
        header(model),
        tensors(model),
        tokenizer,
    )
    assert "of number 280, but the model knows 280 tokens, 0 to 279; take" in refused(file, tmp_path, monkeypatch)
    add = gguf.GGUFWriter.add_token_list
    twice = lambda self, tokens: add(self, ["a" if token == "Ā" else token for token in tokens])  # noqa: E731
    monkeypatch.setattr(gguf.GGUFWriter, "add_token_list", twice)
    assert "its token 'a' is number" in refused(some_file(tmp_path / "twice.gguf"), tmp_path, monkeypatch)


def test_a_tokenizer_that_is_named_stands_for_that_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = some_file(tmp_path / "m.gguf", tokenizer=None)
    some_tokenizer().save("own.json")
    before_the_run(file, tmp_path, ", tokenizer: own.json")
    folder = fetch(file, tmp_path / "m", tokenizer="own.json")
    assert (folder / "tokenizer.json").read_bytes() == Path("own.json").read_bytes()


def test_a_file_without_the_package_that_reads_it_is_refused_with_the_command_that_installs_it(tmp_path, monkeypatch):
    file = some_file(tmp_path / "m.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert refused(file, tmp_path, monkeypatch) == (
        f"{file} is a GGUF file, and the package gguf, which reads them, is not installed: "
        "pip install 'gguf>=0.19,<0.20'"
    )


def test_the_pin_in_the_sentence_is_that_of_the_extra():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (pin,) = project["optional-dependencies"]["gguf"]
    assert f"pip install '{pin}'" == gguf_files.INSTALL
    assert not any(name.startswith("gguf") for name in project["dependencies"])


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        ("none.gguf", "models.m.local_copy: 'none.gguf' is no file; paths start at the folder of the Snakefile"),
        ("folder.gguf", "models.m.local_copy: 'folder.gguf' is no file; paths"),
        ("m.bin", "models.m.local_copy: 'm.bin' is no folder; a model in one file is a .gguf file; paths start at"),
        ("folder", "folder holds no weights but m.gguf; to read a GGUF file, set local_copy to the file itself"),
    ],
)
def test_a_path_that_is_not_what_its_name_says_is_refused(tmp_path, monkeypatch, copy, said):
    monkeypatch.chdir(tmp_path)
    for name in ("folder", "folder.gguf"):
        Path(name).mkdir()
    some_file(Path("folder/m.gguf"))
    Path("m.bin").write_bytes(b"GGUF")
    with pytest.raises(InputError) as caught:
        before_the_run(Path(copy), tmp_path)
    assert said in str(caught.value)


def test_older_transformer_lens_repositories_are_no_files(tmp_path):
    Path(tmp_path / "params.yaml").write_text(
        "corpora: {c: {source: generated}}\nmodels: {m: {source: transformer_lens, repository: a/b, "
        "local_copy: m.gguf, corpus: c, sites: [blocks.0.mlp.hook_post]}}\n"
    )
    with pytest.raises(
        (InputError, ValidationError), match=r"'m\.gguf' is a GGUF file, which `source: transformers` reads"
    ):
        load_study(tmp_path / "params.yaml")


def test_sites_positions_and_shape_are_those_of_the_header(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = some_file(tmp_path / "m.gguf")
    before_the_run(file, tmp_path, ", shape: {layers: 2, d_model: 32, d_mlp: 64, vocabulary: 288}")
    for more, said in [
        (
            ", shape: {layers: 3, d_model: 32, d_mlp: 64, vocabulary: 288}",
            f"shape.layers is 3, but {file} says 2; mend",
        ),
        (
            ", bos_token: '<s>'",
            f"models.m.bos_token: the tokenizer has no token '<s>'; its special tokens are {SPECIAL}",
        ),
    ]:
        with pytest.raises(InputError) as caught:
            before_the_run(file, tmp_path, more)
        assert said in str(caught.value)
    text = (tmp_path / "params.yaml").read_text().replace(", bos_token: '<s>'", "")
    for change, said in [
        (("blocks.0.mlp", "blocks.2.mlp"), "models.m.sites: the model has no site 'blocks.2.mlp.hook_post'"),
        (("context_length: 32", "context_length: 49"), "context_length is 49, and the model has 48 positions"),
    ]:
        (tmp_path / "params.yaml").write_text(text.replace(*change))
        with pytest.raises(InputError, match=said):
            preflight.check(load_study(tmp_path / "params.yaml"))


def test_what_a_file_takes_is_known_before_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before_the_run(some_file(tmp_path / "m.gguf", stored=Kind.Q8_0), tmp_path)
    study = load_study(tmp_path / "params.yaml")
    assert shapes.width("m", study.models["m"], "blocks.0.mlp.hook_post") == 64
    assert shapes.known_shape("m", study.models["m"]).gated
    (job,) = [job for job in needs.jobs(study) if job.phase == "models"]
    block = 4 * 32**2 + 3 * 32 * 64
    assert (job.download, job.disk, job.missing) == (0.0, 4.0 * (2 * block + 2 * 32 * 288), ())


def test_a_good_file_is_looked_over_once_and_again_when_its_content_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = some_file(tmp_path / "m.gguf")
    opened = []
    look = gguf_files.open_gguf
    monkeypatch.setattr("polysem.models.sources.gguf.open_gguf", lambda path: opened.append(path) or look(path))
    before_the_run(file, tmp_path)
    before = OutsideFiles.of([str(file)]).digest
    before_the_run(file, tmp_path)
    assert len(opened) == 1
    for kept in local_configs.HEADERS.glob("*.json"):
        kept.write_text('{"torn')
    for kept in local_configs.HEADERS.glob("*/config.json"):
        kept.write_text('{"hidden_size": 3')
    before_the_run(file, tmp_path)
    some_file(file, weights=changed_tensors(output_norm__weight=number_is_nan()))
    assert OutsideFiles.of([str(file)]).digest != before
    with pytest.raises(InputError, match="holds NaN"):
        before_the_run(file, tmp_path)
    assert checked.MEMORY.is_file()


def test_a_file_may_be_a_link(tmp_path):
    real = some_file(tmp_path / "blob")
    (tmp_path / "m.gguf").symlink_to(real)
    assert (fetch(tmp_path / "m.gguf", tmp_path / "m") / "model.safetensors").is_file()
