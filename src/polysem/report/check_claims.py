"""Step: published numbers beside those of this run (docs/design.md)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polysem.io.atomic import write_json
from polysem.io.json_files import read_object
from polysem.params.base import NEURONS, UNDECIDED
from polysem.report.claims import Claim, Document, Place, read_ledger

ANALOGOUS = 6
"""Numbers of other dictionaries that are shown beside a claim, at most."""
MODEL = "model"
"""Beside its sites, a model has its own numbers under this key."""
REPRODUCED, CLOSE, DIFFERS, NOT_RUN = "reproduced", "close", "differs", "not run"
Metrics = dict[str, dict[str, dict[str, Any]]]


def check_claims(claims: Path, metrics: Path, output: Path) -> None:
    """Write `claims.json`, a list with one object per claim, in the order of `claims.yaml`.

    Each has `id`, `statement`, `document` (its title), `preset`, `published`, `compare`, `tolerance`, `basis`,
    `because`, `close`, `close_because`, `unit`, `where` ({model, site, dictionary, metric}; empty where no number of a
    run can tell), `value` (null if there is none), `distance` (value − published; null for words and without a value),
    `verdict` (reproduced, close, differs, not run), `note`, and `analogous`: the same metric of up to `ANALOGOUS`
    other dictionaries of this run, [{model, site, dictionary, value}], which is no reproduction of anything.
    Raises InputError for a ledger or metrics that cannot be read.
    """
    ledger = read_ledger(claims)
    numbers = read_object(metrics)
    write_json(output, [checked(claim, ledger.documents[claim.document], numbers) for claim in ledger.claims])


def checked(claim: Claim, document: Document, numbers: Metrics) -> dict[str, Any]:
    """A claim with this run's value, the verdict and analogous values."""
    value, why = None, claim.unmeasured or ""
    if claim.where is not None:
        value, why = _value(claim.where, document, numbers)
    return {
        "id": claim.id,
        "statement": claim.statement,
        "document": document.title,
        "preset": document.preset,
        "published": claim.published,
        "compare": claim.compare,
        "tolerance": claim.tolerance,
        "basis": claim.basis,
        "because": claim.because,
        "close": claim.close,
        "close_because": claim.close_because,
        "unit": claim.unit,
        "where": claim.where.values() if claim.where else {},
        "value": value,
        "distance": distance(claim, value),
        "verdict": verdict(claim, value),
        "note": " ".join(part for part in (why, claim.note) if part),
        "analogous": list(_analogous(claim.where, numbers)) if claim.where else [],
    }


def distance(claim: Claim, value: float | str | None) -> float | None:
    """How far a number of a run is above the published one, to six digits; None for words and without a value."""
    if value is None or isinstance(value, str) or isinstance(claim.published, str):
        return None
    return float(f"{value - claim.published:.6g}")


def verdict(claim: Claim, value: float | str | None) -> str:
    """What to say of a number of a run; a number near to a published one, but no reproduction of it, is close."""
    if value is None:
        return NOT_RUN
    if agrees(claim, value):
        return REPRODUCED
    away = distance(claim, value)
    near = claim.close is not None and away is not None and abs(away) <= claim.close * (1 + 1e-9)
    return CLOSE if near else DIFFERS


def agrees(claim: Claim, value: float | str) -> bool:
    """Whether a number of a run reproduces the published one."""
    if claim.compare == "equal" or isinstance(claim.published, str) or isinstance(value, str):
        return value == claim.published
    if claim.compare == "near":
        assert claim.tolerance is not None
        return abs(value - claim.published) <= claim.tolerance * (1 + 1e-9)
    return value >= claim.published if claim.compare == "at_least" else value <= claim.published


def _value(place: Place, document: Document, numbers: Metrics) -> tuple[Any, str]:
    """The run's value, or None and a sentence that says why there is none."""
    found: Any = numbers
    for kind in ("model", "site", "dictionary"):
        name = getattr(place, kind)
        if name not in found:
            return None, f"This run has no {kind} {name}; {document.preset} has it."
        found = found[name]
    if place.metric not in found:
        return None, f"{place.dictionary} has no number {place.metric} here."
    if found[place.metric] is None:
        return None, f"{place.metric} is not defined for {place.dictionary} in this run."
    if found[place.metric] == UNDECIDED:
        return None, f"The tokens of this run do not decide {place.metric} of {place.dictionary}."
    return found[place.metric], ""


def _analogous(place: Place, numbers: Metrics) -> Iterator[dict[str, Any]]:
    """The same metric of other dictionaries: those of sites of the same name first, then one of each other site, then
    the next of each; the neurons come last."""
    here = (place.model, place.site, place.dictionary)
    found = []
    for model, sites in numbers.items():
        for site, dictionaries in sites.items():
            if site == MODEL:
                continue
            names = sorted(dictionaries, key=lambda name: name == NEURONS)
            # a transcoder's numbers are of the site that it predicts, and none of an SAE's
            saes = [name for name in names if "target" not in dictionaries[name]]
            having = [name for name in saes if dictionaries[name].get(place.metric) is not None]
            for order, name in enumerate(name for name in having if (model, site, name) != here):
                shown = {"model": model, "site": site, "dictionary": name, "value": dictionaries[name][place.metric]}
                found.append(((name == NEURONS, site != place.site, order), shown))
    found.sort(key=lambda entry: entry[0])
    yield from (shown for _, shown in found[:ANALOGOUS])
