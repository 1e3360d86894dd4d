"""The metrics that claims name, against those that the tables of a dictionary make."""

from pathlib import Path

import numpy as np
import torch
import xarray as xr
from weight_cases import alignment_of, clustered_sae, frequencies

from polysem.activations.left_out import NOTHING
from polysem.activations.rows import ActivationRows
from polysem.models.batches import TokenStore
from polysem.numerics.cluster_measures import MEASURES
from polysem.params.analysis import Analysis
from polysem.report.claims import read_ledger
from polysem.saes.dictionary import Neurons
from polysem.saes.ranking import SCALES
from polysem.tables.collect_metrics import (
    PAIRS,
    alignment_metrics,
    cluster_metrics,
    frequency_metrics,
    law_metrics,
)
from polysem.tables.of_dictionary.geometry import geometry
from polysem.tables.of_dictionary.rank_frequency import rank_frequency
from polysem.tables.of_dictionary.ultra_low import ultra_low
from polysem.tables.of_model.match_layers import VARIABLES
from polysem.tables.of_site.fidelity import ablations, dictionary_fidelity
from polysem.tables.parts.dead import dead_features
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.kept import kept_tokens
from polysem.tables.passes.matches.alike import MATCHES
from polysem.tables.passes.matches.metrics import match_metrics
from polysem.tables.passes.survey.co_firing import co_firing

ROOT = Path(__file__).parents[2]
SITE = "blocks.0.mlp.hook_post"


def matched_by_nothing() -> xr.Dataset:
    """The means of a table `match_layers` of one dictionary, over documents and one's own texts."""
    words = {"scale": list(SCALES), "match": list(MATCHES), "origin": ["eval", "own"]}
    means = [name for name in VARIABLES if name.startswith(("mean_matches", "mean_of_all_layers"))]
    of = {name: VARIABLES[name][0].split() for name in means}
    counts = {name: (over, np.zeros([len(words.get(one, "1")) for one in over])) for name, over in of.items()}
    return xr.Dataset(counts | {"site": ("place", [SITE]), "dictionary": ("place", ["neurons"])}, words)


def test_every_claim_asks_for_a_metric_that_the_tables_make(subject, token_store, activation_store):
    """An SAE of 40 features on 12 neurons with 8 ultra-low ones whose encoder rows are alike."""
    sae, analysis = clustered_sae(40, 12, 8), Analysis()
    frequency = frequencies(np.where(np.arange(40) < 8, 5e-5, 0.1))
    alignment = alignment_of(sae)
    directions = Directions({f"{SITE}/output_weights": torch.randn(12, 3)})
    batches = list(TokenStore(token_store([[1, 2, 3], [4, 5, 6]])).batches(2))
    kept = kept_tokens(subject, batches, {"mlp": NOTHING}, "mlp")
    ablated = ablations(subject, batches, "mlp", torch.zeros(6), kept.masks)
    rows = ActivationRows(activation_store(np.zeros((5, 12), np.float32)))
    tables = [
        geometry(sae, frequency, alignment, directions, SITE, analysis),
        ultra_low(sae, frequency, analysis),
        co_firing(np.arange(40) < 8, rows, lambda: iter(())),
        dictionary_fidelity(
            subject, batches, Neurons(6), "mlp", torch.zeros(6, dtype=torch.bool), ablated, kept, {"mlp": NOTHING}
        ),
    ]
    tables.append(xr.Dataset(dead_features(rows, sae)))
    made = {str(name) for table in tables for name, value in table.data_vars.items() if not value.ndim}
    made |= set(frequency_metrics(frequency, analysis)) | set(alignment_metrics(alignment, frequency, analysis))
    made |= set(law_metrics(rank_frequency(np.ones((40, 2), int), np.array([50, 50]), 10)))
    made |= {f"{relation}_{name}" for relation in ("seed", "recipe", "model") for name in PAIRS}
    medians = {f"median_{name}": np.zeros(2) for name in MEASURES} | {"median_size": np.array(5.0)}
    made |= set(cluster_metrics(medians | {"embedding": np.array(["neuron", "input"])}))
    made |= set(match_metrics(matched_by_nothing())[SITE, "neurons"])
    claims = read_ledger(ROOT / "workflow/claims.yaml").claims
    named = {claim.where.metric: claim.id for claim in claims if claim.where}
    assert {metric: claim for metric, claim in named.items() if metric not in made} == {}
