"""Batches of features as SAEDashboard writes them and Neuronpedia takes them: `batch-{i}.json`.

Only what the run has measured is written. Neither examples nor correlations nor histograms of activations are among its
tables, so their keys are absent rather than empty.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.io.atomic import write_json
from polysem.io.errors import InputError
from polysem.io.tables import read_table
from polysem.saes.exported import Exported

BATCH = 128
"""Features of a file."""
ALIGNED = 3
"""Neurons of a feature's alignment."""
TOKENS = 10
"""Tokens that a feature promotes most, and as many that it suppresses."""
BINS = 40
LEFT_OUT = (
    "activations (examples), freq_hist_data_bar_*, correlated_neurons_* and correlated_features_* are left out: no "
    "table of this run holds them"
)


def write(exported: Exported, folder: Path) -> None:
    """`batch-0.json`, … with 128 features each. InputError if the tables of frequency and alignment are not made."""
    for table in ("frequency.nc", "alignment.nc"):
        if not (exported.tables / table).is_file():
            path = exported.tables / table
            raise InputError(f"{path} is not made yet; run `snakemake --cores all {path}` first")
    exported.missing.append(LEFT_OUT)
    logits = _Logits.of(exported)
    heading = {
        "model_id": exported.model_name,
        "layer": exported.layer(),
        "sae_set": exported.site,
        "sae_id_suffix": exported.name,
    }
    features = [common | more for common, more in zip(_measured(exported), logits, strict=True)]
    for number, start in enumerate(range(0, len(features), BATCH)):
        write_json(folder / f"batch-{number}.json", heading | {"features": features[start : start + BATCH]})


def _measured(exported: Exported) -> Iterator[dict[str, Any]]:
    """Alignment with neurons and frequency of each feature."""
    frequency = read_table(exported.tables / "frequency.nc")["frequency"].values
    alignment = read_table(exported.tables / "alignment.nc")
    neurons, weights = alignment["top_neuron"].values[:, :ALIGNED], alignment["top_weight"].values[:, :ALIGNED]
    norms = exported.sae.W_dec.abs().sum(dim=1).numpy()
    for index in range(exported.sae.features):
        yield {
            "feature_index": index,
            "neuron_alignment_indices": neurons[index].tolist(),
            "neuron_alignment_values": _numbers(weights[index]),
            "neuron_alignment_l1": _numbers(np.abs(weights[index]) / norms[index]),
            "frac_nonzero": float(frequency[index]),
            "dataset": exported.corpus,
        }


class _Logits:
    """What features do to the logits on the direct path, for sites that have one."""

    def __init__(self, effects: Float[Tensor, "feature token"], words: list[str]) -> None:
        self._effects, self._words = effects, words

    @classmethod
    def of(cls, exported: Exported) -> Iterator[dict[str, Any]]:
        """Keys for each feature; nothing for each, with a note, where the site has no direct path to tokens."""
        from polysem.models.load import load_subject
        from polysem.models.record import TOKENIZER
        from polysem.models.tokenizer import load_tokenizer

        directions = None
        if (exported.model_folder / TOKENIZER).is_file():
            directions = load_subject(exported.model_folder).logit_directions(exported.site)
        if directions is None:
            exported.missing.append("pos_*, neg_* and logits_hist_data_bar_* are left out: no direct path to tokens")
            return iter([{}] * exported.sae.features)
        tokenizer = load_tokenizer(exported.model_folder / TOKENIZER)
        words = [tokenizer.id_to_token(index) or "" for index in range(directions.shape[1])]
        return iter(cls(exported.sae.W_dec @ directions, words))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for effect in self._effects:
            best, worst = effect.topk(min(TOKENS, len(effect))), (-effect).topk(min(TOKENS, len(effect)))
            heights, edges = torch.histogram(effect, BINS)
            yield {
                "pos_str": [self._words[token] for token in best.indices.tolist()],
                "pos_values": _numbers(best.values.numpy()),
                "neg_str": [self._words[token] for token in worst.indices.tolist()],
                "neg_values": _numbers(-worst.values.numpy()),
                "logits_hist_data_bar_heights": heights.int().tolist(),
                "logits_hist_data_bar_values": _numbers(((edges[1:] + edges[:-1]) / 2).numpy()),
            }


def _numbers(values: NDArray[Any]) -> list[float]:
    """Six significant digits: more would be noise."""
    return [float(f"{value:.6g}") for value in values.tolist()]
