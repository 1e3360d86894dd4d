"""The tables of a site or of a model that one job makes: each stays that is made of what there is now.

One step, because starting Python and importing torch and transformer_lens takes longer than most of the tables.
"""

import sys
import time
from pathlib import Path

from polysem.io.folders import renewed_files
from polysem.io.tables import write_table
from polysem.layout.place import RESULTS, Place
from polysem.numerics.devices import Device, resolved
from polysem.tables.contract import in_order
from polysem.tables.inputs import Job
from polysem.tables.made_of import Stated, made_from, made_of, made_on, measured, prepare


def measure_tables(
    model: str,
    kind: str,
    tables: dict[str, Stated],
    site: str = "",
    device: Device = "cpu",
    root: str = RESULTS,
) -> None:
    """Make those of some tables, and of the files that their modules make with them, that are missing or made of
    something else, each with its receipt; how long each took is told on standard error.

    Args:
        model: The model.
        kind: "language" or "classifier".
        tables: The tables, and what the rule says of each.
        site: The site, of tables that are of one.
        device: Where models and dictionaries run.
        root: The folder of all artifacts.

    Raises InputError if a file is missing or none of its kind.
    """
    place = Place(model, site, root=root)
    here = resolved(device)
    reading = Job(place, kind, here)
    order = in_order({name: [read for read in stated.tables if read in tables] for name, stated in tables.items()})
    for name in order:
        started = time.perf_counter()
        # A table's own job holds what it reads, which is let go before the next.
        if _renewed(name, tables[name], reading, Job(place, kind, here, folder=Path(place.tables))):
            print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)


def _renewed(name: str, stated: Stated, reading: Job, job: Job) -> bool:
    """Whether a table had to be made. Digests of what several tables read are kept in the job `reading`."""
    path, receipt = Path(job.place.table(name)), Path(job.place.table_receipt(name))
    with renewed_files(receipt, name, made_of(stated, reading, {}), made_from(stated, reading)) as renewal:
        if renewal is None:
            return False
        contract = prepare("site" if job.place.site else "model", {name: stated}, job)[name]
        table = measured(name, contract, stated, job)
        if contract.files:
            module, inputs = job.making[name]
            module.write_files(inputs, path.parent)
        write_table(path, table)
        beside = (path.with_name(file) for file in contract.files)
        renewal.add(path, *beside, catalogue=contract.catalogue, **made_on(contract.reads, job))
    return True
