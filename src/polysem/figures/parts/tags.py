"""What figures of tags need."""

import xarray as xr

from polysem.figures.registry import NotApplicable


def require_tags(tags: xr.Dataset) -> None:
    """NotApplicable for a corpus that has no tags."""
    if not tags.sizes["tag"]:
        raise NotApplicable(
            "the tokens have no tags: the corpus is of real text and none of its proxies matched; give `proxies` that "
            "do, or a generated corpus"
        )
