"""What tokens with massive activations, and those that are left out, hold of the variance, and how it is explained
with and without them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from polysem.activations.left_out import LeftOut
from polysem.tables.parts.reconstruction import Reconstruction, ratio


@dataclass
class Massive:
    """Reconstructions of some tokens by themselves, beside that of all tokens that count."""

    rules: Sequence[LeftOut]
    """That of the site that is read, and that of the one that is reconstructed."""
    left_out: Reconstruction = field(default_factory=Reconstruction)
    """Of the tokens that are left out."""
    counted: Reconstruction = field(default_factory=Reconstruction)
    """Of those that are massive and count."""
    others: Reconstruction = field(default_factory=Reconstruction)
    """Of all others that count."""

    def add(
        self,
        read: Float[Tensor, "token neuron"],
        x: Float[Tensor, "token output"],
        f: Float[Tensor, "token feature"],
        x_hat: Float[Tensor, "token output"],
    ) -> None:
        """Add tokens that count, with what a dictionary reads of them, its features and its reconstructions."""
        if all(rule.how == "massive" for rule in self.rules):
            return
        own, written = self.rules
        massive = own.massive(read) | written.massive(x)
        for which, of in ((massive, self.counted), (~massive, self.others)):
            of.add(x[which], f[which], x_hat[which])

    def numbers(self, every: Reconstruction) -> dict[str, float]:
        """Shares of tokens and of variance, and explained variances, of those kinds of tokens that there are; `every`
        is the reconstruction of all tokens that count."""
        found: dict[str, float] = {}
        if self.left_out.tokens:
            spread = _within(self.left_out, every) + _within(every, self.left_out)
            found["left_out_share"] = self.left_out.tokens / (self.left_out.tokens + every.tokens)
            found["left_out_variance_share"] = ratio(_within(self.left_out, every), spread)
            found["explained_variance_with_left_out"] = 1 - ratio(self.left_out.error + every.error, spread)
        if self.counted.tokens:
            spread = _within(self.counted, self.others) + _within(self.others, self.counted)
            found["massive_share"] = self.counted.tokens / every.tokens
            found["massive_variance_share"] = ratio(_within(self.counted, self.others), spread)
            found["explained_variance_without_massive"] = self.others.explained_variance
        return found


def _within(own: Reconstruction, other: Reconstruction) -> float:
    """Squared distances of some tokens from the mean of these and others, summed."""
    total = own.tokens + other.tokens
    if not (own.tokens and other.tokens):
        return own.spread
    apart = float((other.mean - own.mean).square().sum())
    return own.spread + own.tokens * (other.tokens / total) ** 2 * apart
