"""A table of a site or of a model, which has a job of its own: it stays if it is made of what there is now."""

from pathlib import Path

from polysem.io.folders import renewed_files
from polysem.io.tables import write_table
from polysem.layout.place import RESULTS, Place
from polysem.tables.inputs import Job
from polysem.tables.made_of import Stated, made_of, measured, prepare


def measure_table(
    table: str,
    model: str,
    kind: str,
    stated: Stated,
    site: str = "",
    device: str = "cpu",
    root: str = RESULTS,
) -> None:
    """Make a table, and the files that its module makes with it, unless what is there is made of the same; then its
    receipt.

    Args:
        table: Its name.
        model: The model.
        kind: "language" or "classifier".
        stated: What the rule says of it.
        site: The site, of a table that is of one.
        device: Where models and dictionaries run.
        root: The folder of all artifacts.

    Raises InputError if a file is missing or none of its kind.
    """
    place = Place(model, site, root=root)
    path, room = Path(place.table(table)), "site" if site else "model"
    job = Job(place, kind, device, folder=path.parent)
    with renewed_files(Path(place.table_receipt(table)), table, made_of(stated, job, {})) as renewal:
        if renewal is None:
            return
        contract = prepare(room, {table: stated}, job)[table]
        made = measured(table, contract, stated, job)
        if contract.files:
            job.making[table][0].write_files(job.making[table][1], path.parent)
        write_table(path, made)
        renewal.add(path, *(path.with_name(name) for name in contract.files), catalogue=contract.catalogue)
