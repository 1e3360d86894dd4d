"""S1.F2, S0.X3: what features know of the tags of tokens, where these are known."""

import xarray as xr

from polysem.tables.inputs import Inputs
from polysem.tables.parts.monosemanticity import alignment_statistics
from polysem.tables.passes.survey.survey import gathered, surveyed
from polysem.tables.passes.survey.tags import TagCounts, shared_counts

CATALOGUE = "S0.X3 S1.F2"
READS = ("survey", "store", "weights", "tokens", "table:alignment")
PARAMS = ("baseline_seed",)
VARIABLES = {
    "base_rate": ("tag", "1", "share of tokens that carry the tag (half B)"),
    "best_feature": ("tag", "feature", "feature with the highest F1 on half A, -1: none"),
    "threshold": ("tag", "activation", "activation from which on it counts as active, chosen with it"),
    "f1_choosing": ("tag", "1", "F1 of the best feature on half A"),
    "precision": ("tag", "1", "share of the tokens above the threshold that carry the tag (half B)"),
    "recall": ("tag", "1", "share of the tag's tokens above the threshold (half B)"),
    "f1": ("tag", "1", "F1 of the best feature (half B)"),
    "true_negative_rate": ("tag", "1", "share of tokens without the tag below the threshold (half B)"),
    "auroc": ("tag", "1", "area under the ROC curve of activation against tag (half B)"),
    "sensitivity": ("tag", "1", "Pearson correlation of activation and tag (half B)"),
    "specificity": ("tag", "1", "share of its activation mass on tokens with the tag (half B)"),
    "mean_with": ("tag", "activation", "expected activation of a token with the tag (half B)"),
    "mean_without": ("tag", "activation", "expected activation of a token without it (half B)"),
    "f1_always_active": ("tag", "1", "F1 of a feature that is always active (half B)"),
    "tokens_choosing": ("tag", "token", "tokens with the tag (half A)"),
    "tokens_held_out": ("tag", "token", "tokens with the tag (half B)"),
    "tokens_with": ("tag bin", "token", "active tokens with the tag (half B, sampled)"),
    "tokens_without": ("tag bin", "token", "active tokens without it (half B, sampled)"),
    "mass_with": ("tag bin", "activation", "sum of activations with the tag (half B, sampled)"),
    "mass_without": ("tag bin", "activation", "sum of activations without it (half B, sampled)"),
    "sampled_with": ("tag", "token", "tokens with the tag (half B, sampled)"),
    "sampled_without": ("tag", "token", "tokens without it (half B, sampled)"),
    "active_feature": ("tag", "feature", "feature with the highest F1 on half A if active is above 0, -1: none"),
    "active_precision": ("tag", "1", "precision of the best feature if active is above 0 (half B)"),
    "active_recall": ("tag", "1", "recall of the best feature if active is above 0 (half B)"),
    "active_f1": ("tag", "1", "F1 of the best feature if active is above 0 (half B)"),
    "found": ("tag", "1", "whether the best feature has F1 >= 0.5, and more than one that is always active (half B)"),
    "features_main": ("tag", "feature", "features of which it is the main tag"),
    "features_specific": ("tag", "feature", "features that are specific to it"),
    "active_choosing": ("feature", "token", "active tokens (half A)"),
    "active_held_out": ("feature", "token", "active tokens (half B)"),
    "main_tag": ("feature", "1", "tag with the highest F1 on half A, no broad one, as its place along tag, -1: none"),
    "main_tag_f1": ("feature", "1", "F1 for the main tag (half B)"),
    "main_tag_base_rate": ("feature", "1", "share of all tokens that carry the main tag (half B)"),
    "monosemanticity": ("feature", "1", "share of its activation mass in its main tag (half B)"),
    "monosemanticity_above_base": (
        "feature",
        "1",
        "(monosemanticity - base rate) / (1 - base rate): 0 where the mass lies as the tokens do",
    ),
    "specific_tags": ("feature", "tag", "tags that it is specific to (half B)"),
    "tags": ("", "tag", "tags"),
    "tags_found": ("", "tag", "tags whose best feature has F1 >= 0.5, and more than one that is always active"),
    "tag_mean_best_f1": ("", "1", "mean over tags of the F1 of the best feature"),
    "tag_mean_active_f1": ("", "1", "the same if active is above 0 for all"),
    "tag_mean_f1_always_active": ("", "1", "mean over tags of the F1 of a feature that is always active"),
    "tag_mean_best_auroc": ("", "1", "mean over tags of the AUROC of the best feature"),
    "tag_scored_features": ("", "feature", "features with a monosemanticity"),
    "median_monosemanticity_above_base": ("", "1", "median of monosemanticity above its base rate"),
    "monosemantic_share": ("", "1", "share of the scored features with a monosemanticity above base of 0.5 or more"),
    "mean_specific_tags": ("", "tag", "mean number of tags that a scored feature is specific to"),
    "power_bin_power": ("power_bin", "1", "median share of squared decoder weight in the strongest neuron"),
    "power_bin_score": ("power_bin", "1", "median monosemanticity above base"),
    "power_bin_score_low": ("power_bin", "1", "lower quartile of monosemanticity above base"),
    "power_bin_score_high": ("power_bin", "1", "upper quartile of monosemanticity above base"),
    "power_bin_shuffled_low": ("power_bin", "1", "2.5 % quantile of the median under shuffles"),
    "power_bin_shuffled_high": ("power_bin", "1", "97.5 % quantile of the median under shuffles"),
    "power_bin_features": ("power_bin", "feature", "features of the bin"),
    "score_power_correlation": ("", "1", "Spearman correlation of score and power in the strongest neuron"),
    "score_power_correlation_shuffled_low": (
        "",
        "1",
        "2.5 % quantile under 400 shuffles: Spearman correlation of score and power in the strongest neuron",
    ),
    "score_power_correlation_shuffled_high": (
        "",
        "1",
        "97.5 % quantile under 400 shuffles: Spearman correlation of score and power in the strongest neuron",
    ),
    "score_power_correlation_p": (
        "",
        "1",
        "two-sided p under 400 shuffles: Spearman correlation of score and power in the strongest neuron",
    ),
    "aligned_neuron": ("", "neuron", "neuron that is the strongest of most features, -1: none has two"),
    "aligned_features": ("", "feature", "scored features whose strongest neuron it is"),
    "aligned_median_score": ("", "1", "median monosemanticity above base of these"),
    "other_median_score": ("", "1", "median monosemanticity above base of the others"),
    "aligned_above_other": (
        "",
        "1",
        "probability that a feature aligned with the most polysemantic neuron has a higher score than another",
    ),
    "aligned_above_other_shuffled_low": (
        "",
        "1",
        "2.5 % quantile under 400 shuffles: probability that a feature aligned with the most "
        "polysemantic neuron has a higher score than another",
    ),
    "aligned_above_other_shuffled_high": (
        "",
        "1",
        "97.5 % quantile under 400 shuffles: probability that a feature aligned with the most "
        "polysemantic neuron has a higher score than another",
    ),
    "aligned_above_other_p": (
        "",
        "1",
        "two-sided p under 400 shuffles: probability that a feature aligned with the most polysemantic "
        "neuron has a higher score than another",
    ),
    "aligned_score": ("quantile", "1", "score of features aligned with the most polysemantic neuron"),
    "other_score": ("quantile", "1", "score of the other features"),
    "shuffled_score_low": ("quantile", "1", "2.5 % quantile of the first under shuffles"),
    "shuffled_score_high": ("quantile", "1", "97.5 % quantile of the first under shuffles"),
    "feature": ("feature", "1", "feature"),
    "tag": ("tag", "1", "tag"),
    "bin_edge": ("edge", "activation", "edges of the bins of activations"),
    "quantile": ("quantile", "1", "share of features below"),
}


def gatherer(inputs: Inputs) -> TagCounts:
    """What counts tags and features during the survey."""
    return shared_counts(inputs)


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `TagCounts.table` and `alignment_statistics`."""
    tags = gathered(inputs, TagCounts).table(surveyed(inputs).again)
    return tags.assign(alignment_statistics(tags, inputs.table("alignment"), inputs.params.baseline_seed))
