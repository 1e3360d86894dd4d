"""A TopK that keeps more features than there are, in every format that has one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from polysem.io.errors import InputError
from polysem.saes.fetch import read_published

from . import test_dictionary_learning, test_openai, test_saelens, test_sparsify
from .conftest import FEATURES, save


def dictionary_learning(folder: Path, parts: dict[str, torch.Tensor], k: int) -> Path:
    state = test_dictionary_learning.states(parts)["AutoEncoderTopK"] | {"k": torch.tensor(k)}
    return test_dictionary_learning.write(folder, state, dict_class="AutoEncoderTopK")


def openai(folder: Path, parts: dict[str, torch.Tensor], k: int) -> Path:
    more: dict[str, Any] = {"activation": "TopK", "activation_state_dict": {"k": k}}
    return save(folder / "5.pt", test_openai.state(parts, **more))


def saelens(folder: Path, parts: dict[str, torch.Tensor], k: int) -> Path:
    return test_saelens.write(folder, test_saelens.MODERN | {"architecture": "topk", "k": k}, parts)


def sparsify(folder: Path, parts: dict[str, torch.Tensor], k: int) -> Path:
    return test_sparsify.write(folder, parts, {"k": k})


@pytest.mark.parametrize("write", [dictionary_learning, openai, saelens, sparsify])
def test_a_k_above_the_number_of_features_is_refused_with_both(tmp_path, parts, write):
    name = write.__name__
    assert read_published(name, write(tmp_path / "a", parts, FEATURES)).k == FEATURES
    weights = write(tmp_path / "b", parts, FEATURES + 1)
    with pytest.raises(InputError, match="k is 41, but the SAE has 40 features; take the k that it was") as error:
        read_published(name, weights)
    assert str(error.value).startswith(str(weights))
