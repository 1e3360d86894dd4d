"""SAEs from anywhere: `polysem.load_sae`."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from polysem.io.errors import InputError
from polysem.io.files import expanded
from polysem.params.explain import nearest
from polysem.params.recipes.pretrained import Format
from polysem.study.coding import Coder
from polysem.study.names import as_path
from polysem.study.showing import fact_table

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from polysem.saes.exported import Exported
    from polysem.saes.published import Published
    from polysem.saes.sae import SAE

KNOWN: tuple[str, ...] = get_args(Format)


class Sae(Coder):
    """An SAE that was read from files, with what they say of it; `load_sae` makes one."""

    def __init__(self, path: Path, format: str, published: "Published") -> None:
        loaded = published.load()
        self.path: Path = path
        """The file of its weights."""
        self.format: str = format
        """Whose files they are."""
        self.settings: dict[str, Any] = published.settings.known() | published.facts
        """What the files say of the activations and the training, as far as they do: `hook_name`, `model_name`, …"""
        self.notes: tuple[str, ...] = published.notes
        """What was converted, assumed or could not be known, as sentences."""
        self.published, self._loaded = published, loaded

    @property
    def weights(self) -> "SAE":
        """The SAE itself, in torch: `W_enc` [neuron, feature], `b_enc`, `W_dec` [feature, neuron], `b_dec`."""
        return self._loaded.sae

    @property
    def neurons(self) -> int:
        """Number of neurons of the activations that it reads."""
        return self.published.inputs

    @property
    def features(self) -> int:
        """Number of its features."""
        return self.published.features

    @property
    def frequency(self) -> "Float[Tensor, ' feature'] | None":
        """Share of tokens on which each feature was active where it was trained; None if the files do not say."""
        return self._loaded.frequency

    def _exported(self) -> "Exported":
        from polysem.saes.exported import Exported
        from polysem.saes.import_sae import metadata

        told = self.published.settings
        site = told.hook_name or told.module or ""
        return Exported(
            sae=self.weights,
            model_name=told.model_name or "",
            site=site,
            name=self.path.parent.name,
            metadata=metadata(self.published, site),
            stored_frequency=self.frequency,
        )

    def __repr__(self) -> str:
        return f"<polysem.Sae {self.neurons} neurons, {self.features} features, {self.format}: {self.path}>"

    def _repr_html_(self) -> str:
        facts: dict[str, Any] = {"neurons": self.neurons, "features": self.features, "format": self.format}
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return fact_table(f"SAE of {self.path}", facts | self.settings) + (f"<ul>{notes}</ul>" if notes else "")


def load_sae(path: str | Path, format: str | None = None) -> Sae:
    """An SAE of anyone, from a folder or its file of weights.

    Args:
        path: The folder or the file.
        format: Whose files they are: `saelens`, `openai`, `neel`, `tinystories`, `dictionary_learning`, `sparsify` or
            `mechmnistic`. Without it, the format is found by reading: exactly one has to fit.

    Raises InputError if there is no such file, if a format cannot read it (the message says why), and if several can:
    name one of them then. Nothing in the files is run.

    >>> import polysem
    >>> sae = polysem.load_sae("results/saes/stories-1l/blocks.0.mlp.hook_post/topk-x4")
    >>> sae.features
    256
    """
    place = expanded(str(as_path(path, "load_sae")))
    if not place.exists():
        raise InputError(f"there is no {place}; name the folder of an SAE, or its file of weights")
    if format is not None and format not in KNOWN:
        raise InputError(f"format is {format!r}{nearest(format, list(KNOWN))}; SAEs are read as {', '.join(KNOWN)}")
    read: list[Sae] = []
    missing: list[str] = []
    refused: list[str] = []
    for name in KNOWN if format is None else (format,):
        try:
            read.append(_read(place, name))
        except NotOfThisFormatError as error:
            missing.append(f"{name}: {error}")
        except InputError as error:
            refused.append(f"as {name}: {error}")
    if len(read) == 1:
        return read[0]
    if read:
        fitting = ", ".join(sae.format for sae in read)
        raise InputError(f"{place} can be read as {fitting}; name the one that is meant as format")
    raise InputError(
        f"{place} cannot be read {'; '.join(refused)}"
        if refused
        else f"{place} holds the files of no format ({'; '.join(missing)}); name the file of weights"
    )


def _read(place: Path, name: str) -> Sae:
    """The SAE as a format reads it; InputError if it does not."""
    from polysem.saes.fetch import format_module, read_published

    module = format_module(name)
    if place.is_dir() and not module.WEIGHTS:
        weights = _only_file(place, name)
    else:
        weights = place / module.WEIGHTS if place.is_dir() else place
    missing = [weights, *(weights.parent / beside for beside in module.companions(weights.name)[0])]
    for file in missing:
        if not file.is_file():
            raise NotOfThisFormatError(f"{file} is missing")
    return Sae(weights, name, read_published(name, weights))


class NotOfThisFormatError(InputError):
    """Files are missing that every SAE of a format has."""


def _only_file(folder: Path, name: str) -> Path:
    """The file of weights in a folder, for formats in which every SAE has a name of its own; OpenAI's lie two folders
    below."""
    found = sorted(file for depth in ("*.pt", "*/*.pt", "*/*/*.pt") for file in folder.glob(depth))
    if len(found) != 1:
        raise NotOfThisFormatError(f"{folder} holds {len(found)} files that end in .pt, {name} has one")
    return found[0]
