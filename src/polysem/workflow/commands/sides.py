"""The two things that `polysem diff` compares: a results folder as it lies there, or a revision in git and DVC."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from polysem.io.errors import InputError
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


def _revision_side(revision: str) -> Side:
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not commit:
        raise InputError(f"{revision!r} is neither a results folder nor a revision that git knows here")
    commit = commit.strip()
    metrics = _git("show", f"{commit}:{METRICS}")
    if metrics is None:
        raise InputError(f"{revision} has no {METRICS} in git; commit it after a run, then compare")
    notes: list[str] = []
    claims = _git("show", f"{commit}:{CLAIMS}")
    return Side(
        name=revision,
        params=_params(commit, revision, notes),
        metrics=_read(metrics, f"{revision}:{METRICS}", _metrics),
        verdicts=_read(claims, f"{revision}:{CLAIMS}", _verdicts) if claims else {},
        figures=_figures(_cached(commit, revision, notes), notes),
        notes=notes,
    )


def _params(commit: str, revision: str, notes: list[str]) -> dict[str, Any] | None:
    text = _git("show", f"{commit}:params.yaml")
    if text is None:
        notes.append(f"{revision} has no params.yaml, so its params are unknown.")
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return load_study(path).values()
        except InputError as error:
            notes.append(f"params.yaml of {revision} does not fit this version of polysem, so it is left out: {error}")
            return None


def _cached(commit: str, revision: str, notes: list[str]) -> dict[str, Path | None]:
    """Files of the figures of a revision as they lie in DVC's cache, by their paths; None for those that do not."""
    lock = _git("show", f"{commit}:dvc.lock")
    outs = _outputs(lock, f"{revision}:dvc.lock") if lock else {}
    if FIGURES not in outs:
        notes.append(
            f"{revision} has no {FIGURES} in dvc.lock, so its figures are unknown; `dvc commit` puts them there."
        )
        return {}
    cache = Path(_output("dvc", "cache", "dir").strip()) / "files/md5"
    listing = cache / outs[FIGURES][:2] / outs[FIGURES][2:]
    if not listing.is_file():
        notes.append(
            f"The figures of {revision} are not in the cache of DVC here; `dvc fetch --all-commits {FIGURES}` gets "
            "them from the remote, if they were pushed."
        )
        return {}
    digests = _read(listing.read_bytes(), str(listing), _listed)
    paths = {name: cache / md5[:2] / md5[2:] for name, md5 in digests.items()}
    found = {name: path if path.is_file() else None for name, path in paths.items()}
    if gone := [name for name, path in found.items() if path is None]:
        notes.append(
            f"{len(gone)} files of the figures of {revision} are not in the cache of DVC here ({gone[0]}, …); "
            f"`dvc fetch --all-commits {FIGURES}` gets them from the remote, if they were pushed."
        )
    return found


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
    """Digests of the figures that a receipt names as drawn."""
    return {name: said["sha256"] for name, said in receipt["figures"].items() if "sha256" in said}


def _listed(entries: Any) -> dict[str, str]:
    """Digests of the files of a folder, as DVC's cache lists them."""
    return {entry["relpath"]: entry["md5"] for entry in entries}


def _outputs(text: str, name: str) -> dict[str, str]:
    """Digests of the outputs of all stages of a `dvc.lock`."""
    try:
        stages = YAML(typ="safe").load(text).get("stages", {})
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", []) if "md5" in out}
    except (YAMLError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{name} is no lock file of DVC ({type(error).__name__}); `dvc commit` writes one") from error


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


def _git(*arguments: str) -> str | None:
    """What git prints, or None if it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, errors="replace")
    return done.stdout if done.returncode == 0 else None


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError(f"{command[0]} is not installed, or not on PATH") from error
    if done.returncode:
        raise InputError(f"`{' '.join(command)}` fails: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
