"""What tables may read, by the words of `READS`: where it lies, and by which files it is known."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from polysem.layout.place import Place, Stored
from polysem.params.base import NEURONS


@dataclass(frozen=True)
class Source:
    """Something on disk that tables read."""

    words: str
    path: Callable[[Place], str]
    """Where it is read from."""
    files: Callable[[Place], tuple[str, ...]]
    """The files whose contents stand for all of it: weights, or the receipt of a store."""
    folder: bool = False
    """Whether the path is a folder that counts by these files, so that Snakemake must not look at its date."""
    only: str = ""
    """The kind of model that has it, "language" or "classifier"; '' for all."""
    of_training: bool = False
    """Whether only SAEs have it that were trained here. A table reads it of its own dictionary alone."""

    def is_there(self, kind: str, trained: bool) -> bool:
        """Whether a dictionary of a model of some kind has it, which was `trained` here or not."""
        return self.only in ("", kind) and (trained or not self.of_training)


def _stored(words: str, at: Callable[[Place], Stored], only: str = "") -> Source:
    return Source(words, lambda place: at(place).store, lambda place: (at(place).receipt,), folder=True, only=only)


def _history(place: Place) -> str:
    return place.sae.file("training.nc")


def _weights(place: Place) -> tuple[str, ...]:
    return (
        () if place.dictionary == NEURONS else (place.sae.file("cfg.json"), place.sae.file("sae_weights.safetensors"))
    )


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "weights": Source("weights of the dictionary", lambda place: place.sae.path, _weights),
        "history": Source("history of the training", _history, lambda place: (_history(place),), of_training=True),
        "store": _stored("activations on the eval tokens", lambda place: place.activations("eval")),
        "training store": _stored(
            "activations on the training images", lambda place: place.activations("train"), only="classifier"
        ),
        "tokens": _stored("eval tokens with their tags, or images", lambda place: place.tokens("eval")),
        "training tokens": _stored("training tokens, or images", lambda place: place.tokens("train")),
        "tokenizer": Source(
            "tokens in words", lambda place: place.tokenizer, lambda place: (place.tokenizer,), only="language"
        ),
        "directions": Source(
            "weights around the sites", lambda place: place.directions, lambda place: (place.directions,)
        ),
        "explanations": Source(
            "what explainers say of features",
            lambda place: place.explanations,
            lambda place: (place.explanations,),
            only="language",
        ),
        "model": Source("the model", lambda place: place.weights.path, lambda place: (place.record,)),
    }
)
PASSES: Mapping[str, str] = MappingProxyType({"survey": "the pass over the activations that tables share"})
"""Passes over data, whose results tables read. They are run when a table that reads one is made."""
ON_DEVICE = ("model", "weights", *PASSES)
"""What is on the device of a job, so that a table which reads none of it is the same on all devices."""
VALUES: Mapping[str, str] = MappingProxyType(
    {
        "sites": "the sites of the model",
        "pairs": "which dictionaries are compared",
        "sizes": "SAEs of several sizes",
        "recipes": "hyper-parameters of the SAEs that are trained here",
        "families": "names of the recipes that the dictionaries of the site are of",
        "proxies": "regular expressions that stand in for tags of the model's corpus",
        "series": "which dictionaries of the model stand for each other at its layers",
        "case_studies": "which features of the model are case studies",
        "scores": "what people gave on the rubric sheet of the model, from its files below `labels/`",
    }
)
"""What tables read of the params file beside `analysis:`, and of the files that people write."""
SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "dictionaries": "every dictionary of the site",
        "saes": "every SAE of the site",
        "others": "all that SAEs of the site are compared with",
        "targets": "every site that a transcoder of the site predicts",
        "relatives": "the neurons and the first SAE of each recipe, at all sites",
        "reseeded": "of each of these SAEs another that differs from it in nothing but the seed",
        "neurons": "the neurons of the site, where the dictionary is another one",
        "control": "the same dictionary of the random-model control, if there is one",
        "controls": "of each of the relatives the same dictionary of the random-model control, if there is one",
    }
)
"""In front of a source or a table, with a colon: that of each of several dictionaries."""


def scoped(read: str) -> tuple[str, str]:
    """The scope of what is read, or '', and what is read of each place in it."""
    scope, _, rest = read.partition(":")
    return (scope, rest) if scope in SCOPES else ("", read)


def uses_device(reads: Iterable[str]) -> bool:
    """Whether something of what a table reads is on a device."""
    return any(scoped(read)[1] in ON_DEVICE for read in reads)
