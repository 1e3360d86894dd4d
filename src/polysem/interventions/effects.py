"""What it does to a model's predictions when something is taken away from activations at a token.

Each removal is an edit of its own, and many are computed together. Where everything behind a site goes token by token,
as behind the attention of the last block, tokens of any contexts make one batch (`by_token`); elsewhere a context is
there as often as there are removals in it (`by_context`). Source: document S1, "Feature ablations".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polysem.interventions.edits import ablation, added
from polysem.io.shards import ROWS_PER_CHUNK
from polysem.models.batches import TokenStore
from polysem.models.subject import Batch, Replacement, Subject
from polysem.models.text import token_batch
from polysem.saes.dictionary import Dictionary

STATE = ("hook_resid_pre", "hook_attn_out")
"""Of a block: what all that follows its attention is made of, at each token."""
BEHIND_ATTENTION = ("hook_resid_mid", "mlp.hook_in", "mlp.hook_pre", "mlp.hook_post", "hook_mlp_out", "hook_resid_post")
"""Hooks of a block that stand behind its attention."""
NUMBERS = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Log-probabilities that are computed together: 2 MiB on a CPU, which its caches hold, 256 MiB on a GPU."""
READ_TOKENS = 4096
"""Tokens of a pass that reads activations."""
SAME = 1e-3
"""Between log-probabilities that are computed in two ways; a token that reads others differs by far more."""


@dataclass(frozen=True)
class Places:
    """Tokens of a token store; an image is a sequence of one."""

    sequence: Int[np.ndarray, " place"]
    position: Int[np.ndarray, " place"]

    def __getitem__(self, chosen: Int[np.ndarray, " chosen"] | slice) -> "Places":
        """Some of them."""
        return Places(self.sequence[chosen], self.position[chosen])

    @property
    def key(self) -> Int[np.ndarray, " place"]:
        """A number for each token, in the order of the store."""
        return (self.sequence.astype(np.int64) << 32) + self.position

    def unique(self) -> "Places":
        """Each token once, in the order of the store."""
        key = np.unique(self.key)
        return Places(key >> 32, key & 0xFFFFFFFF)


@dataclass(frozen=True)
class Removals:
    """Edits that each take an activation times a direction away at one token."""

    places: Places
    activation: Float[np.ndarray, " removal"]
    row: Int[np.ndarray, " removal"]
    """Row of `directions`."""
    directions: Float[Tensor, "row output"]

    def __len__(self) -> int:
        return len(self.row)

    def replacement(
        self,
        dictionary: Dictionary,
        chosen: Int[np.ndarray, " chosen"],
        position: Int[np.ndarray, " chosen"],
        width: int,
    ) -> Replacement:
        """Some of them as a replacement of activations [chosen, position, output] of this width, each at its position
        there."""
        device = self.directions.device
        known = torch.zeros(len(chosen), width, 1, device=device)
        known[torch.arange(len(chosen)), torch.from_numpy(position), 0] = torch.from_numpy(
            self.activation[chosen].astype(np.float32)
        ).to(device)
        directions = self.directions[torch.from_numpy(self.row[chosen]).to(device)][:, None]
        edit = ablation(torch.zeros(len(chosen), 1, dtype=torch.int64, device=device), directions=directions)
        return lambda x: added(dictionary, edit, x, known)


@dataclass(frozen=True)
class Chunk:
    """Log-probabilities without and with some removals, at their own tokens (first) and at those behind."""

    removals: Int[np.ndarray, " removal"]
    """Their numbers."""
    clean: Float[Tensor, "removal place outcome"]
    edited: Float[Tensor, "removal place outcome"]
    there: Bool[Tensor, "removal place"]
    """Whether there is such a token, with one behind it."""
    target: Int[Tensor, " removal"]
    """What follows the own token."""

    def divergence(self) -> Float[Tensor, "removal place"]:
        """KL(clean ‖ edited) in nats; 0 where there is no token.

        Σ p ln(p/q) + q − p: the sum of q − p is 0, and with it each term is of second order in what is rounded, too.
        """
        p = self.clean.exp()
        found = (p * (self.clean - self.edited) + (self.edited.exp() - p)).sum(-1)
        return found.clamp(min=0).masked_fill(~self.there, 0.0)

    def target_change(self) -> Float[Tensor, " removal"]:
        """Change of the log-probability of what follows the own token, in nats."""
        return (self.edited[:, 0] - self.clean[:, 0]).gather(-1, self.target[:, None])[:, 0]


class States:
    """Activations at some sites of some tokens, and what follows each."""

    def __init__(self, places: Places, target: Int[Tensor, " place"], rows: dict[str, Tensor]) -> None:
        self._key, self._target, self._rows = places.key, target, rows

    def of(self, places: Places) -> tuple[dict[str, Float[Tensor, "place neuron"]], Int[Tensor, " place"]]:
        """The activations by site, and the targets, of tokens that are among them."""
        found = torch.from_numpy(np.searchsorted(self._key, places.key)).to(self._target.device)
        return {site: rows[found] for site, rows in self._rows.items()}, self._target[found]


def read_states(
    subject: Subject,
    store: TokenStore,
    places: Places,
    sites: Sequence[str],
    kept: Sequence[str] = (),
    look: Callable[[Places, dict[str, Tensor]], None] = lambda places, found: None,
) -> States:
    """Run the contexts of some tokens. `look` sees the tokens of each pass with their activations at the sites; those
    at the `kept` ones stay."""
    unique = places.unique()
    width = store.batch(0, 1).targets.shape[1]
    none = torch.zeros(0, dtype=torch.int64, device=subject.device)
    targets = [none]
    rows: dict[str, list[Tensor]] = {site: [] for site in kept}
    for numbers, batch in sequences_of(store, np.unique(unique.sequence), max(1, READ_TOKENS // width)):
        own = unique[slice(*np.searchsorted(unique.sequence, (numbers[0], numbers[-1] + 1)))]
        row, position = np.searchsorted(numbers, own.sequence), own.position
        values = subject.activations(_up_to(batch, position.max() + 1), list(dict.fromkeys([*sites, *kept])))
        found = {site: value[row, position].float() for site, value in values.items()}
        targets.append(batch.targets[row, position].to(subject.device))
        for site in kept:
            rows[site].append(found[site])
        look(own, found)
    return States(unique, torch.cat(targets), {site: torch.cat(of) for site, of in rows.items() if of})


def sequences_of(
    store: TokenStore, wanted: Int[np.ndarray, " sequence"], together: int
) -> Iterator[tuple[Int[np.ndarray, " sequence"], Batch]]:
    """Some sequences of a store, in ascending order and without padding, with their numbers."""
    for first in range(0, store.sequences, ROWS_PER_CHUNK):
        numbers = wanted[(wanted >= first) & (wanted < first + ROWS_PER_CHUNK)]
        if len(numbers):
            several = store.batch(first, first + ROWS_PER_CHUNK)
            for start in range(0, len(numbers), together):
                part = numbers[start : start + together]
                yield part, _rows(several, part - first).without_padding()


def state_of(subject: Subject, written: str) -> tuple[str, ...] | None:
    """The sites whose activations at a token are all that what follows a site reads; None unless everything behind the
    site goes token by token.

    By its name such a site stands behind the attention of the last block. Whether the model keeps to that is tried out:
    where some tokens get other activations, predictions at the others are what they were, and those at these the same
    in a batch of single tokens.
    """
    layers = [int(site.split(".")[1]) for site in subject.sites if site.startswith("blocks.")]
    block, _, hook = written.partition(f"blocks.{max(layers, default=0)}.")
    names = tuple(written.removesuffix(hook) + name for name in STATE)
    if block or hook not in BEHIND_ATTENTION or not set(names) <= set(subject.sites):
        return None
    return names if _keeps_tokens_apart(subject, written, names) else None


@torch.inference_mode()
def _keeps_tokens_apart(subject: Subject, written: str, names: tuple[str, ...]) -> bool:
    ids = np.array([[0, 1, 2, 3, 1, 0], [3, 1, 0, 2, 2, 1]], np.int64)
    batch = token_batch(ids, np.ones(ids.shape, bool))
    drawn = torch.Generator().manual_seed(0)
    other = torch.randn(*ids.shape, subject.width(written), generator=drawn)
    other[:, 1::2] = 0
    other = other.to(subject.device)
    clean = subject.log_probabilities(batch)
    edited = subject.log_probabilities(batch, {written: lambda x: x + other})
    rows = {site: values.flatten(0, 1) for site, values in subject.activations(batch, names).items()}
    alone = _token_by_token(subject, rows, {written: lambda x: x + other.flatten(0, 1)[:, None]})
    pairs = ((edited[:, 1::2], clean[:, 1::2]), (alone.view_as(edited), edited))
    return all(torch.allclose(found, wanted, rtol=SAME, atol=SAME) for found, wanted in pairs)


def _token_by_token(
    subject: Subject, rows: dict[str, Float[Tensor, "token neuron"]], edits: dict[str, Replacement]
) -> Float[Tensor, "token outcome"]:
    """Log-probabilities of tokens of which these activations are known, each a context of its own."""
    anything = token_batch(np.zeros((1, 1), np.int64), np.ones((1, 1), bool))
    given = {site: _put(known) for site, known in rows.items()}
    tokens = len(next(iter(rows.values())))
    return subject.log_probabilities(anything, given | edits, tokens)[:, 0]


def _put(known: Float[Tensor, "token neuron"]) -> Replacement:
    return lambda x: known[:, None].to(x.dtype)


@torch.inference_mode()
def by_token(
    subject: Subject, written: str, dictionary: Dictionary, removals: Removals, states: States, outcomes: int
) -> Iterator[Chunk]:
    """All removals at a site that has a `state_of`, which `states` hold of their tokens. `outcomes` is the number of
    tokens of the vocabulary."""
    order = np.argsort(removals.places.key, kind="stable")
    size = max(1, NUMBERS[subject.device.type] // outcomes)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        here = removals.places[chosen]
        tokens = here.unique()
        rows, _ = states.of(tokens)
        clean = _token_by_token(subject, rows, {})
        of_token = torch.from_numpy(np.searchsorted(tokens.key, here.key)).to(subject.device)
        rows, target = states.of(here)
        taken = removals.replacement(dictionary, chosen, np.zeros(len(chosen), np.int64), 1)
        edited = _token_by_token(subject, rows, {written: taken})
        there = torch.ones(len(chosen), 1, dtype=torch.bool, device=subject.device)
        yield Chunk(chosen, clean[of_token][:, None], edited[:, None], there, target)


@torch.inference_mode()
def by_context(
    subject: Subject,
    written: str,
    dictionary: Dictionary,
    removals: Removals,
    store: TokenStore,
    outcomes: int,
    behind: int,
) -> Iterator[Chunk]:
    """All removals, at their own tokens and up to so many behind: through all that follows the site, whatever it is."""
    places = removals.places
    together = 1 if store.is_text else READ_TOKENS
    size = max(1, NUMBERS[subject.device.type] // (outcomes * (behind + 1)))
    order = np.lexsort((places.position, places.sequence))
    for numbers, batch in sequences_of(store, np.unique(places.sequence), together):
        here = order[slice(*np.searchsorted(places.sequence[order], (numbers[0], numbers[-1] + 1)))]
        clean = subject.log_probabilities(batch)
        length, scored = batch.targets.shape[1], batch.scored.to(subject.device)
        for start in range(0, len(here), size):
            chosen = here[start : start + size]
            row, position = np.searchsorted(numbers, places.sequence[chosen]), places.position[chosen]
            wanted = position[:, None] + np.arange(behind + 1)
            at = np.minimum(wanted, length - 1)
            there = scored[row[:, None], at] & torch.from_numpy(wanted < length).to(subject.device)
            width = int(at.max()) + 1
            taken = {written: removals.replacement(dictionary, chosen, position, width)}
            several = _up_to(batch, width) if store.is_text else _rows(batch, row)
            copies = len(chosen) if store.is_text else 1
            edited = subject.log_probabilities(several, taken, copies, torch.from_numpy(at))
            target = batch.targets[row, position].to(subject.device)
            yield Chunk(chosen, clean[row[:, None], at], edited, there, target)


def _rows(batch: Batch, chosen: Int[np.ndarray, " sequence"]) -> Batch:
    return Batch(*(value[chosen] for value in (batch.inputs, batch.targets, batch.scored, batch.counted)))


def _up_to(batch: Batch, width: int) -> Batch:
    """The first positions of each sequence; an image, which has one, stays whole."""
    if width >= batch.targets.shape[1]:
        return batch
    return Batch(*(value[:, :width] for value in (batch.inputs, batch.targets, batch.scored, batch.counted)))
