"""Features worth showing first: those that know best what the documents look for."""

import numpy as np
import xarray as xr

PREFERRED = ("arabic", "hebrew", "base64", "dna", "code")
"""Contexts that document S1 examines, and code; tags are called so, or end in it after a colon: `kind:arabic`."""


def showcase_tags(tags: xr.Dataset, count: int = 6) -> list[int]:
    """Places of tags along `tag` whose best feature is worth showing: those of `PREFERRED` that are `found`, then the
    others by how far their F1 lies above that of a feature that is always active. None below it, and no two with the
    same best feature.
    """
    names = [str(name) for name in tags["tag"].values]
    best, gain = tags["best_feature"].values, np.nan_to_num(tags["f1"].values - tags["f1_always_active"].values)
    usable = np.flatnonzero((best >= 0) & (gain > 0)).tolist()
    by_gain = sorted(usable, key=lambda tag: -gain[tag])
    found = tags["found"].values
    preferred = [tag for name in PREFERRED for tag in by_gain if found[tag] and names[tag].rpartition(":")[2] == name]
    chosen: dict[int, int] = {}
    for tag in [*preferred, *by_gain]:
        chosen.setdefault(int(best[tag]), tag)
    return list(chosen.values())[:count]


def showcase(frequency: xr.Dataset, tags: xr.Dataset, count: int = 6) -> list[int]:
    """Up to `count` different features: the best ones of `showcase_tags`, then those with the highest mean activation
    where active, the lower one first among equals. Features that are never active are not shown."""
    chosen = [int(tags["best_feature"].values[tag]) for tag in showcase_tags(tags, count)]
    mean = frequency["mean_active"].values  # NaN where never active, and so last and not above 0
    strongest = [feature for feature in np.argsort(-mean, kind="stable").tolist() if mean[feature] > 0]
    return list(dict.fromkeys([*chosen, *strongest]))[:count]
