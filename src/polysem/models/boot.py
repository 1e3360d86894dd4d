"""Booting a model folder in the hub's form as a TransformerBridge."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformer_lens.model_bridge import TransformerBridge

from polysem.io.errors import InputError
from polysem.models.filling import check_filling, computed_buffers, is_mask, quiet
from polysem.models.record import CONFIG, TOKENIZER
from polysem.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class _CheckedLoading:
    """Loads as `AutoModelForCausalLM` does, and refuses what it would fill with random numbers."""

    def __init__(self, where: str) -> None:
        self._where = where

    def from_pretrained(self, name: str, **options: Any) -> "PreTrainedModel":
        """The model; InputError if a weight was not filled from the file, or a tensor of the file was left over."""
        from transformers import AutoModelForCausalLM

        model, found = AutoModelForCausalLM.from_pretrained(
            name, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
        check_filling(found, self._where, _left_aside(model, found))
        return model


def _left_aside(model: "PreTrainedModel", found: Mapping[str, Any]) -> list[str]:
    """Left over tensors that the model computes itself; what masks hold was looked at when the model was imported."""
    names = found["unexpected_keys"]
    return [*(name for name in names if is_mask(name, ())), *computed_buffers(model, names)]


@torch.inference_mode(False)  # weights that are made in inference mode have no derivatives, and anatomy asks for some
def boot_transformers(folder: Path, where: str) -> TransformerBridge:
    """The model of a folder, on the CPU, with every weight from its file; InputError if a weight is not, or if
    TransformerLens has no adapter for the architecture. `where` is what an error calls the model."""
    from transformers import PreTrainedTokenizerFast

    quiet()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=load_tokenizer(folder / TOKENIZER))
    try:
        return TransformerBridge.boot_transformers(
            str(folder), device="cpu", tokenizer=tokenizer, trust_remote_code=False, model_class=_CheckedLoading(where)
        )
    except InputError:
        raise
    except Exception as error:  # architectures that the library half knows fail anywhere
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"{where}: TransformerLens cannot load the model of its {CONFIG} ({type(error).__name__}: {said})"
        ) from error
