"""The weights of a GGUF file under the names, and in the shapes, that transformers has for them."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from polysem.io.gguf_files import GgufFile
from polysem.io.tensor_files import TensorFile
from polysem.models.gguf_config import architecture_of
from polysem.models.stored_weights import StoredWeights

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def gguf_weights(file: GgufFile, blank: "PreTrainedModel") -> StoredWeights:
    """The tensors of a file, as float32; none is read yet. `blank` is the model of its config, without its numbers.

    A tensor that no weight of the model is called after keeps its own name, so that whoever fills the model finds it
    left over.
    """
    name, architecture = architecture_of(file)
    theirs = _names(name, blank)
    ours = {theirs.get(tensor, tensor): tensor for tensor in file.tensors}

    def is_transposed(weight: str) -> bool:
        return weight.endswith(architecture.transposed)

    def get(weight: str) -> Tensor:
        numbers = file.numbers(ours[weight])
        for end, key in architecture.interleaved.items():
            if weight.endswith(end):
                numbers = halves(numbers, getattr(blank.config, key))
        return torch.from_numpy(np.ascontiguousarray(numbers.T if is_transposed(weight) else numbers))

    shapes = {weight: file.shape(tensor) for weight, tensor in ours.items()}
    shapes = {weight: shape[::-1] if is_transposed(weight) else shape for weight, shape in shapes.items()}
    return StoredWeights([TensorFile(file.path, shapes, get)], None)


def halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys, whose heads have the coordinates that turn together in pairs (0, 1), (2, 3) …, with
    those of a pair half a head apart, as transformers turns them."""
    pairs = rows.reshape(heads, -1, 2, rows.shape[-1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _names(architecture: str, blank: "PreTrainedModel") -> dict[str, str]:
    """Names in transformers, by those in GGUF files."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    number = next(number for number, name in MODEL_ARCH_NAMES.items() if name == architecture)
    known = get_tensor_name_map(number, blank.config.num_hidden_layers)
    found = {known.get_name(weight, (".weight", ".bias")): weight for weight in blank.state_dict()}
    return {theirs: weight for theirs, weight in found.items() if theirs is not None}
