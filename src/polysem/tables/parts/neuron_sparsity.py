"""How many neurons a feature is made of: the clusters of document S2, "Exploring Neuron Sparsity"."""

import numpy as np
import xarray as xr

from polysem.params.analysis import Analysis

CLASSES = ("dense", "10-sparse", "1-sparse")


def sparsity_classes(alignment: xr.Dataset, analysis: Analysis) -> xr.DataArray:
    """The cluster of each feature, over `feature`, as one of `CLASSES`.

    `power_top1` and `power_next9` are shares (fractions of 1) of the feature's squared decoder weight in its strongest
    neuron and in its next nine. A feature is 1-sparse if top1 > `one_sparse` and next9 < `next_nine`; 10-sparse if
    the ten together exceed `one_sparse` and it is not 1-sparse; dense otherwise. All comparisons are strict.
    Source: document S2, section "Exploring Neuron Sparsity" (S2.F1).
    """
    top, following = alignment["power_top1"].to_numpy(), alignment["power_next9"].to_numpy()
    classes = np.select(
        [
            (top > analysis.one_sparse) & (following < analysis.next_nine),
            top + following > analysis.one_sparse,
        ],
        ["1-sparse", "10-sparse"],
        default="dense",
    )
    return xr.DataArray(
        classes,
        coords={"feature": alignment["feature"]},
        dims="feature",
        name="sparsity_class",
        attrs={"long_name": "cluster by number of neurons", "units": "1"},
    )
