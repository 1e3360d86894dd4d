"""What people's scores say of features and of neurons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.layout.rubric import CRITERIA, Scores
from polysem.numerics.reliability import krippendorff_alpha
from polysem.numerics.resampling import interval_of_difference, interval_of_values

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """The scores of each rater who scored an item of the sheet; NaN for an item that one did not."""

    rater: list[str]
    score: Float[np.ndarray, "rater item criterion"]
    explanation: NDArray[np.object_]
    """[rater, item]; '' for none."""
    others: int
    """Scores of items that this sheet does not have, of another training or another choice."""

    @property
    def total(self) -> Float[np.ndarray, "rater item"]:
        """Points of all criteria."""
        return self.score.sum(axis=2)

    @property
    def of_items(self) -> Float[np.ndarray, "item criterion"]:
        """Means over raters; NaN for an item that nobody scored."""
        given = np.isfinite(self.score)
        count = given.sum(axis=0)
        found = np.full(count.shape, np.nan)
        return np.divide(np.where(given, self.score, 0).sum(axis=0), count, out=found, where=count > 0)


def by_rater(scores: Sequence[Scores], items: Sequence[str]) -> Scored:
    """Scores of the items of a sheet, raters by name; an author may have files of several sheets."""
    place = {name: number for number, name in enumerate(items)}
    known = [(_storable(read.author), one) for read in scores for one in read.scores if one.item in place]
    raters = sorted({author for author, _ in known})
    score = np.full((len(raters), len(items), len(CRITERIA)), np.nan)
    explanation = np.full((len(raters), len(items)), "", object)
    for author, one in known:
        at = raters.index(author), place[one.item]
        score[at], explanation[at] = one.points, _storable(one.explanation)
    return Scored(raters, score, explanation, sum(len(read.scores) for read in scores) - len(known))


def _storable(text: str) -> str:
    """The text without NUL, of which netCDF takes none."""
    return text.replace("\0", "␀")


def estimate(values: Numbers, statistic: Callable[..., float], seed: int) -> Numbers:
    """A statistic of the known values over items, with the ends of its 95 % bootstrap interval; NaN without any."""
    known = values[np.isfinite(values)]
    middle = float(statistic(known)) if len(known) else np.nan
    return np.array([middle, *interval_of_values(known, statistic, seed)])


def difference(ones: Numbers, others: Numbers, seed: int) -> Numbers:
    """The mean of the known values of `ones` less that of `others`, with the ends of its 95 % bootstrap interval over
    items of both; NaN where either has none."""
    one, other = (values[np.isfinite(values)] for values in (ones, others))
    if not (len(one) and len(other)):
        return np.full(3, np.nan)
    return np.array([one.mean() - other.mean(), *interval_of_difference(one, other, np.mean, seed)])


def agreement(scored: Scored, seed: int) -> Numbers:
    """Krippendorff's alpha of the totals, with the ends of its 95 % bootstrap interval; NaN with fewer than two raters
    of any item."""
    return np.array(krippendorff_alpha(scored.total, seed))
