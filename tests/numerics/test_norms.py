import numpy as np
import torch

from polysem.numerics.norms import COLUMNS, ROWS, column_products, column_squares


def test_squares_of_columns_equal_those_in_float64():
    matrix = np.random.default_rng(0).standard_normal((5 * ROWS + 3, 70)).astype(np.float32)
    np.testing.assert_allclose(column_squares(matrix), np.square(matrix.astype(np.float64)).sum(0), rtol=1e-6)
    assert column_squares(matrix[:0]).tolist() == [0] * 70


def test_products_of_columns_with_rows_equal_those_in_float64():
    random = torch.Generator().manual_seed(0)
    columns, rows = torch.randn(50, COLUMNS + 9, generator=random), torch.randn(COLUMNS + 9, 50, generator=random)
    expected = torch.linalg.vecdot(columns.T.double(), rows.double())
    torch.testing.assert_close(column_products(columns, rows).double(), expected, rtol=1e-5, atol=1e-5)
