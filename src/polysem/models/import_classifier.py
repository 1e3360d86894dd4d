"""Step: bring a perceptron that somebody else trained into its model folder."""

from itertools import pairwise
from pathlib import Path
from typing import Literal

from torch import Tensor

from polysem.io.errors import InputError
from polysem.io.tensor_files import TensorFile, open_tensors
from polysem.models.classifier import Perceptron, save


def import_classifier(
    folder: Path,
    weights: Path,
    hidden: list[int],
    activation: Literal["relu", "gelu"],
    input_mean: float,
    input_std: float,
) -> None:
    """Write `config.json` and `model.safetensors` from a file of linear layers, `layers.<i>.weight` [out, in] and
    `layers.<i>.bias`.

    The model was trained on pixels (x − mean) / std and is to read pixels x in [0, 1], so both are folded into the
    first layer, in float64. Raises InputError if the file has other layers than the params say.
    """
    widths, state = read_layers(weights, hidden)
    model = Perceptron(widths, activation)
    first, bias = state["layers.0.weight"].double() / input_std, state["layers.0.bias"].double()
    state |= {"layers.0.weight": first.float(), "layers.0.bias": (bias - input_mean * first.sum(dim=1)).float()}
    model.load_state_dict(state)
    save(model, widths, activation, folder)


def read_layers(weights: Path, hidden: list[int]) -> tuple[list[int], dict[str, Tensor]]:
    """Pixels, neurons of each hidden layer, classes; and the weights and biases. InputError if the file's hidden layers
    are not `hidden`, or one of its tensors is missing, has another shape or holds something else than finite floats."""
    tensors = open_tensors(weights)
    widths = _widths(tensors, hidden)
    return widths, {
        f"layers.{index}.{name}": tensors.tensor(f"layers.{index}.{name}", *shape)
        for index, (inputs, outputs) in enumerate(pairwise(widths))
        for name, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))
    }


def _widths(tensors: TensorFile, hidden: list[int]) -> list[int]:
    names = [f"layers.{index}.{name}" for index in range(len(hidden) + 1) for name in ("weight", "bias")]
    tensors.require(*names)
    shapes = [tensors.matrix(name) for name in names[::2]]
    found = [rows for rows, _ in shapes[:-1]]
    if found != hidden:
        raise InputError(f"{tensors.path} has hidden layers of {found} neurons, the params say hidden: {hidden}")
    return [shapes[0][1], *hidden, shapes[-1][0]]
