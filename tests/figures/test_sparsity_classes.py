"""The clusters of S2.F1 on a case worked by hand."""

import numpy as np
import pytest
import xarray as xr

from polysem.params.analysis import Analysis
from polysem.tables.parts.neuron_sparsity import sparsity_classes

from .conftest import alignment_table, draw_from, frequency_table


@pytest.mark.parametrize(
    ("top", "following", "expected"),
    [
        (1.0, 0.0, "1-sparse"),
        (0.36, 0.09, "1-sparse"),
        (0.36, 0.1, "10-sparse"),
        (0.2, 0.2, "10-sparse"),
        (0.35, 0.05, "10-sparse"),
        (0.25, 0.0625, "dense"),
        (0.35, 0.0, "dense"),
    ],
)
def test_a_feature_falls_into_the_cluster_of_the_document(top, following, expected):
    table = xr.Dataset({"power_top1": ("feature", [top]), "power_next9": ("feature", [following])}, {"feature": [5]})
    classes = sparsity_classes(table, Analysis())
    assert classes.to_numpy().tolist() == [expected]
    assert classes["feature"].to_numpy().tolist() == [5]


def test_the_clusters_follow_the_parameters():
    table = xr.Dataset({"power_top1": ("feature", [0.3]), "power_next9": ("feature", [0.15])}, {"feature": [0]})
    assert sparsity_classes(table, Analysis()).item() == "10-sparse"
    assert sparsity_classes(table, Analysis(one_sparse=0.25, next_nine=0.2)).item() == "1-sparse"
    assert sparsity_classes(table, Analysis(one_sparse=0.5)).item() == "dense"


def test_the_figure_says_which_clusters_are_empty(analysis):
    def notes(rows):
        table = alignment_table(np.array(rows))
        frequency = frequency_table(np.full(len(rows), 0.1))
        figure = draw_from("neuron_sparsity", {"alignment": table, "frequency": frequency}, analysis)
        return " ".join(" ".join(text.get_text().split()) for text in figure.texts)

    single, spread, ten = np.eye(64)[0], np.ones(64), np.r_[np.ones(10), np.zeros(54)]
    assert "No feature of this dictionary is dense or 10-sparse; other recipes" in notes([single, single])
    assert "No feature" not in notes([single, spread, ten])
