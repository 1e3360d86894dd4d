"""What the table `clusters` holds of a feature that figures show: its examples, their clusters and embeddings."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import name_of, noun
from polysem.figures.registry import NotApplicable

Pictures = NDArray[np.float32]
"""Images [example, height, width] with values in [0, 1], 1 is ink."""
MOST = "most clusters"
TWO = "two clusters"
RARE = "rare secondary behaviour"
TIGHTEST = "tightest"
EXAMPLES = "most examples"


@dataclass(frozen=True)
class ShownFeature:
    """Examples in the order in which they were met."""

    place: int
    """Along `shown`."""
    feature: int
    clusters: int
    sizes: NDArray[np.int64]
    """Examples of each of the first clusters."""
    cluster: NDArray[np.int64]
    """By example; 0 is the largest."""
    activation: NDArray[np.float64]
    sequence: NDArray[np.int64]
    central: NDArray[np.int64]
    """The central example of each of the first clusters."""
    linkage: NDArray[np.float64]
    """Rows of scipy's form, one less than examples."""
    entering: NDArray[np.float64]
    """[example, input]"""
    weight: NDArray[np.float64]
    plane: dict[str, NDArray[np.float64]]
    """Coordinates [example, axis] by embedding."""
    offset: NDArray[np.int64]
    texts: list[list[str | None]] | None
    """Tokens by example and offset, None outside of the sequence; of images there are none."""
    window: NDArray[np.float64]
    """Activations [example, offset], NaN where they are not known."""
    pictures: Pictures | None
    shape: tuple[int, int] | None
    """Height and width where what enters the weights is the image itself, in whatever scale."""


def require_clusters(clusters: xr.Dataset) -> None:
    """NotApplicable if the table has no clusters, with the reason."""
    if reason := clusters.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))


def reads_tokens(clusters: xr.Dataset) -> bool:
    """Whether examples are tokens in their text, and no images."""
    return clusters.sizes["offset"] > 1


def shown_for(clusters: xr.Dataset, *reasons: str) -> list[ShownFeature]:
    """The shown features that were chosen for one of these reasons, in the order of the reasons."""
    if "shown_for" not in clusters:
        return []
    chosen = [str(reason) for reason in clusters["shown_for"].to_numpy()]
    return [_shown(clusters, place) for reason in reasons for place, found in enumerate(chosen) if found == reason]


def with_two_clusters(clusters: xr.Dataset) -> ShownFeature:
    """The shown feature with the largest second cluster; NotApplicable if no feature has two."""
    found = [shown for shown in shown_for(clusters, TWO, MOST, RARE) if shown.clusters > 1]
    if not found:
        raise NotApplicable(f"no {noun(clusters)} has two clusters: {states_in_words(clusters)}")
    return found[0]


def states_in_words(clusters: xr.Dataset) -> str:
    """How many features are in which state, `12 clustered, 3 never active`."""
    states, counts = np.unique(clusters["state"].to_numpy().astype(str), return_counts=True)
    ordered = sorted(zip(counts.tolist(), states.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    return ", ".join(f"{count:,} {state}" for count, state in ordered)


def examples_in_words(shown: ShownFeature, clusters: xr.Dataset) -> str:
    """What the examples are, as a sentence."""
    unit = "tokens" if shown.texts is not None else "images"
    share = float(clusters.attrs["strong_share"])
    strong = f"it reaches {theme.scientific(share)} of its largest activation" if share else "it is active"
    return (
        f"{_capital(name_of(clusters, shown.feature))}: {theme.several(shown.cluster.size, 'example')}, the first "
        f"{unit} met (at most {clusters.attrs['strong_examples']}) on which {strong}."
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _shown(clusters: xr.Dataset, place: int) -> ShownFeature:
    feature = int(clusters["shown_feature"][place])
    own = clusters.isel(feature=feature)
    sequence = own["example_sequence"].to_numpy().astype(np.int64)
    known = np.flatnonzero(sequence >= 0)
    one = clusters.isel(shown=place)
    central, sizes = (own[name].to_numpy().astype(np.int64) for name in ("central_example", "cluster_size"))
    pictures = _pictures(one, known)
    return ShownFeature(
        place=place,
        feature=feature,
        clusters=int(own["clusters"].sel(embedding="neuron")),
        sizes=sizes[sizes > 0],
        cluster=own["example_cluster"].to_numpy().astype(np.int64)[known],
        activation=own["example_activation"].to_numpy().astype(np.float64)[known],
        sequence=sequence[known],
        central=central[central >= 0],
        linkage=one["linkage"].to_numpy().astype(np.float64)[: max(0, known.size - 1)],
        entering=one["entering"].to_numpy().astype(np.float64)[known],
        weight=one["weight"].to_numpy().astype(np.float64),
        plane={
            str(name): one["plane"].sel(embedding=name).to_numpy().astype(np.float64)[known]
            for name in one["plane"].coords["embedding"].to_numpy()
        },
        offset=clusters["offset"].to_numpy().astype(np.int64),
        texts=_texts(one, known),
        window=one["window_activation"].to_numpy().astype(np.float64)[known],
        pictures=pictures,
        shape=(pictures.shape[1], pictures.shape[2]) if pictures is not None and bool(one["image_enters"]) else None,
    )


def _texts(one: xr.Dataset, known: NDArray[np.int64]) -> list[list[str | None]] | None:
    if "token_text" not in one:
        return None
    rows = zip(one["token_text"].to_numpy()[known], one["token"].to_numpy()[known] >= 0, strict=True)
    return [[str(text) if inside else None for text, inside in zip(*row, strict=True)] for row in rows]


def _pictures(one: xr.Dataset, known: NDArray[np.int64]) -> Pictures | None:
    if "pixels" not in one:
        return None
    height, width = int(one.attrs["height"]), int(one.attrs["width"])
    return np.asarray(one["pixels"].to_numpy()[known], np.float32).reshape(-1, height, width)
