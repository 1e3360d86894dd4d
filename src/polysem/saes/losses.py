"""What the loss of an architecture is made of: plain torch, which autograd differentiates.

Loss per token: ‖x̂ − target‖² and what an architecture adds, with pre = (x − b_dec) W_encᵀ + b_enc, features f of the
pre-activations and x̂ = f W_dec + b_dec. All terms are means over tokens. The `Loss` of an architecture
(`polysem.saes.architectures`) puts them together; that is all that training needs.
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

Weights = dict[str, Tensor]
"""`W_enc` and `W_dec` [feature, neuron], `b_enc` [feature], `b_dec` [neuron], and what an architecture adds; besides,
`decoder_norm` [feature], the norms of W_dec, where penalties see f times the norm (`decoder_norm: free`). A transcoder
has `W_dec` [feature, output] and, in place of `b_dec`, `b_dec_out` [output]."""


@dataclass(frozen=True)
class Term:
    """What the history of a training says of a number that it keeps for every step."""

    long_name: str
    units: str


SQUARED_ERROR = Term("squared reconstruction error per token", "squared activation")
PENALTY = Term("sparsity penalty per token", "squared activation")


@dataclass(frozen=True)
class Forward:
    """What a loss makes of a batch."""

    features: Float[Tensor, "token feature"]
    """Activations, 0 where a feature is not active."""
    reconstruction: Float[Tensor, "token neuron"]
    """x̂."""
    terms: dict[str, Tensor]
    """Terms of the loss, means over tokens, which is their sum; `squared_error` is among them."""


class BaseLoss:
    """The loss of an architecture that adds no weights and keeps nothing between steps, where a subclass does not say
    otherwise. It is made from a recipe."""

    TERMS: ClassVar[dict[str, Term]] = {"squared_error": SQUARED_ERROR}
    """Names and units of the terms, for the history."""

    def __call__(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Forward:
        """The loss of a batch, whose features of x predict the target; it changes nothing."""
        raise NotImplementedError(f"{type(self).__module__}: a Loss needs __call__(x, target, weights)")

    @property
    def coefficient(self) -> float | None:
        """Weight of the sparsity penalty of this step, where it is steered."""
        return None

    def extra_weights(self, features: int) -> Weights:
        """Trainable tensors [feature] beside `W_enc`, `b_enc`, `W_dec`, `b_dec`, as they are at the start."""
        return {}

    def begin(self, weights: Weights, progress: float) -> None:
        """Before a step: what follows from the share of training that is done, and own weights that have to stay
        somewhere are brought back there, in place."""

    def see(self, l0: float, progress: float) -> None:
        """After a step: take its mean number of active features per token."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps beside the weights."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""


def pre_activations(x: Float[Tensor, "token neuron"], weights: Weights) -> Float[Tensor, "token feature"]:
    """(x − b_dec) W_encᵀ + b_enc; of a transcoder, whose input has no centre among the weights, x W_encᵀ + b_enc."""
    centred = x - weights["b_dec"] if "b_dec" in weights else x
    return centred @ weights["W_enc"].T + weights["b_enc"]


def decoded(f: Float[Tensor, "token feature"], weights: Weights) -> Float[Tensor, "token neuron"]:
    """f W_dec and the decoder's bias."""
    return f @ weights["W_dec"] + weights["b_dec" if "b_dec" in weights else "b_dec_out"]


def squared_error(
    reconstruction: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"]
) -> Float[Tensor, ""]:
    """‖x̂ − target‖², the mean over tokens."""
    return (reconstruction - target).square().sum(-1).mean()


def reconstructing(
    f: Float[Tensor, "token feature"],
    target: Float[Tensor, "token neuron"],
    weights: Weights,
    **terms: Float[Tensor, ""],
) -> Forward:
    """A loss of the squared error of f W_dec + b_dec, and other terms."""
    reconstruction = decoded(f, weights)
    return Forward(f, reconstruction, {"squared_error": squared_error(reconstruction, target), **terms})


def sizes(f: Float[Tensor, "token feature"], weights: Weights) -> Float[Tensor, "token feature"]:
    """What penalties see: f, or f · ‖W_dec‖ where the decoder's norms are free, so that it does not pay to shrink f and
    to grow the decoder."""
    return f * weights["decoder_norm"] if "decoder_norm" in weights else f


def decoder_norms(W_dec: Float[Tensor, "feature neuron"]) -> Float[Tensor, " feature"]:
    """Norms of the rows; those of rows that are 0 are tiny, so that they can be divided by."""
    return W_dec.norm(dim=1).clamp_min(1e-12)


def ramp(rise: float, fall: float, progress: float) -> float:
    """A factor that rises linearly from 0 over the first `rise` of training and falls to 0 over the last `fall`."""
    up = progress / rise if rise else 1.0
    down = (1 - progress) / fall if fall else 1.0
    return max(0.0, min(1.0, up, down))
