"""Transcoders: dictionaries that predict another site from their own (Dunefsky et al. 2024, *Transcoders find
interpretable LLM feature circuits*), with or without a skip connection (Paulo et al. 2025, *Transcoders beat sparse
autoencoders for interpretability*)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from polysem.saes.sae import SAE

PLAIN = {"standard": "", "jumprelu": "jumprelu_"}
"""How SAELens begins the names of transcoders, by its name of the SAE with the same activation function."""
NAMES = {f"{start}{skip}transcoder": plain for plain, start in PLAIN.items() for skip in ("", "skip_")}
"""SAELens's architectures of transcoders, and the SAE that has the same activation function."""


@dataclass(frozen=True)
class Transcoder(SAE):
    """f = activation(x W_enc + b_enc),  ŷ = f W_dec + b_dec + x W_skipᵀ, for activations y of the site `target`.

    Shapes as in SAELens: `W_dec` [feature, output], `b_dec` [output], `W_skip` [output, neuron], None where there is no
    skip connection. Nothing is subtracted from x, and `normalization` is of the features' input alone.
    """

    W_skip: Float[Tensor, "output neuron"] | None = None
    target: str = ""

    @property
    def outputs(self) -> int:
        """Number of neurons of the target."""
        return self.W_dec.shape[1]

    @property
    def centre(self) -> None:
        """Nothing is subtracted from x."""
        return None

    def tensors(self) -> dict[str, Tensor]:
        """All tensors under the names that they are saved by."""
        return super().tensors() | ({} if self.W_skip is None else {"W_skip": self.W_skip})

    def config(self) -> dict[str, Any]:
        """Its entries in `cfg.json`."""
        plain = self.activation.config()
        skip = "" if self.W_skip is None else "skip_"
        return {
            **plain,
            "architecture": f"{PLAIN[plain['architecture']]}{skip}transcoder",
            "d_out": self.outputs,
        }

    def metadata(self) -> dict[str, Any]:
        """Its entries in the metadata of `cfg.json`."""
        return {"hook_name_out": self.target}

    def reconstruct(
        self, x: Float[Tensor, "*batch neuron"], f: Float[Tensor, "*batch feature"]
    ) -> Float[Tensor, "*batch output"]:
        """Prediction of the target from x and its features."""
        out = self.decode(f)
        return out if self.W_skip is None else out + x @ self.W_skip.T

    def decoded_scale(self, x: Float[Tensor, "*batch neuron"]) -> float:
        """One: what it predicts is not normalised."""
        return 1.0


def with_target(sae: SAE, W_skip: Float[Tensor, "output neuron"] | None, target: str) -> Transcoder:
    """A transcoder of the weights that are read as those of an SAE are."""
    return Transcoder(
        sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec, sae.activation, sae.normalization, W_skip=W_skip, target=target
    )


def outputs_in(config: Mapping[str, Any], target: Any) -> int:
    """Number of neurons that a saved transcoder predicts; ValueError, as a clause, if its config does not say of what
    site and how many."""
    outputs = config.get("d_out")
    if not isinstance(outputs, int) or isinstance(outputs, bool) or outputs < 1:
        raise ValueError(f"d_out is {outputs!r}, expected the number of neurons of the site that it predicts")
    if not isinstance(target, str) or not target:
        raise ValueError(f"hook_name_out is {target!r}, expected the site that it predicts")
    return outputs
