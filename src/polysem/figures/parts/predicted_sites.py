"""The sites that transcoders predict, in words."""

import json

import xarray as xr


def elsewhere(fidelity: xr.Dataset) -> list[str]:
    """A sentence where transcoders are among the dictionaries: their numbers are of other sites."""
    each = [f"{name} at {target}" for name, target in json.loads(fidelity.attrs.get("targets", "{}")).items()]
    if not each:
        return []
    return [f"Transcoders are measured, and ablated, where they predict: {', '.join(each)}."]
