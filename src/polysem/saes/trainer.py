"""Training of a sparse autoencoder or a transcoder, one step at a time."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.numerics.torch_private import Adam
from polysem.params.recipes.base import Recipe
from polysem.saes.architecture import Architecture
from polysem.saes.constraints import ENCODER, Constraints
from polysem.saes.dead_features import (
    ENCODER_NORM,
    Census,
    poorly_reconstructed,
    random_directions,
    replace_features,
)
from polysem.saes.embedding_loss import EMBEDDING, EmbeddingLoss
from polysem.saes.gradients import AUXILIARY, Gradients, auxiliary_gradients
from polysem.saes.losses import BaseLoss, Term
from polysem.saes.readings import read, reading
from polysem.saes.row_source import RowSource
from polysem.saes.sae import SAE
from polysem.saes.scales import activation_scale
from polysem.saes.transcoding import Transcoding

SAMPLE = 16_384
"""Rows from which the scale of the activations and the first b_dec are taken."""
BLOCK = 8192
"""Rows at a time, where a loss is measured outside of a step."""
LOSS = Term("loss per token", "squared activation")
STEP_TERMS = {
    "learning_rate": Term("learning rate", "1"),
    "coefficient": Term("weight of the sparsity penalty that target_l0 steers", "1"),
    "L0": Term("active features per token", "1"),
    "explained_variance": Term("share of the batch's variance explained", "1"),
}
"""What every step tells beside the terms of its loss; the coefficient where the loss has one."""


class Trainer:
    """The state of a training: weights, optimiser, counts of firings and the number of steps done.

    `weights` are for activations times `scale`; `W_enc` and `W_dec` are both [feature, neuron], and the same tensor
    where they are tied. Those of a transcoder are as `polysem.saes.transcoding` says.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: RowSource,
        forbidden: Float[Tensor, " neuron"] | None = None,
        device: str = "cpu",
    ) -> None:
        """`forbidden` is a direction that the encoder stays orthogonal to (`orthogonal_to`)."""
        self.steps = max(1, recipe.tokens // recipe.batch_size)
        self.step = 0
        self.device = device
        self._architecture, self._recipe, self._source = Architecture(recipe), recipe, source
        self._loss = self._architecture.loss
        sample = source.sample(SAMPLE, recipe.seed)
        self._transcoding = (
            None if recipe.target is None else Transcoding(self._architecture, recipe, source.width, sample, device)
        )
        if self._transcoding is None:
            self.scale = activation_scale(sample) if recipe.normalize_activations else 1.0
            self.weights = new_weights(sample * self.scale, recipe, self._loss, device)
        else:
            self.scale, self.weights = self._transcoding.scale, self._transcoding.new_weights(sample)
        self._constraints = Constraints(recipe, None if forbidden is None else forbidden.to(device))
        self._constraints.start(self.weights)
        self._trained = {name: tensor for name, tensor in self.weights.items() if not (recipe.tied and name == "W_enc")}
        self._optimiser = Adam(
            list(self._trained.values()),
            betas=(recipe.beta1, recipe.beta2),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self.features = len(self.weights["b_enc"])
        self._census = Census(recipe, self.features, self.steps, device)
        self._embedding = EmbeddingLoss(recipe, self.features, source.width, device) if recipe.embedding_loss else None
        self._fired = torch.zeros(self.features, dtype=torch.int64, device=device)
        self._watched = 0
        self.replaced = 0
        """Dead features that got new weights so far."""

    @property
    def terms(self) -> dict[str, Term]:
        """Names and units of what `advance` tells, in this order."""
        recipe, steered = self._recipe, self._loss.coefficient is not None
        others = {"auxiliary": AUXILIARY} if recipe.dead_features == "auxk" else {}
        others |= {"embedding": EMBEDDING} if self._embedding is not None else {}
        others |= {"encoder": ENCODER} if recipe.encoder_l1 or recipe.encoder_l2 else {}
        told = {name: term for name, term in STEP_TERMS.items() if steered or name != "coefficient"}
        return {"loss": LOSS, **self._loss.TERMS, **others, **told}

    def advance(self) -> tuple[dict[str, float], Gradients]:
        """One step on the next batch; the terms of its loss, per token, and what the step saw.

        Raises FloatingPointError if the loss is no longer finite or no feature is active.
        """
        recipe = self._recipe
        before = self.step / self.steps
        rate = recipe.learning_rate * rate_factor(recipe, before)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        x, wanted = self._rows(self._source.batch(self.step))
        self._loss.begin(self.weights, before)
        found = self._gradients(x, wanted)
        if recipe.dead_features == "auxk":
            found.terms["auxiliary"] = auxiliary_gradients(
                found, x, self.weights, self._census.dead, recipe.auxk, recipe.auxk_weight
            )
        if recipe.encoder_l1 or recipe.encoder_l2:
            found.terms["encoder"] = self._constraints.add_encoder_penalty(self.weights, found.by_weight)
        if self._embedding is not None:
            found.terms["embedding"] = self._embedding.add_gradients(found, x, self.weights, self.step)
        variance = reading((wanted - wanted.mean(0)).norm(dim=1).square().mean())
        told = read({**found.terms, "L0": found.active.count() / len(x), "variance": variance})
        variance, l0 = told.pop("variance"), told.pop("L0")
        terms = {"loss": sum(told.values()), **told, "learning_rate": rate, "L0": l0}
        if self._loss.coefficient is not None:
            terms["coefficient"] = self._loss.coefficient
        self._loss.see(terms["L0"], before)
        self._refuse_failure(terms)
        self._constraints.before_step(self.weights, found.by_weight)
        for name, tensor in self._trained.items():
            tensor.grad = found.by_weight[name]
        self._optimiser.step()
        self._constraints.after_step(self.weights)
        self.step += 1
        self._count(found, len(x))
        terms["explained_variance"] = 1 - terms["squared_error"] / variance if variance else math.nan
        return terms, found

    def _rows(self, rows: Tensor) -> tuple[Float[Tensor, "row neuron"], Float[Tensor, "row output"]]:
        """Rows of the source, as the training sees them, and what it predicts from them: an SAE these very rows."""
        if self._transcoding is not None:
            return self._transcoding.rows(self._placed(rows))
        x = self._placed(rows).mul_(self.scale)
        return x, x

    def _placed(self, rows: Tensor) -> Float[Tensor, "row column"]:
        """Rows on the device. What goes to a card is locked in memory first, so that Python does not wait for the copy,
        and becomes float32 there: half of the bytes go, if rows are float16."""
        if self.device == "cuda" and not rows.is_cuda:
            rows = rows.pin_memory().to(self.device, non_blocking=True)
        return rows.float()

    def _gradients(self, x: Tensor, wanted: Tensor) -> Gradients:
        gradients = self._architecture.gradients if self._transcoding is None else self._transcoding.gradients
        return gradients(x, wanted, self._constraints.seen(self.weights))

    def _refuse_failure(self, terms: dict[str, float]) -> None:
        if not math.isfinite(terms["loss"]):
            raise FloatingPointError(
                f"the loss is {terms['loss']} at step {self.step}; lower the recipe's learning_rate "
                f"(now {self._recipe.learning_rate:g}) or set clip_norm"
            )
        if not terms["L0"] and self.step:
            key = next((key for key in ("l1", "l0") if getattr(self._recipe, key, None) is not None), "learning_rate")
            raise FloatingPointError(
                f"no feature is active on any token of step {self.step}: all are dead; lower the recipe's {key} "
                f"(now {getattr(self._recipe, key):g})"
            )

    def _count(self, found: Gradients, tokens: int) -> None:
        if 2 * self.step > self.steps:
            self._fired += found.active.firings()
            self._watched += tokens
        if self._recipe.dead_features == "none":
            return
        if self._census.take(self.step, found.active, tokens) and self._census.replaces(self.step):
            self._replace(self._census.dead.cpu())

    def _replace(self, dead: Tensor) -> None:
        if not len(dead):
            return
        generator = torch.Generator().manual_seed(self._recipe.seed * 1_000_003 + self.step)
        W_enc = self.weights["W_enc"]
        if self._recipe.dead_features == "reinitialise":
            start = self._recipe.first_decoder_norm
            directions = random_directions(len(dead), W_enc.shape[1], generator) * start
            norm = self._recipe.encoder_start / start
        else:
            x, loss = self._measured(self._recipe.dead_tokens)
            directions = poorly_reconstructed(x, loss, self.weights["b_dec"], len(dead), generator)
            living = torch.ones(self.features, dtype=torch.bool)
            living[dead] = False
            norms = W_enc.norm(dim=1)[living.to(W_enc.device)]
            norm = ENCODER_NORM * float(norms.mean()) if len(norms) else 1.0
        replace_features(self.weights, self._optimiser, dead, directions, norm)
        self._constraints.after_step(self.weights)
        if self._embedding is not None:
            self._embedding.forget(dead)
        self.replaced += len(dead)

    def _measured(self, count: int) -> tuple[Float[Tensor, "row neuron"], Float[Tensor, " row"]]:
        """Random rows and the squared error of each."""
        x = self._source.sample(count, self._recipe.seed + self.step).to(self.device).mul_(self.scale)
        self._loss.begin(self.weights, 1.0)
        seen = self._constraints.seen(self.weights)
        parts = [self._architecture.gradients(block, block, seen).residual for block in x.split(BLOCK)]
        return x, torch.cat([residual.square().sum(-1) for residual in parts])

    def finished(self) -> SAE:
        """The SAE, or transcoder, for activations as they are: the scale is folded in. So are free norms of decoder
        rows, where each feature may have a scale of its own: they are 1 then.

        With x' = s x, f' = activation((x' − b_dec) W_enc + b_enc) is s times the feature of the unscaled x, because the
        activation functions scale with their tensors; so only biases and thresholds are divided by s.
        """
        weights, factor = {name: tensor.cpu() for name, tensor in self.weights.items()}, 1 / self.scale
        sample, _ = self._rows(self._source.sample(SAMPLE, self._recipe.seed))
        function, norm = self._architecture.function(weights, sample.cpu()), self._folded_norms().cpu()
        if function.elementwise:
            function = function.scaled(norm)
        if self._transcoding is not None:
            return self._transcoding.finished(weights, function, norm)
        return SAE(
            W_enc=(weights["W_enc"] * norm[:, None]).T.contiguous(),
            b_enc=weights["b_enc"] * norm * factor,
            W_dec=weights["W_dec"] / norm[:, None],
            b_dec=weights["b_dec"] * factor,
            activation=function.scaled(factor),
        )

    def encoder(self) -> tuple[Float[Tensor, "feature neuron"], Float[Tensor, " feature"]]:
        """Encoder rows and biases as the finished SAE has them, but for the scale of the activations."""
        norm = self._folded_norms()
        return self.weights["W_enc"] * norm[:, None], self.weights["b_enc"] * norm

    def _folded_norms(self) -> Float[Tensor, " feature"]:
        """Norms of decoder rows that go into the encoder in the end; 1 for those that stay."""
        norm = self.weights["W_dec"].norm(dim=1)
        folds = self._recipe.decoder_norm == "free" and not self._recipe.tied
        if not folds or not self._architecture.elementwise:
            return torch.ones_like(norm)
        return torch.where(norm > 0, norm, 1.0)

    def frequency(self) -> Float[Tensor, " feature"]:
        """Share of tokens on which each feature was active, over the second half of training."""
        return self._fired.cpu().double() / max(1, self._watched)

    def state(self) -> dict[str, Any]:
        """Everything that another process needs to go on."""
        return {
            "step": self.step,
            "weights": {name: tensor.detach() for name, tensor in self._trained.items()},
            "optimiser": self._optimiser.state_dict(),
            "loss": self._loss.state(),
            "census": self._census.state(),
            "fired": self._fired,
            "watched": self._watched,
            "replaced": self.replaced,
            "embedding": None if self._embedding is None else self._embedding.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where another process stopped."""
        self.step, self._watched, self.replaced = state["step"], state["watched"], state["replaced"]
        self._fired.copy_(state["fired"])
        for name, tensor in self._trained.items():
            tensor.copy_(state["weights"][name])
        self._optimiser.load_state_dict(state["optimiser"])
        self._loss.load_state(state["loss"])
        self._census.load_state(state["census"])
        if self._embedding is not None:
            self._embedding.load_state(state["embedding"])


def new_weights(
    sample: Float[Tensor, "row neuron"], recipe: Recipe, loss: BaseLoss, device: str = "cpu"
) -> dict[str, Tensor]:
    """Random decoder rows, encoder rows along them, b_dec the mean of the sample, b_enc 0; with `start: independent`
    encoder rows that are random, too, and b_dec 0.

    `W_enc` and `W_dec` are both [feature, neuron].
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    neurons = sample.shape[1]
    directions = random_directions(recipe.expansion * neurons, neurons, generator).to(device)
    W_dec = directions * recipe.first_decoder_norm
    b_dec = sample.mean(0).to(device)
    if recipe.start == "independent":
        directions = random_directions(recipe.expansion * neurons, neurons, generator).to(device)
        b_dec.zero_()
    W_enc = W_dec if recipe.tied else directions * recipe.encoder_start
    weights = {"W_enc": W_enc, "b_enc": torch.zeros(len(W_dec), device=device), "W_dec": W_dec, "b_dec": b_dec}
    return weights | {name: tensor.to(device) for name, tensor in loss.extra_weights(len(W_dec)).items()}


def products_of(recipe: Recipe) -> str:
    """Number format of the products of matrices of a training on a GPU: weights and sums are float32 in any case, and a
    loss that autograd differentiates has all in float32. On a CPU all is."""
    return "float32" if Architecture(recipe).fast is None else "bfloat16"


def rate_factor(recipe: Recipe, progress: float) -> float:
    """Learning rate as a share of its maximum: a linear rise over `warmup`, a linear fall over the last `decay`."""
    rise = (progress + 1e-3) / recipe.warmup if recipe.warmup else 1.0
    fall = (1 - progress) / recipe.decay if recipe.decay else 1.0
    return min(1.0, rise, fall)
