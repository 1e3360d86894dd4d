"""The tables of a dictionary: of those that are there, all stay that are made of what there is now.

One step, because starting Python and loading the dictionary takes longer than most of the tables, and because those
that need activations share one pass over them.
"""

from pathlib import Path

from polysem.io.folders import renewed_folder
from polysem.io.stores import read_receipt
from polysem.io.tables import write_table
from polysem.layout.place import RESULTS, Place
from polysem.models.record import WEIGHTS
from polysem.numerics.devices import Device, resolved
from polysem.params.base import NEURONS
from polysem.tables.contract import in_order
from polysem.tables.inputs import Job
from polysem.tables.made_of import Stated, digest_of, made_of, made_on, measured, prepare
from polysem.tables.sources import SOURCES


def measure_dictionary(
    model: str,
    site: str,
    dictionary: str,
    kind: str,
    tables: dict[str, Stated],
    target: str = "",
    trained: bool = False,
    device: Device = "cpu",
    root: str = RESULTS,
) -> None:
    """Make those tables of a dictionary that are missing or made of something else, and then their receipt.

    Args:
        model: The model.
        site: The site.
        dictionary: An SAE, or `neurons`.
        kind: "language" or "classifier".
        tables: All tables of a dictionary, and what the rule says of each.
        target: The site that a transcoder predicts; '' for all other dictionaries.
        trained: Whether it is an SAE that was trained here, and has the history of that.
        device: Where the features are encoded.
        root: The folder of all artifacts.

    Raises InputError if a file is missing or none of its kind, or the SAE is for another width.
    """
    place = Place(model, site, dictionary, root)
    job = Job(place, kind, resolved(device), target, trained)
    order = in_order({name: stated.tables for name, stated in tables.items()})
    digests: dict[str, str] = {}
    for name in order:
        digests[name] = made_of(tables[name], job, digests)
    with renewed_folder(Path(place.tables), digests, _of_weights(place, job) | _of_activations(place, job)) as renewal:
        job.folder = renewal.folder
        contracts = prepare("dictionary", {name: tables[name] for name in renewal.missing}, job)
        for name in renewal.missing:
            table = measured(name, contracts[name], tables[name], job)
            write_table(renewal.folder / f"{name}.nc", table)
            renewal.add(name, f"{name}.nc", catalogue=contracts[name].catalogue, **made_on(contracts[name].reads, job))


def _of_weights(place: Place, job: Job) -> dict[str, str]:
    """Digests of the files of an SAE by name; of neurons that of the model's weights, as the receipt of their
    activations tells it: by them people's notes are known to be about these features."""
    if place.dictionary == NEURONS:
        weights = read_receipt(Path(place.activations("eval").store))["params"].get("weights")
        return {WEIGHTS: weights} if weights else {}
    return {Path(file).name: digest_of(file, job) for file in SOURCES["weights"].files(place)}


def _of_activations(place: Place, job: Job) -> dict[str, str]:
    """The digest of the receipt of the activations that were counted, by its name."""
    receipt = place.activations("eval").receipt
    return {Path(receipt).name: digest_of(receipt, job)}
