"""S1.X3: whether the feature of a tag is missing, and another one on in its place, where a more special tag is there.

Some tags imply others: every token of an opening is one of a story of its kind. Over `pair`, the tags `child` and
`parent` of which the first implies the second, with no third one in between: how often the main feature of the parent,
the one whose mean is most above that of tokens without it (half A), is off on tokens with the parent, those with the
child (`missed_with_child`) and the others (`missed_elsewhere`). It is `absorbed` where the child's main feature is on
in its place, and its decoder row points along the direction of the parent's probe on all activations: its `cosine` is
above that of 95 % of the dictionary's rows (`cosine_limit`). Over `tag`, for those that are a parent: how many features
its probe needs (`split_features`), and how well the main features of its children, taken together, tell it.

Means and shares are over pairs of which both tags are `kept` in the table `sparse_probing`: the random-model control,
where there is one, does not tell them as well. The same dictionary of the control stands beside (`control_absorbed`).

Sources: Chanin et al. 2024, *A is for Absorption* (arXiv 2409.14507); Karvonen et al. 2025, SAEBench (arXiv
2503.09532); here tags that are known stand in place of first letters.
"""

from typing import Any

import numpy as np
import xarray as xr

from polysem.saes.dictionary import Dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import declared_table
from polysem.tables.parts.reading import dictionary_of, is_neurons
from polysem.tables.passes.probing.columns import FeatureColumns
from polysem.tables.passes.probing.hierarchy import (
    Pairs,
    active_tokens,
    cosine_limits,
    cosines,
    detectors,
    implying_pairs,
    main_features,
    missed,
    split_features,
)
from polysem.tables.passes.probing.hierarchy_summaries import means, of_control
from polysem.tables.passes.probing.tokens import ProbedTokens
from polysem.tables.passes.survey.survey import gathered, surveyed
from polysem.tables.passes.survey.tags import TagCounts, shared_counts

CATALOGUE = "S1.X3"
READS = (
    "survey",
    "store",
    "weights",
    "tokens",
    "table:sparse_probing",
    "neurons:table:sparse_probing",
    "control:table:tag_hierarchy",
)
PARAMS = ("baseline_seed",)
ONLY = {"if the model has a random-model control": ("control_*",)}
VARIABLES = {
    "child": ("pair", "1", "tag that implies the parent: 99 % of its tokens carry it (half A)"),
    "parent": ("pair", "1", "tag that is implied"),
    "kept": ("pair", "1", "whether means and shares are over it: both tags are told better than by the control"),
    "tokens_with_child": ("pair", "token", "tokens with child and parent (half B)"),
    "tokens_elsewhere": ("pair", "token", "tokens with the parent and without the child (half B)"),
    "missed_with_child": (
        "pair",
        "1",
        "share of the tokens with child and parent on which the parent's main feature is off (half B)",
    ),
    "missed_with_child_low": ("pair", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "missed_with_child_high": ("pair", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "missed_elsewhere": (
        "pair",
        "1",
        "share of the tokens with the parent and without the child on which the parent's main feature is off (half B)",
    ),
    "missed_elsewhere_low": ("pair", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "missed_elsewhere_high": ("pair", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "absorbed": (
        "pair",
        "1",
        "share of the tokens with child and parent on which the parent's main feature is off, and the child's, another "
        "one that points along the parent, is on (half B)",
    ),
    "absorbed_low": ("pair", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "absorbed_high": ("pair", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "cosine": ("pair", "1", "cosine of the decoder row of the child's main feature with the parent's direction"),
    "cosine_limit": ("pair", "1", "95 % quantile of the cosines of all decoder rows with the parent's direction"),
    "control_missed_with_child": ("pair", "1", "missed_with_child of the random-model control"),
    "control_absorbed": ("pair", "1", "absorbed of the random-model control"),
    "main_feature": ("tag", "feature", "feature whose mean is most above that of tokens without the tag, -1: none"),
    "children": ("tag", "tag", "tags that imply it, with no third one in between"),
    "split_features": ("tag", "feature", "fewest features with an F1 within 0.03 of that of 8, -1: no parent"),
    "own_f1": ("tag", "1", "F1 of a parent's main feature being on (half B)"),
    "own_f1_low": ("tag", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "own_f1_high": ("tag", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "children_f1": ("tag", "1", "F1 of the main feature of any child being on, for the parent (half B)"),
    "children_f1_low": ("tag", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "children_f1_high": ("tag", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "hierarchy_pairs": ("", "1", "pairs of tags of which one implies the other"),
    "left_out_pairs": ("", "1", "pairs that are left out of means and shares"),
    "absorbed_share": ("", "1", "mean over pairs of the share of tokens that is absorbed"),
    "absorbed_share_low": ("", "1", "lower end of its 95 % bootstrap interval over pairs"),
    "absorbed_share_high": ("", "1", "upper end of its 95 % bootstrap interval over pairs"),
    "missed_with_child_share": ("", "1", "mean over pairs of the share missed with the child"),
    "missed_with_child_share_low": ("", "1", "lower end of its 95 % bootstrap interval over pairs"),
    "missed_with_child_share_high": ("", "1", "upper end of its 95 % bootstrap interval over pairs"),
    "missed_elsewhere_share": ("", "1", "mean over pairs of the share missed without the child"),
    "missed_elsewhere_share_low": ("", "1", "lower end of its 95 % bootstrap interval over pairs"),
    "missed_elsewhere_share_high": ("", "1", "upper end of its 95 % bootstrap interval over pairs"),
    "split_tag_share": ("", "1", "share of the parents of these pairs whose probe needs more than 1 feature"),
    "parents_own_f1": ("", "1", "mean over these parents of the F1 of their own main feature being on"),
    "parents_children_f1": ("", "1", "mean over these parents of the F1 of the main feature of any child being on"),
    "control_absorbed_share": ("", "1", "mean over the same pairs of the share absorbed in the random-model control"),
    "control_missed_with_child_share": (
        "",
        "1",
        "mean over the same pairs of the share missed with the child in the random-model control",
    ),
    "tag": ("tag", "1", "tag"),
}
NEURONS = "neurons have no decoder rows that could stand in for one another: absorption is of features of an SAE"
NO_TAGS = "the tokens carry no tags"
NO_PAIRS = "no tag that is probed implies another one"


def gatherer(inputs: Inputs) -> TagCounts:
    """What counts tags and features during the survey, the same as that of the table `tags`."""
    return shared_counts(inputs)


def measure(inputs: Inputs) -> xr.Dataset:
    """The table; one that says so where there is nothing to measure: of neurons, of transcoders, which decode into
    another site than the probes', and of tokens without tags that imply others."""
    if is_neurons(inputs):
        return _not_applicable(NEURONS)
    dictionary = dictionary_of(inputs)
    if dictionary.target is not None:
        return _not_applicable(
            f"probes are of {inputs.site} and decoder rows stand at {dictionary.target}, which the transcoder "
            "predicts: they have no cosine"
        )
    counted = gathered(inputs, TagCounts)
    if not counted.names:
        return _not_applicable(NO_TAGS)
    tokens = ProbedTokens.of(counted.sample, len(counted.names))
    pairs = implying_pairs(tokens, tokens.probed())
    if not pairs.pairs:
        return _not_applicable(NO_PAIRS)
    probing = inputs.table("sparse_probing")
    names, is_kept = np.array(counted.names, object), probing["kept"].values.astype(np.bool_)
    kept = is_kept[pairs.child] & is_kept[pairs.parent]
    values: dict[str, Any] = {"tag": names, "child": names[pairs.child], "parent": names[pairs.parent], "kept": kept}
    values |= _shares(inputs, counted, tokens, pairs, dictionary)
    values["children"] = np.bincount(pairs.parent, minlength=len(names))
    values["split_features"] = split_features(probing["f1"].values, probing["k"].values, values["children"] > 0)
    values |= {"hierarchy_pairs": pairs.pairs, "left_out_pairs": int((~kept).sum())}
    values |= means(values, kept, inputs.params.baseline_seed)
    parents = np.unique(pairs.parent[kept])
    values["split_tag_share"] = (values["split_features"][parents] > 1).mean() if len(parents) else np.nan
    for name in ("own_f1", "children_f1"):
        values[f"parents_{name}"] = values[name][parents].mean() if len(parents) else np.nan
    beside = inputs.each("control")
    if beside:
        values |= of_control(values["child"], values["parent"], kept, beside[0].table("tag_hierarchy"))
    return declared_table(VARIABLES, values, {"control": beside[0].place.model} if beside else {})


def _not_applicable(reason: str) -> xr.Dataset:
    return xr.Dataset(attrs={"not_applicable": reason})


def _shares(
    inputs: Inputs, counted: TagCounts, tokens: ProbedTokens, pairs: Pairs, dictionary: Dictionary
) -> dict[str, Any]:
    """What the main features of the tags of pairs do on half B, and what their decoder rows point along."""
    seed = inputs.params.baseline_seed
    columns = FeatureColumns(counted.counts(), counted.sample, surveyed(inputs).again)
    main = main_features(columns.differences())
    active = active_tokens(columns, main[np.union1d(pairs.child, pairs.parent)])
    direction = inputs.each("neurons")[0].table("sparse_probing")["dense_weight"].values[pairs.parent]
    along = cosines(dictionary.decoder().cpu().numpy(), direction)
    cosine = np.where(main[pairs.child] < 0, np.nan, along[np.arange(pairs.pairs), main[pairs.child]])
    limit = cosine_limits(along)
    found = missed(tokens, pairs, main, active, cosine, limit, seed)
    own, of_children = detectors(tokens, pairs, main, active, seed)
    return {
        "main_feature": main,
        "tokens_with_child": found.tokens_with_child,
        "tokens_elsewhere": found.tokens_elsewhere,
        "cosine": cosine,
        "cosine_limit": limit,
        **found.with_child.named("missed_with_child"),
        **found.elsewhere.named("missed_elsewhere"),
        **found.absorbed.named("absorbed"),
        **own.named("own_f1"),
        **of_children.named("children_f1"),
    }
