"""S1.F7, S2.F8, S2.F9: one dictionary held against another one."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS
from polysem.params.pair import Pair
from polysem.tables.parts.frequency_classes import is_ultra_low
from polysem.tables.passes.comparison import directions
from polysem.tables.passes.comparison.codes import best_correlation
from polysem.tables.passes.comparison.shelf import Site

DRAWS = 512
"""Features for which a baseline is computed, evenly spread."""
OTHER_TOKENS = "the token stores differ in their content, so that no activations are of the same tokens"
OTHER_WIDTH = "the sites differ in width, so that their directions have no cosine"

OTHER_BASIS = (
    "a transcoder's decoder rows stand at the site that it predicts, the others elsewhere: they have no cosine"
)


def missing(count: int) -> Float[NDArray, " feature"]:
    """Nothing known."""
    return np.full(count, np.nan)


def nowhere(count: int) -> Int[NDArray, " feature"]:
    """No feature."""
    return np.full(count, -1, np.int64)


@dataclass
class Match:
    """What was found for one pair. NaN and −1 where there is nothing to find; see `Pair` for the two sides."""

    pair: Pair
    features: int
    tokens: int = 0
    correlation: Float[NDArray, " feature"] = field(default_factory=lambda: missing(0))
    """Largest Pearson correlation of each feature's activations with those of a feature of the other one."""
    correlated: Int[NDArray, " feature"] = field(default_factory=lambda: nowhere(0))
    """Which feature that is."""
    correlation_shuffled: Float[NDArray, " draw"] = field(default_factory=lambda: missing(0))
    """The same against the other one's activations in another order of the tokens."""
    logit: Float[NDArray, " feature"] = field(default_factory=lambda: missing(0))
    """Correlation of the logit weights of both."""
    logit_shuffled: Float[NDArray, " draw"] = field(default_factory=lambda: missing(0))
    """The same with the correlated features of some other feature."""
    cosine: Float[NDArray, " feature"] = field(default_factory=lambda: missing(0))
    """Largest cosine of the decoder row with one of the other one's."""
    nearest: Int[NDArray, " feature"] = field(default_factory=lambda: nowhere(0))
    """Which feature that is."""
    cosine_random: Float[NDArray, " draw"] = field(default_factory=lambda: missing(0))
    """The same for decoder rows with their neurons permuted; against the neurons, for random normal rows."""
    ultra_low_cosine: float = np.nan
    """Cosine of the mean encoder rows of the ultra-low clusters."""
    ultra_low_cosine_others: float = np.nan
    """The same for as many features that are not ultra-low, drawn at random."""
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("correlation", "logit", "cosine"):
            if not len(getattr(self, name)):
                setattr(self, name, missing(self.features))
        for name in ("correlated", "nearest"):
            if not len(getattr(self, name)):
                setattr(self, name, nowhere(self.features))


def compare(here: Site, there: Site, pair: Pair, params: Analysis) -> Match:
    """All that is compared of a pair; `here` is the site of its dictionary, `there` that of the other one."""
    match = Match(pair, here.dictionary(pair.dictionary).features)
    if here.tokens_digest == there.tokens_digest:
        _correlate(match, here, there, params)
        _compare_logits(match, here, there, params)
    else:
        match.reasons.append(OTHER_TOKENS)
    if reason := apart(here, there, pair):
        match.reasons.append(reason)
    else:
        _compare_decoders(match, here, there, params)
    if pair.relation in ("seed", "setting", "recipe", "avoided"):
        _compare_clusters(match, here, params)
    return match


def apart(here: Site, there: Site, pair: Pair) -> str:
    """Why decoder rows of a pair have no cosine; empty if they have.

    Sites of one width may be compared, whatever their bases are; the rows of a transcoder only with others that stand
    at the site that it predicts.
    """
    saes = here.dictionary(pair.dictionary).target is None and there.dictionary(pair.other).target is None
    if saes:
        return "" if here.width == there.width else OTHER_WIDTH
    ours, theirs = (here.model, here.basis(pair.dictionary)), (there.model, there.basis(pair.other))
    return "" if ours == theirs else OTHER_BASIS


def spread(count: int) -> Int[NDArray, " draw"]:
    """Numbers of at most `DRAWS` of so many features."""
    return np.linspace(0, count - 1, min(DRAWS, count)).round().astype(np.int64)


def _correlate(match: Match, here: Site, there: Site, params: Analysis) -> None:
    own, other = here.shared_samples(there, params.comparison_tokens)
    ours, theirs = here.codes(match.pair.dictionary, own), there.codes(match.pair.other, other)
    match.tokens = ours.tokens
    match.correlation, match.correlated = best_correlation(ours, theirs)
    some = spread(ours.features)
    shuffled = theirs.shuffled(params.baseline_seed)
    match.correlation_shuffled, _ = best_correlation(ours.chosen(some), shuffled)


def _compare_logits(match: Match, here: Site, there: Site, params: Analysis) -> None:
    """The direct path of each feature, and of the one that it correlates with best."""
    matched = np.flatnonzero(match.correlated >= 0)
    bases = here.basis(match.pair.dictionary), there.basis(match.pair.other)
    ours = here.stream(here.decoder(match.pair.dictionary)[matched], bases[0])
    theirs = there.stream(there.decoder(match.pair.other), bases[1])
    if ours is None or theirs is None or not len(matched):
        return
    partner = match.correlated[matched]
    unembeddings = here.unembedding(bases[0]), there.unembedding(bases[1])
    match.logit[matched] = directions.logit_correlation(ours, unembeddings[0], theirs[partner], unembeddings[1])
    some = spread(len(matched))
    order = np.random.default_rng(params.baseline_seed).permutation(len(matched))[: len(some)]
    match.logit_shuffled = directions.logit_correlation(
        ours[some], unembeddings[0], theirs[partner[order]], unembeddings[1]
    )


def _compare_decoders(match: Match, here: Site, there: Site, params: Analysis) -> None:
    ours, theirs = here.decoder(match.pair.dictionary), there.decoder(match.pair.other)
    match.cosine, match.nearest = directions.nearest(ours, theirs)
    some = ours[spread(len(ours))]
    seed = params.baseline_seed
    # Against the axes themselves a permutation changes no cosine.
    is_axes = match.pair.other == NEURONS
    drawn = directions.normal_rows(some.shape, seed) if is_axes else directions.neurons_permuted(some, seed)
    match.cosine_random, _ = directions.nearest(drawn, theirs)


def _compare_clusters(match: Match, here: Site, params: Analysis) -> None:
    """S2.F8: whether both clusters of ultra-low features have the same direction, more so than other features."""
    means, others = [], []
    for name in (match.pair.dictionary, match.pair.other):
        found = ultra_low(here, name, params)
        if name == NEURONS or found is None:
            return
        means.append(found[0])
        others.append(found[1])
    match.ultra_low_cosine = directions.cosine(*means)
    match.ultra_low_cosine_others = directions.cosine(*others)


def ultra_low(
    here: Site, name: str, params: Analysis
) -> tuple[Float[NDArray, " neuron"], Float[NDArray, " neuron"]] | None:
    """Mean encoder row of the ultra-low cluster of an SAE, and that of as many other features; None without either."""
    table, encoder = here.table(name, "ultra_low"), here.encoder(name)
    frequency = here.table(name, "frequency")
    usual = np.flatnonzero(frequency["frequency"].to_numpy() >= params.ultra_low_frequency)
    low = int(is_ultra_low(frequency, params.ultra_low_frequency).sum())
    if "mean_direction" not in table or encoder is None or not low or not len(usual):
        return None
    drawn = np.random.default_rng(params.baseline_seed).permutation(usual)[:low]
    return table["mean_direction"].to_numpy(), encoder[drawn].mean(axis=0)
