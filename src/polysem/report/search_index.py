"""The index behind the search box: everything that has a page, by what people call it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from polysem.layout.place import Place
from polysem.report.chapters import Chapter
from polysem.report.features import Feature
from polysem.report.numbers import KNOWN, MODEL
from polysem.report.site import script_json

KINDS = ("catalogue", "dictionary", "feature", "metric")
METRICS = {
    "L0": "L0, sparsity: active features per token",
    "loss_recovered_zero": "Fidelity: loss recovered, against zeros",
    "loss_recovered_mean": "Fidelity: loss recovered, against the mean",
    "explained_variance": "Explained variance, reconstruction",
    "mean_squared_error": "Mean squared error, reconstruction",
    "dead_share": "Dead features, on training images",
    "never_active_share": "Dead features: never active on eval tokens",
    "ultra_low_share": "Ultra-low features",
    "rare_share": "Rare features",
    "one_sparse_share": "1-sparse features",
    "ten_sparse_share": "10-sparse features",
    "dense_share": "Dense features",
    "most_polysemantic_neuron": "Most polysemantic neuron",
    "tags_found": "Tags found by a feature",
    "tag_mean_best_f1": "F1 of the best feature, mean over tags",
    "ablation_above_random_share": "Causal features: ablated, more than random directions",
    "cross_entropy_spliced": "Loss of the model with the SAE spliced in",
}
"""What people call the metrics that they look for."""
STAR = "★"
SHOWN_OF_COMMENT = 200
"""Characters of a comment that the box searches and shows."""


def search_index(
    chapters: list[Chapter], features: dict[Place, list[Feature]], metrics: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """The index as a script: pages from disk may load scripts and no data.

    A row is kind, name, further words, folder and file; kinds and folders stand in lists of their own, as most rows
    share them. Addresses are from the root of the site. A metric leads to the comparison of each site that has it.
    """
    folders: dict[str, int] = {}
    rows: list[tuple[int, str, str, int, str]] = []

    def add(kind: str, name: str, words: str, folder: str, file: str) -> None:
        rows.append((KINDS.index(kind), name, words, folders.setdefault(folder, len(folders)), file))

    for chapter in chapters:
        for article in chapter.articles:
            entry = article.entry
            add("catalogue", entry.id, entry.title, f"pages/{chapter.document}.html#", entry.id)
    for model, site, there in _sites(metrics):
        place = f"{model}/{site}"
        for name in (name for name in METRICS if name in there):
            add("metric", METRICS[name], f"{name} {place}", f"pages/models/{quote(place)}/", "index.html")
    for origin, found in features.items():
        add("dictionary", origin.path, "", "pages/models/", f"{quote(origin.path)}.html")
        for feature in found:
            said = feature.said
            comments = [comment.text[:SHOWN_OF_COMMENT] for _, comment in said.comments]
            words = " ".join([*feature.tokens, *comments, origin.path, str(feature.number)])
            name = f"{STAR} " * bool(said.starred_by) + (said.label or f"{origin.dictionary} / {feature.number}")
            sheet = (f"sheets/{quote(origin.path)}/", quote(feature.page))
            page = ("pages/models/", f"{quote(origin.path)}.html")
            add("feature", name, words, *(sheet if feature.page else page))
    index = {"kinds": KINDS, "folders": list(folders), "rows": rows}
    return f"window.polysemIndex = {script_json(index)};\n"


def _sites(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    """Models and sites, with the metrics that one of their dictionaries has."""
    for model, sites in metrics.items():
        for site, dictionaries in sites.items():
            if site not in (MODEL, KNOWN):
                known = [
                    name for numbers in dictionaries.values() for name, value in numbers.items() if value is not None
                ]
                yield model, site, set(known)
