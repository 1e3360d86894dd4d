"""Step: convert an SAE that somebody else trained into our folder."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.params.recipes.pretrained import PretrainedSae
from polysem.saes.agreement import disagreement, unknown
from polysem.saes.fetch import fetched, read_published
from polysem.saes.published import Published, norms_in_words
from polysem.saes.sae import SPARSITY, save_sae
from polysem.saes.transcoder import Transcoder


def import_sae(receipt: Path, output: Path, params: PretrainedSae, target_receipt: Path | None = None) -> None:
    """Write an SAE folder (`cfg.json`, `sae_weights.safetensors`, and `sparsity.safetensors` if the files tell
    frequencies), whose metadata say where the SAE is from and what was converted.

    `receipt` is that of an activation store of the site: its width and settings are what the SAE must have been trained
    on; `target_receipt` is that of the site that a transcoder predicts. Raises InputError for files that cannot be read
    or do not fit, and for settings that differ.
    """
    activations = json.loads(receipt.read_text(encoding="utf-8"))
    width, settings = _width(activations), activations["params"]["settings"]
    outputs = None if target_receipt is None else _width(json.loads(target_receipt.read_text(encoding="utf-8")))
    modules = activations["params"].get("modules")
    with fetched(params, output.parent) as files:
        published = read_published(params.format, files.weights)
        if params.features not in (None, published.features):
            raise InputError(
                f"{files.weights} has {published.features} features, the params file says {params.features}"
            )
        if problem := disagreement(published, params.site, width, settings, modules, params.target, outputs):
            raise InputError(f"{files.weights}: {problem}")
        weights = published.load()
        sae = weights.sae
        if isinstance(sae, Transcoder):
            assert params.target is not None, "a transcoder without a target disagrees"
            sae = replace(sae, target=params.target)
        notes = [note for note in (*published.notes, norms_in_words(sae)) if note]
        about = {
            "format": params.format,
            **files.origin,
            "notes": notes,
            "not_known": unknown(published, settings, modules),
        }
        (output / SPARSITY).unlink(missing_ok=True)
        save_sae(sae, output, metadata(published, params.site) | {"imported": about}, weights.frequency)
    print("\n".join(notes), file=sys.stderr)


def _width(receipt: dict[str, Any]) -> int:
    return int(receipt["arrays"]["activations"]["shape"][1])


def metadata(published: Published, site: str) -> dict[str, Any]:
    """What the SAE says of itself, under SAELens's names."""
    known = published.settings.known()
    processing = {key: known.pop(key) for key in ("fold_ln", "center_writing_weights") if key in known}
    if processing:
        known["model_from_pretrained_kwargs"] = processing
    return known | {"hook_name": site} | published.facts
