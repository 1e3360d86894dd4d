import pytest
import torch

from polysem.io.errors import InputError
from polysem.saes.formats import mechmnistic

from .conftest import FEATURES, INPUTS, loaded, output, save


def layers(parts):
    return {
        "0.weight": parts["W_enc"].T.contiguous(),
        "0.bias": parts["b_enc"],
        "1.weight": parts["W_dec"].T.contiguous(),
        "1.bias": parts["b_dec"],
    }


def test_two_linear_layers_on_the_first_hidden_layer_of_normalised_images(tmp_path, parts, x):
    published = mechmnistic.read(save(tmp_path / "sae.pt", layers(parts)))
    f = torch.relu((x - parts["b_dec"]) @ parts["W_enc"] + parts["b_enc"])
    torch.testing.assert_close(output(loaded(published), x), f @ parts["W_dec"] + parts["b_dec"])
    assert published.settings.known() == {
        "hook_name": "layers.0.hook_post",
        "input_mean": 0.1307,
        "input_std": 0.3081,
    }
    assert mechmnistic.companions("sae.pt") == ([], [])


def test_layers_that_do_not_fit_are_refused(tmp_path, parts):
    tensors = layers(parts)
    with pytest.raises(InputError, match=r"holds a tensor '2\.bias', which files of this format do not have"):
        mechmnistic.read(save(tmp_path / "sae.pt", tensors | {"2.bias": parts["b_dec"]}))
    del tensors["1.bias"]
    with pytest.raises(InputError, match=r"1\.bias"):
        mechmnistic.read(save(tmp_path / "sae.pt", tensors)).load()
    wide = layers(parts) | {"1.weight": torch.zeros(FEATURES, INPUTS)}
    with pytest.raises(InputError, match=r"1\.weight"):
        mechmnistic.read(save(tmp_path / "sae.pt", wide)).load()
