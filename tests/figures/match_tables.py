"""Tables `match_layers` of random matches, for figures of several shapes."""

import numpy as np
import xarray as xr

from polysem.saes.ranking import SCALES
from polysem.tables.of_model.match_layers import VARIABLES
from polysem.tables.passes.matches.by_layer import Place, by_layer
from polysem.tables.passes.matches.judged import Judged
from polysem.tables.passes.matches.strong import TOP, Strongest
from polysem.tables.passes.matches.texts import OWN, Texts


def match_table(lines: dict[tuple[str, str], int], own: int = 0, texts: int = 40, found: int = TOP) -> xr.Dataset:
    """Lines by (hook, series), each through so many layers; a text has `found` top features."""
    generator = np.random.default_rng(0)
    every = texts + own
    places = []
    for line, layers in lines.items():
        for layer in range(layers):
            shape = (every, TOP)
            strongest = []
            for _ in SCALES:
                on_scale = np.sort(generator.normal(10 - layer, 2, shape))[:, ::-1].copy()
                on_scale[:, found:] = -np.inf
                feature = np.where(on_scale > -np.inf, generator.integers(0, 999, shape), -1)
                strongest.append(Strongest(feature, np.zeros(shape, int), np.zeros(shape, np.float32), on_scale))
            present = np.stack([one.present for one in strongest])[:, None]
            stem = generator.random((len(SCALES), 1, *shape)) < 0.8 - layer / 30
            matched = np.concatenate([stem & (generator.random(stem.shape) < 0.8), stem], axis=1) & present
            token = np.zeros((len(SCALES), *shape), int)
            judged = Judged(tuple(strongest), token, token, matched, matched)
            site, name = f"blocks.{layer}.{line[0]}", "neurons" if line[1] == "neurons" else f"{line[1]}-{layer}"
            places.append(Place(site, name, layer, line, judged))
    ids = np.ones((every, 3), int)
    origin = ["eval"] * texts + [OWN] * own
    made = Texts(ids, ids > 0, origin, np.arange(every), np.zeros(every, int))
    return by_layer(places, made, str, VARIABLES, 0).assign_attrs(model="toy", catalogue="S4.T1")
