"""Features worth showing first."""

import numpy as np
import xarray as xr

from polysem.tables.parts.showcase import showcase, showcase_tags


def known(**tags: tuple[int, float, float]) -> xr.Dataset:
    """Tags with their best feature, its F1 and the F1 of one that is always active; `_` stands for a colon."""
    best, f1, always = (np.array(column) for column in zip(*tags.values(), strict=True)) if tags else 3 * (np.zeros(0),)
    columns = {"best_feature": best.astype(int), "f1": f1, "f1_always_active": always}
    columns["found"] = (f1 >= 0.5) & (f1 > always)
    names = [name.replace("_", ":") for name in tags]
    return xr.Dataset({name: ("tag", values) for name, values in columns.items()}, {"tag": names})


def active(*mean: float) -> xr.Dataset:
    return xr.Dataset({"mean_active": ("feature", np.array(mean))})


def test_arabic_hebrew_base64_dna_and_code_come_first_where_they_are_found():
    tags = known(
        name=(9, 0.95, 0.1),
        kind_code=(5, 0.6, 0.0),
        kind_arabic=(3, 0.7, 0.0),
        proxy_dna=(2, 0.4, 0.0),
        dna=(7, 0.55, 0.0),
        kind_hebrew=(1, 0.8, 0.0),
        barcode=(6, 0.5, 0.3),
    )
    names = [str(tags["tag"].values[tag]) for tag in showcase_tags(tags)]
    assert names == ["kind:arabic", "kind:hebrew", "dna", "kind:code", "name", "proxy:dna"]
    assert showcase(active(*range(20)), tags) == [3, 1, 7, 5, 9, 2]
    assert showcase(active(*range(20)), tags, count=2) == [3, 1]


def test_no_feature_is_shown_twice_and_tags_that_teach_nothing_are_left_out():
    tags = known(
        kind_arabic=(4, 0.9, 0.0),
        kind_hebrew=(4, 0.8, 0.0),
        broad=(8, 0.9, 0.95),
        none=(-1, np.nan, 0.1),
        a=(2, 0.3, 0),
    )
    assert showcase_tags(tags) == [0, 4]
    assert showcase(active(0, 5, 1, np.nan, 9, 7, 7, 0, 3), tags) == [4, 2, 5, 6, 1, 8]


def test_without_tags_the_strongest_features_are_shown_and_never_active_ones_are_not():
    assert showcase(active(0.0, 2.0, np.nan, 5.0, 2.0, 0.1), known(), count=6) == [3, 1, 4, 5]
    assert showcase(active(np.nan, np.nan), known()) == []
