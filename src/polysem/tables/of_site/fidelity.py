"""S0.T1, S2.T1, S3.T2: how much of a model survives where the reconstructions of dictionaries replace a site."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float
from torch import Tensor

from polysem.activations.left_out import LeftOut, recorded_left_out
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.tables import read_arrays
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.subject import Batch, Replacement, Subject
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.saes.sae import SAE, normalized
from polysem.tables.inputs import Inputs
from polysem.tables.parts.evaluation import Score, leading_batches
from polysem.tables.parts.fidelity_numbers import fidelity_numbers
from polysem.tables.parts.kept import Kept, kept_tokens
from polysem.tables.parts.labels import along_dictionaries, scalar
from polysem.tables.parts.massive import Massive
from polysem.tables.parts.reading import activation_rows
from polysem.tables.parts.reconstruction import Reconstruction

CATALOGUE = "S0.T1 S2.T1 S3.T2"
READS = ("model", "tokens", "store", "targets:store", "dictionaries:weights", "dictionaries:table:frequency")
PARAMS = ("fidelity_tokens", "ultra_low_frequency")
VARIABLES = {
    "cross_entropy_clean": ("dictionary", "nat", "cross-entropy of the model"),
    "cross_entropy_spliced": ("dictionary", "nat", "cross-entropy with the reconstruction in place"),
    "cross_entropy_without_ultra_low": (
        "dictionary",
        "nat",
        "cross-entropy with the reconstruction without ultra-low-frequency features in place",
    ),
    "cross_entropy_zero": ("dictionary", "nat", "cross-entropy with zeros in place"),
    "cross_entropy_mean": ("dictionary", "nat", "cross-entropy with the mean in place"),
    "accuracy_clean": ("dictionary", "1", "share of tokens predicted of the model"),
    "accuracy_spliced": ("dictionary", "1", "share of tokens predicted with the reconstruction in place"),
    "loss_recovered_zero": ("dictionary", "1", "loss recovered against zero ablation"),
    "loss_recovered_mean": ("dictionary", "1", "loss recovered against mean ablation"),
    "loss_recovered_without_ultra_low": (
        "dictionary",
        "1",
        "loss recovered against zero ablation without ultra-low-frequency features",
    ),
    "loss_recovered_by_mean": ("dictionary", "1", "loss recovered against zero ablation by mean ablation"),
    "loss_increase_spliced": ("dictionary", "1", "relative increase of the loss with the reconstruction in place"),
    "loss_increase_zero": ("dictionary", "1", "relative increase of the loss with zeros in place"),
    "accuracy_loss": ("dictionary", "1", "share of tokens that are predicted by the model alone, net"),
    "explained_variance": ("dictionary", "1", "share of variance explained"),
    "mean_squared_error": ("dictionary", "activation^2", "squared error, summed over neurons, mean over tokens"),
    "mse": ("dictionary", "activation^2", "squared error, mean over neurons and tokens"),
    "l1": ("dictionary", "activation", "sum of the features in the unit of the activations, mean over tokens"),
    "L0": ("dictionary", "feature", "mean number of active features per token"),
    "loss_recovered_zero_low": (
        "dictionary",
        "1",
        "loss recovered against zero ablation, lower end of the 95 % bootstrap interval over sequences",
    ),
    "loss_recovered_zero_high": (
        "dictionary",
        "1",
        "loss recovered against zero ablation, upper end of the 95 % bootstrap interval over sequences",
    ),
    "loss_recovered_mean_low": (
        "dictionary",
        "1",
        "loss recovered against mean ablation, lower end of the 95 % bootstrap interval over sequences",
    ),
    "loss_recovered_mean_high": (
        "dictionary",
        "1",
        "loss recovered against mean ablation, upper end of the 95 % bootstrap interval over sequences",
    ),
    "explained_variance_low": (
        "dictionary",
        "1",
        "share of variance explained, lower end of the 95 % bootstrap interval over sequences",
    ),
    "explained_variance_high": (
        "dictionary",
        "1",
        "share of variance explained, upper end of the 95 % bootstrap interval over sequences",
    ),
    "L0_low": (
        "dictionary",
        "feature",
        "mean number of active features per token, lower end of the 95 % bootstrap interval over sequences",
    ),
    "L0_high": (
        "dictionary",
        "feature",
        "mean number of active features per token, upper end of the 95 % bootstrap interval over sequences",
    ),
    "left_out_share": ("dictionary", "1", "share of tokens that are left out"),
    "left_out_variance_share": ("dictionary", "1", "share of the variance of all tokens that those hold"),
    "explained_variance_with_left_out": (
        "dictionary",
        "1",
        "share of variance explained, tokens that are left out included",
    ),
    "massive_share": ("dictionary", "1", "share of tokens that are massive and count"),
    "massive_variance_share": ("dictionary", "1", "share of the variance that those hold"),
    "explained_variance_without_massive": ("dictionary", "1", "share of variance explained of all other tokens"),
    "dictionary": ("dictionary", "1", "dictionary of the site"),
}
ONLY = {
    "where tokens are left out": ("left_out_share", "left_out_variance_share", "explained_variance_with_left_out"),
    "where massive tokens count": ("massive_share", "massive_variance_share", "explained_variance_without_massive"),
}
Change = Callable[[Float[Tensor, "token output"], Float[Tensor, "token neuron"]], Float[Tensor, "token output"]]
"""From activations that are replaced, and those that a dictionary reads at these tokens, to what takes their place."""


def measure(inputs: Inputs) -> xr.Dataset:
    """The numbers of `dictionary_fidelity` over the first `fidelity_tokens` of the eval tokens, along `dictionary`.

    A transcoder is spliced in at the site that it predicts, and ablated there; the attribute `targets` says where, as
    JSON, by dictionary. All dictionaries of a site come together: starting a language model takes longer than splicing
    a dictionary into it, and what zeros or the mean leave of the model is the same for all. The mean is that of the
    whole store; features that are rarer than `ultra_low_frequency` are told by the tables `frequency`.
    Raises InputError if the model has no such site or a store or an SAE is of another width.
    """
    subject = load_subject(inputs.path("model"), inputs.device)
    batches = list(leading_batches(TokenStore(inputs.path("tokens")), inputs.params.fidelity_tokens))
    stores = {one.site: one for one in (inputs, *inputs.each("targets"))}
    rules = {site: recorded_left_out(one.path("store")) for site, one in stores.items()}

    @cache
    def kept(at: str) -> Kept:
        return kept_tokens(subject, batches, rules, at, inputs.site)

    @cache
    def ablated(at: str) -> dict[str, Score]:
        return ablations(subject, batches, at, mean_activation(_rows_of(subject, at, stores)), kept(at).masks)

    width = _rows_of(subject, inputs.site, stores).width
    predicted: dict[str, str] = {}
    each, names = [], []
    for its in inputs.each("dictionaries"):
        features, name = load_dictionary(its.path("weights"), width, inputs.device), its.place.dictionary
        if features.target is not None:
            predicted[name] = features.target
        frequency = read_arrays(its.table_file("frequency"), lambda name: name == "frequency")["frequency"]
        rare = torch.from_numpy(frequency < inputs.params.ultra_low_frequency)
        at = features.target or inputs.site
        _rows_of(subject, at, stores)
        each.append(dictionary_fidelity(subject, batches, features, inputs.site, rare, ablated(at), kept(at), rules))
        names.append(name)
    found = along_dictionaries(each, names)
    return found.assign_attrs(targets=json.dumps(predicted)) if predicted else found


def _rows_of(subject: Subject, site: str, stores: Mapping[str, Inputs]) -> ActivationRows:
    """The eval activations of a site. InputError if there are none, or of another width."""
    if site not in stores:
        raise InputError(f"a dictionary predicts {site}, of which no activations are given; they are of {[*stores]}")
    rows = activation_rows(stores[site])
    if rows.width != subject.width(site):
        raise InputError(
            f"{stores[site].path('store')} has {rows.width} neurons, site {site} of the model has "
            f"{subject.width(site)}; delete the store and its receipt and run again"
        )
    return rows


def mean_activation(rows: ActivationRows) -> Float[Tensor, " neuron"]:
    """Mean over all tokens of a store, added up in float64.

    Raises InputError for an empty store.
    """
    if not rows.length:
        raise InputError("the activation store has no tokens; raise eval_tokens of the model's activations")
    total = np.zeros(rows.width)
    for block in rows.blocks():
        total += block.sum(axis=0, dtype=np.float64)
    return torch.from_numpy((total / rows.length).astype(np.float32))


def ablations(
    subject: Subject,
    batches: Sequence[Batch],
    site: str,
    mean: Float[Tensor, " neuron"],
    masks: Sequence[Bool[Tensor, "sequence position"]],
) -> dict[str, Score]:
    """What a model scores as it is (`clean`), and with zeros or the `mean` in place of a site's activations where the
    masks of the batches are set."""
    changes: dict[str, Change | None] = {
        "clean": None,
        "zero": lambda x, _: torch.zeros_like(x),
        "mean": lambda x, _: mean.to(x.device).expand_as(x),
    }
    return _scores(subject, batches, masks, site, changes)


def dictionary_fidelity(
    subject: Subject,
    batches: Sequence[Batch],
    dictionary: Dictionary,
    site: str,
    rare: Bool[Tensor, " feature"],
    ablated: Mapping[str, Score],
    kept: Kept,
    rules: Mapping[str, LeftOut],
) -> xr.Dataset:
    """What a model loses when a site's activations at counted positions are replaced; other positions keep theirs, and
    so do those that are left out: `kept` says which, `rules` are those of the sites.

    A transcoder's prediction from the activations of `site` takes the place of those of its target, x below is what is
    predicted, and `ablated` are the ablations of the target.
    Five runs: those of `ablations` on the same batches, spliced (the reconstruction), and spliced without the `rare`
    features.
    Scalars:
    - `cross_entropy_*` (nats per scored token), `accuracy_clean`, `accuracy_spliced`;
    - `loss_recovered_zero` = (CE_zero − CE_spliced)/(CE_zero − CE_clean), `loss_recovered_mean` likewise against mean
      ablation; against zero ablation also `loss_recovered_without_ultra_low` without the rare features, and
      `loss_recovered_by_mean` of mean ablation;
    - `loss_increase_*` = CE/CE_clean − 1;
    - over the counted tokens `explained_variance` = 1 − Σ‖x − x̂‖²/Σ‖x − mean(x)‖² (mean over the same tokens; NaN if
      they are all equal), `mean_squared_error` (summed over neurons, mean over tokens), `mse` (mean over neurons, too),
      `L0` (mean number of active features) and `l1` (mean of their sum, in the unit of the
      activations). `accuracy_loss` is what splicing costs.
    - where tokens are left out, `left_out_share` of all counted tokens, their share of the variance
      `left_out_variance_share`, and `explained_variance_with_left_out` over all;
    - where massive tokens count, `massive_share`, `massive_variance_share`, and `explained_variance_without_massive`.
    - `…_low` and `…_high` of `fidelity_numbers.INTERVALS`: ends of their 95 % bootstrap intervals over sequences.
    No order of the ablations is assumed: mean ablation can be the worse one. The attribute `tokens` counts the counted
    tokens, `scored_tokens` the scored ones.
    Raises InputError if the batches hold no counted or no scored token.
    Source: documents S0 (section "A TinyStories SAE") and S2 (loss recovered).
    """
    reconstruction, at = Reconstruction(), dictionary.target or site
    massive = Massive([rules[site], rules[at]])

    def splice(x: Float[Tensor, "token output"], read: Float[Tensor, "token neuron"]) -> Float[Tensor, "token output"]:
        read = read.float()
        f = dictionary.encode(read)
        x_hat = dictionary.reconstruct(read, f)
        reconstruction.add(x.float(), f, x_hat, size_of(dictionary, read))
        massive.add(read, x.float(), f, x_hat)
        return x_hat

    def splice_common(_: Tensor, read: Float[Tensor, "token neuron"]) -> Float[Tensor, "token output"]:
        read = read.float()
        return dictionary.reconstruct(read, dictionary.encode(read).masked_fill(rare.to(read.device), 0.0))

    changes: dict[str, Change | None] = {"spliced": splice}
    if rare.any():
        changes["without_ultra_low"] = splice_common
    spliced = _scores(subject, batches, kept.masks, at, changes, site if dictionary.target else None)
    if len(kept.x):
        with torch.inference_mode():
            f = dictionary.encode(kept.read)
            massive.left_out.add(kept.x, f, dictionary.reconstruct(kept.read, f))
    if not (reconstruction.tokens and ablated["clean"].scored):
        raise InputError("the eval tokens hold no position that is counted, or none that is scored; add documents")
    counted = torch.cat([mask.sum(dim=1) for mask in kept.masks]).cpu().numpy()
    found = fidelity_numbers({**ablated, **spliced}, reconstruction, np.repeat(np.arange(len(counted)), counted))
    numbers = massive.numbers(reconstruction)
    return found.assign(
        {name: scalar(value, VARIABLES[name][2], VARIABLES[name][1]) for name, value in numbers.items()}
    )


def size_of(dictionary: Dictionary, x: Float[Tensor, "token neuron"]) -> Tensor | float:
    """What features have to be multiplied by to be in the unit of the activations: an SAE that normalises its input
    vectors has them in that of the normalised ones. Those of a transcoder are in the unit of what it predicts."""
    if isinstance(dictionary, SAE) and dictionary.target is None:
        return normalized(x, dictionary.normalization)[2]
    return 1.0


def _scores(
    subject: Subject,
    batches: Sequence[Batch],
    masks: Sequence[Bool[Tensor, "sequence position"]],
    site: str,
    changes: Mapping[str, Change | None],
    reads: str | None = None,
) -> dict[str, Score]:
    """What the model scores with each change of the site's activations where the masks are set; None leaves them.

    `reads` is the site whose activations, those of the model as it is, a dictionary reads; None: the changed site's.
    """
    scores = {name: Score() for name in changes}
    with torch.inference_mode():
        for batch, mask in zip(batches, masks, strict=True):
            here, chosen = batch.to(subject.device), mask.to(subject.device)
            read = None if reads is None else subject.activations(here, [reads])[reads][chosen]
            for name, change in changes.items():
                replaced = {} if change is None else {site: _where(chosen, change, read)}
                scores[name].add(here, subject.evaluate(here, replaced))
    return scores


def _where(
    mask: Bool[Tensor, "sequence position"], change: Change, read: Float[Tensor, "token neuron"] | None
) -> Replacement:
    def replacement(x: Float[Tensor, "sequence position neuron"]) -> Float[Tensor, "sequence position neuron"]:
        out, chosen = x.clone(), x[mask]
        out[mask] = change(chosen, chosen if read is None else read).to(x.dtype)
        return out

    return replacement
