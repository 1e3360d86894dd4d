"""Encoding and decoding, the same for dictionaries of a study and for SAEs from anywhere."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from polysem.io.errors import InputError
from polysem.params.explain import nearest
from polysem.study.arrays import Array, through
from polysem.study.names import as_path

if TYPE_CHECKING:
    from polysem.saes.dictionary import Dictionary
    from polysem.saes.exported import Exported

FORMATS = ("saelens", "openai", "dictionary_learning")
"""Forms in which an SAE can be saved; modules of `polysem.saes.formats`."""


class Coder(ABC):
    """What has features on activations, and can tell them from these and make these from them."""

    @property
    @abstractmethod
    def weights(self) -> "Dictionary":
        """The dictionary itself, in torch: `W_enc`, `b_enc`, `W_dec`, `b_dec` of an SAE."""

    def encode(self, x: Array) -> Array:
        """Activations of all features, [..., feature], from activations of the site, [..., neuron].

        A tensor gives a tensor, a NumPy array a NumPy array and a DataArray a DataArray; numbers are float32. Raises
        InputError for another number of neurons.

        >>> import polysem
        >>> sae = polysem.open("results")["stories-1l"]["blocks.0.mlp.hook_post"]["topk-x4"]
        >>> sae.encode(sae.site.activations("eval")[:5]).dims
        ('token', 'feature')
        """
        return through(self.weights.encode, x, reads="neuron", gives="feature", size=self.weights.inputs)

    def decode(self, f: Array) -> Array:
        """Sum of the directions of the features, weighted by their activations, and the decoder's bias.

        From [..., feature] to [..., neuron], in the library that comes in. An SAE that normalises its inputs decodes to
        normalised activations; `reconstruct` undoes that. Raises InputError for another number of features.
        """
        return through(self.weights.decode, f, reads="feature", gives="neuron", size=self.weights.features)

    def reconstruct(self, x: Array) -> Array:
        """What the dictionary leaves of activations, [..., neuron]: encoded, decoded, and any normalisation undone."""
        weights = self.weights
        return through(
            lambda values: weights.reconstruct(values, weights.encode(values)),
            x,
            reads="neuron",
            gives="neuron",
            size=weights.inputs,
        )

    @abstractmethod
    def _exported(self) -> "Exported":
        """The SAE with what is known of it; InputError for what is no SAE."""

    def save(self, folder: str | Path, format: str = "saelens") -> list[str]:
        """Write the SAE as `saelens`, `openai` or `dictionary_learning` have theirs; the folder must not hold anything.

        Returns sentences on what the format has a place for and this SAE does not tell. Raises InputError for a folder
        with something in it, an unknown format, and an SAE that the format cannot express.
        """
        from importlib import import_module

        target = as_path(folder, "save")
        if format not in FORMATS:
            raise InputError(
                f"format is {format!r}{nearest(format, list(FORMATS))}; SAEs are saved as {', '.join(FORMATS)}"
            )
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{target} is there already; remove it or name another folder")
        exported = self._exported()
        import_module(f"polysem.saes.formats.{format}").write(exported, target)
        return exported.missing
