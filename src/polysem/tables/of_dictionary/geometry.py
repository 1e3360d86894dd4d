"""S2.F11-F14: encoder against decoder, the null space of the weights behind the site, decoder rows among themselves."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.numerics.norms import column_products, column_squares
from polysem.params.analysis import Analysis
from polysem.saes.dictionary import Dictionary
from polysem.saes.sae import SAE
from polysem.tables.inputs import Inputs
from polysem.tables.parts.decoder_cosines import pair_variables
from polysem.tables.parts.directions import Directions, weights_around
from polysem.tables.parts.labels import index, labelled, scalar, variable
from polysem.tables.parts.null_space import SeenRows, null_share, random_null_share, seen_rows, shared_seen_rows
from polysem.tables.parts.reading import dictionary_of
from polysem.tables.parts.showcase import showcase

CATALOGUE = "S2.F11 S2.F12 S2.F13 S2.F14"
READS = ("weights", "store", "directions", "table:frequency", "table:alignment", "table:tags")
PARAMS = ("ultra_low_frequency", "one_sparse", "next_nine", "baseline_seed")
OF_DECODERS = True
VARIABLES = {
    "null_share_decoder": ("feature", "1", "share of the squared norm of the decoder row in the null space of W_out"),
    "null_share_decoder_mean": (
        "",
        "1",
        "mean share of the squared norm of the decoder row in the null space of W_out, ultra-low features left out",
    ),
    "null_share_decoder_standard_deviation": (
        "",
        "1",
        "standard deviation of the share of the squared norm of the decoder row in the null space of "
        "W_out, ultra-low features left out",
    ),
    "null_share_random": (
        "random_row",
        "1",
        "share of the squared norm of a random direction in the null space of W_out",
    ),
    "null_share_random_mean": (
        "",
        "1",
        "mean share of the squared norm of a random direction in the null space of W_out",
    ),
    "null_share_random_standard_deviation": (
        "",
        "1",
        "standard deviation of the share of the squared norm of a random direction in the null space of W_out",
    ),
    "showcase_decoder": ("showcase neuron", "weight", "decoder row"),
    "feature": ("feature", "1", "feature"),
    "random_row": ("random_row", "1", "random row"),
    "showcase": ("showcase", "feature", "feature shown"),
    "neuron": ("neuron", "1", "neuron"),
    "encoder_decoder_cosine": ("feature", "1", "cosine of the encoder and the decoder row"),
    "encoder_decoder_product": ("feature", "1", "inner product of the encoder and the decoder row"),
    "encoder_norm": ("feature", "weight", "norm of the encoder row"),
    "decoder_norm": ("feature", "weight", "norm of the decoder row"),
    "encoder_bias": ("feature", "activation", "bias of the encoder"),
    "encoder_decoder_cosine_median": (
        "",
        "1",
        "median cosine of encoder and decoder rows, ultra-low features left out",
    ),
    "frequent_decoder_rows": ("", "feature", "frequent features: decoder rows"),
    "frequent_decoder_cosine_mean": ("", "1", "frequent features: mean cosine of two decoder rows"),
    "frequent_decoder_cosine_variance": ("", "1", "frequent features: variance of the cosine"),
    "frequent_dense_decoder_rows": ("", "feature", "frequent features that are not neuron-sparse: decoder rows"),
    "frequent_dense_decoder_cosine_mean": (
        "",
        "1",
        "frequent features that are not neuron-sparse: mean cosine of two decoder rows",
    ),
    "frequent_dense_decoder_cosine_variance": (
        "",
        "1",
        "frequent features that are not neuron-sparse: variance of the cosine",
    ),
    "random_decoder_rows": ("", "feature", "random directions: decoder rows"),
    "random_decoder_cosine_mean": ("", "1", "random directions: mean cosine of two decoder rows"),
    "random_decoder_cosine_variance": ("", "1", "random directions: variance of the cosine"),
    "isotropic_cosine_variance": ("", "1", "variance of the cosine of two random directions, 1/neurons"),
    "decoder_cosine_pairs": ("kind cosine_bin", "pair", "pairs among at most 1,024 decoder rows"),
    "null_share_encoder": ("feature", "1", "share of the squared norm of the encoder row in the null space of W_out"),
    "null_share_encoder_mean": (
        "",
        "1",
        "mean share of the squared norm of the encoder row in the null space of W_out, ultra-low features left out",
    ),
    "null_share_encoder_standard_deviation": (
        "",
        "1",
        "standard deviation of the share of the squared norm of the encoder row in the null space of "
        "W_out, ultra-low features left out",
    ),
    "kind": ("kind", "1", "rows that are paired"),
    "cosine_edge": ("cosine_edge", "1", "edges of the bins of the cosine"),
}
ONLY = {
    "of an SAE": (
        "encoder*",
        "decoder_norm",
        "frequent*",
        "random_decoder*",
        "isotropic*",
        "decoder_cosine*",
        "kind",
        "cosine_edge",
    ),
    "of an SAE, where the site has weights behind it": ("null_share_encoder*",),
    "where the site has weights behind it": (
        "null_share*",
        "random_row",
    ),
    "where features are shown": (
        "showcase*",
        "neuron",
    ),
}
Variables = dict[str, xr.Variable]
Squares = Mapping[str, NDArray[np.float64]]
"""Squared norm of the row of each feature, by the matrix."""
NEURONS_HAVE_NO_ENCODER = (
    "the neurons have neither an encoder nor a decoder that was learned: their directions are the axes themselves"
)
NO_OUTPUT_WEIGHTS = (
    "the site has no weights of its own behind it, and so no null space; mlp.hook_post has one, in front of W_out, and "
    "attn.hook_z, in front of W_O"
)


def geometry(
    dictionary: Dictionary,
    frequency: xr.Dataset,
    alignment: xr.Dataset,
    directions: Directions,
    site: str,
    analysis: Analysis,
    showcase: Sequence[int] = (),
    seen: SeenRows | None = None,
) -> xr.Dataset:
    """Where the encoder and decoder rows of a dictionary point, from its weights alone.

    Of an SAE, over `feature`: `encoder_decoder_cosine`, `encoder_decoder_product`, `encoder_norm`, `decoder_norm`,
    `encoder_bias`; scalar `encoder_decoder_cosine_median`; and what `pair_variables` adds, cosines between decoder
    rows. Of every dictionary of a site with W_out: `null_share_decoder` and, of an SAE, `null_share_encoder` over
    `feature` (share of the row's squared norm that W_out does not see), `null_share_random` over `random_row`, and
    their means and standard deviations as scalars. Scalars are taken over features of at least `ultra_low_frequency`,
    as in the document. Over (`showcase`, `neuron`): `showcase_decoder`, the decoder rows of some features.
    `seen` saves a product of all rows where the caller has it for the logits too.
    Decoder rows of a transcoder stand at the site that it predicts, and so do `showcase_decoder` and the null space;
    its encoder rows have another basis, so that they are not held against these or against that W_out.
    What does not apply is left out; the attributes `not_applicable`, `encoder_decoder_not_applicable` and
    `null_space_not_applicable` say why.
    Source: document S2, "Should encoder and decoder weights be tied?", "Should we train autoencoders on the MLP
    output?", and its comments.
    """
    usual = frequency["frequency"].values >= analysis.ultra_low_frequency
    variables: Variables = {}
    coordinates = {"feature": index("feature", 0, dictionary.features, "feature")}
    attributes: dict[str, str | int | float] = {"ultra_low_frequency": analysis.ultra_low_frequency}
    decoder, W_enc, basis = dictionary.decoder().cpu(), None, dictionary.target or site
    squares = {"decoder": torch.linalg.vector_norm(decoder, dim=1).double().square().numpy()}
    if isinstance(dictionary, SAE):
        W_enc = dictionary.W_enc.cpu()
        squares["encoder"] = column_squares(W_enc.numpy())
        variables |= _norms_and_bias(squares, dictionary.b_enc.cpu().numpy())
        if dictionary.target is None:
            variables |= _encoder_against_decoder(column_products(W_enc, decoder).numpy(), squares, usual)
        else:
            attributes["encoder_decoder_not_applicable"] = two_bases(site, dictionary.target)
        of_pairs, bins = pair_variables(decoder, usual, alignment, analysis)
        variables |= of_pairs
        coordinates |= bins
    else:
        attributes["not_applicable"] = NEURONS_HAVE_NO_ENCODER
        attributes["encoder_decoder_not_applicable"] = NEURONS_HAVE_NO_ENCODER
    seen = seen or seen_rows(dictionary, directions, basis)
    if seen is None:
        whose = "" if dictionary.target is None else f"of {basis}, at which the decoder rows stand: "
        attributes["null_space_not_applicable"] = f"{whose}{NO_OUTPUT_WEIGHTS}"
    else:
        of_null_space = _null_space(
            W_enc if dictionary.target is None else None, seen, squares, usual, analysis.baseline_seed
        )
        variables |= of_null_space
        coordinates["random_row"] = index("random_row", 0, of_null_space["null_share_random"].size, "random row")
        attributes["rank"] = seen.basis.shape[1]
    if showcase:
        rows = decoder[list(showcase)].numpy()
        variables["showcase_decoder"] = variable(("showcase", "neuron"), rows, "decoder row", "weight")
        coordinates["showcase"] = variable("showcase", list(showcase), "feature shown", "feature")
        coordinates["neuron"] = index("neuron", 0, dictionary.outputs, "neuron")
    return labelled(variables, coordinates, attributes)


def two_bases(site: str, target: str) -> str:
    """Why encoder and decoder rows of a transcoder are not held against each other."""
    return f"encoder rows stand at {site} and decoder rows at {target}, which the transcoder predicts: two bases"


def _norms_and_bias(squares: Squares, bias: NDArray[np.float32]) -> Variables:
    norms = {name: np.sqrt(squares[name]).astype(np.float32) for name in ("encoder", "decoder")}
    found = {
        f"{name}_norm": variable("feature", norm, f"norm of the {name} row", "weight") for name, norm in norms.items()
    }
    return found | {"encoder_bias": variable("feature", bias, "bias of the encoder", "activation")}


def _encoder_against_decoder(product: NDArray[np.float32], squares: Squares, usual: NDArray[np.bool_]) -> Variables:
    encoder, decoder = (np.sqrt(squares[name]).astype(np.float32) for name in ("encoder", "decoder"))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = product / (encoder * decoder)
    return {
        "encoder_decoder_cosine": variable("feature", cosine, "cosine of the encoder and the decoder row", "1"),
        "encoder_decoder_product": variable(
            "feature", product, "inner product of the encoder and the decoder row", "1"
        ),
        "encoder_decoder_cosine_median": scalar(
            _median(cosine[usual]), "median cosine of encoder and decoder rows, ultra-low features left out", "1"
        ),
    }


def _null_space(
    W_enc: Float[Tensor, "neuron feature"] | None, seen: SeenRows, squares: Squares, usual: NDArray[np.bool_], seed: int
) -> Variables:
    neurons, rank = seen.basis.shape
    rows = {"decoder": torch.linalg.vector_norm(seen.decoder, dim=1).double().square().numpy()}
    if W_enc is not None:
        rows = {"encoder": column_squares(seen.basis.numpy().T @ W_enc.numpy()), **rows}
    variables: Variables = {}
    for name, squares_seen in rows.items():
        share = null_share(squares_seen, squares[name])
        words = f"share of the squared norm of the {name} row in the null space of W_out"
        variables[f"null_share_{name}"] = variable("feature", share, words, "1")
        variables |= _mean_and_deviation(f"null_share_{name}", share[usual], f"{words}, ultra-low features left out")
    random = random_null_share(neurons, rank, seed)
    words = "share of the squared norm of a random direction in the null space of W_out"
    variables["null_share_random"] = variable("random_row", random, words, "1")
    return variables | _mean_and_deviation("null_share_random", random, words)


def _mean_and_deviation(name: str, values: NDArray[np.floating], words: str) -> Variables:
    finite = values[np.isfinite(values)].astype(np.float64)
    mean, deviation = (finite.mean(), finite.std()) if finite.size else (np.nan, np.nan)
    return {
        f"{name}_mean": scalar(mean, f"mean {words}", "1"),
        f"{name}_standard_deviation": scalar(deviation, f"standard deviation of the {words}", "1"),
    }


def _median(values: NDArray[np.floating]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `geometry`."""
    frequency = inputs.table("frequency")
    return geometry(
        dictionary_of(inputs),
        frequency,
        inputs.table("alignment"),
        weights_around(inputs),
        inputs.site,
        inputs.params,
        showcase(frequency, inputs.table("tags")),
        shared_seen_rows(inputs),
    )
