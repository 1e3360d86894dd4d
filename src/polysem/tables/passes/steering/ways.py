"""S1.F5: a feature and the baselines that are held against it, each as an edit of rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.activations.left_out import LeftOut
from polysem.activations.rows import ActivationRows
from polysem.interventions.edits import Edit
from polysem.interventions.generation import Steered
from polysem.saes.dictionary import Dictionary, Neurons
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.steering.choice import Candidates, Chosen

WAYS = ("feature", "random", "means", "neuron", "prompt", "unsteered")
"""The feature; a random direction, and the difference of means of a tag, in its place; the tag's best neuron; a prompt
with the tag, and the same prompts as the feature's, with nothing edited."""
EDITED = WAYS[:4]
MEASURED = "measured"
NO_TAG = "it is about no tag that is recognised"
NO_NEURON = "no neuron is active on the tag"
NO_MEANS = "no activations are stored where it is edited"
NO_CONTRAST = "all stored tokens carry the tag, or none does"
NO_TEXT = "no eval text carries the tag"
CONTRAST = 65_536
"""Stored tokens over which means are taken."""


@dataclass(frozen=True)
class Pushed:
    """What a feature is set to along some direction, or a neuron to."""

    site: str
    dictionary: Dictionary
    feature: int
    maximum: float
    direction: Float[np.ndarray, " output"]
    """What is added for each unit of activation."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """By site, which tokens are left out there and not edited."""

    @property
    def norm(self) -> float:
        """Norm of what is added at the maximum to where the feature is not active."""
        return self.maximum * float(np.linalg.norm(self.direction))


def ways_of(
    chosen: Chosen, neurons: Candidates, means: Mapping[str, NDArray[np.float64] | str], seed: int
) -> dict[str, Pushed | str]:
    """How a feature and its baselines are edited, or why one is not.

    A random direction and the difference of means have the length of the decoder row, and the feature's own
    activation says how far to go along them: what is added has the norm of what is added for the feature. `neurons`
    are those of the site, `means` the differences of means, or why there is none, by tag.
    """
    of = chosen.of
    decoder = of.dictionary.decoder()[chosen.feature].float().cpu().numpy().astype(np.float64)

    def along(direction: NDArray[np.float64]) -> Pushed:
        unit = direction / np.linalg.norm(direction)
        added = unit * np.linalg.norm(decoder)
        return Pushed(of.site, of.dictionary, chosen.feature, chosen.maximum, added, of.left_out)

    key = sha256("\0".join([str(seed), of.site, of.name, str(chosen.feature)]).encode()).digest()
    drawn = np.random.default_rng(int.from_bytes(key[:8])).standard_normal(len(decoder))
    found: dict[str, Pushed | str] = {
        "feature": Pushed(of.site, of.dictionary, chosen.feature, chosen.maximum, decoder, of.left_out),
        "random": along(drawn),
        "means": NO_TAG,
        "neuron": NO_TAG,
    }
    if chosen.tag:
        difference = means[chosen.tag]
        found["means"] = difference if isinstance(difference, str) else along(difference)
        neuron, _ = neurons.best_of(chosen.tag)
        found["neuron"] = NO_NEURON if neuron < 0 else pushed_neuron(neurons, neuron)
    return found


def pushed_neuron(neurons: Candidates, neuron: int) -> Pushed:
    """A neuron set to its own maximum."""
    width = neurons.dictionary.features
    axis, maximum = np.eye(1, width, neuron)[0], float(neurons.maximum[neuron])
    return Pushed(neurons.site, Neurons(width), neuron, maximum, axis, neurons.left_out)


def difference_of_means(
    rows: ActivationRows | None, tags: TokenTags, wanted: Collection[str]
) -> dict[str, NDArray[np.float64] | str]:
    """Mean activation of the tokens with a tag less that of those without, [neuron], by tag; or why there is none."""
    if rows is None:
        return dict.fromkeys(wanted, NO_MEANS)
    names = sorted(wanted)
    numbers = [tags.names.index(tag) for tag in names]
    sums, total = np.zeros((len(names), rows.width)), np.zeros(rows.width)
    counts, tokens = np.zeros(len(names)), min(rows.length, CONTRAST)
    for start in range(0, tokens, 8192):
        stop = min(start + 8192, tokens)
        x = rows.slice(start, stop)
        carried = tags.at(*rows.places(start, stop))[:, numbers]
        sums += carried.T.astype(np.float32) @ x
        total += x.sum(axis=0, dtype=np.float64)
        counts += carried.sum(axis=0)
    found: dict[str, NDArray[np.float64] | str] = {}
    for tag, own, count in zip(names, sums, counts, strict=True):
        difference = own / max(count, 1) - (total - own) / max(tokens - count, 1)
        found[tag] = difference if 0 < count < tokens and np.any(difference) else NO_CONTRAST
    return found


def steered(rows: Sequence[tuple[int, Pushed, float]], device: torch.device) -> Iterator[Steered]:
    """The edits of some rows, each (number, what is pushed, dose): those of one dictionary together."""
    by_dictionary: dict[tuple[str, object], list[tuple[int, Pushed, float]]] = {}
    for row in rows:
        pushed = row[1]
        same = Neurons if isinstance(pushed.dictionary, Neurons) else id(pushed.dictionary)
        by_dictionary.setdefault((pushed.site, same), []).append(row)
    for own in by_dictionary.values():
        first = own[0][1]
        edit = Edit(
            torch.tensor([[pushed.feature] for _, pushed, _ in own], device=device),
            "set",
            torch.tensor([[dose * pushed.maximum] for _, pushed, dose in own], dtype=torch.float32, device=device),
            directions=torch.tensor(
                np.stack([pushed.direction[None] for _, pushed, _ in own]), dtype=torch.float32, device=device
            ),
            left_out=first.left_out,
        )
        yield Steered(np.array([number for number, _, _ in own]), first.site, first.dictionary, edit)
