"""Dictionaries side by side on the same tokens."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from polysem.io.errors import InputError
from polysem.io.stores import receipt_path
from polysem.tables.passes.comparison.side_by_side import side_by_side


def test_dictionaries_on_other_tokens_are_refused(activation_store):
    stores = [activation_store(np.ones((8, 2), np.float32), f"m/{site}/eval") for site in ("a", "b")]
    receipt = json.loads(receipt_path(stores[1]).read_text())
    receipt["params"]["tokens"] = "others"
    receipt_path(stores[1]).write_text(json.dumps(receipt))
    each = [SimpleNamespace(path={"store": store}.__getitem__) for store in stores]
    with pytest.raises(InputError, match=r"not of the same tokens: tokens is None .* 'others' in that of the other"):
        side_by_side(each, 4)
