import numpy as np
import pytest
import torch
from weight_cases import random_sae, sae_of

from polysem.saes.dictionary import Neurons
from polysem.saes.products import BFLOAT16, FLOAT32
from polysem.tables.parts import nearest as nearest_module
from polysem.tables.parts.nearest import nearest, nearest_rows


def slow(rows, ranks):
    rows = rows.double().numpy()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    order = np.argsort(-cosines, axis=1)[:, :ranks]
    return order, np.take_along_axis(cosines, order, 1)


def test_a_case_worked_by_hand():
    rows = [[1, 0], [0, 2], [3, 4], [-2, 1]]
    table = nearest(sae_of(rows, rows), ranks=2)
    near = 0.2**0.5
    assert table["nearest_feature"].values.tolist() == [[2, 1], [2, 3], [1, 0], [1, 2]]
    np.testing.assert_allclose(
        table["nearest_cosine"], [[0.6, 0], [0.8, near], [0.8, 0.6], [near, -0.4 * near]], atol=1e-6
    )


def test_each_feature_has_its_five_nearest():
    sae = random_sae(30, 4)
    table = nearest(sae)
    order, cosines = slow(sae.W_dec, 5)
    assert table["nearest_feature"].values.tolist() == order.tolist()
    np.testing.assert_allclose(table["nearest_cosine"], cosines, atol=1e-6)


def rows_of(case):
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(1300, 3 if case == "low-dimensional" else 40, generator=generator)
    if case == "sparse":
        rows *= torch.rand(1300, 40, generator=generator) < 0.05
        rows[rows.abs().sum(1) == 0, 0] = 1
    if case == "clustered":
        rows[:700] = torch.randn(40, generator=generator) + 0.05 * rows[:700]
    return rows


CASES = ["random", "sparse", "clustered", "low-dimensional"]


@pytest.mark.parametrize("case", CASES)
def test_which_product_is_fastest_moves_no_bit(case, monkeypatch):
    found = []
    for product in (BFLOAT16, FLOAT32):
        monkeypatch.setattr(nearest_module, "fastest", lambda among, product=product: product)
        found.append(nearest_rows(rows_of(case), 5))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("product", [FLOAT32, BFLOAT16], ids=lambda product: product.name)
@pytest.mark.parametrize("case", CASES)
def test_the_nearest_rows_are_those_of_all_cosines_in_float64(product, case, monkeypatch):
    monkeypatch.setattr(nearest_module, "fastest", lambda among: product)
    rows = rows_of(case)
    features, cosines = nearest_rows(rows, 5)
    order, expected = slow(rows, 5)
    np.testing.assert_allclose(cosines, expected, atol=2e-6)
    _, itself = slow(rows, len(rows) - 1)
    assert not (features == torch.arange(1300)[:, None]).any()
    if case in ("random", "clustered"):
        sure = np.diff(itself[:, :6], axis=1).max(1) < -2e-6
        assert sure.mean() > 0.5
        np.testing.assert_array_equal(features[sure], order[sure])


def test_a_dictionary_of_fewer_features_is_filled_with_none():
    table = nearest(random_sae(3, 4))
    assert (table["nearest_feature"].values[:, :2] >= 0).all()
    assert (table["nearest_feature"].values[:, 2:] == -1).all()
    assert np.isnan(table["nearest_cosine"].values[:, 2:]).all()


def test_neurons_have_no_nearest_neurons():
    table = nearest(Neurons(4))
    assert (table["nearest_feature"].values == -1).all()
    assert "orthogonal" in table.attrs["nearest_not_applicable"]
