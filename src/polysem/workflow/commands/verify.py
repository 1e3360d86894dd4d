"""`polysem verify`: everything that was made against the digests that were written with it."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from polysem.io.content import file_digest, folder_digest
from polysem.io.errors import InputError
from polysem.io.folders import damage, files_of, read_folder_receipt
from polysem.io.stores import DIGESTS, damage_of_store, read_receipt, receipt_path
from polysem.layout.place import ANY_DICTIONARY, ANY_MODEL, ANY_SITE, RECEIPT, RESULTS
from polysem.models.record import read_record
from polysem.params.study import load_study
from polysem.workflow import artifacts
from polysem.workflow.running.seals import SEALS, Output, seal_in

UNUSABLE = (InputError, OSError, ValueError, LookupError, TypeError, AttributeError)
"""What reading a receipt raises that is missing, no JSON, or JSON of another form."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--configfile",
        type=Path,
        default=Path("params.yaml"),
        help="the params file whose artifacts must be there; whatever else is on disk is checked too",
    )


def command(options: argparse.Namespace) -> int:
    """Hash everything that was made again and name what is not what was written."""
    study = load_study(options.configfile)
    wanted = artifacts.everything(study)
    seals, damaged = sealed_outputs()
    if not damaged and not any(Path(path).exists() for path in (*seals, *wanted)):
        print("nothing made yet")
        return 0
    found = [*((path, problem) for path, problem in damaged.items()), *check_all(wanted, seals)]
    bad = [(path, problem) for path, problem in found if problem]
    for path, problem in bad:
        print(f"bad: {path}: {problem}")
    missing = sum(path not in seals and not Path(path).exists() for path in wanted)
    later = f", {missing} not made yet" if missing else ""
    print(f"{len(found)} artifacts checked, {len(bad)} bad{later}")
    return 1 if bad else 0


def check_all(wanted: list[str], seals: dict[str, Output]) -> Iterator[tuple[str, str]]:
    """Every artifact that the study asks for or that is on disk, with what is wrong with it or ''.

    Those without a seal, which no run of this workflow made here, are held against their own receipts, where they have
    one."""
    for path, output in sorted(seals.items()):
        if path in wanted or Path(path).exists():
            yield path, output_problem(Path(path), output)
    for path in wanted:
        if path not in seals and Path(path).exists():
            yield path, "no seal vouches for it; make it again, or run `polysem adopt` if git and DVC vouch for it"
    for store in _stores():
        if store.as_posix() not in seals:
            yield store.as_posix(), store_problem(store)
        elif _receipt_digest(store) not in (None, seals[store.as_posix()].sha256):
            yield store.as_posix(), "its receipt says another sha256"
    for record in Path().glob(ANY_MODEL.record):
        yield record.parent.as_posix(), model_problem(record.parent)
    for receipt in Path(RESULTS, "tables").rglob("*.json"):
        yield receipt.as_posix(), tables_problem(receipt)
    for receipt in (*Path().glob(ANY_DICTIONARY.figures.receipt), *Path().glob(ANY_MODEL.index.receipt)):
        yield receipt.as_posix(), artifacts_problem(receipt)


def sealed_outputs() -> tuple[dict[str, Output], dict[str, str]]:
    """All outputs of all jobs, by path, and the seals that cannot be read with the reason."""
    outputs: dict[str, Output] = {}
    damaged: dict[str, str] = {}
    for file in sorted(SEALS.rglob("*.json")):
        try:
            seal = seal_in(file)
        except InputError as error:
            damaged[file.as_posix()] = str(error)
        else:
            outputs |= seal.outputs if seal else {}
    return outputs, damaged


def output_problem(path: Path, output: Output) -> str:
    """What is wrong with an artifact, by the seal of its job, or ''."""
    if not path.exists():
        return "it is missing"
    if path.is_dir() and not output.sha256:
        return "an older version of polysem sealed it, by another digest; run snakemake, which makes it again"
    if (path / DIGESTS).is_file():
        damage = damage_of_store(path, output.sha256)
        return f"it is not what was written: {damage}" if damage else ""
    found = folder_digest(path) if path.is_dir() else file_digest(path)
    if found == output.sha256:
        return ""
    return f"it is not what was written: its sha256 is {found[:12]}…, the seal says {output.sha256[:12]}…"


def store_problem(store: Path) -> str:
    """What is wrong with a store, by its receipt, or ''."""
    receipt = receipt_path(store)
    if not store.is_dir():
        return "the store is missing but its receipt is there"
    if not receipt.exists():
        return f"its receipt {receipt.name} is missing"
    try:
        recorded = read_receipt(store)["sha256"]
    except UNUSABLE as error:
        return f"its receipt cannot be used: {error}"
    return damage_of_store(store, recorded)


def model_problem(folder: Path) -> str:
    """What is wrong with a model folder, or ''."""
    try:
        read_record(folder)
    except UNUSABLE as error:
        return str(error)
    return ""


def tables_problem(receipt: Path) -> str:
    """What is wrong with the tables that a receipt names, or ''. They lie in its folder, or beside it."""
    folder = receipt.parent if receipt.stem.endswith(".nc") else receipt.with_suffix("")
    try:
        said = json.loads(receipt.read_text(encoding="utf-8"))["artifacts"].values()
        return damage(folder, {one["file"]: one["sha256"] for one in said})
    except UNUSABLE as error:
        return f"its receipt cannot be used: {error}"


def artifacts_problem(receipt: Path) -> str:
    """What is wrong with a folder of figures, or with an index, by its receipt, or ''."""
    folder = receipt.with_name(receipt.name.removesuffix(RECEIPT))
    try:
        said = read_folder_receipt(folder)["artifacts"].values()
        return damage(folder, {file: digest for each in said for file, digest in files_of(each).items()})
    except UNUSABLE as error:
        return f"its receipt cannot be used: {error}"


def _receipt_digest(store: Path) -> str | None:
    try:
        digest: str = read_receipt(store)["sha256"]
    except UNUSABLE:
        return None
    return digest


def _stores() -> list[Path]:
    found: set[Path] = set()
    for kind in (ANY_MODEL.tokens("*"), ANY_SITE.activations("*")):
        found |= set(Path().glob(kind.store))
        found |= {receipt.with_suffix(".zarr") for receipt in Path().glob(kind.receipt)}
    return sorted(found)
