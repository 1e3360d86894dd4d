"""Features worth showing first: those that know best what the documents look for."""

import numpy as np
import xarray as xr

PREFERRED = ("arabic", "hebrew", "base64", "dna", "code")
"""Contexts that document S1 examines, and code; tags are called so, or end in it after a colon: `kind:arabic`."""


def showcase_tags(tags: xr.Dataset, count: int = 6) -> list[int]:
    """Places of tags along `tag` whose best feature is worth showing: those of `PREFERRED` that are found (F1 on half B
    at least the attribute `found_f1`), then the others by falling F1. No broad tag, none that no feature knows, and no
    two with the same best feature.
    """
    names = [str(name) for name in tags["tag"].values]
    f1, best = tags["f1"].values, tags["best_feature"].values
    usable = (best >= 0) & (np.nan_to_num(f1) > 0) & (tags["base_rate"].values <= tags.attrs["broad_base_rate"])
    by_f1 = sorted(np.flatnonzero(usable).tolist(), key=lambda tag: -f1[tag])
    preferred = [
        tag
        for name in PREFERRED
        for tag in by_f1
        if names[tag].rpartition(":")[2] == name and f1[tag] >= tags.attrs["found_f1"]
    ]
    chosen: dict[int, int] = {}
    for tag in [*preferred, *by_f1]:
        chosen.setdefault(int(best[tag]), tag)
    return list(chosen.values())[:count]


def showcase(frequency: xr.Dataset, tags: xr.Dataset, count: int = 6) -> list[int]:
    """Up to `count` different features: the best ones of `showcase_tags`, then those with the highest mean activation
    where active, the lower one first among equals. Features that are never active are not shown."""
    chosen = [int(tags["best_feature"].values[tag]) for tag in showcase_tags(tags, count)]
    mean = np.nan_to_num(frequency["mean_active"].values)
    strongest = [feature for feature in np.argsort(-mean, kind="stable").tolist() if mean[feature] > 0]
    return list(dict.fromkeys([*chosen, *strongest]))[:count]
