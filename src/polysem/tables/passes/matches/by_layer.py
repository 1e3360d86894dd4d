"""Counts of matches by layer, with their means over texts: what the table `match_layers` holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.numerics.resampling import intervals_of_means
from polysem.saes.ranking import SCALES
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.passes.matches.alike import MATCHES
from polysem.tables.passes.matches.judged import Judged, over_all
from polysem.tables.passes.matches.strong import TOP
from polysem.tables.passes.matches.texts import Texts

LAYERS = ("all", "without the first")
"""Layers of a line whose strongest features are taken together."""
SHOWN = 20
"""Tokens of a text that are spelled out."""
ENDS = ("", "_low", "_high")
"""Of names of a mean and of the ends of its interval."""
RAW = SCALES.index("raw")


@dataclass(frozen=True)
class Place:
    """A dictionary at a site, with what it makes of the texts."""

    site: str
    dictionary: str
    layer: int
    line: tuple[str, str]
    """The hook in the layer, and the series of dictionaries."""
    judged: Judged


class Means:
    """Means over the texts of each origin, with the ends of their bootstrap intervals."""

    def __init__(self, texts: Texts, seed: int) -> None:
        self.origins = list(dict.fromkeys(texts.origin))
        of = np.array(texts.origin)
        self._members = [np.flatnonzero(of == origin) for origin in self.origins]
        self._seed = seed

    def means(self, counts: NDArray[np.int64]) -> Float[np.ndarray, "*counts origin"]:
        """Means of counts [… text]."""
        return np.stack([counts[..., members].mean(axis=-1) for members in self._members], axis=-1)

    def with_ends(self, counts: NDArray[np.int64]) -> list[Float[np.ndarray, "*counts origin"]]:
        """Means, and the lower and upper ends of their intervals."""
        ends = [intervals_of_means(counts[..., members], self._seed) for members in self._members]
        return [self.means(counts), *(np.stack(side, axis=-1) for side in zip(*ends, strict=True))]


def by_layer(
    places: Sequence[Place],
    texts: Texts,
    words: Callable[[int], str],
    long_names: Mapping[str, tuple[str, str, str]],
    seed: int,
) -> xr.Dataset:
    """The table `match_layers`; `long_names` are its declarations, and `words` is what a token is called."""
    lines: dict[tuple[str, str], list[int]] = {}
    for number, place in enumerate(places):
        lines.setdefault(place.line, []).append(number)
    means, every = Means(texts, seed), [place.judged for place in places]
    matches = np.stack([one.matched.sum(axis=-1) for one in every])
    anywhere = np.stack([one.matched_anywhere.sum(axis=-1) for one in every])
    present = np.stack([one.strongest[RAW].present.sum(axis=-1) for one in every])
    taken = np.zeros((len(places), len(SCALES), len(texts)), np.int64)
    of_lines = np.full((len(ENDS), len(lines), len(LAYERS), len(SCALES), len(MATCHES), len(means.origins)), np.nan)
    for line, numbers in enumerate(lines.values()):
        for layers, some in zip(LAYERS, (numbers, numbers[1:]), strict=True):
            if some:
                found = over_all([every[number] for number in some])
                of_lines[:, line, LAYERS.index(layers)] = means.with_ends(found.matches)
                if layers == LAYERS[0]:
                    taken[some] = found.taken
    values: dict[str, NDArray] = {
        "site": np.array([place.site for place in places], object),
        "dictionary": np.array([place.dictionary for place in places], object),
        "layer": np.array([place.layer for place in places]),
        "line_of_place": np.array([list(lines).index(place.line) for place in places]),
        "line_hook": np.array([hook for hook, _ in lines], object),
        "line_series": np.array([series for _, series in lines], object),
        "line_layers": np.array([len(numbers) for numbers in lines.values()]),
        "matches": matches.astype(np.int16),
        "matches_anywhere": anywhere.astype(np.int16),
        "top_features": present.astype(np.int16),
        "of_all_layers": taken.astype(np.int16),
        "mean_matches_anywhere": means.means(anywhere),
        "mean_top_features": means.means(present),
        "top_feature": np.stack([one.strongest[RAW].feature for one in every]).astype(np.int32),
        "text_token": np.stack([one.text_token[RAW] for one in every]).astype(np.int32),
        "own_token": np.stack([one.own_token[RAW] for one in every]).astype(np.int32),
        **of_texts(texts, words),
    }
    for name, three in {
        "mean_matches": means.with_ends(matches),
        "mean_of_all_layers": means.with_ends(taken),
        "line_matches": list(of_lines),
    }.items():
        values |= {name + end: found for end, found in zip(ENDS, three, strict=True)}

    def declared(name: str, of: NDArray) -> xr.Variable:
        dimensions, units, long_name = long_names[name]
        return variable(tuple(dimensions.split()), of, long_name, units)

    coordinates = {
        name: declared(name, np.array(of, object))
        for name, of in {"scale": SCALES, "match": MATCHES, "origin": means.origins, "layers": LAYERS}.items()
    }
    coordinates["rank"] = index("rank", 0, TOP, long_names["rank"][2])
    return labelled({name: declared(name, of) for name, of in values.items()}, coordinates, {"top": TOP})


def of_texts(texts: Texts, words: Callable[[int], str]) -> dict[str, NDArray]:
    """What is said of each text."""
    counted = zip(texts.ids, texts.counted, strict=True)
    shown = ["".join(map(words, ids[counts][:SHOWN].tolist())) for ids, counts in counted]
    return {
        "text_origin": np.array(texts.origin, object),
        "text_sequence": texts.sequence.astype(np.int32),
        "text_tokens": texts.counted.sum(axis=1).astype(np.int32),
        "left_out_tokens": texts.left_out.astype(np.int32),
        "text_words": np.array(shown, object),
    }
