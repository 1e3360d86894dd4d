"""Tables of the page of results, as Markdown, from the record of a run."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from polysem.params.base import NEURONS
from polysem.report.results.record import ALL_SITES, KNOWN

ABSENT = "–"
Entry = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and the cell of a dictionary."""

    heading: str
    cell: Callable[[Entry], str]


def number(entry: Entry, name: str, form: str = ".3f", scale: float = 1.0, interval: bool = True) -> str:
    """A number of a dictionary or model with its interval in brackets, where it has one."""
    value = entry["numbers"].get(name)
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value.replace("_", " ")
    text = f"{scale * value:{form}}"
    if interval and name in entry["intervals"]:
        low, high = entry["intervals"][name]
        text += f" [{scale * low:{form}}, {scale * high:{form}}]"
    return text.replace("-", "−")


def several(entry: Entry, names: Iterable[str], form: str = ".3f", scale: float = 1.0) -> str:
    """Some numbers side by side, without intervals."""
    return " / ".join(number(entry, name, form, scale, interval=False) for name in names)


def of(heading: str, name: str, form: str = ".3f", scale: float = 1.0) -> Column:
    """A column of one number."""
    return Column(heading, lambda entry: number(entry, name, form, scale))


def together(heading: str, names: Iterable[str], form: str = ".3f", scale: float = 1.0) -> Column:
    """A column of some numbers."""
    listed = list(names)
    return Column(heading, lambda entry: several(entry, listed, form, scale))


def table(entries: Iterable[Entry], columns: list[Column], first: str = "model, site") -> list[str]:
    """Lines of a table with a row per dictionary that has any of its numbers; none if there is no such row."""
    rows = []
    for entry in entries:
        cells = [column.cell(entry) for column in columns]
        if any(set(cell) - set(f"{ABSENT}/ []") for cell in cells):
            rows.append((f"{entry['model']}, {short(entry['site'])}", entry["dictionary"], *cells))
    if not rows:
        return []
    headings = [first, "dictionary", *(column.heading for column in columns)]
    return [_row(headings), "|---" * len(headings) + "|", *map(_row, rows), ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def short(site: str) -> str:
    """`0` of `blocks.0.mlp.hook_post`, `0 hook_mlp_out` of `blocks.0.hook_mlp_out`; other names as they are."""
    kind, _, rest = site.partition(".")
    layer, _, hook = rest.partition(".")
    if kind not in ("blocks", "layers") or not layer.isdigit():
        return site
    return layer if hook in ("mlp.hook_post", "hook_post") else f"{layer} {hook}"


def section(record: dict[str, Any]) -> str:
    """All tables of a run."""
    every = record["dictionaries"]
    toys = [entry for entry in every if entry["site"] == KNOWN]
    found = [entry for entry in every if entry["site"] not in (KNOWN, ALL_SITES)]
    saes = [entry for entry in found if entry["dictionary"] != NEURONS]
    tagged = [entry for entry in found if entry["numbers"].get("tags") != 0]
    lines = [
        f"Made on: {record['machine']}.",
        "In brackets: 95 % bootstrap intervals, over eval sequences (losses, explained variance; L0 where it is of the",
        "same tokens), tags (means over tags) or features (medians over features). They say what other texts, tags or",
        "features would change; what another seed changes stands in the table of seeds. Another kind of processor",
        "rounds otherwise, so that other SAEs grow: expect differences like those between seeds.",
        "",
    ]
    for title, rows in (
        ("Models", list(_models(record["models"]))),
        ("Dictionaries", table(saes, FIDELITY)),
        ("What they know of the tags", [*table(tagged, TAGS), *_together(record["sites"])]),
        ("Seeds: mean ± standard deviation over the seeds of a recipe", list(_seeds(saes))),
        ("The ultra-low cluster", table(saes, ULTRA_LOW)),
        ("Laws of frequency, and features that read another site", table(saes, OTHERS)),
        ("Neuron embeddings", table([*found, *(e for e in every if e["site"] == ALL_SITES)], EMBEDDINGS)),
        ("Matches among the 25 strongest features of a text, intervals over texts", table(found, MATCHES)),
        ("Images", table([entry for entry in found if "dead_share" in entry["numbers"]], IMAGES)),
        ("Known features", list(_toys(toys))),
    ):
        if rows:
            lines += [f"**{title}**", "", *rows] if rows[-1] == "" else [f"**{title}**", "", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def _correlation(name: str, entry: Entry) -> str:
    found = number(entry, f"agreement_{name}", ".2f")
    return found if found == ABSENT else f"{found} (±{number(entry, f'agreement_{name}_shuffled', '.2f')})"


FIDELITY = [
    of("features", "features", ",.0f"),
    of("L0", "L0", ".1f"),
    of("explained variance", "explained_variance"),
    of("loss recovered (zero)", "loss_recovered_zero"),
    of("loss recovered (mean)", "loss_recovered_mean"),
    together("dense / 10-sparse / 1-sparse, %", ("dense_share", "ten_sparse_share", "one_sparse_share"), ".1f", 100),
    together(
        "most polysemantic neuron: features", ("most_polysemantic_neuron", "most_polysemantic_neuron_features"), ".0f"
    ),
]
TAGS = [
    together("tags found of all", ("tags_found", "tags"), ".0f"),
    of("F1, mean of the best per tag", "tag_mean_best_f1"),
    of("F1 always active", "tag_mean_f1_always_active"),
    of("AUROC, mean", "tag_mean_best_auroc"),
    of("monosemanticity above base, median", "median_monosemanticity_above_base"),
    of("never active, %", "never_active_share", ".1f", 100),
]
ULTRA_LOW = [
    of("threshold, firings", "ultra_low_threshold_firings", ".3g"),
    of("ultra-low, % (active on a token at least)", "ultra_low_share", ".1f", 100),
    of("never active, %", "never_active_share", ".1f", 100),
    together("cosine with the mean, median (random)",
        ("ultra_low_cosine_median", "ultra_low_cosine_median_random"), ".3f"),
    of("first singular share, %", "ultra_low_first_singular_share", ".1f", 100),
    of("at most together, %", "co_firing_largest_share", ".0f", 100),
    of("mean direction against another seed's", "seed_ultra_low_cosine", ".2f"),
]  # fmt: skip
OTHERS = [
    together("law of the head / tail", ("head_law", "tail_law")),
    together("share of the exponential, head / tail", ("head_exponential_share", "tail_exponential_share"), ".2f"),
    together("coherent at home / elsewhere, %", ("own_site_coherent_share", "other_site_coherent_share"), ".0f", 100),
    of("elsewhere, neurons permuted, %", "other_site_coherent_share_permuted", ".0f", 100),
]
EMBEDDINGS = [
    of("clustered", "clustered_features", ",.0f"),
    of("examples", "clusters_median_size", ".0f"),
    together("intra / inter, what enters",
        ("clusters_median_intra_cluster_distance_input", "clusters_median_inter_cluster_distance_input"), ".2f"),
    together("intra / inter, neuron embedding",
        ("clusters_median_intra_cluster_distance", "clusters_median_inter_cluster_distance"), ".2f"),
    of("mean distance", "clusters_median_mean_distance", ".2f"),
    Column("ρ monosemanticity (shuffles)", partial(_correlation, "monosemanticity")),
    Column("ρ frequency (shuffles)", partial(_correlation, "frequency")),
    Column("ρ power (shuffles)", partial(_correlation, "power_top1")),
    together("AMI with tags, what enters / neuron embedding",
        ("clusters_median_adjusted_mutual_information_input", "clusters_median_adjusted_mutual_information"), ".2f"),
]  # fmt: skip
MATCHES = [
    of("exact", "top_matches", ".1f"),
    of("by stem", "top_matches_stem", ".1f"),
    together("of the 25 over all layers: raw / share / quantile / surprise",
        [f"top_of_all_layers_{scale}" for scale in ("raw", "share", "quantile", "surprise")], ".1f"),
]  # fmt: skip
IMAGES = [
    of("dead on the training images, %", "dead_share", ".1f", 100),
    of("error", "mse"),
    of("L1", "l1", ".1f"),
    of("accuracy loss, %", "accuracy_loss", ".1f", 100),
    of("max distance", "clusters_median_max_distance", ".3f"),
    of("mean distance", "clusters_median_mean_distance", ".3f"),
    of("size", "clusters_median_size", ".1f"),
]
SPREAD = {
    "L0": ("L0", ".1f", 1),
    "explained variance": ("explained_variance", ".3f", 1),
    "loss recovered (zero)": ("loss_recovered_zero", ".3f", 1),
    "tags found": ("tags_found", ".1f", 1),
    "F1, mean of the best per tag": ("tag_mean_best_f1", ".3f", 1),
    "monosemanticity above base, median": ("median_monosemanticity_above_base", ".3f", 1),
    "ultra-low, %": ("ultra_low_share", ".1f", 100),
    "found again by another seed, %": ("seed_found_again_share", ".0f", 100),
    "most polysemantic neurons": ("most_polysemantic_neuron", "", 1),
}


def _together(sites: list[dict[str, Any]]) -> list[str]:
    """What the SAEs of a site find together."""
    found = [
        f"{each['model']}, {short(each['site'])}: {each['found']} of {each['tags']}" for each in sites if each["tags"]
    ]
    return [f"Tags that some SAE of a site finds: {'; '.join(found)}.", ""] if found else []


def _models(models: dict[str, Entry]) -> Iterator[str]:
    columns = {"cross-entropy": "cross_entropy", "bigram": "bigram_cross_entropy", "unigram": "unigram_cross_entropy"}
    yield _row(["model", *(f"{words}, nats per token" for words in columns), "right, %"])
    yield "|---" * (len(columns) + 2) + "|"
    for model, entry in models.items():
        cells = [number(entry, name) for name in columns.values()]
        yield _row([model, *cells, number(entry, "accuracy", ".1f", 100)])


def _seeds(saes: list[Entry]) -> Iterator[str]:
    grouped: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in saes:
        grouped.setdefault((entry["model"], entry["site"], entry["setting"]), []).append(entry)
    groups = {key: members for key, members in grouped.items() if len(members) > 1}
    if not groups:
        return
    yield _row(["model, site", "recipe", "seeds", *SPREAD])
    yield "|---" * (len(SPREAD) + 3) + "|"
    for (model, site, recipe), members in groups.items():
        cells = [_spread(members, *what) for what in SPREAD.values()]
        yield _row([f"{model}, {short(site)}", recipe, str(len(members)), *cells])


def _spread(members: list[Entry], name: str, form: str, scale: float) -> str:
    values = [entry["numbers"][name] for entry in members if entry["numbers"].get(name) is not None]
    if not form:
        return ", ".join(str(value) for value in values) or ABSENT
    if len(values) < 2:
        return f"{scale * values[0]:{form}}" if values else ABSENT
    mean, deviation = scale * statistics.fmean(values), scale * statistics.stdev(values)
    return f"{mean:{form}} ± {deviation:{form}}".replace("-", "−")


def _toys(toys: list[Entry]) -> Iterator[str]:
    names = sorted({name for entry in toys for name, value in entry["numbers"].items() if _shown(value)})
    if not toys:
        return
    yield _row(["set", "SAE", *(name.replace("_", " ") for name in names)])
    yield "|---" * (len(names) + 2) + "|"
    for entry in toys:
        yield _row([entry["model"], entry["dictionary"], *(number(entry, name, ".3g") for name in names)])


def _shown(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
