"""The two things that `polysem diff` compares: a results folder as it lies there, or a revision in git and DVC."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from polysem.io.errors import InputError
from polysem.io.revisions import Revision
from polysem.layout.place import all_figures
from polysem.params.study import load_study
from polysem.workflow.artifacts import CLAIMS, METRICS

Value = TypeVar("Value")

FIGURES = all_figures()
PARAMS = "report/pages/params.json"
"""Within a results folder: the study as it was run, which the report keeps."""


@dataclass(frozen=True)
class Figure:
    """A drawn figure of one side: the digest of its file, and the file where it is at hand."""

    digest: str
    file: Path | None


@dataclass(frozen=True)
class Side:
    """All of one side that can be compared. `notes` say what is not at hand, and how to get it."""

    name: str
    params: dict[str, Any] | None
    metrics: dict[str, Any]
    verdicts: dict[str, str]
    figures: dict[tuple[str, str], Figure]
    """By the folder, `model/site/dictionary`, and the name."""
    notes: list[str] = field(default_factory=list)


def read_side(text: str) -> Side:
    """A results folder if there is one of this name, else a revision. InputError if it is neither."""
    folder = Path(text)
    if folder.is_dir():
        if not (folder / "metrics.json").is_file():
            raise InputError(f"{text} is a folder without metrics.json; name a results folder, or a revision of git")
        return _folder_side(folder)
    return _revision_side(text)


def _folder_side(folder: Path) -> Side:
    notes: list[str] = []
    params = None
    if (folder / PARAMS).is_file():
        params = _read((folder / PARAMS).read_bytes(), f"{folder / PARAMS}", _object)
    else:
        notes.append(f"{folder} holds no {PARAMS}, so its params are unknown; `snakemake --cores all` writes it.")
    metrics = _read((folder / "metrics.json").read_bytes(), f"{folder}/metrics.json", _metrics)
    claims = folder / "claims.json"
    verdicts = _read(claims.read_bytes(), str(claims), _verdicts) if claims.is_file() else {}
    base = Path(all_figures(str(folder)))
    files: dict[str, Path | None] = {
        path.relative_to(base).as_posix(): path for path in base.rglob("*") if path.suffix in {".json", ".svg"}
    }
    return Side(str(folder), params, metrics, verdicts, _figures(files, notes), notes)


def _revision_side(name: str) -> Side:
    revision = Revision.find(name)
    if revision is None:
        raise InputError(f"{name!r} is neither a results folder nor a revision that git knows here")
    metrics = revision.text(METRICS)
    if metrics is None:
        raise InputError(f"{name} has no {METRICS} in git; commit it after a run, then compare")
    notes: list[str] = []
    claims = revision.text(CLAIMS)
    return Side(
        name=name,
        params=_params(revision, notes),
        metrics=_read(metrics, f"{name}:{METRICS}", _metrics),
        verdicts=_read(claims, f"{name}:{CLAIMS}", _verdicts) if claims else {},
        figures=_figures(_cached(revision, notes), notes),
        notes=notes,
    )


def _params(revision: Revision, notes: list[str]) -> dict[str, Any] | None:
    text = revision.text("params.yaml")
    if text is None:
        notes.append(f"{revision.name} has no params.yaml, so its params are unknown.")
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return load_study(path).values()
        except InputError as error:
            notes.append(
                f"params.yaml of {revision.name} does not fit this version of polysem, so it is left out: {error}"
            )
            return None


def _cached(revision: Revision, notes: list[str]) -> dict[str, Path | None]:
    """Files of the figures of a revision as they lie in DVC's cache, by their paths; None for those that do not."""
    cached = revision.cached(FIGURES)
    notes += [cached.note] if cached.note else []
    return cached.files


def _figures(files: dict[str, Path | None], notes: list[str]) -> dict[tuple[str, str], Figure]:
    """Every figure that a receipt names as drawn; what stands in no receipt was left there by somebody else."""
    figures: dict[tuple[str, str], Figure] = {}
    for receipt, path in sorted(files.items()):
        if PurePath(receipt).suffix != ".json" or path is None:
            continue
        folder = PurePath(receipt).with_suffix("").as_posix()
        for name, digest in _read(path.read_bytes(), str(path), _drawn).items():
            figures[folder, name] = Figure(digest, files.get(f"{folder}/{name}.svg"))
    return figures


def _drawn(receipt: Any) -> dict[str, str]:
    """Digests of the figures that a receipt names as drawn; older revisions have them under another key."""
    figures = receipt["artifacts"] if "artifacts" in receipt else receipt["figures"]
    return {name: said["sha256"] for name, said in figures.items() if "sha256" in said}


def _metrics(found: Any) -> dict[str, Any]:
    """`{model: {"model": {metric: value}, site: {dictionary: {metric: value}}}}`, else TypeError."""
    for sites in _object(found).values():
        for site, held in _object(sites).items():
            for numbers in [held] if site == "model" else _object(held).values():
                _object(numbers)
    return _object(found)


def _object(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError("an object is expected")
    return found


def _verdicts(claims: Any) -> dict[str, str]:
    return {f"{claim['id']} {claim['statement']}": _verdict(claim) for claim in claims}


def _verdict(claim: dict[str, Any]) -> str:
    """The verdict of a claim; one that is close says how far away, as that may change and the verdict not."""
    return f"close ({claim['distance']:+g})" if claim["verdict"] == "close" else str(claim["verdict"])


def _read(text: str | bytes, name: str, of: Callable[[Any], Value]) -> Value:
    """What a JSON text holds, in the form that `of` gives it. InputError where it is none, or has another form than a
    run writes."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is no JSON ({error}); name the results of a run") from error
    try:
        return of(found)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{name} is JSON, but not what a run writes there; name the results of a run") from error
