"""An SAE on its way out in the form of another tool, with what is known of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.saes.published import in_names_of_saelens
from polysem.saes.sae import SAE

TRAINING = ("training_architecture", "training_architecture_details")
"""SAELens's names for what an SAE was trained as that is saved as another."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An SAE and the names it goes by. What is not known is not made up."""

    sae: SAE
    model_name: str
    """What others call the model: its repository, or the key of a model that was trained here; empty if not known."""
    site: str
    """Empty if not known."""
    name: str
    metadata: Mapping[str, Any]
    """Those of `cfg.json`."""
    stored_frequency: Float[Tensor, " feature"] | None = None
    """Share of tokens on which each feature was active where it was trained, as its own files tell it."""
    missing: list[str] = field(default_factory=list)
    """What the format has a place for and nobody knows, as sentences."""

    def settings(self) -> dict[str, Any]:
        """The metadata under SAELens's names."""
        known = in_names_of_saelens(self.metadata)
        chosen = ("prepend_bos", "context_size", "model_from_pretrained_kwargs", "l1_coefficient", *TRAINING)
        return {key: known[key] for key in chosen if known.get(key) is not None}

    def layer(self) -> int | None:
        """The number in the name of the site."""
        return next((int(part) for part in self.site.split(".") if part.isdigit()), None)

    def frequency(self) -> Float[Tensor, " feature"] | None:
        """Share of tokens on which each feature is active."""
        return self.stored_frequency


@dataclass(frozen=True, kw_only=True)
class ExportedOfRun(Exported):
    """An SAE of a finished run, and the folders of the run. A table that is not there is not made up."""

    model: str
    """Its key under `models:`."""
    corpus: str
    tables: Path
    logit_weights: Callable[[Float[Tensor, "feature neuron"]], Float[Tensor, "feature token"]]
    """What directions at the site add to the logits, as the tables of logits have it; asked only if those have any."""
    token_text: Callable[[int], str]
    """What a token is called, as on the sheets of features."""

    def frequency(self) -> Float[Tensor, " feature"] | None:
        """Share of the eval tokens on which each feature is active."""
        path = self.tables / "frequency.nc"
        return torch.from_numpy(read_table(path)["frequency"].values) if path.is_file() else None


def require_plain_inputs(exported: Exported, name: str) -> None:
    """InputError if the SAE normalises its input vectors or predicts another site, for formats that have no place to
    say so."""
    require_no_target(exported, name)
    if exported.sae.normalization != "none":
        raise InputError(
            f"{exported.name} normalises its inputs ({exported.sae.normalization}), which {name} cannot say; "
            "export it as saelens"
        )


def require_no_target(exported: Exported, name: str) -> None:
    """InputError for a transcoder, for formats of SAEs alone."""
    if exported.sae.target is not None:
        raise InputError(
            f"{exported.name} predicts another site than it reads ({exported.sae.target}), which {name} cannot say; "
            "export it as saelens"
        )
