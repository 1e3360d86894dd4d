"""SAEs that others published: what a format module finds in their files, and what is folded on the way to ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.io.config_files import is_number
from polysem.io.errors import InputError
from polysem.saes.sae import SAE


@dataclass(frozen=True)
class Settings:
    """What a published SAE says of the activations that it was trained on; None where it does not say."""

    model_name: str | None = None
    hook_name: str | None = None
    module: str | None = None
    """Name that transformers has for the module whose output it read, where the file names one and no hook."""
    hook_name_out: str | None = None
    """The hook that a transcoder predicts."""
    prepend_bos: bool | None = None
    context_size: int | None = None
    fold_ln: bool | None = None
    center_writing_weights: bool | None = None
    input_mean: float | None = None
    """Mean that was subtracted from each pixel of a classifier."""
    input_std: float | None = None
    """What each pixel of a classifier was divided by."""

    def known(self) -> dict[str, Any]:
        """What it says, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Weights:
    """An SAE as the file has it, in our shapes."""

    sae: SAE
    frequency: Float[Tensor, " feature"] | None = None
    """How often each feature was active where it was trained, if the file says so."""


@dataclass(frozen=True)
class Published:
    """A published SAE whose config and shapes were read; `load` reads the weights."""

    inputs: int
    features: int
    settings: Settings
    load: Callable[[], Weights]
    facts: dict[str, Any] = field(default_factory=dict)
    """What goes into the metadata beside the settings: the coefficient of the L1 penalty, names of the trainer."""
    notes: tuple[str, ...] = ()
    """What was converted, assumed or could not be known, as sentences."""
    k: int | None = None
    """Features that a TopK keeps of each token; None for other activation functions."""
    outputs: int | None = None
    """Neurons of the site that a transcoder predicts; None for an SAE."""


def without_input_bias(sae: SAE) -> SAE:
    """The SAE that subtracts no decoder bias from its input, written as one that does: `b_dec W_enc` is added to the
    encoder's bias, in float64."""
    shift = sae.b_dec.double() @ sae.W_enc.double()
    return replace(
        sae, b_enc=(sae.b_enc.double() + shift).float(), activation=sae.activation.shifted(shift.to(torch.float32))
    )


def scaled_input(sae: SAE, factor: float) -> SAE:
    """The SAE of activations times s, written for the activations themselves.

    Its features are divided by s, so that they are in the unit of the activations, as those of an SAE that was trained
    here: `b_enc` / s, `b_dec` / s, thresholds / s, and decoder rows keep their norms.
    """
    if not 0 < factor < float("inf"):
        raise InputError(f"the scale of the activations is {factor}; it must be above 0")
    return replace(
        sae, b_enc=sae.b_enc / factor, b_dec=sae.b_dec / factor, activation=sae.activation.scaled(1 / factor)
    )


def norms_in_words(sae: SAE) -> str:
    """What a reader of activations should know of the decoder's rows; empty where they have norm 1.

    Rows keep the norms that were published, as those of SAEs that are trained here keep theirs: what was published of
    features (their L1 norm, their largest activations, which are dead) is of features as the files have them.
    """
    norms = sae.W_dec.double().norm(dim=1)
    low, high = float(norms.min()), float(norms.max())
    if abs(low - 1) < 1e-5 and abs(high - 1) < 1e-5:
        return ""
    return f"decoder rows have norms of {low:.4g} to {high:.4g} and keep them, so that features are as published"


def per_token(coefficient: Any, batch_size: int, stated: bool) -> tuple[dict[str, Any], str]:
    """The L1 coefficient of a loss that adds up the batch, as one of a per-token mean; facts and a sentence."""
    if not is_number(coefficient):
        return {}, f"the L1 coefficient is {coefficient!r} in the file, which was not converted"
    converted = coefficient * batch_size
    source = "of its config" if stated else "of the published runs, as its config names none"
    facts = {"l1_coefficient": converted, "l1_coefficient_in_file": coefficient}
    return facts, (
        f"l1_coefficient {coefficient:g} was summed over a batch of {batch_size} ({source}); "
        f"per token it is {converted:.4g}"
    )


def in_names_of_saelens(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of an SAE that was trained here, with the settings of its activations under SAELens's names; those of
    any other SAE as they are."""
    training = metadata.get("training")
    settings = training.get("settings") if isinstance(training, dict) else None
    if not isinstance(settings, dict) or "bos_token" not in settings:
        return dict(metadata)
    return {
        **metadata,
        "prepend_bos": settings["bos_token"] is not None,
        "context_size": settings.get("context_length"),
        "model_from_pretrained_kwargs": settings.get("processing"),
    }
