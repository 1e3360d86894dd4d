"""S0.F1-F3, S1.F1, S2.F1-F3: how often each feature of a dictionary is active, by which law, and where it points.

One step, because starting Python and loading the dictionary takes longer than all but the count over the tokens.
"""

from pathlib import Path

import torch

from polysem.activations.rows import ActivationRows
from polysem.io.command import run
from polysem.io.tables import write_table
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS
from polysem.saes.dictionary import load_dictionary
from polysem.tables.alignment import decoder_blocks, identity_blocks, neuron_alignment
from polysem.tables.frequency import block_rows, feature_frequency
from polysem.tables.labels import dictionary_attributes
from polysem.tables.rank_frequency import rank_frequency

CATALOGUE = {
    "frequency": "S0.F1 S1.F1 S2.F3",
    "rank_frequency": "S0.F2 S0.X3",
    "alignment": "S0.F3a S0.F3b S0.F3c S2.F1 S2.F2",
}


def survey_features(
    activations: Path, dictionary: Path, output: Path, params: Analysis, device: str = "cpu", threads: int = 1
) -> None:
    """Write `frequency.nc`, `rank_frequency.nc` and `alignment.nc` of a dictionary into a folder.

    Args:
        activations: Store of eval activations.
        dictionary: Folder of an SAE, or a path that ends in `neurons`.
        output: Folder `…/{model}/{site}/{dictionary}`.
        params: `head_ranks` and `baseline_seed` are read.
        device: Where the features are encoded.
        threads: CPU threads.
    """
    torch.set_num_threads(threads)
    rows = ActivationRows(activations)
    features = load_dictionary(dictionary, rows.width, device)
    frequency = feature_frequency(rows.blocks(block_rows(features.features)), features, device)
    decoder = identity_blocks(rows.width) if dictionary.name == NEURONS else decoder_blocks(dictionary, rows.width)
    tables = {
        "frequency": frequency,
        "rank_frequency": rank_frequency(
            frequency["active_tokens"].values, frequency.attrs["tokens"], params.head_ranks
        ),
        "alignment": neuron_alignment(decoder, rows.width, params.baseline_seed),
    }
    for name, table in tables.items():
        path = output / f"{name}.nc"
        write_table(path, table.assign_attrs(dictionary_attributes(path, CATALOGUE[name])))


if __name__ == "__main__":
    run(survey_features)
