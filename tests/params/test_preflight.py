"""What is checked of the world outside of params.yaml before any job starts."""

import json
import os
from pathlib import Path

import pytest
import torch
from campaigns.bad_input import TOKENIZER
from records_case import made
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from polysem.cli import main
from polysem.index import full_text
from polysem.io.content import content_digest
from polysem.io.errors import InputError
from polysem.params.study import Study, load_study
from polysem.workflow.checks import preflight
from polysem.workflow.commands import doctor
from polysem.workflow.running.stated import OutsideFiles


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def loaded(corpus: str = "{source: generated}", model: str = "{source: trained, corpus: c, sites: [SITE]}") -> Study:
    text = f"corpora: {{c: {corpus}}}\nmodels: {{m: {model.replace('SITE', 'blocks.0.mlp.hook_post')}}}\n"
    Path("params.yaml").write_text(text)
    return load_study(Path("params.yaml"))


def check(*args: str, **kwargs: str) -> None:
    preflight.check(loaded(*args, **kwargs))


def refused(*args: str, **kwargs: str) -> str:
    with pytest.raises(InputError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


FILES = "{source: files, paths: [texts/*.txt]}"
IMPORTED = "{source: transformers, repository: a/b, local_copy: copy, corpus: c, sites: [SITE]}"


GOOD = "<|endoftext|>".join(f"é {number}\nЯ" for number in range(60)).encode()


def write(content: bytes, name: str = "texts/a.txt") -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_bytes(content)


def test_the_generated_corpus_and_a_good_file_pass():
    check()
    write(GOOD)
    check(FILES)


def test_a_sqlite_without_full_text_search_is_said_before_a_run_and_by_the_doctor(monkeypatch):
    assert doctor.check_sqlite().state == "ok"
    monkeypatch.setattr(full_text, "ENGINE", "fts0")
    said = refused()
    assert "makes no full-text index (no such module: fts0); use a Python whose SQLite has FTS5" in said
    assert doctor.check_sqlite() == doctor.Check("SQLite", "problem", said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "texts/a.txt is empty"),
        (b" \n\t \n", "holds nothing but white space"),
        ("text\nna\u00efve".encode("latin-1"), "texts/a.txt is not UTF-8 (byte 7); convert it"),
    ],
)
def test_a_file_without_text_is_refused(content, said):
    write(content)
    assert said in refused(FILES)


def test_a_byte_that_is_no_utf8_behind_the_first_megabyte_is_found():
    write(b"text \n" * 300_000 + b"\xff")
    assert "is not UTF-8 (byte 1800000)" in refused(FILES)


def test_a_missing_file_is_refused_with_its_pattern():
    said = "corpora.c.paths: no file matches 'texts/*.txt'; paths start at the folder of the Snakefile"
    assert refused(FILES) == said
    assert "corpora.c.path: no file matches 'x.npz'" in refused("{source: images, images: mnist, path: x.npz}",
        "{source: classifier, corpus: c}")  # fmt: skip
    assert "local_copy: no file matches 'x'" in refused("{source: huggingface, dataset: a/b, local_copy: x}")


def test_the_corpus_of_an_earlier_run_is_not_read_again_but_must_be_there():
    write(b"")
    write(b"made", "documents.parquet")
    Path("results/corpora/c").mkdir(parents=True)
    Path("documents.parquet").rename("results/corpora/c/documents.parquet")
    check(FILES)


def copy_of_model(**config: int) -> None:
    """A model of the hub's form in `copy/`: one layer, 8 numbers in the residual stream, 40 tokens."""
    usual = {"num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 16, "vocab_size": 40}
    model = LlamaForCausalLM(LlamaConfig(**(usual | config), num_attention_heads=2))
    model.save_pretrained("copy")
    Path("copy/tokenizer.json").write_text(TOKENIZER)


@pytest.mark.parametrize("weights", ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"])
def test_a_local_copy_with_weights_passes(weights):
    copy_of_model()
    whole = Path("copy/model.safetensors")
    if weights == "model.safetensors.index.json":
        shard = whole.rename("copy/model-00001-of-00001.safetensors")
        Path("copy", weights).write_text(json.dumps({"weight_map": dict.fromkeys(load_file(shard), shard.name)}))
    if weights == "pytorch_model.bin":
        torch.save(load_file(whole), Path("copy", weights))
        whole.unlink()
    check(model=IMPORTED)


def test_a_fresh_study_of_a_local_copy_has_a_site_of_it_and_texts_that_it_can_read(monkeypatch, capsys):
    copy_of_model(max_position_embeddings=32)
    given = ["new", "mine", "--model", "copy", "--corpus", "generated", "--sites"]
    assert main([*given, "blocks.1.mlp.hook_post"]) == 1
    assert "--sites: the model has no site 'blocks.1.mlp.hook_post'; it has" in capsys.readouterr().err
    assert not Path("mine").exists()
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    assert main([*given, "blocks.0.mlp.hook_post"]) == 0
    model = load_study(Path("mine/params.yaml")).models["copy"]
    assert (model.local_copy, model.context_length) == (str(Path("copy").absolute()), 32)
    Path("copy/tokenizer.json").unlink()
    assert main([given[0], "another", *given[2:], "blocks.0.mlp.hook_post"]) == 1
    assert "has no tokenizer.json" in capsys.readouterr().err and not Path("another").exists()


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, "local_copy: 'copy' is no folder"),
        ("config.json", "holds no weights; model.safetensors or pytorch_model.bin is needed"),
        ("config.json, weights.pth", "holds no weights but weights.pth; model.safetensors or pytorch_model.bin is"),
        ("model.safetensors", "copy/config.json is no file"),
        ("config.json, model.safetensors", "copy has no tokenizer.json; set tokenizer to a local tokenizer.json or to"),
    ],
)
def test_a_local_copy_that_cannot_be_loaded_is_refused(kept, said):
    if kept is not None:
        copy_of_model()
        write(b"weights", "copy/weights.pth")
        for file in [file for file in Path("copy").iterdir() if file.name not in kept]:
            file.unlink()
    assert said in refused(model=IMPORTED)


def test_sites_of_a_local_copy_are_checked_against_its_config():
    copy_of_model()
    said = refused(model=IMPORTED.replace("SITE", "blocks.1.mlp.hook_post"))
    assert said.startswith("models.m.sites: the model has no site 'blocks.1.mlp.hook_post'; it has blocks.0.hook_res")


def test_a_corpus_is_looked_over_again_when_its_files_change():
    write(GOOD)
    corpus = {"source": "files", "params": {**loaded(FILES).corpora["c"].values()}}
    made("results/corpora/c/documents.parquet", "made", json.dumps(corpus), OutsideFiles.of(["texts/*.txt"]).digest)
    check(FILES)
    write(b"one line")
    assert "gave 1 distinct document" in refused(FILES)


def test_another_repository_is_not_judged_by_the_model_that_was_imported_before():
    copy_of_model()
    imported = loaded(model=IMPORTED.replace(", local_copy: copy", "")).models["m"].origin()
    config = Path("copy/config.json").read_text()
    made("results/models/m/config.json", config, json.dumps({"source": "transformers", "params": imported}))
    far = IMPORTED.replace(", local_copy: copy", "").replace("SITE", "blocks.6.mlp.hook_post")
    assert "the model has no site 'blocks.6.mlp.hook_post'" in refused(model=far)
    check(model=far.replace("a/b", "a/larger"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "workflow/claims.yaml is missing; get it back with `git checkout`"),
        ("", "workflow/claims.yaml is empty; get it back with `git checkout`"),
        ("a: [", "workflow/claims.yaml is no YAML file"),
        ("documents: 3", "documents"),
        ("documents: {}\nclaims: [{id: 3}]", "claims"),
    ],
)
def test_published_numbers_that_cannot_be_read_are_refused_before_the_run(text, said):
    if text is not None:
        write(text.encode(), "workflow/claims.yaml")
    with pytest.raises(InputError, match=said):
        preflight.check_ledger(Path("workflow/claims.yaml"))


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ({"layers.1.bias": torch.full((10,), torch.nan)}, "layers.1.bias holds NaN or infinite values"),
        ({"layers.0.bias": torch.zeros(7)}, "layers.0.bias has shape [7], expected [8]"),
        ({"layers.0.weight": torch.zeros(8, 64, dtype=torch.int64)}, "layers.0.weight holds torch.int64"),
    ],
)
def test_the_weights_of_a_classifier_are_read_before_the_run(damaged, said):
    layers = {0: (8, 64), 1: (10, 8)}
    state = {f"layers.{index}.weight": torch.randn(shape) for index, shape in layers.items()}
    state |= {f"layers.{index}.bias": torch.randn(shape[0]) for index, shape in layers.items()}
    model = "{source: classifier, corpus: c, hidden: [8], weights: model.pt}"
    torch.save(state, "model.pt")
    check("{source: images}", model)
    torch.save(state | damaged, "model.pt")
    assert said in refused("{source: images}", model)


def test_a_context_above_the_positions_of_a_local_copy_is_refused():
    copy_of_model(max_position_embeddings=32)
    check(model=IMPORTED.replace("[SITE]", "[SITE], context_length: 32"))
    said = refused(model=IMPORTED.replace("[SITE]", "[SITE], context_length: 33"))
    assert said == "models.m.context_length is 33, and the model has 32 positions; lower context_length"


def test_weights_that_are_no_numbers_are_refused():
    copy_of_model()
    tensors = load_file("copy/model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, "copy/model.safetensors", metadata={"format": "pt"})
    assert "model.norm.weight holds NaN or infinite values" in refused(model=IMPORTED)


def test_stores_that_do_not_fit_on_the_disk_are_refused_and_stores_that_are_there_need_no_space():
    huge = "{source: trained, corpus: c, sites: [SITE], activations: {train_tokens: 1000000000000, eval_tokens: 1}}"
    said = refused(model=huge)
    assert "the activation stores need up to 1,032,000.0 GB" in said
    receipt = Path("results/activations/m/blocks.0.mlp.hook_post/train.json")
    receipt.parent.mkdir(parents=True)
    receipt.write_text("{}")
    check(model=huge)


def test_shards_that_an_ended_job_left_need_no_more_space():
    large = "{source: trained, corpus: c, sites: [SITE], activations: {train_tokens: 10000000000, eval_tokens: 1}}"
    assert "the activation stores need up to 10,320.0 GB" in refused(model=large)
    site = Path("results/activations/m/blocks.0.mlp.hook_post")
    for begun in (site / "train.zarr.partial", site / "handed-over/train.zarr.partial"):
        (begun / "activations/c/0").mkdir(parents=True)
        with (begun / "activations/c/0/0").open("wb") as shard:
            shard.truncate(5_160_000_000_000)  # of holes
    check(model=large)


def test_the_width_of_a_local_copy_counts_for_the_space():
    copy_of_model(hidden_size=1000)
    activations = "activations: {train_tokens: 1000000000000, eval_tokens: 1, dtype: float32}"
    for site, size in [("blocks.0.hook_mlp_out", "4,008,000.0"), ("blocks.0.mlp.hook_post", "72,000.0")]:
        assert f"need up to {size} GB" in refused(model=IMPORTED.replace("[SITE]", f"[{site}], {activations}"))


def test_outside_files_are_those_that_the_entry_is_read_from():
    for name in ("a.txt", "b.txt", "c.md"):
        write(GOOD, f"texts/{name}")
    check("{source: files, paths: texts/*.txt}")
    study = load_study(Path("params.yaml"))
    assert preflight.outside_files(study.corpora["c"]) == [Path("texts/a.txt"), Path("texts/b.txt")]
    assert preflight.outside_files(study.models["m"]) == []


def test_the_content_digest_follows_the_content_even_if_size_and_time_stay():
    write(b"one", "a")
    before = content_digest([Path("a")])
    status = Path("a").stat()
    Path("a").write_bytes(b"two")
    os.utime("a", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert Path("a").stat().st_mtime_ns == status.st_mtime_ns
    assert content_digest([Path("a")]) != before


def test_the_content_digest_does_not_follow_dates_places_and_order():
    write(b"one", "x/a")
    write(b"two", "x/b")
    before = content_digest([Path("x/a"), Path("x/b")])
    os.utime("x/a", (0, 0))
    assert content_digest([Path("x/b"), Path("x/a")]) == before
    Path("x").rename("y")
    assert content_digest([Path("y/a"), Path("y/b")]) == before
    Path(".cache/digests.json").unlink(missing_ok=True)
    assert content_digest([Path("y/a"), Path("y/b")]) == before


def test_the_content_digest_follows_names_and_exchanged_contents():
    write(b"one", "x/a")
    write(b"two", "x/b")
    before = content_digest([Path("x/a"), Path("x/b")])
    Path("x/a").rename("x/c")
    Path("x/b").rename("x/a")
    Path("x/c").rename("x/b")
    assert content_digest([Path("x/a"), Path("x/b")]) != before


SHAPE = "shape: {layers: 1, d_model: 8, d_mlp: 16, vocabulary: 40}"


def test_a_shape_that_the_config_contradicts_is_refused():
    copy_of_model()
    check(model=IMPORTED.replace("[SITE]", f"[SITE], {SHAPE}"))
    said = refused(model=IMPORTED.replace("[SITE]", f"[SITE], {SHAPE.replace('d_mlp: 16', 'd_mlp: 32')}"))
    assert said == "models.m.shape.d_mlp is 32, but copy/config.json says 16; mend it or remove shape"


def test_sites_beyond_the_layers_of_a_shape_are_refused_before_anything_is_downloaded():
    said = refused(model=HUB.replace("SITE", "blocks.1.mlp.hook_post"))
    assert "models.m: the model has no site 'blocks.1.mlp.hook_post'; it has blocks.0.hook_res" in said


HUB = f"{{source: transformers, repository: a/b, corpus: c, sites: [SITE], {SHAPE}}}"
HUGE = "activations: {train_tokens: 1000000000000, eval_tokens: 1, dtype: float32}"


def test_a_shape_counts_for_the_space_before_the_model_is_there():
    assert "need up to 72,000.0 GB" in refused(model=HUB.replace("]", f"], {HUGE}"))


def test_a_train_store_that_nobody_reads_takes_no_space():
    text = f"corpora: {{c: {{source: generated}}}}\nmodels: {{m: {HUB.replace(']', f'], {HUGE}')}}}\n"
    text = text.replace("SITE", "blocks.0.mlp.hook_post")
    Path("params.yaml").write_text(f"{text}saes: {{s: {{architecture: topk, k: 4, activations: streamed}}}}\n")
    preflight.check(load_study(Path("params.yaml")))
