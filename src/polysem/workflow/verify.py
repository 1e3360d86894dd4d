"""`polysem verify`: what lies under `results/` against the digests that were written with it."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from polysem.io.errors import InputError
from polysem.io.folders import TABLES_RECEIPT, damage, read_folder_receipt
from polysem.io.stores import hash_store, read_receipt, receipt_path
from polysem.models.record import read_record
from polysem.params.study import Study, load_study
from polysem.workflow import artifacts


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--configfile",
        type=Path,
        default=Path("params.yaml"),
        help="the params file whose stores and models must be there; whatever else is on disk is checked too",
    )


def command(options: argparse.Namespace) -> int:
    """Hash every store, model, table and figure again and name those that are not what was written."""
    study = load_study(options.configfile)
    checked, bad = 0, 0
    for path, problem in check_all(study):
        checked += 1
        if problem:
            bad += 1
            print(f"bad: {path}: {problem}")
    print(f"{checked} stores, models and folders of tables and figures checked, {bad} bad")
    return 1 if bad else 0


def check_all(study: Study) -> Iterator[tuple[Path, str]]:
    """Every store and model folder that the study asks for or that is on disk, and every folder of tables or figures
    that it asks for, with what is wrong with it or ''."""
    for store in _stores(study):
        yield store, store_problem(store)
    for folder in _models(study):
        yield folder, model_problem(folder)
    for tables in artifacts.table_folders(study):
        yield Path(tables), tables_problem(Path(tables))
    for drawn in artifacts.figures(study):
        yield Path(drawn), figures_problem(Path(drawn))


def store_problem(store: Path) -> str:
    """What is wrong with a store, or ''."""
    receipt = receipt_path(store)
    if not store.is_dir():
        return "the store is missing" + (" but its receipt is there" if receipt.exists() else "")
    if not receipt.exists():
        return f"its receipt {receipt.name} is missing"
    try:
        recorded = read_receipt(store)["sha256"]
    except (InputError, KeyError) as error:
        return f"its receipt cannot be used: {error}"
    found = hash_store(store)
    return "" if found == recorded else f"its sha256 is {found[:12]}…, the receipt says {recorded[:12]}…"


def model_problem(folder: Path) -> str:
    """What is wrong with a model folder, or ''."""
    try:
        read_record(folder)
    except InputError as error:
        return str(error)
    return ""


def tables_problem(folder: Path) -> str:
    """What is wrong with the tables of a dictionary, or ''."""
    try:
        said = json.loads((folder / TABLES_RECEIPT).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError) as error:
        return f"its receipt cannot be used: {error}"
    return damage(folder, {f"{name}.nc": digest for name, digest in said.items()})


def figures_problem(folder: Path) -> str:
    """What is wrong with a folder of figures, or ''."""
    try:
        said = read_folder_receipt(folder)["figures"]
    except (InputError, KeyError) as error:
        return f"its receipt cannot be used: {error}"
    return damage(folder, {f"{name}.svg": each["sha256"] for name, each in said.items() if "sha256" in each})


def _stores(study: Study) -> list[Path]:
    found = {Path(store) for store in artifacts.stores(study)}
    for kind in (Path("results/tokens"), Path("results/activations")):
        found |= set(kind.rglob("*.zarr"))
        found |= {receipt.with_suffix(".zarr") for receipt in kind.rglob("*.json") if not _inside_a_store(receipt)}
    return sorted(found)


def _inside_a_store(file: Path) -> bool:
    return any(parent.suffix in (".zarr", ".partial") for parent in file.parents)


def _models(study: Study) -> list[Path]:
    found = {Path(artifacts.MODEL.format(model=model)) for model in study.models}
    return sorted(found | {folder for folder in Path("results/models").glob("*") if folder.is_dir()})
