"""What Neuronpedia gets of a dictionary, against the tables and the activations that it was surveyed from."""

import json

import numpy as np
import pytest
import torch
from dense import NEURONS, sae
from surveyed import ExampleChoice, survey

from polysem.exporters import neuronpedia
from polysem.io.tables import write_table
from polysem.saes.exported import ExportedOfRun
from polysem.tables.of_dictionary.logits import logits
from polysem.tables.parts.directions import Directions
from polysem.tables.passes.survey.windows import Window

SITE, TOKENS = "blocks.0.mlp.hook_post", 50


@pytest.fixture
def features(text, tmp_path):
    """The features of the batches, and what they were made of."""
    dictionary = sae()
    generator = torch.Generator().manual_seed(3)
    directions = Directions(
        {
            "unembedding": torch.randn(4, TOKENS, generator=generator),
            f"{SITE}/output_weights": torch.randn(NEURONS, 4, generator=generator),
        }
    )
    found = survey(text.rows, dictionary, text.tokens, ExampleChoice(3, 4, Window(5, 3), 0))
    tables = {
        "frequency": found.frequency,
        "examples": found.examples,
        "associations": found.correlations,
        "logits": logits(dictionary, directions, SITE),
    }
    folder = tmp_path / "tables/m" / SITE / "x"
    for name, table in tables.items():
        write_table(folder / f"{name}.nc", table)
    exported = ExportedOfRun(
        sae=dictionary,
        model="m",
        model_name="m",
        site=SITE,
        name="x",
        metadata={},
        corpus="stories",
        tables=folder,
        logit_weights=lambda rows: directions.logit_weights(SITE, rows),
        token_text=lambda token: f"<{token}>",
    )
    neuronpedia.write(exported, tmp_path / "out")
    batches = [json.loads(file.read_text()) for file in sorted((tmp_path / "out").glob("batch-*.json"))]
    return [one for batch in batches for one in batch["features"]], dictionary, tables, directions, exported.missing


def test_examples_are_the_places_where_the_feature_is_active_with_their_contexts(features, text):
    written, dictionary, _, _, missing = features
    f = dictionary.encode(torch.from_numpy(text.x)).numpy()
    shown = 0
    for feature in written:
        own = f[:, feature["feature_index"]]
        active = np.sort(own[own > 0])
        top = [example for example in feature["activations"] if example["bin_min"] == -1]
        found = [example["values"][example["qualifying_token_index"]] for example in top]
        np.testing.assert_allclose(found, active[::-1][:3], rtol=1e-5)
        for example in feature["activations"]:
            shown += 1
            assert len(example["tokens"]) == len(example["values"])
            value = example["values"][example["qualifying_token_index"]]
            place = int(np.abs(own - value).argmin())
            sequence, position = text.sequence[place], text.position[place]
            around = text.ids[sequence][max(0, position - 5) : position + 4]
            assert example["tokens"] == [f"<{token}>" for token in around]
            if example["bin_min"] != -1:
                assert example["bin_min"] * (1 - 1e-5) <= value <= example["bin_max"] * (1 + 1e-5)
                inside = ((active >= example["bin_min"]) & (active < example["bin_max"])).mean()
                assert example["bin_contains"] == pytest.approx(inside, abs=1 / max(1, len(active)) + 1e-6)
    assert shown > 20
    assert any("activations are written as 0" in sentence for sentence in missing)


def test_logit_weights_are_those_of_the_sheets_and_neurons_those_with_the_largest_weights(features):
    written, dictionary, tables, directions, _ = features
    effects = dictionary.W_dec @ directions.logit_weights(SITE, torch.eye(NEURONS))
    for row, feature in enumerate(written):
        best = tables["logits"].sel(feature=row)
        assert feature["pos_str"] == [f"<{token}>" for token in best["boosted_token"].values]
        np.testing.assert_allclose(feature["pos_values"], best["boost"], rtol=1e-5)
        np.testing.assert_allclose(feature["neg_values"], best["suppression"], rtol=1e-5)
        np.testing.assert_allclose(feature["pos_values"][0], effects[row].max(), rtol=1e-4)
        assert sum(feature["logits_hist_data_bar_heights"]) == TOKENS
        weights = dictionary.W_dec[row]
        assert feature["neuron_alignment_indices"] == weights.argsort(descending=True)[:3].tolist()
        np.testing.assert_allclose(
            feature["neuron_alignment_values"], weights.sort(descending=True).values[:3], rtol=1e-5
        )
        np.testing.assert_allclose(
            feature["neuron_alignment_l1"],
            weights.sort(descending=True).values[:3].abs() / weights.abs().sum(),
            rtol=1e-5,
        )


def test_histograms_and_correlations_are_those_of_the_tables(features):
    written, _, tables, _, _ = features
    for row, feature in enumerate(written):
        assert sum(feature["freq_hist_data_bar_heights"]) == int(tables["frequency"]["active_tokens"][row])
        for whose, kind in (("neurons", "neuron"), ("features", "feature")):
            known = tables["associations"][f"correlated_{kind}"].values[row] >= 0
            for key, name in (
                ("indices", f"correlated_{kind}"),
                ("pearson", f"{kind}_correlation"),
                ("l1", f"{kind}_activation_cosine"),
            ):
                expected = tables["associations"][name].values[row][known]
                np.testing.assert_allclose(feature[f"correlated_{whose}_{key}"], expected, rtol=1e-5)
