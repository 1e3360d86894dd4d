"""S1.X2: how few features tell a tag as well as a probe on all activations of the site.

Over (`tag`, `k`): `f1` and `auroc`, on half B, of a logistic regression on the k features whose means differ most
between tokens with the tag and without it. The table of the neurons holds the probe on all activations beside it
(`dense_f1`), and its direction (`dense_weight`); those of SAEs say how many features come as near to it as how many
neurons. Tags that a half has on too few tokens are not probed, and their numbers are NaN.

Where the model has a random-model control, the same dictionary of it stands beside (`control_f1`), and means and shares
leave out the tags that all activations of the control tell as well: the 95 % interval of its F1 reaches that of the
model. All dictionaries of a site leave out the same.

Sources: Gurnee et al. 2023 (arXiv 2305.01610); Karvonen et al. 2025, SAEBench (arXiv 2503.09532).
"""

from typing import Any

import numpy as np
import xarray as xr

from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import declared_table
from polysem.tables.parts.reading import activation_rows, is_neurons
from polysem.tables.passes.probing.columns import FeatureColumns, NeuronColumns
from polysem.tables.passes.probing.probes import (
    FEATURES,
    PENALTY,
    Scores,
    dense_probes,
    dense_scores,
    largest_differences,
    sparse_scores,
)
from polysem.tables.passes.probing.summaries import (
    against_control,
    against_dense,
    against_neurons,
    kept_tags,
    means,
)
from polysem.tables.passes.probing.tokens import LEAST, ProbedTokens
from polysem.tables.passes.survey.survey import gathered, surveyed
from polysem.tables.passes.survey.tags import TagCounts, shared_counts

CATALOGUE = "S1.X2"
READS = ("survey", "store", "weights", "tokens", "neurons:table:sparse_probing", "control:table:sparse_probing")
PARAMS = ("baseline_seed",)
ONLY = {
    "of neurons": ("dense_f1*", "dense_precision", "dense_recall", "dense_auroc", "dense_weight", "neuron"),
    "of neurons, if the model has a random-model control": ("control_dense_*",),
    "if the model has a random-model control": ("control_*", "beyond_control*"),
    "of SAEs": ("fewer_than_*", "more_than_*", "fewest_for_neurons"),
}
VARIABLES = {
    "probed": ("tag", "1", "whether both halves have at least 20 tokens with the tag and 20 without it"),
    "tokens_choosing": ("tag", "token", "tokens with the tag (half A)"),
    "tokens_held_out": ("tag", "token", "tokens with the tag (half B)"),
    "chosen": ("tag rank", "feature", "features whose means differ most with and without the tag (half A), -1: none"),
    "difference": ("tag rank", "activation", "mean activation with the tag less that without it (half A)"),
    "f1": ("tag k", "1", "F1 of the probe on k features (half B)"),
    "f1_low": ("tag k", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "f1_high": ("tag k", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "precision": ("tag k", "1", "precision of the probe on k features (half B)"),
    "recall": ("tag k", "1", "recall of the probe on k features (half B)"),
    "auroc": ("tag k", "1", "area under the ROC curve of the probe on k features (half B)"),
    "dense_f1": ("tag", "1", "F1 of the probe on all activations (half B)"),
    "dense_f1_low": ("tag", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "dense_f1_high": ("tag", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "dense_precision": ("tag", "1", "precision of the probe on all activations (half B)"),
    "dense_recall": ("tag", "1", "recall of the probe on all activations (half B)"),
    "dense_auroc": ("tag", "1", "area under the ROC curve of the probe on all activations (half B)"),
    "dense_weight": ("tag neuron", "1/activation", "change of the log-odds with each neuron: the probe's direction"),
    "control_f1": ("tag k", "1", "F1 of the probe on k features of the random-model control (half B)"),
    "control_f1_low": ("tag k", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "control_f1_high": ("tag k", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "beyond_control": ("tag", "1", "whether with some k the interval of F1 lies above that of the control"),
    "control_dense_f1": ("tag", "1", "F1 of the probe on all activations of the random-model control (half B)"),
    "control_dense_f1_low": ("tag", "1", "lower end of its 95 % bootstrap interval over sequences"),
    "control_dense_f1_high": ("tag", "1", "upper end of its 95 % bootstrap interval over sequences"),
    "kept": ("tag", "1", "whether means and shares are over it: probed, and told better than by the control"),
    "fewest": ("tag", "feature", "fewest features with an F1 within 0.02 of the probe on all activations, -1: more"),
    "fewer_than_neurons": (
        "tag",
        "1",
        "1: fewer features than neurons come within 0.02 of the probe on all activations, -1: more, 0: as many",
    ),
    "fewest_for_neurons": ("tag", "feature", "fewest features with an F1 within 0.02 of that of 8 neurons, -1: more"),
    "mean_f1": ("k", "1", "mean over tags of the F1 of the probe on k features"),
    "mean_f1_low": ("k", "1", "lower end of its 95 % bootstrap interval over tags"),
    "mean_f1_high": ("k", "1", "upper end of its 95 % bootstrap interval over tags"),
    "mean_auroc": ("k", "1", "mean over tags of the AUROC of the probe on k features"),
    "control_mean_f1": ("k", "1", "mean over tags of the F1 of the probe on k features of the random-model control"),
    "probed_tags": ("", "tag", "tags that are probed"),
    "left_out_tags": ("", "tag", "tags that are probed and left out, as the random-model control tells them as well"),
    "control_probe_f1_1": ("", "1", "mean over tags of the F1 of the probe on 1 feature of the random-model control"),
    "beyond_control_share": ("", "1", "share of tags with an interval of F1 above that of the control with some k"),
    "sparse_probe_f1_1": ("", "1", "mean over tags of the F1 of the probe on 1 feature"),
    "sparse_probe_f1_8": ("", "1", "mean over tags of the F1 of the probe on 8 features"),
    "dense_probe_f1": ("", "1", "mean over tags of the F1 of the probe on all activations"),
    "dense_probe_f1_low": ("", "1", "lower end of its 95 % bootstrap interval over tags"),
    "dense_probe_f1_high": ("", "1", "upper end of its 95 % bootstrap interval over tags"),
    "as_good_as_dense_share": (
        "",
        "1",
        "share of tags with 8 features or fewer within 0.02 of the F1 on all activations",
    ),
    "fewer_than_neurons_share": ("", "1", "share of tags for which fewer features than neurons suffice"),
    "fewer_than_neurons_share_low": ("", "1", "lower end of its 95 % bootstrap interval over tags"),
    "fewer_than_neurons_share_high": ("", "1", "upper end of its 95 % bootstrap interval over tags"),
    "fewer_than_most_neurons_share": (
        "",
        "1",
        "share of tags with fewer than 8 features within 0.02 of the F1 of 8 neurons",
    ),
    "fewer_than_most_neurons_share_low": ("", "1", "lower end of its 95 % bootstrap interval over tags"),
    "fewer_than_most_neurons_share_high": ("", "1", "upper end of its 95 % bootstrap interval over tags"),
    "more_than_neurons_share": ("", "1", "share of tags for which more features than neurons are needed"),
    "more_than_neurons_share_low": ("", "1", "lower end of its 95 % bootstrap interval over tags"),
    "more_than_neurons_share_high": ("", "1", "upper end of its 95 % bootstrap interval over tags"),
    "tag": ("tag", "1", "tag"),
    "k": ("k", "feature", "features of the probe, at most"),
    "rank": ("rank", "1", "features by the difference of means, the largest first"),
    "neuron": ("neuron", "1", "neuron"),
}


def gatherer(inputs: Inputs) -> TagCounts:
    """What counts tags and features during the survey, the same as that of the table `tags`."""
    return shared_counts(inputs)


def measure(inputs: Inputs) -> xr.Dataset:
    """The table; of tokens without tags an empty one that says so."""
    counted, again = gathered(inputs, TagCounts), surveyed(inputs).again
    if not counted.names:
        return xr.Dataset(attrs={"not_applicable": "the tokens carry no tags"})
    seed = inputs.params.baseline_seed
    tokens = ProbedTokens.of(counted.sample, len(counted.names))
    probed = tokens.probed()
    values: dict[str, Any] = {"probed": probed}
    for name, half in (("tokens_choosing", ~tokens.held_out), ("tokens_held_out", tokens.held_out)):
        values[name] = tokens.carried[half].sum(0)
    neurons = NeuronColumns(activation_rows(inputs), tokens) if is_neurons(inputs) else None
    columns = neurons or FeatureColumns(counted.counts(), counted.sample, again)
    differences = columns.differences()
    chosen = largest_differences(differences)
    values["chosen"] = chosen
    values["difference"] = np.where(
        chosen < 0, np.nan, np.take_along_axis(differences.T, np.maximum(chosen, 0), axis=1)
    )
    sparse = sparse_scores(columns, chosen, tokens, probed, seed)
    values |= _named(sparse, "")
    if neurons is not None:
        probes = dense_probes(neurons.rows, tokens, probed)
        dense = dense_scores(neurons.rows, probes, tokens, probed, seed)
        values |= _named(dense, "dense_")
        values["dense_weight"] = np.full((len(probed), neurons.rows.shape[1]), np.nan, np.float32)
        values["dense_weight"][probed] = probes.weight.T
        values["neuron"] = np.arange(neurons.rows.shape[1])
        dense_f1 = dense.f1
    else:
        of_neurons = inputs.each("neurons")[0].table("sparse_probing")
        dense_f1 = of_neurons["dense_f1"].values
    values["fewest"] = against_dense(sparse.f1, dense_f1)
    beside = inputs.each("control")
    control = beside[0].table("sparse_probing") if beside else None
    values |= {"kept": of_neurons["kept"].values} if neurons is None else kept_tags(dense, control, probed)
    kept = values["kept"].astype(np.bool_)
    values |= means(sparse, dense_f1, values["fewest"], kept, seed)
    values |= {"probed_tags": int(probed.sum()), "left_out_tags": int((probed & ~kept).sum())}
    if control is not None:
        values |= against_control(sparse, control, kept)
    if neurons is None:
        values |= against_neurons(sparse.f1, values["fewest"], of_neurons, kept, seed)
    values |= {"tag": np.array(counted.names, object), "k": np.array(FEATURES), "rank": np.arange(FEATURES[-1])}
    attributes = {"control": beside[0].place.model} if beside else {}
    return declared_table(
        VARIABLES,
        values,
        attributes | {"least": LEAST, "fitted_tokens": int((tokens.weight > 0).sum()), "penalty": PENALTY},
    )


def _named(scores: Scores, front: str) -> dict[str, np.ndarray]:
    ends = {"low": "f1_low", "high": "f1_high"}
    return {front + ends.get(name, name): values for name, values in vars(scores).items()}
