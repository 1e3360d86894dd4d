"""What many tables read, opened: each from the sources that its module declares."""

from pathlib import Path

from polysem.activations.rows import ActivationRows
from polysem.params.base import NEURONS
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.tables.inputs import Inputs


def activation_rows(inputs: Inputs, store: str = "store") -> ActivationRows:
    """The activations of a site; reads `store`, or another source that is one."""
    path = inputs.path(store)
    return inputs.once(("rows", path), lambda: ActivationRows(path))


def dictionary_of(inputs: Inputs) -> Dictionary:
    """The dictionary on the device; reads `weights`, and `store`, which knows how many neurons there are.

    Raises InputError if the files are none of an SAE, or of one for another width.
    """
    path, width = inputs.path("weights"), activation_rows(inputs).width
    return inputs.once(("dictionary", path), lambda: load_dictionary(path, width, inputs.device))


def is_neurons(inputs: Inputs) -> bool:
    """Whether the dictionary is that of the neurons."""
    return Path(inputs.path("weights")).name == NEURONS
