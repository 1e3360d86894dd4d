"""The dictionaries of a model that a search listens to."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from polysem.params.base import NEURONS
from polysem.study.distributions import Distributed

if TYPE_CHECKING:
    from polysem.saes.encoders import Encoder
    from polysem.study.dictionary import Dictionary


class Heard(Protocol):
    """A dictionary that is listened to; files are read when they are needed."""

    @property
    def site(self) -> str:
        """The site that it stands at."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def features(self) -> int:
        """Number of features."""

    @property
    def encoder(self) -> "Encoder":
        """Its weights. InputError if they cannot be read."""

    @property
    def distributed(self) -> Distributed:
        """How its features are distributed over the eval tokens."""


class OfStudy:
    """A dictionary of the study."""

    def __init__(self, dictionary: "Dictionary") -> None:
        self._dictionary = dictionary
        self.site, self.name = dictionary.site.name, dictionary.name

    @cached_property
    def features(self) -> int:
        """See `Heard.features`."""
        return self._width if self._dictionary.is_neurons else self._dictionary.features

    @cached_property
    def encoder(self) -> "Encoder":
        """See `Heard.encoder`."""
        from polysem.saes.encoders import NeuronEncoder, SaeEncoder
        from polysem.saes.sae import load_sae

        if self._dictionary.is_neurons:
            return NeuronEncoder(self._width)
        return SaeEncoder.of(load_sae(Path(self._dictionary.place.sae.path), self._width))

    @property
    def _width(self) -> int:
        return self._dictionary.site.model.subject.width(self.site)

    @cached_property
    def distributed(self) -> Distributed:
        """See `Heard.distributed`."""
        return Distributed.of(self._dictionary)


def is_neurons(heard: Heard) -> bool:
    """Whether its features are the neurons of its site."""
    return heard.name == NEURONS
