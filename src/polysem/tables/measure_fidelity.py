"""S0.T1, S2.T1, S3.T2: how much of a model survives where the reconstructions of dictionaries replace a site."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.tables import read_table, write_table
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.subject import Batch, Replacement, Subject
from polysem.numerics.resampling import BOOTSTRAPPED, interval_of_sums
from polysem.params.analysis import GivenAnalysis
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.saes.sae import SAE, normalized
from polysem.tables.parts.evaluation import Score, leading_batches
from polysem.tables.parts.labels import along_dictionaries, labelled, scalar, site_attributes
from polysem.workflow.running.command import run

CATALOGUE = "S0.T1 S2.T1 S3.T2"
UNDEFINED = "NaN where the ablation leaves the cross-entropy as it was (the denominator is 0)"
Change = Callable[[Float[Tensor, "token output"], Float[Tensor, "token neuron"]], Float[Tensor, "token output"]]
"""From activations that are replaced, and those that a dictionary reads at these tokens, to what takes their place."""


def measure_fidelity(
    model: Path,
    tokens: Path,
    activations: Path,
    saes: Path,
    tables: Path,
    dictionaries: list[str],
    site: str,
    output: Path,
    params: GivenAnalysis,
    targets: dict[str, Path] | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Write the numbers of `dictionary_fidelity` over the first sequences of the eval tokens, along `dictionary`.

    A transcoder is spliced in at the site that it predicts, and ablated there; the attribute `targets` says where, as
    JSON, by dictionary. All dictionaries of a site come together: starting a language model takes longer than splicing
    a dictionary into it, and what zeros or the mean leave of the model is the same for all.

    Args:
        model: Folder of the model.
        tokens: Its eval tokens.
        activations: The eval activations of the site; the mean of the ablation is that of the whole store.
        saes: Folder of the site's SAEs.
        tables: Folder of the tables of its dictionaries; those named `frequency` say which features are rarer than
            `ultra_low_frequency`.
        dictionaries: All dictionaries of the site.
        site: The site.
        output: The table.
        params: `fidelity_tokens` and `ultra_low_frequency` are read.
        targets: Eval activations of the sites that transcoders predict, by site.
        device: Where the model runs.
        threads: CPU threads.

    Raises InputError if the model has no such site or the store or an SAE is of another width.
    """
    torch.set_num_threads(threads)
    subject = load_subject(model, device)
    batches = list(leading_batches(TokenStore(tokens), params.fidelity_tokens))
    stores = {site: activations} | (targets or {})

    @cache
    def ablated(at: str) -> dict[str, Score]:
        return ablations(subject, batches, at, mean_activation(_rows_of(subject, at, stores)))

    predicted: dict[str, str] = {}
    each, width = [], _rows_of(subject, site, stores).width
    for name in dictionaries:
        features = load_dictionary(saes / name, width, device)
        if features.target is not None:
            predicted[name] = features.target
        frequency = read_table(tables / name / "frequency.nc")["frequency"].to_numpy()
        rare = torch.from_numpy(frequency < params.ultra_low_frequency)
        each.append(dictionary_fidelity(subject, batches, features, site, rare, ablated(features.target or site)))
    attributes = site_attributes(output, CATALOGUE) | ({"targets": json.dumps(predicted)} if predicted else {})
    write_table(output, along_dictionaries(each, dictionaries).assign_attrs(attributes))


def _rows_of(subject: Subject, site: str, stores: Mapping[str, Path]) -> ActivationRows:
    """The eval activations of a site. InputError if there are none, or of another width."""
    if site not in stores:
        raise InputError(f"a dictionary predicts {site}, of which no activations are given; they are of {[*stores]}")
    rows = ActivationRows(stores[site])
    if rows.width != subject.width(site):
        raise InputError(
            f"{stores[site]} has {rows.width} neurons, site {site} of the model has {subject.width(site)}; "
            "delete the store and its receipt and run again"
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
    subject: Subject, batches: Sequence[Batch], site: str, mean: Float[Tensor, " neuron"]
) -> dict[str, Score]:
    """What a model scores as it is (`clean`), and with zeros or the `mean` in place of a site's activations."""
    changes: dict[str, Change | None] = {
        "clean": None,
        "zero": lambda x, _: torch.zeros_like(x),
        "mean": lambda x, _: mean.to(x.device).expand_as(x),
    }
    return _scores(subject, batches, site, changes)


def dictionary_fidelity(
    subject: Subject,
    batches: Sequence[Batch],
    dictionary: Dictionary,
    site: str,
    rare: Bool[Tensor, " feature"],
    ablated: Mapping[str, Score],
) -> xr.Dataset:
    """What a model loses when a site's activations at counted positions are replaced; other positions keep theirs.

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
    - `…_low` and `…_high` of `INTERVALS`: ends of their 95 % bootstrap intervals over sequences.
    No order of the ablations is assumed: mean ablation can be the worse one. The attribute `tokens` counts the counted
    tokens, `scored_tokens` the scored ones.
    Raises InputError if the batches hold no counted or no scored token.
    Source: documents S0 (section "A TinyStories SAE") and S2 (loss recovered).
    """
    reconstruction = Reconstruction()

    def splice(x: Float[Tensor, "token output"], read: Float[Tensor, "token neuron"]) -> Float[Tensor, "token output"]:
        read = read.float()
        f = dictionary.encode(read)
        x_hat = dictionary.reconstruct(read, f)
        reconstruction.add(x.float(), f, x_hat, size_of(dictionary, read))
        return x_hat

    def splice_common(_: Tensor, read: Float[Tensor, "token neuron"]) -> Float[Tensor, "token output"]:
        read = read.float()
        return dictionary.reconstruct(read, dictionary.encode(read).masked_fill(rare.to(read.device), 0.0))

    changes: dict[str, Change | None] = {"spliced": splice}
    if rare.any():
        changes["without_ultra_low"] = splice_common
    spliced = _scores(subject, batches, dictionary.target or site, changes, site if dictionary.target else None)
    if not (reconstruction.tokens and ablated["clean"].scored):
        raise InputError("the eval tokens hold no position that is counted, or none that is scored; add documents")
    counted = torch.cat([batch.counted.sum(dim=1) for batch in batches]).cpu().numpy()
    return _table({**ablated, **spliced}, reconstruction, np.repeat(np.arange(len(counted)), counted))


def size_of(dictionary: Dictionary, x: Float[Tensor, "token neuron"]) -> Tensor | float:
    """What features have to be multiplied by to be in the unit of the activations: an SAE that normalises its input
    vectors has them in that of the normalised ones. Those of a transcoder are in the unit of what it predicts."""
    if isinstance(dictionary, SAE) and dictionary.target is None:
        return normalized(x, dictionary.normalization)[2]
    return 1.0


def _scores(
    subject: Subject,
    batches: Sequence[Batch],
    site: str,
    changes: Mapping[str, Change | None],
    reads: str | None = None,
) -> dict[str, Score]:
    """What the model scores with each change of the site's activations; None leaves them.

    `reads` is the site whose activations, those of the model as it is, a dictionary reads; None: the changed site's.
    """
    scores = {name: Score() for name in changes}
    with torch.inference_mode():
        for batch in batches:
            here = batch.to(subject.device)
            read = None if reads is None else subject.activations(here, [reads])[reads][here.counted]
            for name, change in changes.items():
                replaced = {} if change is None else {site: _at_counted(here.counted, change, read)}
                scores[name].add(here, subject.evaluate(here, replaced))
    return scores


def _at_counted(
    counted: Bool[Tensor, "sequence position"], change: Change, read: Float[Tensor, "token neuron"] | None
) -> Replacement:
    def replacement(x: Float[Tensor, "sequence position neuron"]) -> Float[Tensor, "sequence position neuron"]:
        out, chosen = x.clone(), x[counted]
        out[counted] = change(chosen, chosen if read is None else read).to(x.dtype)
        return out

    return replacement


@dataclass
class Reconstruction:
    """Error and spread of activations, added up over batches in float64 (Chan's update of mean and sum of squares)."""

    tokens: int = 0
    active: int = 0
    activation: float = 0.0
    error: float = 0.0
    spread: float = 0.0
    mean: Float[Tensor, " neuron"] = field(default_factory=lambda: torch.zeros(()))
    centre: Float[Tensor, " neuron"] | None = None
    """Mean of the first batch, from which the squared distances of `by_token` are taken."""
    by_token: list[NDArray[np.float64]] = field(default_factory=list)
    """Per batch: squared error, squared distance from the centre, and active features of each token, [token, 3]."""

    def add(
        self,
        x: Float[Tensor, "token neuron"],
        f: Float[Tensor, "token feature"],
        x_hat: Float[Tensor, "token neuron"],
        size: Tensor | float = 1.0,
    ) -> None:
        """Add activations, their features and their reconstructions; features times `size` [token, 1] are in the unit
        of the activations."""
        if not len(x):
            return
        x = x.double()
        error, active = (x - x_hat.double()).square().sum(dim=1), (f > 0).sum(dim=1)
        self.error += float(error.sum())
        self.active += int(active.sum())
        self.activation += float((f.clamp(min=0).double() * size).sum())
        self.centre = x.mean(dim=0) if self.centre is None else self.centre
        distance = (x - self.centre).square().sum(dim=1)
        self.by_token.append(torch.stack([error, distance, active.double()], dim=1).cpu().numpy())
        mean = x.mean(dim=0)
        ours = len(x) / (self.tokens + len(x))
        step = mean - self.mean.to(mean)
        self.spread += float((x - mean).square().sum()) + self.tokens * ours * float(step.square().sum())
        self.mean = self.mean.to(mean) + ours * step
        self.tokens += len(x)

    @property
    def explained_variance(self) -> float:
        """1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖²; NaN if all activations are equal."""
        return 1 - _ratio(self.error, self.spread)

    def sums(self, sequence: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Tokens, squared error, squared distance from the mean, and active features of each sequence, from the number
        of the sequence of each token. The mean is that of all tokens in every resample: it hardly moves."""
        error, distance, active = np.concatenate(self.by_token).T
        assert self.centre is not None
        beyond = float((self.mean - self.centre).square().sum())
        columns = {"tokens": np.ones_like(error), "error": error, "spread": distance - beyond, "active": active}
        # Distances from the mean add up to those from the centre, less the squared distance of the two for each token.
        return {name: np.bincount(sequence, values).astype(np.float64) for name, values in columns.items()}


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


INTERVALS = ("loss_recovered_zero", "loss_recovered_mean", "explained_variance", "L0")
"""Numbers with the ends of their bootstrap intervals beside them."""


def _intervals(
    scores: dict[str, Score], reconstruction: Reconstruction, sequence: NDArray[np.int64]
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals over sequences: each with its losses under all changes, its errors and its features."""
    losses = {name: scores[name].sums()[:, 0] for name in ("clean", "spliced", "zero", "mean")}
    found = {f"loss_recovered_{name}": interval_of_sums(losses, partial(_recovered, name)) for name in ("zero", "mean")}
    sums = reconstruction.sums(sequence)
    found["explained_variance"] = interval_of_sums(sums, lambda sums: 1 - sums["error"] / sums["spread"])
    found["L0"] = interval_of_sums(sums, lambda sums: sums["active"] / sums["tokens"])
    return found


def _recovered(ablated: str, sums: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return (sums[ablated] - sums["spliced"]) / (sums[ablated] - sums["clean"])


def _table(scores: dict[str, Score], reconstruction: Reconstruction, sequence: NDArray[np.int64]) -> xr.Dataset:
    loss = {name: score.cross_entropy for name, score in scores.items()}
    loss.setdefault("without_ultra_low", loss["spliced"])
    words = {
        "clean": "of the model",
        "spliced": "with the reconstruction in place",
        "without_ultra_low": "with the reconstruction without ultra-low-frequency features in place",
        "zero": "with zeros in place",
        "mean": "with the mean in place",
    }
    variables = {
        f"cross_entropy_{name}": scalar(loss[name], f"cross-entropy {word}", "nat") for name, word in words.items()
    }
    variables |= {
        f"accuracy_{name}": scalar(scores[name].accuracy, f"share of tokens predicted {words[name]}", "1")
        for name in ("clean", "spliced")
    }
    recoveries = {
        "zero": ("zero", "spliced", "loss recovered against zero ablation"),
        "mean": ("mean", "spliced", "loss recovered against mean ablation"),
        "without_ultra_low": (
            "zero",
            "without_ultra_low",
            "loss recovered against zero ablation without ultra-low-frequency features",
        ),
        "by_mean": ("zero", "mean", "loss recovered against zero ablation by mean ablation"),
    }
    for name, (ablated, replaced, long_name) in recoveries.items():
        recovered = _ratio(loss[ablated] - loss[replaced], loss[ablated] - loss["clean"])
        variables[f"loss_recovered_{name}"] = scalar(recovered, long_name, "1")
        variables[f"loss_recovered_{name}"].attrs["undefined"] = UNDEFINED
    for name in ("spliced", "zero"):
        increase = _ratio(loss[name] - loss["clean"], loss["clean"])
        variables[f"loss_increase_{name}"] = scalar(increase, f"relative increase of the loss {words[name]}", "1")
    lost = scores["clean"].accuracy - scores["spliced"].accuracy
    variables["accuracy_loss"] = scalar(lost, "share of tokens that are predicted by the model alone, net", "1")
    tokens = reconstruction.tokens
    error = reconstruction.error / tokens
    variables |= {
        "explained_variance": scalar(reconstruction.explained_variance, "share of variance explained", "1"),
        "mean_squared_error": scalar(error, "squared error, summed over neurons, mean over tokens", "activation^2"),
        "mse": scalar(error / len(reconstruction.mean), "squared error, mean over neurons and tokens", "activation^2"),
        "l1": scalar(
            reconstruction.activation / tokens,
            "sum of the features in the unit of the activations, mean over tokens",
            "activation",
        ),
        "L0": scalar(reconstruction.active / tokens, "mean number of active features per token", "feature"),
    }
    for name, ends in _intervals(scores, reconstruction, sequence).items():
        long_name, units = (variables[name].attrs[key] for key in ("long_name", "units"))
        for end, value in zip(BOOTSTRAPPED, ends, strict=True):
            variables[f"{name}_{end}"] = scalar(value, f"{long_name}, {BOOTSTRAPPED[end]}", units)
    return labelled(variables, {}, {"tokens": tokens, "scored_tokens": scores["clean"].scored})


if __name__ == "__main__":
    run(measure_fidelity)
