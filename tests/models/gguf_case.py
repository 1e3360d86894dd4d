"""Tiny GGUF files, written as llama.cpp's converter writes them from a model of transformers."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from .conftest import perturbed

TEXTS = ["The cat sat on the mat in 1998.", "She couldn't say where  42 cats went, or why."] * 5
SPECIAL = "<|endoftext|>"
VOCABULARY = 288
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 48,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
    "tie_word_embeddings": False,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", LLAMA | {"head_dim": 8}),
    "llama-tied": ("llama", LLAMA | {"head_dim": 8, "tie_word_embeddings": True}),
    "llama-wide-heads": ("llama", LLAMA | {"head_dim": 16, "num_key_value_heads": 4}),
    "qwen2": ("qwen2", LLAMA),
    "qwen3": ("qwen3", LLAMA | {"head_dim": 16}),
    "gpt2": (
        "gpt2",
        {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 48, "n_inner": 96},
    ),
}
KEYS = {
    "max_position_embeddings": "context_length",
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "n_positions": "context_length",
    "n_layer": "block_count",
    "n_embd": "embedding_length",
    "n_inner": "feed_forward_length",
    "n_head": "attention.head_count",
    "layer_norm_epsilon": "attention.layer_norm_epsilon",
}


def some_model(case: str) -> PreTrainedModel:
    kind, values = CASES[case]
    torch.manual_seed(0)
    return perturbed(AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **values))).float().eval()


def some_tokenizer() -> Tokenizer:
    """As GPT-2 has it: a special token, bytes and merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=[SPECIAL], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return tokenizer


def header(model: PreTrainedModel) -> dict[str, Any]:
    """The keys of the architecture, as the converter names them."""
    config = model.config
    found = {theirs: getattr(config, ours) for ours, theirs in KEYS.items() if ours in config.to_dict()}
    if config.model_type == "gpt2":
        return found
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    found |= {"rope.freq_base": config.rope_parameters["rope_theta"], "vocab_size": config.vocab_size}
    return found | ({"rope.dimension_count": head} if config.model_type == "llama" else {"attention.key_length": head})


def tensors(model: PreTrainedModel) -> dict[str, np.ndarray]:
    """Weights under llama.cpp's names, in its order and orientation."""
    config = model.config
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == config.model_type)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    found = {}
    for name, weight in model.state_dict().items():
        values = weight.numpy()
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            values = values.T
        if config.model_type == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        found[names.get_name(name, (".weight", ".bias"))] = np.ascontiguousarray(values)
    return found


def write_gguf(
    path: Path,
    architecture: str,
    keys: dict[str, Any],
    weights: dict[str, np.ndarray],
    tokenizer: Tokenizer | None,
    *,
    rule: str = "gpt-2",
    stored: Kind = Kind.F32,
    more: dict[str, Any] | None = None,
) -> Path:
    """A file of these parts; matrices are `stored` in a number format, vectors as they are. `more` are keys with their
    whole names."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in ({f"{architecture}.{key}": value for key, value in keys.items()} | (more or {})).items():
        _add(writer, key, value)
    if tokenizer is not None:
        tokens = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
        merges = [" ".join(merge) for merge in _merges(tokenizer)]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(rule)
        writer.add_token_list(tokens)
        writer.add_token_types([3 if token == SPECIAL else 1 for token in tokens])
        writer.add_token_merges(merges)
    for name, values in weights.items():
        if values.ndim == 2 and stored is not Kind.F32:
            writer.add_tensor(name, gguf.quantize(values, stored), raw_dtype=stored)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def some_file(path: Path, case: str = "llama", **changed: Any) -> Path:
    """The file of a case, or one of which a part is another."""
    model = some_model(case)
    parts = {"keys": header(model), "weights": tensors(model), "tokenizer": some_tokenizer()} | changed
    return write_gguf(path, model.config.model_type, **parts)


def _merges(tokenizer: Tokenizer) -> list[list[str]]:
    import json

    return json.loads(tokenizer.to_str())["model"]["merges"]


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    add.get(type(value), writer.add_array)(key, value)
