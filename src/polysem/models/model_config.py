"""The `config.json` of a model in the hub's form, looked over before anything is built from it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.io.config_files import read_config, whole_number
from polysem.io.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
RESIDUAL = ("hidden_size", "n_embd", "d_model")
NEURONS = ("intermediate_size", "n_inner", "d_mlp", "ffn_dim", "ffn_hidden_size")
VOCABULARY = ("vocab_size", "d_vocab")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx")
LIMITS = (
    (LAYERS, 1_000),
    (HEADS, 1_024),
    (RESIDUAL, 1_048_576),
    (NEURONS, 1_048_576),
    (VOCABULARY, 10_000_000),
    (POSITIONS, 67_108_864),
)
"""Under which names configs say how large a model is, and up to where such a number is believed."""
ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function")
NUMBER_FORMATS = ("float64", "float32", "float16", "bfloat16")
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


def read_sizes(path: Path) -> dict[str, Any]:
    """A config whose sizes are possible; InputError, with the key, for one that is not, or for a file of another kind.

    Keys that are missing are for the model's class to miss.
    """
    config = read_config(path)
    check_sizes(config, path)
    return config


def check_sizes(config: dict[str, Any], path: Path) -> None:
    """InputError, with the key, for a config with sizes that cannot be; `path` is the file that it is of."""
    for keys, limit in LIMITS:
        for key in keys:
            values = config.get(key)
            for value in values if isinstance(values, list) else [values]:
                if value is not None and whole_number(value, key, path) > limit:
                    raise InputError(f"{path}: {key} is {value:,}; models have at most {limit:,}")


def read_model_config(path: Path) -> "tuple[PretrainedConfig, dict[str, Any]]":
    """The config as the transformers library reads it, and what is written in the file.

    InputError for what the file cannot be or what is not loaded here: a model with code of its own, a quantized one,
    kinds of models, activation functions, number formats and ways of attention that the library does not know.
    """
    config = read_sizes(path)
    if "auto_map" in config:
        raise InputError(f"{path.parent} needs its own code to load (auto_map in {path.name}), which is never run")
    for key in ("quantization_config", "compression_config"):
        if config.get(key):
            method = config[key].get("quant_method") if isinstance(config[key], dict) else config[key]
            raise InputError(
                f"{path} says that the weights are quantized ({key}: {method}); only weights in floating point are "
                "studied: take the model that this one was made from, or save it dequantized"
            )
    _check_number_format(path, config)
    _check_attention(path, config)
    return as_transformers_reads_it(path, config), config


def _check_number_format(path: Path, config: dict[str, Any]) -> None:
    for key in ("dtype", "torch_dtype"):
        value = config.get(key)
        if value is not None and (not isinstance(value, str) or value.removeprefix("torch.") not in NUMBER_FORMATS):
            raise InputError(f"{path}: {key} is {value!r}; weights are {', '.join(NUMBER_FORMATS)}")


def _check_attention(path: Path, config: dict[str, Any]) -> None:
    for key in ("attn_implementation", "_attn_implementation"):
        if config.get(key) is not None and config[key] not in ATTENTION:
            raise InputError(f"{path}: {key} is {config[key]!r}; known are {', '.join(ATTENTION)}")


def as_transformers_reads_it(path: Path, config: dict[str, Any]) -> "PretrainedConfig":
    """The config of its model's class; InputError, with the file that it is of, for a kind of model, an activation
    function or values that the library does not know."""
    import transformers
    from transformers.activations import ACT2FN
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise InputError(f"{path} names no model_type ({kind!r}); a config that save_pretrained writes has one")
    if kind not in CONFIG_MAPPING:
        raise InputError(
            f"{path}: model_type is {kind!r}, which transformers {transformers.__version__} does not know; only models "
            "that it brings are loaded"
        )
    for key in ACTIVATIONS:
        if config.get(key) is not None and (not isinstance(config[key], str) or config[key] not in ACT2FN):
            raise InputError(f"{path}: {key} is {config[key]!r}, which transformers does not know; gelu is one it does")
    try:
        return CONFIG_MAPPING[kind].from_dict(config)
    except Exception as error:  # values that strangers wrote can raise anything
        raise InputError(f"{path} is no config of a {kind} model ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
