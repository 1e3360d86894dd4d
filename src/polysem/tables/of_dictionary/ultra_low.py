"""S2.F4, S2.F5, S2.F7: whether the features that are hardly ever active are all the same feature."""

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.numerics.norms import column_squares
from polysem.params.analysis import Analysis
from polysem.saes.dictionary import Dictionary
from polysem.saes.sae import SAE
from polysem.tables.inputs import Inputs
from polysem.tables.parts.dead import dead_features
from polysem.tables.parts.frequency_classes import (
    NEVER,
    ULTRA_LOW,
    class_variables,
    firings,
    frequency_classes,
    is_ultra_low,
)
from polysem.tables.parts.labels import index, labelled, scalar, variable
from polysem.tables.parts.reading import activation_rows, dictionary_of
from polysem.tables.parts.singular_directions import singular_directions
from polysem.tables.passes.survey.co_firing import CONTEXTS, co_firing, highest_projections
from polysem.tables.passes.survey.survey import surveyed

CATALOGUE = "S2.F4 S2.F5 S2.F6 S2.F7 S3.T3"
READS = ("survey", "store", "training store", "weights", "table:frequency")
PARAMS = ("ultra_low_frequency", "baseline_seed")
VARIABLES = {
    "ultra_low_features": ("", "feature", "features below the ultra-low frequency, active on a token at least"),
    "never_active": ("", "feature", "features that were never active"),
    "ultra_low_threshold_firings": ("", "token", "tokens on which a feature at the ultra-low frequency is active"),
    "class_features": ("frequency_class", "feature", "features of the class"),
    "class_share": ("frequency_class", "1", "share of features in the class"),
    "frequency_class": ("frequency_class", "1", "frequent, ultra-low or never active"),
    "ultra_low_active": ("active", "token", "tokens by ultra-low features active on them"),
    "ultra_low_active_at_least": ("active", "token", "tokens by ultra-low features active on them, at least"),
    "ultra_low_active_at_least_independent": (
        "active",
        "token",
        "the same, were each active on tokens of its own choice (Poisson)",
    ),
    "ultra_low_firing": ("", "feature", "ultra-low features that are ever active"),
    "co_firing_largest": ("", "feature", "most ultra-low features active on one token"),
    "co_firing_largest_share": ("", "1", "share of those that are ever active in that number"),
    "co_firing_sequence": ("co_firing_context", "1", "sequence of a token on which most of them are active"),
    "co_firing_position": ("co_firing_context", "1", "position of that token in the sequence"),
    "co_firing_active": ("co_firing_context", "1", "ultra-low features active on that token"),
    "largest_training_activation": ("feature", "activation", "largest activation on the training images"),
    "dead_features": ("", "feature", "features whose largest activation on the training images is below 0.005"),
    "dead_share": ("", "1", "share of features whose largest activation on the training images is below 0.005"),
    "training_images": ("", "image", "training images that were looked at"),
    "feature": ("feature", "1", "feature"),
    "active": ("active", "1", "ultra-low features active on a token"),
    "mean_cosine": ("feature", "1", "cosine of the encoder row with the mean of the ultra-low encoder rows"),
    "mean_projection": ("feature", "weight", "component of the encoder row along the mean ultra-low direction"),
    "mean_projection_median": (
        "frequency_class",
        "weight",
        "median component of the encoder row along the mean ultra-low direction",
    ),
    "mean_direction": ("neuron", "1", "mean ultra-low encoder row, scaled to norm 1"),
    "mean_cosine_random": ("random_cosine", "1", "cosine of random rows with their own mean"),
    "mean_projection_random": ("random_row", "weight", "component of random rows of the encoder rows' norms"),
    "ultra_low_cosine_median": (
        "",
        "1",
        "median cosine of the encoder row with the mean of the ultra-low encoder rows, ultra-low features",
    ),
    "ultra_low_cosine_above_095_share": (
        "",
        "1",
        "share of ultra-low features with a cosine of the encoder row with the mean of the ultra-low "
        "encoder rows above 0.95",
    ),
    "ultra_low_cosine_median_random": ("", "1", "median cosine of as many random rows with their own mean"),
    "ultra_low_mean_decoder_cosine": (
        "",
        "1",
        "cosine of the mean ultra-low encoder row with the mean ultra-low decoder row",
    ),
    "variance_share": (
        "singular",
        "1",
        "share of the squared norm of the ultra-low decoder rows by singular direction",
    ),
    "variance_share_random": ("singular", "1", "the same of independent random rows"),
    "variance_share_directions": (
        "held_share",
        "1",
        "strongest singular directions of the ultra-low decoder rows that hold this share of the squared norm",
    ),
    "held_share": ("held_share", "1", "share of the squared norm"),
    "ultra_low_first_singular_share": (
        "",
        "1",
        "share of the squared norm of the ultra-low decoder rows by singular direction, the first one",
    ),
    "projection": ("projection_context", "activation", "inner product with the direction"),
    "projection_sequence": ("projection_context", "1", "sequence of the token"),
    "projection_position": ("projection_context", "1", "position of the token in its sequence"),
    "neuron": ("neuron", "1", "neuron"),
    "random_row": ("random_row", "1", "random row"),
    "singular": ("singular", "1", "singular direction, 1 is the strongest"),
}
ONLY = {
    "of a classifier": (
        "largest_training_activation",
        "dead*",
        "training_images",
    ),
    "where an SAE has an ultra-low cluster": (
        "mean_cosine",
        "mean_projection*",
        "mean_direction",
        "mean_cosine_random",
        "ultra_low_cosine*",
        "ultra_low_mean_decoder_cosine",
        "variance_share*",
        "held_share",
        "ultra_low_first_singular_share",
        "neuron",
        "random_row",
        "singular",
        "projection*",
    ),
}
RANDOM_ROWS = 1024
FEWEST = 3
"""Features of a cluster: the cosine of one or two rows with their mean says nothing about a cluster."""
ALIKE = 0.95
"""Cosine with the mean above which the document calls encoder rows the same (S2.F4)."""
Values = NDArray[np.float64]


def ultra_low(dictionary: Dictionary, frequency: xr.Dataset, analysis: Analysis) -> xr.Dataset:
    """The directions of the ultra-low cluster: features active on less than `ultra_low_frequency` of the tokens, and on
    one at least.

    Scalars: `ultra_low_features`; `never_active`, how many are active on no token, which are none of these;
    `ultra_low_threshold_firings`, on how many tokens a feature at the threshold is active; and, where an SAE has at
    least 3 ultra-low features, `ultra_low_cosine_median` and `ultra_low_cosine_above_095_share` with their baselines,
    `ultra_low_first_singular_share`, `ultra_low_mean_decoder_cosine` (of the mean direction with the mean decoder row;
    of an SAE, as a transcoder writes in another basis).
    Over `frequency_class`: `class_features` and `class_share`, how many features are frequent, ultra-low and never
    active, and `mean_projection_median`, the median of `mean_projection` in each class (NaN for one without features).
    Over `feature`, for all features: `mean_cosine`, the cosine of its encoder row with the mean of the cluster's
    encoder rows, and `mean_projection`, its component along that mean. Over `neuron`: `mean_direction`, the mean with
    norm 1.
    Over `singular`: `variance_share`, by singular direction of the cluster's decoder rows, each scaled to norm 1, and
    `variance_share_random`, what independent random rows show (Marchenko and Pastur's law). Over `held_share`:
    `variance_share_directions`, how many of the strongest hold that share.
    Over `random_row`: `mean_cosine_random`, cosines of as many random rows (at most 1,024) with their own mean, because
    every row has a share in its mean; `mean_projection_random`, components along a fixed direction of random rows that
    have the norms of the encoder rows.
    Where there is no cluster, or none of an SAE, the attribute `not_applicable` says so.
    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    classes = frequency_classes(frequency, analysis.ultra_low_frequency)
    low = classes[ULTRA_LOW]
    least = firings(frequency, analysis.ultra_low_frequency)
    variables = {
        "ultra_low_features": scalar(
            int(low.sum()), "features below the ultra-low frequency, active on a token at least", "feature"
        ),
        "never_active": scalar(int(classes[NEVER].sum()), "features that were never active", "feature"),
        "ultra_low_threshold_firings": scalar(
            least, "tokens on which a feature at the ultra-low frequency is active", "token"
        ),
        **class_variables(classes),
    }
    coordinates = {"feature": index("feature", 0, dictionary.features, "feature")}
    attributes: dict[str, str | float] = {"ultra_low_frequency": analysis.ultra_low_frequency}
    if not isinstance(dictionary, SAE):
        attributes["not_applicable"] = (
            "the neurons' directions are the axes themselves, which cannot cluster; an SAE's can"
        )
    elif least <= 1:
        attributes["not_applicable"] = (
            f"{analysis.ultra_low_frequency:g} of {frequency.attrs['tokens']:,} eval tokens is {least:.2g} of a token, "
            "so that no feature that is ever active lies below; more eval_tokens or a larger "
            "analysis.ultra_low_frequency is needed"
        )
    elif low.sum() < FEWEST:
        attributes["not_applicable"] = (
            f"{int(low.sum())} of {low.size:,} features are active on less than {analysis.ultra_low_frequency:g} of "
            f"{frequency.attrs['tokens']:,} eval tokens ({least:.3g} of them), but on one at least, and a cluster has "
            f"{FEWEST}; another recipe, more training or a larger analysis.ultra_low_frequency may show one"
        )
    else:
        of_encoder = _encoder_rows(dictionary, classes, analysis.baseline_seed)
        of_decoder = singular_directions(dictionary.W_dec.cpu(), low)
        variables |= of_encoder | of_decoder
        sizes = {name: size for entry in (of_encoder | of_decoder).values() for name, size in entry.sizes.items()}
        for name in ("neuron", "random_row"):
            coordinates[name] = index(name, 0, sizes[name], name.replace("_", " "))
        coordinates["singular"] = index("singular", 1, sizes["singular"] + 1, "singular direction, 1 is the strongest")
    return labelled(variables, coordinates, attributes)


def _encoder_rows(sae: SAE, classes: dict[str, NDArray[np.bool_]], seed: int) -> dict[str, xr.Variable]:
    W_enc, cluster = sae.W_enc.cpu(), torch.from_numpy(classes[ULTRA_LOW])
    mean = (W_enc @ cluster.float()).double()
    direction = (mean / mean.norm()).float()
    norms = np.sqrt(column_squares(W_enc.numpy())).astype(np.float32)
    projection = (direction @ W_enc).numpy()
    with np.errstate(invalid="ignore"):
        cosine = projection / norms
    in_cluster = cosine[cluster.numpy()]
    random = _random_cosines(int(cluster.sum()), len(W_enc), seed)
    some = norms[np.linspace(0, sae.features - 1, min(sae.features, RANDOM_ROWS)).astype(np.int64)]
    generator = np.random.default_rng([seed, 1])
    components = some * _component(generator.standard_normal(len(some)), len(W_enc), generator)
    words = "cosine of the encoder row with the mean of the ultra-low encoder rows"
    return {
        "mean_cosine": variable("feature", cosine, words, "1"),
        "mean_projection": variable(
            "feature", projection, "component of the encoder row along the mean ultra-low direction", "weight"
        ),
        "mean_projection_median": variable(
            "frequency_class",
            [_median(projection[member]) for member in classes.values()],
            "median component of the encoder row along the mean ultra-low direction",
            "weight",
        ),
        "mean_direction": variable("neuron", direction.numpy(), "mean ultra-low encoder row, scaled to norm 1", "1"),
        "mean_cosine_random": variable("random_cosine", random, "cosine of random rows with their own mean", "1"),
        "mean_projection_random": variable(
            "random_row", components, "component of random rows of the encoder rows' norms", "weight"
        ),
        "ultra_low_cosine_median": scalar(np.nanmedian(in_cluster), f"median {words}, ultra-low features", "1"),
        "ultra_low_cosine_above_095_share": scalar(
            np.mean(in_cluster > ALIKE), f"share of ultra-low features with a {words} above {ALIKE}", "1"
        ),
        "ultra_low_cosine_median_random": scalar(
            np.median(random), "median cosine of as many random rows with their own mean", "1"
        ),
    } | ({} if sae.target is not None else _mean_decoder(sae, cluster, direction))


def _median(values: NDArray[np.float32]) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _mean_decoder(sae: SAE, cluster: Tensor, direction: Float[Tensor, " neuron"]) -> dict[str, xr.Variable]:
    """Whether the cluster writes what it reads; a transcoder writes in another basis."""
    decoded = (cluster.float() @ sae.W_dec.cpu()).double()
    agreement = float(direction.double() @ decoded / decoded.norm())
    words = "cosine of the mean ultra-low encoder row with the mean ultra-low decoder row"
    return {"ultra_low_mean_decoder_cosine": scalar(agreement, words, "1")}


def _component(normal: Values, neurons: int, generator: np.random.Generator) -> Values:
    """Components along one axis of random directions, from standard-normal numbers."""
    rest = generator.chisquare(neurons - 1, len(normal)) if neurons > 1 else 0.0
    return normal / np.sqrt(normal**2 + rest)


def _random_cosines(rows: int, neurons: int, seed: int) -> Values:
    """Cosines of at most 1,024 of `rows` random directions with the mean of all of them."""
    generator = np.random.default_rng([seed, 0])
    drawn = generator.standard_normal((min(rows, RANDOM_ROWS), neurons), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    total = drawn.sum(0, dtype=np.float64)
    if rest := rows - len(drawn):
        total += generator.standard_normal(neurons) * np.sqrt(rest / neurons)
    return np.asarray(drawn @ total / np.linalg.norm(total), np.float64)


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: directions of the cluster (`ultra_low`), which of it fires together (`co_firing`), where its direction
    is seen (`highest_projections`), and of a classifier which features are dead (`dead_features`)."""
    dictionary, rows, frequency = dictionary_of(inputs), activation_rows(inputs), inputs.table("frequency")
    table = ultra_low(dictionary, frequency, inputs.params)
    cluster = is_ultra_low(frequency, inputs.params.ultra_low_frequency)
    parts = [table, co_firing(cluster, rows, surveyed(inputs).again)]
    if "mean_direction" in table:
        parts.append(highest_projections(rows, table["mean_direction"].values, CONTEXTS))
    if inputs.path_if_any("training store") is not None:
        parts.append(xr.Dataset(dead_features(activation_rows(inputs, "training store"), dictionary, inputs.device)))
    return xr.merge(parts, combine_attrs="drop_conflicts", join="exact")
