"""How stored weights fill a model of transformers: every weight from the file, and nothing left over.

The library itself decides, as it does when it loads the weights: it is given the names and shapes alone, on the device
`meta`, so that nothing is read and no memory taken.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

PREFIXES = {"module.": "DistributedDataParallel", "_orig_mod.": "torch.compile", "_fsdp_wrapped_module.": "FSDP"}
"""What wrappers of models put in front of the names of all weights."""
MASK = re.compile(r"(^|\.)(attn|attention|self_attention|self_attn)\.(bias|masked_bias|causal_mask)$")
"""How causal masks are called that earlier versions of transformers stored among the weights."""
ROTARY = re.compile(r"(^|\.)rotary(_pos)?(_emb)?\.(\w*inv_freq|cos_cached|sin_cached)$")
"""How frequencies of rotary embeddings, and their cosines and sines, are called that were stored among the weights."""
DESCRIBED = "its config.json"
SHOWN = 3


@dataclass(frozen=True)
class Filling:
    """What is known of stored weights that fill a model."""

    model: "PreTrainedModel"
    """The model without its numbers (device `meta`)."""
    ignored: list[str]
    """Stored tensors that the model's class leaves aside: numbers that it computes itself."""
    masks: list[str]
    """Stored causal masks, which the class computes itself as well."""
    tied: dict[str, str]
    """Weights that are not stored, as they are the same numbers as others, by the names of both."""


def causal_class(config: "PretrainedConfig", written: Mapping[str, Any], path: Path) -> type["PreTrainedModel"]:
    """The class of a causal language model for a config; InputError for any other kind of model."""
    from transformers import AutoModelForCausalLM

    named = written.get("architectures") or []
    if not isinstance(named, list):
        raise InputError(f"{path}: architectures is {named!r}, expected a list with the name of a class")
    known = AutoModelForCausalLM._model_mapping.get(type(config), None)
    if known is None or getattr(config, "is_encoder_decoder", False):
        kind = named[0] if named else f"model of type {config.model_type}"
        raise InputError(f"{path} describes a {kind}, which is no causal language model")
    if named and named[0] != known.__name__:
        raise InputError(
            f"{path}: architectures names {named[0]!r}, and the causal language model of its model_type, "
            f"{config.model_type!r}, is {known.__name__!r}; only causal language models are studied"
        )
    if getattr(known, "_is_stateful", False):
        raise InputError(
            f"{path} describes a {known.__name__}, which carries a state from token to token in place of attention; "
            "only transformers are studied"
        )
    return known


def fill(
    model_class: type["PreTrainedModel"],
    config: "PretrainedConfig",
    shapes: Mapping[str, tuple[int, ...]],
    where: str,
    described: str = DESCRIBED,
) -> Filling:
    """Fill a model with tensors of these names and shapes; InputError, with the names, if weights stay empty, tensors
    are left over, or shapes differ. `described` is what an error calls the config."""
    import torch

    quiet()
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    try:
        model, found = model_class.from_pretrained(
            None, config=config, state_dict=tensors, device_map={"": "meta"}, dtype=torch.float32,
            output_loading_info=True, ignore_mismatched_sizes=True,
        )  # fmt: skip
    except Exception as error:  # configs that strangers wrote can raise anything
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"{where}: no {model_class.__name__} can be made of {described} and weights "
            f"({type(error).__name__}: {said})"
        ) from None
    own = set(model.state_dict())
    masks = sorted(name for name in found["unexpected_keys"] if is_mask(name, shapes[name]))
    buffers = computed_buffers(model, found["unexpected_keys"])
    check_filling(found, where, [*masks, *buffers], described)
    ignored = sorted({*_left_aside(model, shapes, own), *buffers})
    tied = {name: source for name, source in sorted(model.all_tied_weights_keys.items()) if name not in shapes}
    return Filling(model, ignored, masks, tied)


def blank_model(config: "PretrainedConfig", written: Mapping[str, Any], path: Path) -> "PreTrainedModel":
    """The model of a config without its numbers (device `meta`)."""
    import torch

    quiet()
    with torch.device("meta"):
        return causal_class(config, written, path)(config)


def check_filling(
    found: Mapping[str, Iterable[Any]], where: str, aside: Iterable[str] = (), described: str = DESCRIBED
) -> None:
    """InputError if what transformers says of a loaded model has missing, left over or mismatched names, other than
    those that may be left aside."""
    missing, unexpected = sorted(found["missing_keys"]), sorted(set(found["unexpected_keys"]) - set(aside))
    if missing or unexpected:
        raise InputError(
            f"{where}: its weights are not those of {described}: {_named('missing', missing)}"
            f"{' and ' if missing and unexpected else ''}{_named('left over', unexpected)}{_advice(unexpected)}"
        )
    if mismatched := sorted(found["mismatched_keys"]):
        name, stored, wanted = mismatched[0]
        raise InputError(
            f"{where}: {name} has shape {list(stored)}, but {described} makes a model in which it has "
            f"{list(wanted)}; {len(mismatched)} weights have another shape"
        )
    if found["error_msgs"]:
        raise InputError(f"{where}: {' '.join(str(next(iter(found['error_msgs']))).split())[:300]}")


def is_mask(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is named and shaped as a causal mask, or as the number that masked scores got."""
    square = len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3]
    return MASK.search(name) is not None and (square or shape == ())


def computed_buffers(model: "PreTrainedModel", names: Iterable[str]) -> list[str]:
    """Those of the names that are tables which the model computes itself, in this version of its class (buffers that
    it does not store) or in earlier ones (rotary embeddings). Masks are none of them, as what they hold is looked at.
    """
    own, prefix = set(model.state_dict()), f"{model.base_model_prefix}."
    computed = {name for name, _ in model.named_buffers() if name not in own}
    return sorted(
        name for name in names if not MASK.search(name) and ({name, prefix + name} & computed or ROTARY.search(name))
    )


def quiet() -> None:
    """Neither progress bars nor reports of transformers, which say what is said here in one sentence."""
    from transformers.utils import logging

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _left_aside(model: "PreTrainedModel", names: Iterable[str], own: set[str]) -> list[str]:
    """Names that transformers drops without a word: those that the class lists, and buffers that it has renamed."""
    patterns = [*(model._keys_to_ignore_on_load_unexpected or ()), r"rotary_emb\.inv_freq", r"(^|\.)position_ids$"]
    dropped = re.compile("|".join(f"({pattern})" for pattern in patterns))
    prefix = f"{model.base_model_prefix}."
    return sorted(name for name in names if not {name, prefix + name} & own and dropped.search(name))


def _named(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what} {'is' if len(names) == 1 else 'are'} {', '.join(names[:SHOWN])}{more}"


def _advice(unexpected: list[str]) -> str:
    for prefix, wrapper in PREFIXES.items():
        if unexpected and all(name.startswith(prefix) for name in unexpected):
            return f"; remove {prefix!r} from the names, which {wrapper} has put there"
    return ""
