"""S1.F11: whether an SAE of another seed has a case study's feature, too."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int

from polysem.activations.rows import ActivationRows
from polysem.layout.place import Place
from polysem.numerics.paired_sums import paired_terms, pearson_of_sums
from polysem.tables.inputs import Inputs
from polysem.tables.passes.case_studies.chosen import Case
from polysem.tables.passes.case_studies.of_tag import UNKNOWN, Numbers, Sums, by_sequence, with_interval
from polysem.tables.passes.case_studies.seen import Seen, encoded


@dataclass(frozen=True)
class Twin:
    """The feature of another seed's SAE that correlates best."""

    dictionary: str = ""
    feature: int = -1
    correlation: list[float] = field(default_factory=lambda: UNKNOWN)
    """With the ends of its interval over sequences."""


def find_twins(inputs: Inputs, cases: Sequence[Case], seen: Mapping[Place, Seen], seed: int) -> list[Twin]:
    """Of each case the feature of another seed whose activations on all eval tokens correlate best with its own."""
    other_seeds = inputs.value("case_studies")["other_seeds"]
    others = {one.place: one for one in inputs.each("reseeded")}
    found = [Twin()] * len(cases)
    for place in dict.fromkeys(case.place for case in cases):
        mine = [number for number, case in enumerate(cases) if case.place == place]
        name = other_seeds.get(f"{place.site}/{place.dictionary}")
        if name is not None:
            own = np.stack([seen[place].activations[cases[number].feature] for number in mine], axis=1)
            twins = _best(others[place.of(name)], own, seen[place].sequence, seed)
            for number, (feature, correlation) in zip(mine, twins, strict=True):
                found[number] = Twin(name, feature, correlation) if feature >= 0 else Twin(name)
    return found


def _best(
    other: Inputs, own: Float[np.ndarray, "token case"], sequence: Int[np.ndarray, " token"], seed: int
) -> list[tuple[int, list[float]]]:
    """Feature and correlation of each column of `own`; −1 for one that never changes."""
    rows = ActivationRows(other.path("store"))
    correlation = _correlations(own, encoded(other, rows))
    known = np.isfinite(correlation).any(axis=1)
    best = np.where(known, np.where(np.isfinite(correlation), correlation, -np.inf).argmax(axis=1), -1)
    kept = np.concatenate([f[:, best].numpy() for f in encoded(other, rows)]).astype(np.float64)
    return [
        (feature, with_interval(_sums(own[:, case], kept[:, case], sequence), pearson_of_sums, seed))
        if feature >= 0
        else (-1, UNKNOWN)
        for case, feature in enumerate(best.tolist())
    ]


def _correlations(
    own: Float[np.ndarray, "token case"], others: Iterable[Float[torch.Tensor, "token feature"]]
) -> Float[np.ndarray, "case feature"]:
    """Pearson correlations of all columns; NaN where one of the two never changes."""
    centred = own - own.mean(axis=0)
    products, totals, squares, start = np.zeros(()), np.zeros(()), np.zeros(()), 0
    for f in others:
        values = f.double().numpy()
        products = products + centred[start : start + len(values)].T @ values
        totals, squares = totals + values.sum(axis=0), squares + (values * values).sum(axis=0)
        start += len(values)
    spread = np.sqrt((squares - totals * totals / start).clip(min=0))
    changes = spread > 1e-9 * np.sqrt(squares)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = products / np.outer(np.sqrt((centred * centred).sum(axis=0)), np.where(changes, spread, np.nan))
    return np.asarray(found)


def _sums(one: Numbers, other: Numbers, sequence: Int[np.ndarray, " token"]) -> Sums:
    return {name: by_sequence(sequence, values) for name, values in paired_terms(one, other).items()}
