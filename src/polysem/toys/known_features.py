"""Rows that are sums of known directions (Sharkey et al. 2022, *Taking features out of superposition with sparse
autoencoders*)."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from polysem.params.toys import Toy


class KnownFeatures:
    """Known directions and how they become rows.

    Feature i is active with a probability ∝ decay^i, scaled so that `active` are on average. Where the set is
    correlated, each row multiplies these by 2 Φ(z), z normal with the correlations of a random Wishart matrix. Sizes of
    active features are uniform between `least` and `largest`. Where the set has a hierarchy, the first features are
    parents and the last ones children: on a share `child_chance` of the rows on which a parent is active, so is one of
    its children, and a child never is without its parent.
    """

    def __init__(self, toy: Toy) -> None:
        self._toy = toy
        generator = stream(toy.seed)  # a plain seed would give an SAE of the same seed the directions to begin with
        random = torch.randn(toy.features, toy.neurons, generator=generator)
        if toy.orthogonal:
            random = torch.linalg.qr(random.T).Q.T
        self.directions: Float[Tensor, "known neuron"] = F.normalize(random, dim=1)
        chances = toy.decay ** torch.arange(toy.roots, dtype=torch.float64)
        of_roots = (chances * (toy.active / chances.sum())).float()
        of_children = of_roots[: toy.parents].repeat_interleave(toy.children) * (toy.child_chance / (toy.children or 1))
        self.probability: Float[Tensor, " known"] = torch.cat([of_roots, of_children])
        mixing = torch.randn(toy.features, toy.features, generator=generator)
        self._mixing = F.normalize(mixing, dim=1)

    def rows(
        self, count: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "row neuron"], Float[Tensor, "row known"]]:
        """Rows, and the sizes of the features in them."""
        toy, shape = self._toy, (count, self._toy.features)
        probability = self.probability
        if toy.correlated:
            normal = torch.randn(shape, generator=generator) @ self._mixing.T
            probability = probability * 2 * torch.special.ndtr(normal)
        sizes = toy.least + (toy.largest - toy.least) * torch.rand(shape, generator=generator)
        active = torch.rand(shape, generator=generator) < probability
        if toy.children:
            active[:, toy.roots :] = self._children(active[:, : toy.parents], generator)
        sizes = torch.where(active, sizes, 0.0)
        return sizes @ self.directions, sizes

    def _children(self, parents: Bool[Tensor, "row parent"], generator: torch.Generator) -> Bool[Tensor, "row child"]:
        """Which children are active: one of those of an active parent, or none."""
        toy = self._toy
        place = torch.rand(parents.shape, generator=generator) * (toy.children / max(toy.child_chance, 1e-9))
        numbers = torch.arange(toy.children)
        return (parents[:, :, None] & (place[:, :, None].floor() == numbers)).flatten(1)


class KnownRows:
    """Rows for training, made as they are asked for; those of a step are a function of the seeds and of the step."""

    def __init__(self, known: KnownFeatures, toy: Toy, batch_size: int, seed: int) -> None:
        self._known, self._batch_size = known, batch_size
        self._seeds = (toy.seed, seed)
        self.width = toy.neurons
        self.receipt = {"toy": toy.rows()}

    def batch(self, step: int) -> Float[Tensor, "row neuron"]:
        """See `polysem.saes.row_source.RowSource.batch`."""
        return self._rows(self._batch_size, 0, step)

    def sample(self, count: int, seed: int) -> Float[Tensor, "row neuron"]:
        """See `polysem.saes.row_source.RowSource.sample`."""
        return self._rows(count, 1, seed)

    def _rows(self, count: int, *purpose: int) -> Float[Tensor, "row neuron"]:
        return self._known.rows(count, stream(*self._seeds, *purpose))[0]


def stream(*numbers: int) -> torch.Generator:
    """Random numbers of their own for each sequence of numbers; torch itself reads no more than 32 bits of a seed."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
