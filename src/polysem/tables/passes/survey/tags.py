"""S1.F2, S0.X3: what features know of the tags of tokens, where these are known.

The sequences fall into two halves by a hash of their number: on half A, the best feature of every tag and the main tag
of every feature are chosen, on half B they are scored, so that a choice among thousands flatters nobody.
Activations below 0, as neurons have them, count as 0. The best feature of a tag has a threshold of its own, chosen with
it; beside it stands the best one where everything above 0 counts as active, which is also how main tags are chosen.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import index, labelled, scalar, variable
from polysem.tables.parts.reading import dictionary_of
from polysem.tables.parts.tag_counts import CHOOSING, HELD_OUT, Counts, Numbers, all_pairs, ratio, some_pairs
from polysem.tables.parts.tag_distributions import EDGES, Chosen, Distributions, candidates, choose, distributions
from polysem.tables.parts.tagged_sample import MOST, Entries, Sample, Tokens
from polysem.tables.parts.token_tags import TokenTags, held_out
from polysem.tables.passes.survey.blocks import Block
from polysem.tables.passes.survey.recording import SecondLook

LEAST = 10
"""Tokens of each half on which a feature is active, below which its main tag and its score are not told."""
FOUND = 0.5
"""F1 on half B from which on a tag counts as found, if it is also that of a feature that is more than always active."""
BROAD = 0.5
"""A tag that a larger share of all tokens carries is no main tag: whatever is active often would have it."""
SPECIFIC_SHARE, SPECIFIC_LIFT = 0.5, 2.0
"""A feature is specific to a tag that holds at least this share of its activation mass, and at least so many times the
share that the tag has of all tokens; both on half B."""
PENDING_TOKENS, PENDING_ENTRIES = 8192, 1 << 22
"""Counted together: sums over a block have as many numbers as features and tags, whatever the block's size."""


def shared_counts(inputs: Inputs) -> "TagCounts":
    """What counts tags and features during the survey, one of a job for all of its tables; reads `tokens`, `store` and
    `weights`."""
    tags = inputs.path("tokens")
    return inputs.once("tag counts", lambda: TagCounts(TokenTags(tags), dictionary_of(inputs).features))


class TagCounts:
    """Gathers the table `tags` over the blocks of a dictionary; memory is bounded by features × tags and by `most`.

    `least` is `LEAST`, `most` the number of tokens and entries that are looked at for ranks and distributions.
    """

    def __init__(self, tags: TokenTags, features: int, least: int = LEAST, most: int = MOST) -> None:
        self._tags, self._least = tags, least
        self._counts = Counts(features, len(tags.names))
        self._sample = Sample(most)
        self._pending: list[Entries] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The tags."""
        return self._tags.names

    @property
    def sample(self) -> Sample:
        """The tokens that are looked at for ranks and distributions."""
        return self._sample

    def counts(self) -> Counts:
        """How often and how strongly features are active on the tokens of each tag, of all that was gathered."""
        self._count()
        return self._counts

    def add(self, block: Block) -> None:
        """Gather the tokens of a block."""
        if not self._tags.names:
            return
        tags = np.packbits(self._tags.at(block.sequence, block.position), axis=1, bitorder="little")
        entries = block.entries
        row = entries.row.numpy().astype(np.int32)
        number = block.first + np.arange(block.tokens)
        counts = np.bincount(row, minlength=block.tokens).astype(np.int32)
        self._sample.add(Tokens(number, block.sequence, tags, counts))
        feature, value = entries.feature.numpy().astype(np.int32), entries.value.numpy().astype(np.float32)
        self._pending.append(Entries(block.sequence, tags, row, feature, value))
        if (
            sum(len(part.sequence) for part in self._pending) >= PENDING_TOKENS
            or sum(len(part.row) for part in self._pending) >= PENDING_ENTRIES
        ):
            self._count()

    def _count(self) -> None:
        if not self._pending:
            return
        starts = np.cumsum([0, *(len(part.sequence) for part in self._pending[:-1])])
        together = Entries(
            np.concatenate([part.sequence for part in self._pending]),
            np.concatenate([part.tags for part in self._pending]),
            np.concatenate([part.row + np.int32(start) for part, start in zip(self._pending, starts, strict=True)]),
            np.concatenate([part.feature for part in self._pending]),
            np.concatenate([part.value for part in self._pending]),
        )
        self._pending.clear()
        self._counts.add(together, held_out(together.sequence))

    def table(self, again: SecondLook) -> xr.Dataset:
        """The table `tags`, each variable with its name in words; empty along `tag` where tokens have no tags. `again`
        are the blocks that were gathered.

        Two words are the document's, and mean one thing each: `specificity` is the share of a feature's activation
        mass (of its expected value) on tokens with the tag, by which `specific` is decided as well, and `sensitivity`
        the correlation of activation and tag. What a threshold decides is called `precision`, `recall` and
        `true_negative_rate`.

        Source: documents S1 (testing a feature by a proxy of its context) and S0 (the last open question).
        """
        counts, names = self.counts(), self.names
        active = best_active(counts)
        tried = candidates(counts, active)
        activations = self._sample.activations(np.concatenate([np.zeros(0, np.int64), *tried]), again)
        chosen = choose(self._sample, tried, activations)
        of_tag = _tag_variables(counts, chosen, distributions(self._sample, chosen, activations))
        of_tag |= _active_variables(counts, active)
        of_tag["found"] = variable(
            "tag",
            found_tags(of_tag["f1"].values, of_tag["f1_always_active"].values),
            f"whether the best feature has F1 >= {FOUND}, and more than one that is always active (half B)",
            "1",
        )
        of_feature = _feature_variables(counts, self._least)
        main = of_feature["main_tag"].values
        of_tag["features_main"] = variable(
            "tag", np.bincount(main[main >= 0], minlength=len(names)), "features of which it is the main tag", "feature"
        )
        of_tag["features_specific"] = variable(
            "tag", _specific(counts, self._least).sum(0), "features that are specific to it", "feature"
        )
        coordinates = {
            "feature": index("feature", 0, counts.active.shape[1], "feature"),
            "tag": xr.Variable("tag", np.array(names, dtype=object), {"long_name": "tag", "units": "1"}),
            "bin_edge": variable("edge", EDGES, "edges of the bins of activations", "activation"),
        }
        attributes = {
            "tokens": int(counts.tokens.sum()),
            "tokens_choosing": int(counts.tokens[CHOOSING]),
            "tokens_held_out": int(counts.tokens[HELD_OUT]),
            "tokens_sampled": self._sample.tokens,
            "least_active_tokens": self._least,
            "broad_base_rate": BROAD,
            "specific_share": SPECIFIC_SHARE,
            "specific_lift": SPECIFIC_LIFT,
        }
        variables = of_tag | of_feature
        return labelled(variables | _scalars(variables), coordinates, attributes)


def found_tags(f1: Numbers, always_active: Numbers) -> NDArray[np.bool_]:
    """Which tags are found, by the F1 of their best feature and of one that is always active."""
    with np.errstate(invalid="ignore"):
        found: NDArray[np.bool_] = (f1 >= FOUND) & (f1 > always_active)
    return found


def best_active(counts: Counts) -> NDArray[np.int64]:
    """The feature with the highest F1 on half A for each tag, where active is above 0, the lower one among equals; −1
    for a tag without tokens there, or where no feature is ever active on one."""
    if not counts.both.shape[1] or not counts.tagged.shape[1]:
        return np.full(counts.tagged.shape[1], -1, np.int64)
    f1 = np.nan_to_num(all_pairs(counts, CHOOSING).f1)
    return np.where(f1.max(0) > 0, f1.argmax(0), -1)


def _main_tags(counts: Counts, least: int) -> NDArray[np.int64]:
    """The tag with the highest F1 on half A for each feature, the first one among equals, broad tags left out; −1 for
    a feature that is active on fewer than `least` tokens there, or on none with such a tag."""
    if not counts.tagged.shape[1]:
        return np.full(counts.active.shape[1], -1, np.int64)
    broad = counts.tagged[CHOOSING] > BROAD * counts.tokens[CHOOSING]
    f1 = np.where(broad, 0.0, np.nan_to_num(all_pairs(counts, CHOOSING).f1))
    return np.where((counts.active[CHOOSING] >= least) & (f1.max(1) > 0), f1.argmax(1), -1)


def _specific(counts: Counts, least: int) -> NDArray[np.bool_]:
    """Whether each feature is specific to each tag, [feature, tag], on half B."""
    share = np.nan_to_num(all_pairs(counts, HELD_OUT).mass_share)
    base = counts.tagged[HELD_OUT] / max(1.0, counts.tokens[HELD_OUT])
    often = (counts.active[HELD_OUT] >= least)[:, None]
    found: NDArray[np.bool_] = often & (share >= SPECIFIC_SHARE) & (share >= SPECIFIC_LIFT * base) & (base > 0)
    return found


def _tag_variables(counts: Counts, chosen: Chosen, found: Distributions) -> dict[str, xr.Variable]:
    scored = some_pairs(counts, HELD_OUT, chosen.feature, np.arange(len(chosen.feature)))
    base = ratio(counts.tagged[HELD_OUT], np.full(len(chosen.feature), counts.tokens[HELD_OUT]))
    numbers: dict[str, tuple[NDArray[Any], str, str]] = {
        "base_rate": (base, "share of tokens that carry the tag (half B)", "1"),
        "best_feature": (chosen.feature, "feature with the highest F1 on half A, -1: none", "feature"),
        "threshold": (chosen.threshold, "activation from which on it counts as active, chosen with it", "activation"),
        "f1_choosing": (chosen.f1, "F1 of the best feature on half A", "1"),
        "precision": (found.precision, "share of the tokens above the threshold that carry the tag (half B)", "1"),
        "recall": (found.recall, "share of the tag's tokens above the threshold (half B)", "1"),
        "f1": (found.f1, "F1 of the best feature (half B)", "1"),
        "true_negative_rate": (
            found.true_negative_rate,
            "share of tokens without the tag below the threshold (half B)",
            "1",
        ),
        "auroc": (found.auroc, "area under the ROC curve of activation against tag (half B)", "1"),
        "sensitivity": (scored.correlation, "Pearson correlation of activation and tag (half B)", "1"),
        "specificity": (scored.mass_share, "share of its activation mass on tokens with the tag (half B)", "1"),
        "mean_with": (scored.mean_with, "expected activation of a token with the tag (half B)", "activation"),
        "mean_without": (scored.mean_without, "expected activation of a token without it (half B)", "activation"),
        "f1_always_active": (2 * base / (1 + base), "F1 of a feature that is always active (half B)", "1"),
    }
    for half, name in ((CHOOSING, "choosing"), (HELD_OUT, "held_out")):
        words = f"tokens with the tag (half {'AB'[half]})"
        numbers[f"tokens_{name}"] = (counts.tagged[half].astype(np.int64), words, "token")
    sampled = {
        name: variable(("tag", "bin"), values, words, units)
        for name, values, words, units in (
            ("tokens_with", found.tokens_with, "active tokens with the tag (half B, sampled)", "token"),
            ("tokens_without", found.tokens_without, "active tokens without it (half B, sampled)", "token"),
            ("mass_with", found.mass_with, "sum of activations with the tag (half B, sampled)", "activation"),
            ("mass_without", found.mass_without, "sum of activations without it (half B, sampled)", "activation"),
        )
    }
    sampled["sampled_with"] = variable("tag", found.sampled_with, "tokens with the tag (half B, sampled)", "token")
    sampled["sampled_without"] = variable("tag", found.sampled_without, "tokens without it (half B, sampled)", "token")
    return {name: variable("tag", *rest) for name, rest in numbers.items()} | sampled


def _active_variables(counts: Counts, active: NDArray[np.int64]) -> dict[str, xr.Variable]:
    """The best features where all activations above 0 count."""
    scored = some_pairs(counts, HELD_OUT, active, np.arange(len(active)))
    words = "of the best feature if active is above 0 (half B)"
    return {
        "active_feature": variable(
            "tag", active, "feature with the highest F1 on half A if active is above 0, -1: none", "feature"
        ),
        "active_precision": variable("tag", scored.precision, f"precision {words}", "1"),
        "active_recall": variable("tag", scored.recall, f"recall {words}", "1"),
        "active_f1": variable("tag", scored.f1, f"F1 {words}", "1"),
    }


def _feature_variables(counts: Counts, least: int) -> dict[str, xr.Variable]:
    main = _main_tags(counts, least)
    features = np.arange(len(main))
    scored = some_pairs(counts, HELD_OUT, features, main)
    share: Numbers = np.where(counts.active[HELD_OUT] >= least, scored.mass_share, np.nan)
    base = ratio(scored.tagged, np.full(len(main), counts.tokens[HELD_OUT]))
    above = np.where(base < 1, ratio(share - base, 1 - base), np.nan)
    numbers = {
        "active_choosing": (counts.active[CHOOSING].astype(np.int64), "active tokens (half A)", "token"),
        "active_held_out": (counts.active[HELD_OUT].astype(np.int64), "active tokens (half B)", "token"),
        "main_tag": (main, "tag with the highest F1 on half A, no broad one, as its place along tag, -1: none", "1"),
        "main_tag_f1": (scored.f1, "F1 for the main tag (half B)", "1"),
        "main_tag_base_rate": (base, "share of all tokens that carry the main tag (half B)", "1"),
        "monosemanticity": (share, "share of its activation mass in its main tag (half B)", "1"),
        "monosemanticity_above_base": (
            above,
            "(monosemanticity - base rate) / (1 - base rate): 0 where the mass lies as the tokens do",
            "1",
        ),
        "specific_tags": (_specific(counts, least).sum(1), "tags that it is specific to (half B)", "tag"),
    }
    return {name: variable("feature", *rest) for name, rest in numbers.items()}


def _scalars(variables: dict[str, xr.Variable]) -> dict[str, xr.Variable]:
    def known(name: str) -> Numbers:
        values = variables[name].values.astype(np.float64)
        return values[np.isfinite(values)]

    def summary(name: str, function: str = "mean") -> float:
        return float(getattr(np, function)(known(name))) if len(known(name)) else float("nan")

    # No median of the raw share: tags that many tokens carry give every neuron a high one.
    above = known("monosemanticity_above_base")
    scored = np.isfinite(variables["monosemanticity"].values)
    return {
        "tags": scalar(len(variables["f1"]), "tags", "tag"),
        "tags_found": scalar(
            int(variables["found"].values.sum()),
            f"tags whose best feature has F1 >= {FOUND}, and more than one that is always active",
            "tag",
        ),
        "tag_mean_best_f1": scalar(summary("f1"), "mean over tags of the F1 of the best feature", "1"),
        "tag_mean_active_f1": scalar(summary("active_f1"), "the same if active is above 0 for all", "1"),
        "tag_mean_f1_always_active": scalar(
            summary("f1_always_active"), "mean over tags of the F1 of a feature that is always active", "1"
        ),
        "tag_mean_best_auroc": scalar(summary("auroc"), "mean over tags of the AUROC of the best feature", "1"),
        "tag_scored_features": scalar(int(scored.sum()), "features with a monosemanticity", "feature"),
        "median_monosemanticity_above_base": scalar(
            summary("monosemanticity_above_base", "median"), "median of monosemanticity above its base rate", "1"
        ),
        "monosemantic_share": scalar(
            float((above >= SPECIFIC_SHARE).mean()) if len(above) else float("nan"),
            f"share of the scored features with a monosemanticity above base of {SPECIFIC_SHARE} or more",
            "1",
        ),
        "mean_specific_tags": scalar(
            float(variables["specific_tags"].values[scored].mean()) if scored.any() else float("nan"),
            "mean number of tags that a scored feature is specific to",
            "tag",
        ),
    }
