"""The `config.json` of an older TransformerLens model: what it says of the computation, and what is computed here."""

import math
from collections.abc import Mapping
from typing import Any

from polysem.io.config_files import is_number, whole_number
from polysem.io.errors import InputError
from polysem.models.record import CONFIG

SIZES = ("d_model", "n_layers", "d_mlp", "d_head", "n_heads", "n_ctx", "d_vocab")
NEEDED = (*SIZES, "act_fn")
NORMS = ("LN", "LNPre", "RMS", "RMSPre", None)
EPSILON = 1e-5
"""What norms add to the variance where a config does not say it."""
OFF = (False, None)
COMPUTED: dict[str, tuple[Any, ...]] = {
    "attention_dir": ("causal",),
    "use_attn_scale": (True,),
    "positional_embedding_type": ("standard",),
    **dict.fromkeys(
        (
            "scale_attn_by_inverse_layer_idx", "use_local_attn", "window_size", "attn_types", "parallel_attn_mlp",
            "gated_mlp", "post_embedding_ln", "use_normalization_before_and_after", "use_qk_norm",
            "qk_norm_after_rope", "rmsnorm_uses_offset", "scale_embedding", "num_experts", "experts_per_token",
            "relative_attention_max_distance", "relative_attention_num_buckets", "per_layer_head_dim",
            "per_layer_num_key_value_heads", "load_in_4bit",
        ),
        OFF,
    ),
}  # fmt: skip
"""Fields that change what a model computes, with the values, the usual one first, that are computed here. Fields of
rotary embeddings, encoders with decoders, training and names change nothing of these models, and are left aside."""
SOFT_CAPS = ("attn_scores_soft_cap", "output_logits_soft_cap")
"""Limits of scores and logits; TransformerLens writes -1 for none."""


def native_config(original: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Arguments of TransformerBridgeConfig from the fields of an older TransformerLens config.

    InputError, with the field and its value, for a model that computes anything else than these arguments say.
    """
    file = f"{CONFIG} of {where}"
    if missing := [name for name in NEEDED if name not in original]:
        raise InputError(f"{file} lacks {', '.join(missing)}; it is no TransformerLens config")
    for name in SIZES:
        whole_number(original[name], name, file)
    if original.get("shortformer_pos") or original.get("attn_only"):
        raise InputError(f"{where} is a shortformer or attention-only model; only models with MLPs are studied")
    _check_computation(original, file)
    return {name: original[name] for name in NEEDED} | {
        "eps": _epsilon(original, file),
        "final_rms": _one_of(original, ("final_rms",), (False, True), False, file),
        "normalization_type": _one_of(original, ("normalization", "normalization_type"), NORMS, "LN", file),
        "positional_embedding_type": "standard",
    }


def _check_computation(original: Mapping[str, Any], file: str) -> None:
    """InputError for the first field with another value than the one that is computed here."""
    default = math.sqrt(original["d_head"])
    allowed = COMPUTED | {
        "attn_scale": (default, -1, None),
        "d_vocab_out": (original["d_vocab"], -1, None),
        "n_key_value_heads": (original["n_heads"], None),
        **dict.fromkeys(SOFT_CAPS, (-1, None)),
    }
    for name, values in allowed.items():
        value = original.get(name, values[0])
        is_off = name in SOFT_CAPS and is_number(value) and value <= 0
        is_default = name == "attn_scale" and is_number(value) and math.isclose(value, default, rel_tol=1e-6)
        if value not in values and not is_off and not is_default:
            without = values is OFF or name in SOFT_CAPS
            _refuse(file, name, value, "only models without it are" if without else f"only {values[0]!r} is")


def _epsilon(original: Mapping[str, Any], file: str) -> float:
    """What norms add to the variance: TransformerLens calls it `eps`, the configs of its first models `ln_eps`."""
    found = {name: original[name] for name in ("eps", "ln_eps") if name in original}
    for name, value in found.items():
        if not is_number(value) or not 0 < value < 1:
            raise InputError(f"{file}: {name} is {value!r}, expected a number between 0 and 1")
    if len(set(found.values())) > 1:
        raise InputError(
            f"{file}: eps is {found['eps']!r} and ln_eps is {found['ln_eps']!r}; keep the one that is meant"
        )
    return float(next(iter(found.values()), EPSILON))


def _one_of(
    original: Mapping[str, Any], names: tuple[str, ...], known: tuple[Any, ...], default: Any, file: str
) -> Any:
    """The value of a field that may have several names; InputError if it is unknown, or the names say two things."""
    found = {name: original[name] for name in names if name in original}
    for name, value in found.items():
        if value not in known:
            _refuse(file, name, value, f"only {', '.join(map(repr, known))} are")
    if len(set(found.values())) > 1:
        both = " and ".join(f"{name} is {value!r}" for name, value in found.items())
        raise InputError(f"{file}: {both}; keep the one that is meant")
    return next(iter(found.values()), default)


def _refuse(file: str, name: str, value: Any, known: str) -> None:
    raise InputError(
        f"{file}: {name} is {value!r}, but {known} computed here, so another model would be studied; use source: "
        "transformers if the model is also published in the hub's form"
    )
