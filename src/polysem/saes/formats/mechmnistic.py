"""mechMNISTic (Foote): `sae.pt`, an encoder and a decoder as two linear layers, on the hidden layer of an MNIST MLP."""

from pathlib import Path

from polysem.io.tensor_files import TensorFile, open_tensors
from polysem.saes.activation_functions import standard
from polysem.saes.published import Published, Settings, Weights
from polysem.saes.sae import SAE

WEIGHTS = "sae.pt"
INPUT_MEAN, INPUT_STD = 0.1307, 0.3081
"""What pixels in [0, 1] are normalised by before the MLP reads them."""


def companions(weights: str) -> tuple[list[str], list[str]]:
    """None: the file says it all."""
    return [], []


def read(weights: Path) -> Published:
    """The SAE of a file: f = relu(W0 (h − b1) + b0), h' = W1 f + b1."""
    tensors = open_tensors(weights)
    tensors.require("0.weight", "0.bias", "1.weight", "1.bias")
    features, inputs = tensors.matrix("0.weight")
    settings = Settings(hook_name="layers.0.hook_post", input_mean=INPUT_MEAN, input_std=INPUT_STD)
    return Published(inputs, features, settings, lambda: Weights(_sae(tensors, inputs, features)))


def _sae(tensors: TensorFile, inputs: int, features: int) -> SAE:
    return SAE(
        tensors.tensor("0.weight", features, inputs).T.contiguous(),
        tensors.tensor("0.bias", features),
        tensors.tensor("1.weight", inputs, features).T.contiguous(),
        tensors.tensor("1.bias", inputs),
        standard.Function(),
    )
