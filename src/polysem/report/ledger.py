"""The claims ledger as the report shows it: what was published, what this run found, and the verdict."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.report.catalogue import ENTRIES
from polysem.report.numbers import in_words
from polysem.report.run_before import RunBefore

CLOSE, NOT_RUN = "close", "not run"
VERDICTS = ("reproduced", CLOSE, "differs", NOT_RUN)
NEEDED = ("id", "statement", "published", "where", "verdict")
BOUNDS = {"at_least": "≥ ", "at_most": "≤ "}
"""How a number that was published as a bound is compared."""
UNSAID = ("", "1", "feature", "neuron", "token")
"""Units that a statement says in words."""


@dataclass(frozen=True)
class Before:
    """What another run, before and not in this study, said to a claim."""

    run: RunBefore
    value: str
    verdict: str
    distance: str

    @property
    def mark(self) -> str:
        """The verdict as one word, for style sheets."""
        return self.verdict.replace(" ", "-")


@dataclass(frozen=True)
class Claim:
    """One published number. `entry` is its catalogue id; `place` and `metric` say where this project finds its own."""

    id: str
    entry: str
    statement: str
    document: str
    published: str
    tolerance: str
    value: str
    verdict: str
    distance: str
    """How far the value of a close claim lies above or below, with its sign and unit; empty for the others."""
    note: str
    place: str
    metric: str
    before: tuple[Before, ...] = ()
    """Of a claim that was not run: what other runs said to it."""

    @property
    def mark(self) -> str:
        """The verdict as one word, for style sheets."""
        return self.verdict.replace(" ", "-")

    @property
    def told(self) -> str:
        """The verdict, or that it was run before."""
        return "run before" if self.before else self.verdict


def read_claims(path: Path, before: Sequence[RunBefore] = ()) -> list[Claim]:
    """All claims, in the order of the file, with what other runs said to those that were not run; InputError if it is
    no list of claims."""
    return [_claim(claim, path, before) for claim in claims_in(path)]


def claims_in(path: Path) -> list[dict[str, Any]]:
    """The claims as `check_claims` wrote them; InputError if the file holds no list of objects."""
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and run again") from error
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise InputError(f"{path} holds no list of claims; delete it and run again")
    return claims


def counted(claims: Iterable[Claim | Before]) -> dict[str, int]:
    """How many claims have each verdict."""
    found = [claim.verdict for claim in claims]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def runs_before(claims: list[Claim]) -> list[tuple[RunBefore, dict[str, int]]]:
    """The runs that said something to claims that were not run, with how many they gave each verdict."""
    found: dict[str, list[Before]] = {}
    for before in (one for claim in claims for one in claim.before):
        found.setdefault(before.run.name, []).append(before)
    return [
        (said[0].run, {verdict: count for verdict, count in counted(said).items() if count}) for said in found.values()
    ]


def _claim(claim: dict[str, Any], path: Path, before: Sequence[RunBefore]) -> Claim:
    if missing := [key for key in NEEDED if key not in claim]:
        raise InputError(f"{path}: the claim {claim.get('id')!r} lacks {', '.join(missing)}; delete it and run again")
    if claim["verdict"] not in VERDICTS:
        raise InputError(
            f"{path}: the verdict of {claim['id']} is {claim['verdict']!r}, expected {', '.join(VERDICTS)}"
        )
    where = claim["where"]
    unit = str(claim.get("unit") or "")
    bound = BOUNDS.get(str(claim.get("compare")), "")
    return Claim(
        id=str(claim["id"]),
        entry=_entry(str(claim["id"])),
        statement=str(claim["statement"]),
        document=str(claim.get("document") or ""),
        published=bound + _measured(claim["published"], unit),
        tolerance=_measured(claim.get("tolerance"), unit),
        value=_measured(claim.get("value"), unit),
        verdict=claim["verdict"],
        distance=_distance(claim, unit),
        note=str(claim.get("note") or ""),
        place=" / ".join(str(where[key]) for key in ("model", "site", "dictionary") if where.get(key)),
        metric=str(where.get("metric") or ""),
        before=tuple(_before(claim, before)) if claim["verdict"] == NOT_RUN else (),
    )


def _before(claim: dict[str, Any], runs: Sequence[RunBefore]) -> Iterator[Before]:
    for run in runs:
        if (own := run.of(claim)) is not None:
            unit = str(own["unit"] or "")
            yield Before(run, _measured(own["value"], unit), own["verdict"], _distance(own, unit))


def _distance(claim: dict[str, Any], unit: str) -> str:
    return _signed(claim.get("distance"), unit) if claim["verdict"] == CLOSE else ""


def _entry(identity: str) -> str:
    """The catalogue id of a claim `S2.F1`, or of one of several, `S2.F1-dense`; '' if the catalogue has none."""
    found = re.match(r"S\d\.[A-Z]\d+[a-z]?(?![A-Za-z0-9])", identity)
    return found[0] if found and found[0] in ENTRIES else ""


def _signed(value: Any, unit: str) -> str:
    if value is None:
        return ""
    return f"{'+' if value > 0 else '−'}{_measured(abs(value), unit)}"


def _measured(value: Any, unit: str) -> str:
    if value is None:
        return ""
    return in_words(value) if unit in UNSAID else f"{in_words(value)} {unit}"
