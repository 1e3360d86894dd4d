"""The table `match_layers` of the quick study against a slow count from activations alone."""

from collections import Counter

import numpy as np
import pytest
import snowballstemmer
import torch

from polysem.models.subject import Batch
from polysem.params.analysis import Analysis

pytestmark = pytest.mark.workflow
TEXTS = 12
"""Texts that are counted again, evenly spread over those of the table."""


def test_matches_are_those_of_whole_matrices(study, site):
    """Features' own tokens by a look at all eval activations; the strongest of a text by sorting all features."""
    model, table = study["stories-1l"], study["stories-1l"].table("match_layers").load()
    tokens = model.tokens("eval")
    rows = site.activations("eval").load()
    places = rows["sequence"].values, rows["position"].values
    own_ids = tokens["ids"].values[places]
    stem = snowballstemmer.stemmer("english").stemWord
    assert table["dictionary"].values.tolist() == list(site)
    sequences = table["text_sequence"].values
    assert len(sequences) == Analysis().match_texts and len(set(sequences)) == len(sequences)
    seen: Counter[bool] = Counter()
    for number, name in enumerate(site):
        weights = site[name].weights
        f = weights.encode(torch.from_numpy(rows.values).float()).numpy()
        maximum = f.max(axis=0)
        for text in np.linspace(0, len(sequences) - 1, TEXTS).astype(int):
            sequence = sequences[text]
            counted = np.flatnonzero(tokens["counted"].values[sequence])[: Analysis().match_tokens]
            ids = tokens["ids"].values[sequence]
            inputs = torch.from_numpy(ids[None, : counted[-1] + 1]).long()
            none = torch.zeros_like(inputs, dtype=torch.bool)
            x = model.subject.activations(Batch(inputs, inputs, none, none), [table["site"].values[number]])
            here = weights.encode(next(iter(x.values()))[0, counted].float()).numpy()
            others = np.where((places[0] != sequence)[:, None], f, 0)
            for scale, factor in (("raw", 1.0), ("share", 1 / np.where(maximum > 0, maximum, np.nan))):
                value = np.nan_to_num(here.max(axis=0) * factor, nan=1.0) * (here.max(axis=0) > 0)
                top = np.lexsort((-here.max(axis=0), -value))[:25]
                top = top[here.max(axis=0)[top] > 0]
                exact = by_stem = 0
                for feature in top:
                    ours = model.token_text(int(ids[counted[here[:, feature].argmax()]])).lstrip().casefold()
                    theirs = model.token_text(int(own_ids[others[:, feature].argmax()])).lstrip().casefold()
                    known = others[:, feature].max() > 0
                    exact += known and ours == theirs
                    by_stem += known and (ours == theirs or (ours.isalpha() and stem(ours) == stem(theirs)))
                found = table["matches"].isel(place=number, text=int(text)).sel(scale=scale)
                seen[abs(int(found.sel(match="exact")) - exact) <= 0] += 1
                assert abs(int(found.sel(match="exact")) - exact) <= 1, (name, text, scale)
                assert abs(int(found.sel(match="stem")) - by_stem) <= 1, (name, text, scale)
                assert int(table["top_features"][number, int(text)]) == len(top)
    assert seen[False] <= seen[True] / 20, "equal activations may be told apart in another order, and nothing else"


def test_counts_stand_among_the_metrics(study, site):
    table, metrics = study["stories-1l"].table("match_layers"), study.metrics
    for number, name in enumerate(site):
        ours = metrics[(metrics["model"] == "stories-1l") & (metrics["dictionary"] == name)].set_index("metric")
        mean = table["mean_matches"].isel(place=number).sel(scale="raw", origin="eval")
        assert float(ours["value"]["top_matches"]) == pytest.approx(float(mean.sel(match="exact")), rel=1e-5)
        assert float(ours["value"]["top_of_all_layers_raw"]) == 25


def test_figures_of_the_model_are_drawn_or_say_why_not(study):
    assert study["stories-1l"].figures["match_layers"] == ""
    assert "several layers" in study["stories-1l"].figures["scales_by_layer"]
    assert "classifiers read no texts" in study["digits"].figures["match_layers"]
