"""The neuron-embedding loss of document S3 (section 3.3.2, S3.M4): each feature shall answer to one thing.

The neuron embedding of an input z for a feature is z ⊙ w, with z = x − b_dec as it enters the encoder and w the
feature's encoder row. Each feature keeps a running mean z̄ of the inputs that it was active on, and every active entry
pays weight · (1 − cos(z̄ ⊙ w, z ⊙ w)). Inputs and means are constants of the loss: only w follows it.

With u = w² (by elements) the cosine is (z · (u ⊙ z̄)) / √((z̄² · u) (z² · u)), so two products over the active entries
give all of them and two more the gradient; no array of entries and inputs is made.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polysem.params.recipes.base import Recipe
from polysem.saes.entries import Entries
from polysem.saes.gradients import Gradients
from polysem.saes.losses import Term, Weights
from polysem.saes.readings import Scalar, reading

EMBEDDING = Term("neuron-embedding loss per token", "squared activation")


class EmbeddingLoss:
    """The running means of a training, and the loss that they make.

    They follow every active entry from the first step on, in the order of the rows; the loss counts from the recipe's
    `embedding_loss_from`.
    """

    def __init__(self, recipe: Recipe, features: int, neurons: int, device: str) -> None:
        self._weight, self._from, self._momentum = (
            recipe.embedding_loss,
            recipe.embedding_loss_from,
            recipe.embedding_momentum,
        )
        self.mean: Float[Tensor, "feature neuron"] = torch.zeros(features, neurons, device=device)
        """Running mean of the inputs, 0 for features that were never active."""
        self.met: Bool[Tensor, " feature"] = torch.zeros(features, dtype=torch.bool, device=device)
        """Features that were active at least once."""

    def add_gradients(self, found: Gradients, x: Float[Tensor, "token neuron"], weights: Weights, step: int) -> Scalar:
        """Add the gradient by W_enc to those of a step, then let the means follow its entries; what is paid per token.

        The first step is 0.
        """
        z = x - weights["b_dec"]
        paid = self._pay(found, z, weights["W_enc"]) if step >= self._from else 0.0
        self._follow(found.active, z)
        return paid

    def _pay(
        self, found: Gradients, z: Float[Tensor, "token neuron"], W_enc: Float[Tensor, "feature neuron"]
    ) -> Scalar:
        active, mean, squares = found.active, self.mean, z.square()
        embedding = W_enc * mean
        # an embedding of norm 0 has cosine 0 with all others, and no slope
        of_mean = _inverse(embedding.square().sum(1))[:, None]
        of_input = _inverse(active.dots(squares, W_enc.square()))
        cosine = active.dots(z, embedding.mul_(W_enc).mul_(of_mean)).mul_(of_input)
        total = active.per_feature(cosine)

        # ∂cos/∂w = w ⊙ (2 z ⊙ z̄ / (|z̄ ⊙ w| |z ⊙ w|) − cos · (z̄² / |z̄ ⊙ w|² + z² / |z ⊙ w|²)), summed over entries
        slope = active.outer(of_input, z).mul_(2 * of_mean)
        slope.addcmul_(mean, total[:, None] * of_mean.square(), value=-1).mul_(mean)
        slope.sub_(active.outer(cosine.mul_(of_input).mul_(of_input), squares))
        found.by_weight["W_enc"].addcmul_(W_enc, slope, value=-self._weight / len(z))
        return self._weight * reading(((active.firings() - total) * self.met).sum()) / len(z)

    def _follow(self, active: Entries, z: Float[Tensor, "token neuron"]) -> None:
        """Let each mean take the inputs of its entries one after the other: mean ← m · mean + (1 − m) · z, from the
        first input ever.

        After k of them that is mᵏ mean + (1 − m) Σ mᵏ⁻ⁱ zᵢ.
        """
        momentum, firings = self._momentum, active.firings()
        new = torch.nonzero((firings > 0) & ~self.met).view(-1)
        if len(new):
            self.mean[new] = z[active.first_tokens(new)]
            self.met[new] = True
        taken = active.outer(active.recency(momentum), z)
        self.mean.mul_((momentum**firings)[:, None]).add_(taken, alpha=1 - momentum)

    def forget(self, features: Int[Tensor, " dead"]) -> None:
        """Start again for features that got new weights."""
        chosen = features.to(self.met.device)
        self.mean[chosen] = 0.0
        self.met[chosen] = False

    def state(self) -> dict[str, Any]:
        """Tensors for a checkpoint."""
        return {"mean": self.mean, "met": self.met}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.mean.copy_(state["mean"])
        self.met.copy_(state["met"])


def _inverse(squared_norm: Tensor) -> Tensor:
    """1 / √ of each, in place; 0 for 0."""
    return squared_norm.rsqrt_().nan_to_num_(posinf=0.0)
