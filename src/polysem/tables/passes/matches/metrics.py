"""The numbers of each dictionary in the table `match_layers`, by which runs are compared."""

from typing import Any

import xarray as xr

NAMES = {"exact": "top_matches", "stem": "top_matches_stem"}
"""What a number of matches is called among the metrics, by how tokens match."""
OWN = "own"


def match_metrics(table: xr.Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    """{(site, dictionary): {metric: value}}; nothing of a model that reads no texts.

    Of the 25 features that are most active on a text, as they are: `top_matches` and `top_matches_stem`, how many have
    the text's token as their own top-activating token, means over documents with the ends of their intervals (`…_low`,
    `…_high`). `top_of_all_layers_{scale}`: how many of the 25 strongest over all layers are of this dictionary. With
    `_own` behind them the same over one's own texts.
    """
    if "not_applicable" in table.attrs:
        return {}
    documents, *others = table["origin"].values.tolist()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for number, key in enumerate(zip(table["site"].values.tolist(), table["dictionary"].values.tolist(), strict=True)):
        of = table.isel(place=number)
        ours: dict[str, Any] = {}
        for match, name in NAMES.items():
            mean = of.sel(scale="raw", match=match)
            for end in ("", "_low", "_high"):
                ours[f"{name}{end}"] = float(mean[f"mean_matches{end}"].sel(origin=documents))
            if OWN in others:
                ours[f"{name}_own"] = float(mean["mean_matches"].sel(origin=OWN))
        for scale in table["scale"].values.tolist():
            taken = of["mean_of_all_layers"].sel(scale=scale)
            ours[f"top_of_all_layers_{scale}"] = float(taken.sel(origin=documents))
            if OWN in others:
                ours[f"top_of_all_layers_{scale}_own"] = float(taken.sel(origin=OWN))
        found[key] = ours
    return found
