"""The one interface behind which all models sit (docs/design.md); nothing above `models/` asks which kind it has."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Replacement = Callable[[Float[Tensor, "sequence position neuron"]], Float[Tensor, "sequence position neuron"]]

Take = Callable[[str, Float[Tensor, "sequence position neuron"], Float[Tensor, "sequence position input"] | None], None]
"""What is done with the activations of a site, and with what enters its neurons."""


@dataclass(frozen=True)
class Batch:
    """Some sequences of a token store. An image is a sequence of one position."""

    inputs: Int[Tensor, "sequence position"] | Float[Tensor, "image pixel"]
    """What the model reads: token ids, or pixels in [0, 1]."""
    targets: Int[Tensor, "sequence position"]
    """What it should predict at each position: the next token, or the class of the image."""
    scored: Bool[Tensor, "sequence position"]
    """Positions whose prediction counts in the loss."""
    counted: Bool[Tensor, "sequence position"]
    """Positions whose activations count in stores and statistics; BOS and padding do not."""

    def part(self, start: int, stop: int) -> "Batch":
        """Sequences start … stop − 1 of the batch, at most up to its last one."""
        values = (self.inputs, self.targets, self.scored, self.counted)
        return Batch(*(value[start:stop] for value in values))

    def without_padding(self) -> "Batch":
        """The same without the positions at the end that neither count nor are scored in any sequence."""
        used = torch.nonzero((self.counted | self.scored).any(dim=0))
        width = int(used[-1]) + 1 if len(used) else 1
        if width == self.targets.shape[1]:
            return self
        values = (self.inputs, self.targets, self.scored, self.counted)
        return Batch(*(value[:, :width] for value in values))

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(*(value.to(device) for value in (self.inputs, self.targets, self.scored, self.counted)))


@dataclass(frozen=True)
class Evaluation:
    """How well a model predicts a batch."""

    losses: Float[Tensor, "sequence position"]
    """Cross-entropy in nats; 0 at positions that are not scored."""
    correct: Bool[Tensor, "sequence position"]
    """Whether the most likely prediction is the target; False at positions that are not scored."""


class Subject(ABC):
    """A model under study, loaded from its folder, in evaluation mode. Threads may share it: their calls wait for each
    other where they would disturb each other."""

    device: torch.device

    @property
    @abstractmethod
    def sites(self) -> Sequence[str]:
        """All sites at which activations can be read and replaced."""

    @abstractmethod
    def width(self, site: str) -> int:
        """Number of neurons of a site."""

    def activations(self, batch: Batch, sites: Sequence[str]) -> dict[str, Float[Tensor, "sequence position neuron"]]:
        """Activations at the sites; the forward pass is left at the last of them, before any unembedding."""
        found: dict[str, Tensor] = {}
        self.visit(batch, sites, lambda site, x, _: found.update({site: x}))
        return found

    @abstractmethod
    def visit(self, batch: Batch, sites: Sequence[str], take: Take, *, inputs: bool = False) -> None:
        """One forward pass, left at the last of the sites, before any unembedding. As soon as it has the activations of
        a site, `take` gets the name of the site and these, so that no others need be held meanwhile; with `inputs` also
        what the site's `input_weights` multiply, None where it has no such weights. A neuron's pre-activation is the
        inner product of both, and its bias. InputError for a site that the model lacks."""

    @abstractmethod
    def evaluate(self, batch: Batch, replacements: Mapping[str, Replacement] | None = None) -> Evaluation:
        """Loss and hits at every position, with the activations of some sites replaced."""

    @abstractmethod
    def log_probabilities(
        self,
        batch: Batch,
        replacements: Mapping[str, Replacement] | None = None,
        copies: int = 1,
        at: Int[Tensor, "sequence wanted"] | None = None,
    ) -> Float[Tensor, "sequence position outcome"]:
        """Log-probability in nats of every token, or class, behind each position, with the activations of some sites
        replaced; with `at`, behind these positions of each sequence, or of each copy, and no others.

        With `copies`, every sequence is there as often, its copies one after the other. Replacements see them all, so
        that each may get other activations. Of a single sequence, what lies before the first block of a replaced site
        is computed once, in models in which that can be done.
        """

    def next_log_probabilities(
        self, batch: Batch, replacements: Mapping[str, Replacement] | None = None, copies: int = 1
    ) -> Float[Tensor, "sequence outcome"]:
        """What `log_probabilities` gives at the last position. Replacements see all positions."""
        last = torch.full((copies * len(batch.targets), 1), batch.targets.shape[1] - 1, device=self.device)
        return self.log_probabilities(batch, replacements, copies, last)[:, 0]

    @abstractmethod
    def input_weights(self, site: str) -> Float[Tensor, "neuron input"] | None:
        """Weights into each neuron of a site (the gate's, for gated MLPs); None where the site has none."""

    def reads_gate(self, site: str) -> bool:
        """Whether the `input_weights` of a site are those of a gate."""
        return False

    def pixel_responses(self, site: str) -> Float[Tensor, "image neuron"] | None:
        """Activations for images in which one pixel is 1 and all others 0, one image for each pixel, and for the blank
        image behind them; None of a model that reads no images."""
        return None

    @abstractmethod
    def output_weights(self, site: str) -> Float[Tensor, "neuron output"] | None:
        """Weights out of each neuron of a site; None where the site has none."""

    @abstractmethod
    def logit_directions(self, site: str) -> Float[Tensor, "neuron token"] | None:
        """Direct-path effect of each neuron of a site on the logits; None where there is no such path."""

    def unembedding(self) -> Float[Tensor, "residual token"] | None:
        """What a direction of the residual stream adds to the logits, the final norm's gain and centring included.

        The norm divides by the size of its input, so that this is exact up to a positive factor of each position. None
        where there is no residual stream.
        """
        return None

    def modules(self, site: str) -> dict[str, list[str]]:
        """By hook of the site's block: names that transformers has for modules whose output stands there, with `*` for
        the number of the block."""
        return {}

    def path_notes(self, sites: Sequence[str]) -> dict[str, str]:
        """What the weights on the way from some sites to the logits hold and leave out, as sentences by key."""
        return {"final_norm": "no norm between the site and the logits"}

    def writes_to_residual(self, site: str) -> bool:
        """Whether the activations of a site are a vector of the residual stream, or added to it as they are."""
        return False


def at_positions(
    values: Float[Tensor, "sequence position column"], at: Int[Tensor, "sequence wanted"]
) -> Float[Tensor, "sequence wanted column"]:
    """The rows of some positions of each sequence."""
    return values[torch.arange(len(values), device=values.device)[:, None], at.to(values.device)]
