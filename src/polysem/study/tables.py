"""Tables and figures of a place of a study, by the names that their receipts list."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.layout.place import RESULTS, Place
from polysem.params.explain import nearest
from polysem.study.names import UnknownNameError
from polysem.study.results import Results

if TYPE_CHECKING:
    import xarray as xr

ENDING = ".nc"


def listed_tables(results: Results, place: Place) -> list[str]:
    """Tables of a dictionary that their receipt lists, in its order; what stands in no receipt was left there by
    somebody else. Empty if there is no receipt."""
    if not results.has(place.tables_receipt):
        return []
    receipt = _receipt(results, place.tables_receipt)
    listed = receipt.get("artifacts", receipt.get("sha256", {}))
    return [name for name, said in listed.items() if not isinstance(said, dict) or "file" in said]


def files_of_tables(results: Results, place: Place) -> list[str]:
    """Tables in the folder of a site or a model, which have no receipt of their own."""
    return [name.removesuffix(ENDING) for name in results.names(place.tables) if name.endswith(ENDING)]


def drawn_figures(results: Results, place: Place) -> dict[str, str]:
    """Figures of a dictionary, a site or a model by name: '' for one that was drawn, else why it does not apply."""
    if not results.has(place.figures.receipt):
        return {}
    receipt = _receipt(results, place.figures.receipt)
    said = receipt.get("artifacts", receipt.get("figures", {}))
    return {name: str(about.get("not_applicable", "")) for name, about in said.items()}


def open_table(results: Results, place: Place, name: str, known: Sequence[str], path: str = "") -> "xr.Dataset":
    """A table of a place, lazily: what is asked for is read, and no more. Raises UnknownNameError, with the nearest
    name, for one that is not listed, and InputError for a file that is no table."""
    import xarray as xr

    if not isinstance(name, str):
        there = ", ".join(known) or "none"
        raise TypeError(f"found {name!r} ({type(name).__name__}) as a table of {place.path}; there are: {there}")
    if name not in known:
        target = f"{RESULTS}/{results.parts(place.target_of_table(name))}"
        hint = nearest(name, list(known)) or f" (if this version has one, `snakemake --cores all {target}` makes it)"
        raise UnknownNameError(f"{place.path} has no table {name!r}{hint}; there are: {', '.join(known) or 'none'}")
    file = results.bring(path or place.table(name))
    try:
        return xr.open_dataset(file, engine="netcdf4")
    except (OSError, RuntimeError) as error:
        raise InputError(f"{file} cannot be read as a table ({error}); delete it and run again") from error


def require_variables(place: Place, name: str, table: "xr.Dataset", wanted: Sequence[str]) -> None:
    """InputError if a table lacks variables that this version of polysem writes."""
    if lacking := [variable for variable in wanted if variable not in table.variables]:
        raise InputError(
            f"the table {name!r} of {place.path} has no variable {lacking[0]!r}: an older version of polysem measured "
            "it; `snakemake --cores all` measures it again"
        )


def _receipt(results: Results, path: str) -> dict[str, Any]:
    file = results.bring(path)
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"the receipt {file} is no JSON ({error}); delete it and run again") from None
    if not isinstance(found, dict):
        raise InputError(
            f"the receipt {file} holds {type(found).__name__}, expected an object; delete it and run again"
        )
    return found
