"""Rewriting of weights on loading (`processing:`): what a model does not allow, and why."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.models.record import CONFIG, NATIVE
from polysem.params.models.language import Processing

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check_processing(folder: Path, processing: Processing) -> None:
    """InputError if the model of a folder cannot be processed as asked for. No weight is read."""
    if not any(processing.values().values()):
        return
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("architectures") == [NATIVE]:
        reasons = native_obstacles(config)
    else:
        from polysem.models.filling import blank_model
        from polysem.models.model_config import read_model_config

        reasons = obstacles(blank_model(*read_model_config(folder / CONFIG), folder / CONFIG))
    refuse(processing, reasons, folder.name)


def refuse(processing: Processing, reasons: dict[str, str], where: str) -> None:
    """InputError for the first kind of processing that is asked for and cannot be done, with the reason."""
    for key, asked in processing.values().items():
        if asked and key in reasons:
            raise InputError(f"{where}: processing.{key} cannot be done: {reasons[key]}; set it to false")


def native_obstacles(config: dict[str, Any]) -> dict[str, str]:
    """What cannot be done to a model of TransformerLens's native form, and why."""
    if str(config.get("normalization_type")).startswith("RMS") or config.get("final_rms"):
        return {"center_writing_weights": _rms("RMS norms")}
    return {}


def obstacles(model: "PreTrainedModel") -> dict[str, str]:
    """What cannot be done to a model of transformers, and why, as far as its modules and its config tell."""
    reasons: dict[str, str] = {}
    norms = {name: type(module).__name__ for name, module in model.named_modules() if _is_norm(module)}
    outside = [name for name in norms if not any(part.isdigit() for part in name.split("."))]
    if rms := next((kind for kind in norms.values() if "rms" in kind.lower()), None):
        reasons["center_writing_weights"] = _rms(rms)
    elif len(outside) > 1:
        reasons["center_writing_weights"] = (
            f"a norm stands between the embedding and the first block ({outside[0]}), whose gain undoes the centring"
        )
    cap = getattr(model.config, "final_logit_softcapping", None)
    if cap:
        reasons["center_unembed"] = f"the logits pass a soft cap (tanh, {cap}), which a common shift changes"
    return reasons


def _is_norm(module: object) -> bool:
    return type(module).__name__.lower().endswith("norm")


def _rms(kind: str) -> str:
    return f"its norms do not subtract the mean of the residual stream ({kind}), so centring it changes the predictions"
