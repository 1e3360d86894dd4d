"""What the header of a GGUF file says of its model, as a config of transformers.

Every key of the architecture is read or refused: one that was passed over could change what the model computes.
"""

from dataclasses import dataclass, field
from typing import Any

from polysem.io.config_files import is_number, whole_number
from polysem.io.errors import InputError
from polysem.io.gguf_files import GgufFile
from polysem.models.model_config import check_sizes

EMBEDDING, UNEMBEDDING = "token_embd.weight", "output.weight"
THETA = "rope_theta"


@dataclass(frozen=True)
class Architecture:
    """How the files of an architecture say what transformers' config says."""

    causal_class: str
    keys: dict[str, str]
    """Keys of the header, without the name of the architecture in front, and those of the config."""
    optional: tuple[str, ...] = ()
    transposed: tuple[str, ...] = ()
    """Ends of the names of weights that the class has inputs first, as GPT-2 does."""
    interleaved: dict[str, str] = field(default_factory=dict)
    """Ends of the names of weights whose rows stand in another order, with the config's key of their heads: llama.cpp
    turns neighbouring pairs of a head, transformers its halves."""

    def required(self) -> set[str]:
        """Keys of the header that a file must have."""
        return set(self.keys) - set(self.optional)


GROUPED = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "rope.dimension_count": "head_dim",
    "rope.freq_base": THETA,
    "vocab_size": "vocab_size",
}
GROUPED_OPTIONAL = (
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "rope.dimension_count",
    "rope.freq_base",
    "vocab_size",
)
ARCHITECTURES = {
    "llama": Architecture(
        "LlamaForCausalLM",
        GROUPED,
        GROUPED_OPTIONAL,
        interleaved={
            "self_attn.q_proj.weight": "num_attention_heads",
            "self_attn.k_proj.weight": "num_key_value_heads",
        },
    ),
    "qwen2": Architecture("Qwen2ForCausalLM", GROUPED, GROUPED_OPTIONAL),
    "qwen3": Architecture("Qwen3ForCausalLM", GROUPED, GROUPED_OPTIONAL),
    "gpt2": Architecture(
        "GPT2LMHeadModel",
        {
            "context_length": "n_positions",
            "block_count": "n_layer",
            "embedding_length": "n_embd",
            "feed_forward_length": "n_inner",
            "attention.head_count": "n_head",
            "attention.layer_norm_epsilon": "layer_norm_epsilon",
            "vocab_size": "vocab_size",
        },
        ("vocab_size",),
        transposed=("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"),
    ),
}
"""Those whose files were held against the same weights as transformers saves them."""
REAL = ("layer_norm_rms_epsilon", "layer_norm_epsilon", "freq_base")
"""Ends of keys that hold a number with a fraction; the others are whole."""
TOKENS = ("bos_token_id", "eos_token_id")


def architecture_of(file: GgufFile) -> tuple[str, Architecture]:
    """Name and architecture of a file; InputError for one that is not read, and for what is no whole model."""
    name = file.value("general.architecture")
    if name not in ARCHITECTURES:
        raise InputError(
            f"{file.path} holds a model of the architecture {name!r}; of GGUF files {', '.join(ARCHITECTURES)} are "
            "read, which are causal language models: set local_copy to a folder with the model's own files"
        )
    kind = file.value("general.type")
    if kind not in (None, "model"):
        raise InputError(f"{file.path} holds a part of a model (general.type is {kind!r}); take the whole model")
    parts = file.value("split.count")
    if parts not in (None, 0, 1):
        raise InputError(f"{file.path} is one of {parts} parts; join them with `llama-gguf-split --merge`")
    return name, ARCHITECTURES[name]


def config_values(file: GgufFile) -> dict[str, Any]:
    """The content of `config.json` for a file; InputError, with the key, for what is missing, cannot be, or is unknown.

    What the header does not tell (the activation function, which matrices have biases) is what the architecture has.
    """
    name, architecture = architecture_of(file)
    values: dict[str, Any] = {"architectures": [architecture.causal_class], "model_type": name, "dtype": "float32"}
    found = {key: _number(file, f"{name}.{key}") for key in _keys(file, name, architecture)}
    for key, value in found.items():
        target = architecture.keys[key]
        if values.setdefault(target, value) != value:
            raise InputError(
                f"{file.path}: {name}.{key} is {value}, and other keys say that {target} is {values[target]}; such "
                "models are not read from GGUF files"
            )
    _add_vocabulary(file, values)
    if architecture.keys is GROUPED:
        _add_defaults(values)
    values["tie_word_embeddings"] = UNEMBEDDING not in file.tensors
    for key in TOKENS:
        if (number := file.value(f"tokenizer.ggml.{key}")) is not None:
            values[key] = whole_number(number, f"tokenizer.ggml.{key}", file.path, least=0)
    check_sizes(values, file.path)
    return values


def _keys(file: GgufFile, name: str, architecture: Architecture) -> list[str]:
    """The keys of the architecture that a file has; InputError for unknown and for missing ones."""
    found = [key.removeprefix(f"{name}.") for key in file.fields if key.startswith(f"{name}.")]
    if unknown := [key for key in found if key not in architecture.keys]:
        raise InputError(
            f"{file.path} says {name}.{unknown[0]} = {str(file.value(f'{name}.{unknown[0]}'))[:60]}, which is not read "
            "here and could change what the model computes: set local_copy to a folder with the model's own files"
        )
    if missing := architecture.required() - set(found):
        raise InputError(f"{file.path} does not say {name}.{min(missing)}, which files of {name} models do")
    return found


def _number(file: GgufFile, key: str) -> int | float:
    value = file.value(key)
    if key.endswith(REAL):
        if not is_number(value) or not 0 < value < 1e12:
            raise InputError(f"{file.path}: {key} is {value!r}, expected a number above 0")
        return value
    return whole_number(value, key, file.path)


def _add_defaults(values: dict[str, Any]) -> None:
    """What a header that does not say it means by that; the classes of transformers have other defaults."""
    heads = values["num_attention_heads"]
    values["hidden_act"] = "silu"
    values.setdefault("num_key_value_heads", heads)
    values.setdefault("head_dim", values["hidden_size"] // heads)
    values["rope_parameters"] = {"rope_type": "default", THETA: values.pop(THETA, 10_000.0)}


def _add_vocabulary(file: GgufFile, values: dict[str, Any]) -> None:
    """The rows of the embedding are the vocabulary; InputError without an embedding, or with another number of rows."""
    if EMBEDDING not in file.tensors:
        raise InputError(f"{file.path} holds no {EMBEDDING}; it is no whole model")
    rows = file.shape(EMBEDDING)[0]
    if values.setdefault("vocab_size", rows) != rows:
        raise InputError(
            f"{file.path} says that its vocabulary has {values['vocab_size']} entries, and its {EMBEDDING} has {rows} "
            "rows"
        )
