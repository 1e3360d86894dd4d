"""The numbers of a comparison by dictionary, for metrics and claims."""

from typing import Any

import numpy as np
import xarray as xr

READINGS = ("coherent_share", "coherent_share_permuted", "same_token_share")
LEVELS = ("split_share", "kept_share", "childless_share")


def site_metrics(comparison: xr.Dataset) -> dict[str, dict[str, Any]]:
    """{dictionary: {metric: value}} of a site, beside those of its pairs.

    `own_site_{share}` and `other_site_{share}` of the SAE through which activations of sites are read, the latter of
    the first other site. `split_share`, `kept_share` and `childless_share` of each dictionary that a larger one splits.
    Numbers that are not known are left out.
    """
    found: dict[str, dict[str, Any]] = {}

    def note(dictionary: str, metric: str, value: float) -> None:
        if np.isfinite(value):
            found.setdefault(dictionary, {}).setdefault(metric, float(value))

    reader = comparison.attrs.get("reader", "")
    for variable in READINGS if reader else ():
        for number, place in enumerate(("own_site", "other_site")):
            note(reader, f"{place}_{variable}", comparison[variable].to_numpy()[number])
    if "size_dictionary" in comparison:
        for number, name in enumerate(comparison["size_dictionary"].to_numpy().astype(str)[:-1]):
            for variable in LEVELS:
                note(name, variable, comparison[variable].to_numpy()[number])
    return found
