"""Model folders that cannot be studied as they are: one sentence each, at import and before it."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models

from polysem.io.caches import read_cache
from polysem.io.errors import InputError
from polysem.models.boot import boot_transformers
from polysem.models.import_model import import_model
from polysem.models.load import load_subject
from polysem.models.record_model import record_model
from polysem.params.study import load_study
from polysem.workflow.checks import checked, preflight

from .conftest import perturbed

SHAPE = {"vocab_size": 40, "max_position_embeddings": 32, "hidden_size": 16, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4}


def llama(**changed: Any) -> transformers.LlamaConfig:
    return transformers.LlamaConfig(**SHAPE, **HEADS, intermediate_size=24, **changed)


def saved(config: transformers.PretrainedConfig, folder: Path, kind: Any = None) -> Path:
    torch.manual_seed(0)
    model = (kind or transformers.AutoModelForCausalLM.from_config)(config)
    perturbed(model).float().eval().save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json", 40)
    return folder


def write_tokenizer(path: Path, tokens: int) -> None:
    Tokenizer(models.WordLevel({f"t{number}": number for number in range(tokens)}, unk_token="t0")).save(str(path))


@pytest.fixture
def copy(tmp_path) -> Path:
    return saved(llama(tie_word_embeddings=False), tmp_path / "copy")


def fetch(copy: Path, folder: Path, source: str = "transformers") -> Path:
    folder.mkdir(exist_ok=True)
    import_model(folder, source, {"repository": "a/b", "revision": "main", "local_copy": str(copy), "tokenizer": None})
    return folder


def before_the_run(copy: Path, folder: Path, source: str = "transformers", more: str = "") -> None:
    """What the workflow checks when it is called, with nothing imported yet."""
    params = folder / "params.yaml"
    params.write_text(
        f"corpora: {{c: {{source: generated}}}}\nmodels: {{m: {{source: {source}, repository: a/b, local_copy: {copy}, "
        f"corpus: c, sites: [blocks.0.mlp.hook_post], context_length: 32{more}}}}}\n"
    )
    preflight.check(load_study(params))


def refused_everywhere(copy: Path, tmp_path: Path, monkeypatch: Any, source: str = "transformers") -> str:
    """The sentence with which a folder is refused, before the run and by the import, which leaves nothing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as early:
        before_the_run(copy, tmp_path, source)
    with pytest.raises(InputError) as late:
        fetch(copy, tmp_path / "m", source)
    assert list((tmp_path / "m").iterdir()) == []
    assert str(early.value) == f"models.m.local_copy: {late.value}"
    assert "\n" not in str(late.value)
    return str(late.value)


def rekeyed(copy: Path, change: Callable[[str], str | None], name: str = "model.safetensors") -> None:
    tensors = load_file(copy / name)
    kept = {change(key): value for key, value in tensors.items()}
    save_file({key: value for key, value in kept.items() if key}, copy / name, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("prefix", "wrapper"), [("module.", "DistributedDataParallel"), ("_orig_mod.", "torch.compile")]
)
def test_weights_whose_names_all_have_a_prefix_are_refused_with_the_names(copy, tmp_path, monkeypatch, prefix, wrapper):
    rekeyed(copy, lambda name: prefix + name)
    said = refused_everywhere(copy, tmp_path, monkeypatch)
    assert (
        "its weights are not those of its config.json: missing are lm_head.weight, model.embed_tokens.weight," in said
    )
    assert f"and left over are {prefix}lm_head.weight, {prefix}model.embed_tokens.weight" in said
    assert said.endswith(f"remove {prefix!r} from the names, which {wrapper} has put there")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name: None if "layers.1.mlp.gate_proj" in name else name, "missing is model.layers.1.mlp.gate_proj.w"),
        (lambda name: None if name == "lm_head.weight" else name, "missing is lm_head.weight"),
        (lambda name: name.replace("layers.1.", "layers.7."), "left over are model.layers.7.input_layernorm.weight, "),
    ],
)
def test_a_missing_or_renamed_tensor_is_refused_with_its_name(copy, tmp_path, monkeypatch, change, said):
    rekeyed(copy, change)
    assert said in refused_everywhere(copy, tmp_path, monkeypatch)


def test_a_tensor_more_and_one_of_another_shape_are_refused(copy, tmp_path, monkeypatch):
    tensors = load_file(copy / "model.safetensors")
    save_file(tensors | {"extra.weight": torch.zeros(3)}, copy / "model.safetensors", metadata={"format": "pt"})
    assert refused_everywhere(copy, tmp_path, monkeypatch).endswith("config.json: left over is extra.weight")
    save_file(tensors | {"model.norm.weight": torch.zeros(3)}, copy / "model.safetensors", metadata={"format": "pt"})
    said = refused_everywhere(copy, tmp_path, monkeypatch)
    assert "model.norm.weight has shape [3], but its config.json makes a model in which it has [16]" in said


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_at_import(copy, tmp_path, value):
    tensors = load_file(copy / "model.safetensors")
    tensors["model.norm.weight"][3] = value
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"model\.norm\.weight holds NaN or infinite values"):
        fetch(copy, tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 10**10) + path.read_bytes()[8:])


def linked_elsewhere(path: Path) -> None:
    path.rename(path.parents[1] / "elsewhere")
    path.symlink_to(path.parents[1] / "elsewhere")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b""), "has 0 bytes and claims a header of 0; it is damaged"),
        (cut, "it is truncated or damaged"),
        (huge_header, "claims a header of 10,000,000,000; it is damaged or no safetensors file"),
        (linked_elsewhere, "outside of its folder; put the file itself there"),
    ],
)
def test_damaged_and_linked_weights_are_refused(copy, tmp_path, monkeypatch, damage, said):
    damage(copy / "model.safetensors")
    found = refused_everywhere(copy, tmp_path, monkeypatch)
    assert said in found
    assert "model.safetensors" in found


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_links_out_of_the_folder_are_refused_for_every_file(copy, tmp_path, monkeypatch, name):
    linked_elsewhere(copy / name)
    assert f"copy/{name} is a link to " in refused_everywhere(copy, tmp_path, monkeypatch)


def test_the_links_of_the_hubs_cache_are_followed(copy, tmp_path):
    cache = tmp_path / "models--a--b"
    (cache / "snapshots").mkdir(parents=True)
    snapshot = copy.rename(cache / "snapshots" / "c0ffee")
    (cache / "blobs").mkdir()
    for file in list(snapshot.iterdir()):
        blob = file.rename(cache / "blobs" / f"of-{file.name}")
        file.symlink_to(Path("../../blobs") / blob.name)
    assert (fetch(snapshot, tmp_path / "m") / "model.safetensors").is_file()


NESTED = "[" * 100_000 + "]" * 100_000
FILES = [
    ("[1, 2]", "holds a JSON list, expected an object with keys"),
    (b'{"model_type": "ll\xe9ma"}', "cannot be read as JSON (UnicodeDecodeError"),
    (f'{{"a": {NESTED}}}', "cannot be read as JSON (RecursionError"),
    ("{", "cannot be read as JSON (JSONDecodeError"),
]


@pytest.mark.parametrize(("content", "said"), FILES, ids=["a list", "not UTF-8", "nested", "cut"])
@pytest.mark.parametrize("source", ["transformers", "transformer_lens"])
def test_configs_that_are_no_objects_are_refused(copy, tmp_path, monkeypatch, content, said, source):
    (copy / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    torch.save({}, copy / "final.pth")
    assert said in refused_everywhere(copy, tmp_path, monkeypatch, source)


CHANGED = [
    ({"model_type": None}, "names no model_type"),
    ({"model_type": "foo"}, "model_type is 'foo', which transformers"),
    ({"num_hidden_layers": -1}, "num_hidden_layers is -1, expected a whole number of at least 1"),
    ({"num_hidden_layers": "two"}, "num_hidden_layers is 'two', expected a whole number of at least 1"),
    ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1,000,000,000; models have at most 1,000"),
    ({"hidden_size": 0}, "hidden_size is 0, expected a whole number"),
    ({"vocab_size": 10**12}, "vocab_size is 1,000,000,000,000; models have at most 10,000,000"),
    ({"intermediate_size": 10**10}, "intermediate_size is 10,000,000,000; models have at most 1,048,576"),
    ({"num_attention_heads": 0}, "num_attention_heads is 0"),
    ({"hidden_act": "foo"}, "hidden_act is 'foo', which transformers does not know"),
    ({"dtype": "float7"}, "dtype is 'float7'; weights are float64"),
    ({"torch_dtype": "int8"}, "torch_dtype is 'int8'; weights are float64"),
    ({"attn_implementation": "foo"}, "attn_implementation is 'foo'; known are eager"),
    ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "quantized (quantization_config"),
    ({"quantization_config": "foo"}, "the weights are quantized (quantization_config: foo)"),
    ({"auto_map": {"AutoModel": "m.M"}}, "needs its own code to load"),
    ({"rope_parameters": {"rope_type": "foo"}}, "no LlamaForCausalLM can be made of its config.json and weights"),
    ({"hidden_size": 15}, "config.json is no config of a llama model (StrictDataclassClassValidationError: "),
    ({"num_hidden_layers": 3}, "missing are model.layers.2.input_layernorm.weight"),
    ({"num_hidden_layers": 1}, "left over are model.layers.1.input_layernorm.weight"),
]


@pytest.mark.parametrize(("change", "said"), CHANGED)
def test_configs_of_what_cannot_be_loaded_are_refused(copy, tmp_path, monkeypatch, change, said):
    config = json.loads((copy / "config.json").read_text()) | change
    config = {key: value for key, value in config.items() if value is not None}
    (copy / "config.json").write_text(json.dumps(config))
    assert said in refused_everywhere(copy, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_layer": -1}, "n_layer is -1"),
        ({"n_layer": "two"}, "n_layer is 'two'"),
        ({"n_embd": 0}, "n_embd is 0"),
        ({"activation_function": "foo"}, "activation_function is 'foo'"),
    ],
)
def test_the_names_of_gpt2_are_known(tmp_path, monkeypatch, change, said):
    copy = saved(transformers.GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=32), tmp_path / "c")
    (copy / "config.json").write_text(json.dumps(json.loads((copy / "config.json").read_text()) | change))
    assert said in refused_everywhere(copy, tmp_path, monkeypatch)


def bert(folder: Path) -> Path:
    config = transformers.BertConfig(**SHAPE, **HEADS, intermediate_size=32)
    return saved(config, folder, transformers.BertForMaskedLM)


def t5(folder: Path) -> Path:
    config = transformers.T5Config(vocab_size=40, d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=4)
    return saved(config, folder, transformers.T5ForConditionalGeneration)


def mamba(folder: Path) -> Path:
    config = transformers.MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, state_size=4)
    return saved(config, folder, transformers.MambaForCausalLM)


def opt_350m(folder: Path) -> Path:
    config = transformers.OPTConfig(**SHAPE, **HEADS, ffn_dim=32, word_embed_proj_dim=8, do_layer_norm_before=False)
    return saved(config, folder, transformers.OPTForCausalLM)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            bert,
            "architectures names 'BertForMaskedLM', and the causal language model of its model_type, 'bert'",
        ),
        (t5, "describes a T5ForConditionalGeneration, which is no causal language model"),
        (mamba, "describes a MambaForCausalLM, which carries a state from token to token in place of attention"),
        (opt_350m, "its residual stream has 16 numbers and its unembedding is one that reads 8 numbers"),
    ],
)
def test_models_that_are_no_causal_transformers_are_refused(tmp_path, monkeypatch, make, said):
    assert said in refused_everywhere(make(tmp_path / "copy"), tmp_path, monkeypatch)


def test_a_model_that_looks_ahead_is_refused_by_what_it_does(tmp_path):
    copy = bert(tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"architectures": ["BertLMHeadModel"]}))
    with pytest.raises(InputError, match=r"changes with later tokens; it is no causal language model"):
        fetch(copy, tmp_path / "m")


@pytest.mark.parametrize("tokens", [40, 41])
def test_a_token_that_the_model_does_not_know_is_refused(copy, tmp_path, monkeypatch, tokens):
    write_tokenizer(copy / "tokenizer.json", tokens)
    if tokens == 40:
        assert (fetch(copy, tmp_path / "m") / "tokenizer.json").is_file()
    else:
        said = refused_everywhere(copy, tmp_path, monkeypatch)
        assert "has the token 't40' of number 40, but the model knows 40 tokens, 0 to 39" in said


def sharded(tmp_path: Path) -> Path:
    copy = saved(llama(tie_word_embeddings=False), tmp_path / "shards")
    model = transformers.LlamaForCausalLM.from_pretrained(copy)
    (copy / "model.safetensors").unlink()
    model.save_pretrained(copy, max_shard_size="4KB")
    return copy


def test_a_shard_index_wins_over_a_file_that_another_model_left(tmp_path):
    copy = sharded(tmp_path)
    other = saved(llama(tie_word_embeddings=False), tmp_path / "other")
    stale = {name: tensor + 1 for name, tensor in load_file(other / "model.safetensors").items()}
    save_file(stale, copy / "model.safetensors", metadata={"format": "pt"})
    found = load_file(fetch(copy, tmp_path / "m") / "model.safetensors")
    assert found.keys() == stale.keys()
    assert not any(torch.equal(found[name], stale[name]) for name in stale)


def test_shards_that_are_not_those_of_the_index_are_refused(tmp_path, monkeypatch):
    copy = sharded(tmp_path)
    index = json.loads((copy / "model.safetensors.index.json").read_text())
    first, second = sorted(set(index["weight_map"].values()))[:2]
    whole = load_file(copy / second)
    save_file(whole | load_file(copy / first), copy / second)
    assert f"but model.safetensors.index.json says that it is in {first}" in refused_everywhere(
        copy, tmp_path, monkeypatch
    )
    save_file(dict(list(whole.items())[1:]) | {"a": torch.zeros(1)}, copy / second)
    assert f"is in {second}, which does not hold it" in refused_everywhere(copy, tmp_path, monkeypatch)
    (copy / second).unlink()
    assert f"{second} is no file" in refused_everywhere(copy, tmp_path, monkeypatch)


def test_tied_and_ignored_tensors_are_listed_in_the_record(tmp_path):
    config = transformers.GPTNeoConfig(
        vocab_size=40, hidden_size=16, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
        window_size=8, max_position_embeddings=32,
    )  # fmt: skip
    copy = saved(config, tmp_path / "copy")
    mask = torch.ones(1, 1, 32, 32).tril().bool()
    names = [f"transformer.h.{layer}.attn.attention.bias" for layer in range(2)]
    tensors = load_file(copy / "model.safetensors")
    save_file(tensors | {name: mask.clone() for name in names}, copy / "model.safetensors", metadata={"format": "pt"})
    folder = fetch(copy, tmp_path / "m")
    record_model(folder, "language", {"context_length": 12, "processing": {}}, {"source": "transformers"})
    origin = json.loads((folder / "model.json").read_text())["origin"]
    assert origin["ignored_tensors"] == names
    assert origin["tied_tensors"] == {"lm_head.weight": "transformer.wte.weight"}
    load_subject(folder)
    save_file(tensors | {names[0]: torch.rand(1, 1, 32, 32)}, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"h\.0\.attn\.attention\.bias is left over, and is no causal mask"):
        fetch(copy, tmp_path / "n")


def neo(folder: Path) -> Path:
    config = transformers.GPTNeoConfig(
        vocab_size=40, hidden_size=16, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
        window_size=8, max_position_embeddings=32,
    )  # fmt: skip
    return saved(config, folder)


def add_tensors(copy: Path, more: dict[str, torch.Tensor]) -> None:
    save_file(load_file(copy / "model.safetensors") | more, copy / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.float32])
def test_a_stored_mask_of_local_attention_is_listed_and_left_aside(tmp_path, kind):
    copy, whole = neo(tmp_path / "copy"), torch.ones(1, 1, 32, 32, dtype=torch.bool).tril()
    masks = {
        "transformer.h.0.attn.attention.bias": whole.to(kind),
        "transformer.h.1.attn.attention.bias": (whole ^ whole.tril(-8)).to(kind),
    }
    add_tensors(copy, masks)
    folder = fetch(copy, tmp_path / "m")
    assert json.loads((folder / "origin.json").read_text())["ignored_tensors"] == sorted(masks)


@pytest.mark.parametrize("change", [lambda mask: mask.tril(-1), lambda mask: mask ^ mask.tril(-4), torch.zeros_like])
def test_a_stored_mask_of_another_window_is_refused(tmp_path, monkeypatch, change):
    copy, whole = neo(tmp_path / "copy"), torch.ones(1, 1, 32, 32, dtype=torch.bool).tril()
    add_tensors(copy, {"transformer.h.1.attn.attention.bias": change(whole)})
    said = refused_everywhere(copy, tmp_path, monkeypatch)
    assert said.endswith(
        "h.1.attn.attention.bias is left over, and is no causal mask, nor one of the last 8 tokens, as its config.json "
        "says"
    )


def test_buffers_that_the_class_of_a_model_ignores_are_listed(tmp_path):
    copy = saved(transformers.GPTNeoXConfig(**SHAPE, **HEADS, intermediate_size=24), tmp_path / "copy")
    old = {f"gpt_neox.layers.{layer}.attention.{name}": torch.ones(2) for layer in range(2)
           for name in ("bias", "masked_bias", "rotary_emb.inv_freq")}  # fmt: skip
    tensors = load_file(copy / "model.safetensors")
    save_file(tensors | old, copy / "model.safetensors", metadata={"format": "pt"})
    origin = json.loads((fetch(copy, tmp_path / "m") / "origin.json").read_text())
    assert origin["ignored_tensors"] == sorted(old)
    assert origin["tied_tensors"] == {}


GPT = {"vocab_size": 40, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 4}
XGLM = {"vocab_size": 40, "max_position_embeddings": 32, "d_model": 16, "ffn_dim": 24, "num_layers": 2}
COMPUTED = [
    (
        transformers.CodeGenConfig(**GPT, rotary_dim=4),
        {
            "transformer.h.1.attn.causal_mask": torch.ones(1, 1, 32, 32, dtype=torch.uint8).tril(),
            "transformer.h.1.attn.embed_positions": torch.zeros(32, 4),
        },
    ),
    (transformers.XGLMConfig(**XGLM, attention_heads=4), {"model.embed_positions.weights": torch.zeros(34, 16)}),
    (
        transformers.FalconConfig(**SHAPE, **HEADS, multi_query=True),
        {"transformer.h.0.self_attention.rotary.inv_freq": torch.zeros(2)},
    ),
    (
        llama(),
        {
            f"model.layers.{layer}.self_attn.rotary_emb.{name}": torch.zeros(1, 1, 32, 4)
            for layer in range(2)
            for name in ("cos_cached", "sin_cached", "inv_freq")
        },
    ),
]


@pytest.mark.parametrize(("config", "stored"), COMPUTED, ids=lambda part: getattr(part, "model_type", ""))
def test_stored_tables_that_a_model_computes_itself_are_listed_and_left_aside(tmp_path, config, stored):
    copy = saved(config, tmp_path / "copy")
    add_tensors(copy, stored)
    folder = fetch(copy, tmp_path / "m")
    assert json.loads((folder / "origin.json").read_text())["ignored_tensors"] == sorted(stored)
    record_model(folder, "language", {"context_length": 12, "processing": {}}, {"source": "transformers"})
    load_subject(folder)


@pytest.mark.parametrize(
    "name", ["model.layers.0.self_attn.rotary_emb.weight", "model.rotary.cos_cached.bias", "embed_positions.weights"]
)
def test_weights_that_are_called_nearly_as_computed_tables_are_left_over(copy, tmp_path, monkeypatch, name):
    add_tensors(copy, {name: torch.zeros(2)})
    assert refused_everywhere(copy, tmp_path, monkeypatch).endswith(f"left over is {name}")


def test_a_stored_mask_that_is_not_causal_is_no_computed_table(tmp_path, monkeypatch):
    copy = neo(tmp_path / "copy")
    add_tensors(copy, {"transformer.h.0.attn.attention.bias": torch.zeros(16)})
    assert "left over is transformer.h.0.attn.attention.bias" in refused_everywhere(copy, tmp_path, monkeypatch)


def test_a_weight_that_is_not_in_the_file_is_refused_at_every_boot(copy, tmp_path):
    folder = fetch(copy, tmp_path / "m")
    boot_transformers(folder, "m")
    rekeyed(folder, lambda name: None if name == "lm_head.weight" else name)
    with pytest.raises(InputError, match=r"m: its weights are not those of its config\.json: missing is lm_head\.w"):
        boot_transformers(folder, "m")


def test_a_good_folder_is_checked_once_and_again_when_it_changes(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before_the_run(copy, tmp_path)
    known = read_cache(checked.MEMORY)
    assert len(known) == 1
    before_the_run(copy, tmp_path)
    assert read_cache(checked.MEMORY) == known
    rekeyed(copy, lambda name: f"module.{name}")
    with pytest.raises(InputError, match="left over"):
        before_the_run(copy, tmp_path)
    checked.MEMORY.write_text('{"torn')
    with pytest.raises(InputError, match="left over"):
        before_the_run(copy, tmp_path)
