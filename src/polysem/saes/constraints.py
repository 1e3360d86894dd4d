"""What keeps weights where a recipe wants them, around the optimiser's step."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.base import Recipe
from polysem.saes.losses import Term, Weights, decoder_norms
from polysem.saes.readings import Scalar, reading

ENCODER = Term("penalty of the encoder's rows", "squared activation")
"""What the encoder's rows pay (`Constraints.add_encoder_penalty`)."""


class Constraints:
    """Tied weights, decoder norms, a forbidden direction, penalties of the encoder and the clipping of gradients."""

    def __init__(self, recipe: Recipe, forbidden: Float[Tensor, " neuron"] | None) -> None:
        """`forbidden` is a direction of norm 1 that encoder rows stay orthogonal to, or None."""
        self._recipe = recipe
        self._forbidden = forbidden

    def start(self, weights: Weights) -> None:
        """Bring new weights where they have to be."""
        if self._forbidden is not None:
            _remove(weights["W_enc"], self._forbidden)

    def seen(self, weights: Weights) -> Weights:
        """The weights as the architecture sees them."""
        if self._recipe.decoder_norm == "free":
            return weights | {"decoder_norm": decoder_norms(weights["W_dec"])}
        return weights

    def add_encoder_penalty(self, weights: Weights, by_weight: Weights) -> Scalar:
        """Add the gradient of the penalties of encoder rows; what is paid."""
        recipe, W_enc = self._recipe, weights["W_enc"]
        paid: Scalar = 0.0
        if recipe.encoder_l1:
            by_weight["W_enc"].add_(W_enc.sign(), alpha=recipe.encoder_l1 / len(W_enc))
            paid += recipe.encoder_l1 * reading(W_enc.abs().sum()) / len(W_enc)
        if recipe.encoder_l2:
            by_weight["W_enc"].add_(W_enc, alpha=2 * recipe.encoder_l2 / len(W_enc))
            paid += recipe.encoder_l2 * reading(W_enc.square().sum()) / len(W_enc)
        return paid

    def before_step(self, weights: Weights, by_weight: Weights) -> None:
        """Take out of the gradients what the optimiser must not follow."""
        recipe, W_dec = self._recipe, weights["W_dec"]
        if self._forbidden is not None:
            _remove(by_weight["W_enc"], self._forbidden)
        if recipe.tied:
            by_weight["W_dec"] += by_weight.pop("W_enc")
        if recipe.decoder_norm in ("unit", "project_only"):
            along = torch.linalg.vecdot(by_weight["W_dec"], W_dec)
            if recipe.decoder_norm == "project_only":
                along /= torch.linalg.vecdot(W_dec, W_dec).clamp_min(1e-24)
            by_weight["W_dec"].addcmul_(W_dec, along[:, None], value=-1)
        if recipe.clip_norm is not None:
            gradients = list(by_weight.values())
            total = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients]))
            factor = (recipe.clip_norm / (total + 1e-12)).clamp(max=1.0)
            for gradient in gradients:
                gradient.mul_(factor)

    def after_step(self, weights: Weights) -> None:
        """Bring weights back where they have to be."""
        if self._forbidden is not None:
            _remove(weights["W_enc"], self._forbidden)
        if self._recipe.decoder_norm == "unit":
            F.normalize(weights["W_dec"], dim=-1, out=weights["W_dec"])


def _remove(rows: Float[Tensor, "feature neuron"], direction: Float[Tensor, " neuron"]) -> None:
    """Make rows orthogonal to a direction of norm 1."""
    rows.addr_(rows @ direction, direction, alpha=-1)
