"""The numbers of each dictionary in the table `concept_probes`, by which runs are compared."""

import math
from typing import Any

import xarray as xr

NAMES = {"word_share": "probe_word_share", "concept_share": "probe_concept_share"}
"""Variables of the table, and what they are called among the metrics."""


def probe_metrics(table: xr.Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    """{(site, dictionary): {metric: value}}; nothing where no probe was measured.

    Of the best features of the probes' base words: `probe_word_share`, how many are more active on the word than on
    95 % of other words of the same frequency; `probe_concept_share`, of all features and replacements, in how many the
    feature is more active on the replacement than on 95 % of other words of that one's frequency.
    """
    if "not_applicable" in table.attrs:
        return {}
    places = zip(table["site"].values.tolist(), table["dictionary"].values.tolist(), strict=True)
    found = {}
    for number, place in enumerate(places):
        numbers = {name: float(table[variable].values[number]) for variable, name in NAMES.items()}
        found[place] = {name: value for name, value in numbers.items() if not math.isnan(value)}
    return found
