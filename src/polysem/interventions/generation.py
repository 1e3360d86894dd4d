"""Continuations that a model writes while features of it are edited (document S1, "Feature downstream effect").

Many prompts are continued at once. Tokens are drawn by the Gumbel-max trick, with noise that is a function of a seed,
the row's key, the step and the token alone: a row's text does not depend on what else is written, rows of one key get
the same noise, so that an edit of nothing leaves the text as it is, and what differs is due to the edit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.interventions.edits import Edit, active, added, directions, keeping
from polysem.models.subject import Replacement, Subject
from polysem.models.text import token_batch
from polysem.numerics.hashing import GOLDEN, mixed
from polysem.saes.dictionary import Dictionary

ROWS = 512
"""Rows that are continued at once, at most."""
ENTRIES = 1 << 24
"""Log-probabilities of a step that are held at once: 64 MiB."""


@dataclass(frozen=True)
class Steered:
    """Rows in which features are edited, at every position of prompt and continuation."""

    rows: Int[np.ndarray, " steered"]
    """Numbers of the rows, each once."""
    site: str
    dictionary: Dictionary
    edit: Edit
    """Of as many sequences, in the order of `rows`; without `positions` and `known`."""


@torch.inference_mode()
def continuations(
    subject: Subject,
    prompts: Int[np.ndarray, "row position"],
    keys: Int[np.ndarray, " row"],
    tokens: int,
    seed: int,
    steered: Sequence[Steered] = (),
    temperature: float = 1.0,
) -> Int[np.ndarray, "row token"]:
    """What a model writes behind prompts of one length, as token ids.

    A row is edited by one of `steered` at most; the others are the model's own. `keys` tell rows apart that are to get
    noise of their own. `temperature` divides the log-probabilities; at 0 the most likely token is taken. The whole
    text is read at every step; features are encoded once at each position, as what stands before it does not change.
    ValueError for prompts without a token, rows that are edited twice or are not there, edits of some positions alone,
    and a temperature below 0.
    """
    _require(prompts, keys, steered, temperature)
    together = max(1, min(ROWS, ENTRIES // vocabulary_size(subject, prompts)))
    written = np.empty((len(prompts), tokens), np.int64)
    for start in range(0, len(prompts), together):
        chunk = np.arange(start, min(start + together, len(prompts)))
        written[chunk] = _continued(
            subject, prompts[chunk], keys[chunk], tokens, seed, list(_within(steered, chunk)), temperature
        )
    return written


def noise(seed: int, keys: Int[np.ndarray, " row"], step: int, tokens: int) -> Float[np.ndarray, "row token"]:
    """Standard Gumbel noise, a function of seed, key, step and token: SplitMix64, begun at a hash of the others."""
    start = mixed(_placed(keys) ^ mixed(_placed(np.array([seed]))))
    start = mixed(start + _placed(np.array([step])))
    bits = mixed(start[:, None] + _placed(np.arange(tokens)))
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return (-np.log(-np.log(uniform))).astype(np.float32)


def side_by_side(
    parts: Sequence[tuple[Int[np.ndarray, " part"], Mapping[str, Replacement]]],
) -> dict[str, Replacement]:
    """Replacements of which each is for some rows of a batch, as replacements of the batch; other rows stay."""
    by_site: dict[str, list[tuple[Tensor, Replacement]]] = {}
    for rows, replacements in parts:
        for site, one in replacements.items():
            by_site.setdefault(site, []).append((torch.from_numpy(rows), one))

    def replacing(own: list[tuple[Tensor, Replacement]]) -> Replacement:
        def each(x: Float[Tensor, "sequence position neuron"]) -> Float[Tensor, "sequence position neuron"]:
            found = x.clone()
            for rows, one in own:
                there = rows.to(x.device)
                found[there] = one(x[there])
            return found

        return each

    return {site: replacing(own) for site, own in by_site.items()}


class Running:
    """An edit through the steps of a continuation: activations of features at positions that were read are kept."""

    def __init__(self, site: str, dictionary: Dictionary, edit: Edit) -> None:
        self._site, self._dictionary = site, dictionary
        self._edit = replace(edit, directions=directions(dictionary, edit))
        self._f: Float[Tensor, "sequence position edited"] | None = None

    def replacements(self) -> dict[str, Replacement]:
        """What `Subject.next_log_probabilities` takes, at every step the same."""
        if self._dictionary.target is None:
            return keeping({self._site: lambda x: self._write(self._read(x))}, self._edit.left_out)
        return keeping({self._site: self._read, self._dictionary.target: self._write}, self._edit.left_out)

    def _read(self, x: Float[Tensor, "sequence position neuron"]) -> Float[Tensor, "sequence position neuron"]:
        """The same, when features are encoded at positions that are new."""
        known = [] if self._f is None else [self._f]
        new = x[:, sum(part.shape[1] for part in known) :]
        self._f = torch.cat([*known, active(self._dictionary, self._edit, new)], dim=1)
        return x

    def _write(self, y: Float[Tensor, "sequence position output"]) -> Float[Tensor, "sequence position output"]:
        assert self._f is not None
        return added(self._dictionary, self._edit, y, self._f)


def _continued(
    subject: Subject,
    prompts: Int[np.ndarray, "row position"],
    keys: Int[np.ndarray, " row"],
    tokens: int,
    seed: int,
    steered: Sequence[Steered],
    temperature: float,
) -> Int[np.ndarray, "row token"]:
    running = [(one.rows, Running(one.site, one.dictionary, one.edit).replacements()) for one in steered]
    replacements = side_by_side(running)
    distinct, own = np.unique(keys, return_inverse=True)
    text = prompts.astype(np.int64)
    for step in range(tokens):
        batch = token_batch(text, np.ones(text.shape, bool))
        scores = subject.next_log_probabilities(batch, replacements)
        if temperature:
            drawn = torch.from_numpy(noise(seed, distinct, step, scores.shape[1])[own]).to(scores.device)
            scores = scores / temperature + drawn
        text = np.concatenate([text, scores.argmax(-1, keepdim=True).cpu().numpy()], axis=1)
    return text[:, prompts.shape[1] :]


def _within(steered: Sequence[Steered], chunk: Int[np.ndarray, " row"]) -> Iterator[Steered]:
    """What is edited in a stretch of the rows, with their numbers in it."""
    for one in steered:
        here = np.flatnonzero((one.rows >= chunk[0]) & (one.rows <= chunk[-1]))
        if len(here):
            places = torch.from_numpy(here)
            edit = replace(
                one.edit,
                features=one.edit.features[places],
                amounts=one.edit.amounts[places],
                directions=None if one.edit.directions is None else one.edit.directions[places],
            )
            yield replace(one, rows=one.rows[here] - chunk[0], edit=edit)


def vocabulary_size(subject: Subject, prompts: Int[np.ndarray, "row position"]) -> int:
    """Number of tokens that the model tells apart behind prompts; 1 where there are none."""
    if not len(prompts):
        return 1
    one = token_batch(prompts[:1, :1].astype(np.int64), np.ones((1, 1), bool))
    return int(subject.next_log_probabilities(one).shape[1])


def _placed(numbers: Int[np.ndarray, " number"]) -> np.ndarray:
    return (numbers.astype(np.uint64) + np.uint64(1)) * GOLDEN


def _require(
    prompts: Int[np.ndarray, "row position"],
    keys: Int[np.ndarray, " row"],
    steered: Sequence[Steered],
    temperature: float,
) -> None:
    if prompts.ndim != 2 or not prompts.shape[1]:
        raise ValueError(f"prompts have the shape {prompts.shape}; each needs one token at least")
    if len(keys) != len(prompts):
        raise ValueError(f"there are {len(keys)} keys for {len(prompts)} prompts")
    if temperature < 0:
        raise ValueError(f"the temperature is {temperature}; it is 0 or above")
    rows = np.concatenate([one.rows for one in steered]) if steered else np.zeros(0, np.int64)
    if len(np.unique(rows)) < len(rows) or ((rows < 0) | (rows >= len(prompts))).any():
        raise ValueError(f"rows are edited twice, or are none of the {len(prompts)} prompts")
    for one in steered:
        if one.edit.positions is not None or one.edit.known is not None:
            raise ValueError("an edit of a continuation is one of every position, and its activations are not known")
        if len(one.edit.features) != len(one.rows):
            raise ValueError(f"an edit is of {len(one.edit.features)} sequences, its rows are {len(one.rows)}")
