"""What features do on a few texts, exactly, from weights that stay where they are mapped.

A search for the strongest features of a text needs all pre-activations roughly and few exactly. The dense product gives
bounds of each feature's largest activation; the features that can be among the strongest are scored again by inner
products in float32, whose bits depend on nothing but the token and the feature. So a result is the same whichever
product this machine is fastest with, and whatever texts are looked at together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.saes.entries import SparseEntries
from polysem.saes.products import FLOAT32, PRODUCTS, Product, fastest
from polysem.saes.sae import SAE, ActivationFunction, normalized
from polysem.saes.search import Largest

BLOCK = 1 << 24
"""Pre-activations of a block, at most: 64 MiB."""
ROUNDING = 2.0**-21
"""Relative error of a number after some roundings, with room to spare."""

Rows = Int[Tensor, " row"]
Bounds = Float[Tensor, "text feature"]


class Reading(Protocol):
    """A dictionary on some tokens."""

    def largest(self, texts: Sequence[Rows]) -> tuple[Bounds, Bounds]:
        """What the largest activation of each feature on some tokens of each text is at least, and at most."""

    def activations(self, rows: Rows, features: Int[Tensor, " chosen"]) -> Float[Tensor, "row chosen"]:
        """Activations of some features on some tokens, exactly."""


class Encoder(Protocol):
    """A dictionary, as far as it tells features from activations."""

    @property
    def features(self) -> int:
        """Number of features."""

    def read(self, x: Float[Tensor, "token neuron"]) -> Reading:
        """The dictionary on some tokens; nothing is computed yet."""


@dataclass(frozen=True)
class NeuronEncoder:
    """The identity dictionary."""

    features: int

    def read(self, x: Float[Tensor, "token neuron"]) -> "NeuronReading":
        """See `Encoder.read`."""
        return NeuronReading(x)


@dataclass(frozen=True)
class NeuronReading:
    """The neurons on some tokens."""

    x: Float[Tensor, "token neuron"]

    def largest(self, texts: Sequence[Rows]) -> tuple[Bounds, Bounds]:
        """See `Reading.largest`."""
        found = torch.stack([self.x[rows].amax(0) for rows in texts])
        return found, found

    def activations(self, rows: Rows, features: Int[Tensor, " chosen"]) -> Float[Tensor, "row chosen"]:
        """See `Reading.activations`."""
        return self.x[rows][:, features]


@dataclass(frozen=True)
class SaeEncoder:
    """An SAE or a transcoder without its decoder."""

    W_enc: Float[Tensor, "neuron feature"]
    bias: Float[Tensor, " feature"]
    """Of activations as they are: with the centre folded in."""
    activation: ActivationFunction
    normalization: str
    error: Float[Tensor, " feature"]
    """How far the dense product and an inner product can be apart, in units of a token's norm."""

    @classmethod
    def of(cls, sae: SAE) -> "SaeEncoder":
        """The encoder of an SAE; its weights are not copied."""
        return cls(sae.W_enc, sae.encoder_bias, sae.activation, sae.normalization, FLOAT32.error(sae.W_enc.T))

    @property
    def features(self) -> int:
        """Number of features."""
        return self.W_enc.shape[1]

    def read(self, x: Float[Tensor, "token neuron"]) -> Reading:
        """See `Encoder.read`."""
        normal, _, _ = normalized(x, self.normalization)
        rule = self.activation.rule()
        return TopKReading(self, normal, rule) if isinstance(rule, Largest) else ElementwiseReading(self, normal)

    def pre(self, x: Float[Tensor, "token neuron"]) -> Float[Tensor, "token feature"]:
        """Pre-activations by the product that this machine is fastest with."""
        return _product().of(x, self.W_enc.T, self.bias)

    def slack(self, x: Float[Tensor, "token neuron"]) -> Float[Tensor, " feature"]:
        """How far pre-activations of any of some tokens, and what they are exactly, can be apart."""
        return x.norm(dim=1).max() * self.error + ROUNDING * self.bias.abs()

    def columns(self, features: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen neuron"]:
        """Weights of some features. Those of a neuron lie together, so they are gathered neuron by neuron."""
        return self.W_enc.index_select(1, features).T.contiguous()


def _product() -> Product:
    return fastest([product for product in PRODUCTS.values() if product.dtype == torch.float32])


@dataclass(frozen=True)
class ElementwiseReading:
    """An SAE in which a feature's activation grows with its own pre-activation and depends on nothing else."""

    encoder: SaeEncoder
    x: Float[Tensor, "token neuron"]

    def largest(self, texts: Sequence[Rows]) -> tuple[Bounds, Bounds]:
        """See `Reading.largest`."""
        encoder, rows = self.encoder, torch.cat(list(texts))
        ends = torch.tensor([len(one) for one in texts]).cumsum(0).tolist()
        most = torch.full((len(texts), encoder.features), -torch.finfo().max)
        step = max(1, BLOCK // encoder.features)
        for start in range(0, len(rows), step):
            pre = encoder.pre(self.x[rows[start : start + step]])
            first = 0
            for text, end in enumerate(ends):
                part = pre[max(first - start, 0) : max(end - start, 0)]
                if len(part):
                    torch.maximum(most[text], part.amax(0), out=most[text])
                first = end
        slack = torch.stack([encoder.slack(self.x[one]) for one in texts]) + ROUNDING * most.abs()
        return encoder.activation(most - slack), encoder.activation(most + slack)

    def activations(self, rows: Rows, features: Int[Tensor, " chosen"]) -> Float[Tensor, "row chosen"]:
        """See `Reading.activations`."""
        encoder = self.encoder
        pre = inner_products(self.x[rows], encoder.columns(features)) + encoder.bias[features]
        floor = encoder.activation.rule().floor
        active = pre > (0 if floor is None else floor[features])
        found = encoder.activation.of_active(pre.view(-1), features.repeat(len(rows)))
        return torch.where(active, found.view(pre.shape), 0.0)


@dataclass(frozen=True)
class TopKReading:
    """An SAE in which the largest pre-activations of a token are active."""

    encoder: SaeEncoder
    x: Float[Tensor, "token neuron"]
    rule: Largest

    def largest(self, texts: Sequence[Rows]) -> tuple[Bounds, Bounds]:
        """See `Reading.largest`."""
        entries, most = self._active, torch.zeros(len(texts), self.encoder.features)
        for text, rows in enumerate(texts):
            chosen = torch.isin(entries.row, rows)
            most[text].scatter_reduce_(0, entries.feature[chosen], entries.value[chosen], "amax")
        return most, most

    def activations(self, rows: Rows, features: Int[Tensor, " chosen"]) -> Float[Tensor, "row chosen"]:
        """See `Reading.activations`."""
        entries = self._active
        place = torch.full((len(self.x),), -1)
        place[rows] = torch.arange(len(rows))
        column = torch.full((self.encoder.features,), -1)
        column[features] = torch.arange(len(features))
        row, chosen = place[entries.row], column[entries.feature]
        wanted = (row >= 0) & (chosen >= 0)
        found = torch.zeros(len(rows), len(features))
        found[row[wanted], chosen[wanted]] = entries.value[wanted]
        return found

    @cached_property
    def _active(self) -> SparseEntries:
        """All active entries, exactly. The bound of a token is lowered by what its entries can be off, so that the
        active ones are among the candidates."""
        encoder, found = self.encoder, []
        step = max(1, BLOCK // encoder.features)
        for start in range(0, len(self.x), step):
            x = self.x[start : start + step]
            pre, slack = encoder.pre(x), encoder.slack(x)
            most = ROUNDING * pre.abs().amax(1, keepdim=True) + slack.amax()
            bound = (self.rule.bound(pre) - 2 * most).clamp_(min=0)
            row, feature = torch.nonzero(pre > bound - most, as_tuple=True)
            entries = SparseEntries(row, feature, torch.empty(0), (len(x), encoder.features))
            entries.value = _scored(entries, x, encoder)
            found.append(self.rule.trimmed(entries.keep(entries.value > 0), bound.view(-1)))
        rows = torch.cat([entries.row + step * number for number, entries in enumerate(found)])
        feature, value = (torch.cat([getattr(one, name) for one in found]) for name in ("feature", "value"))
        return SparseEntries(rows, feature, value, (len(self.x), encoder.features))


def _scored(entries: SparseEntries, x: Tensor, encoder: SaeEncoder) -> Float[Tensor, " entry"]:
    """Pre-activations of some entries, exactly."""
    features, column = torch.unique(entries.feature, return_inverse=True)
    narrow = SparseEntries(entries.row, column, torch.empty(0), (len(x), len(features)))
    return narrow.dots(x, encoder.columns(features)) + encoder.bias[entries.feature]


def inner_products(
    x: Float[Tensor, "token neuron"], rows: Float[Tensor, "chosen neuron"]
) -> Float[Tensor, "token chosen"]:
    """x rowsᵀ, each number with the same bits whatever stands beside it."""
    tokens, chosen = len(x), len(rows)
    row = torch.arange(tokens).repeat_interleave(chosen)
    entries = SparseEntries(row, torch.arange(chosen).repeat(tokens), torch.empty(0), (tokens, chosen))
    return entries.dots(x, rows).view(tokens, chosen)
