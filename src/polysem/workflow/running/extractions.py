"""Which activation stores a run has to make: the job that runs a model first makes all of its split."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from polysem.activations.handed_over import WAITING, discard_all_but, write_waiting
from polysem.layout.place import ANY_SITE, SPLITS, Place

LIST = f"{WAITING}/{{model}}/{{split}}.json"
"""The list of stores of a model and a split that are still to be made; Snakemake's pattern."""


def forget() -> None:
    """Remove the lists of an earlier run: which stores this one makes is known when its DAG is."""
    shutil.rmtree(WAITING, ignore_errors=True)


def announce(jobs: Iterable[tuple[str, str, str]]) -> None:
    """Write the lists of a run whose jobs of extraction are for these models, sites and splits, and remove what an
    earlier run made for others and nobody took."""
    lists: dict[str, dict[str, Path]] = {}
    for model, site, split in jobs:
        store = Path(Place(model, site).activations(split).store)
        lists.setdefault(LIST.format(model=model, split=split), {})[site] = store
    for file, stores in lists.items():
        write_waiting(Path(file), stores)
    waiting = [store for stores in lists.values() for store in stores.values()]
    discard_all_but(waiting, (ANY_SITE.activations(split).store for split in SPLITS))
