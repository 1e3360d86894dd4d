"""The claims ledger as the report shows it: what was published, what this run found, and the verdict."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.report.catalogue import ENTRIES
from polysem.report.numbers import in_words

CLOSE = "close"
VERDICTS = ("reproduced", "close", "differs", "not run")
NEEDED = ("id", "statement", "published", "where", "verdict")
BOUNDS = {"at_least": "≥ ", "at_most": "≤ "}
"""How a number that was published as a bound is compared."""
UNSAID = ("", "1", "feature", "neuron", "token")
"""Units that a statement says in words."""


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

    @property
    def mark(self) -> str:
        """The verdict as one word, for style sheets."""
        return self.verdict.replace(" ", "-")


def read_claims(path: Path) -> list[Claim]:
    """All claims, in the order of the file; InputError if it is no list of claims."""
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and run again") from error
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise InputError(f"{path} holds no list of claims; delete it and run again")
    return [_claim(claim, path) for claim in claims]


def counted(claims: list[Claim]) -> dict[str, int]:
    """How many claims have each verdict."""
    return {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in VERDICTS}


def _claim(claim: dict[str, Any], path: Path) -> Claim:
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
        distance=_signed(claim.get("distance"), unit) if claim["verdict"] == CLOSE else "",
        note=str(claim.get("note") or ""),
        place=" / ".join(str(where[key]) for key in ("model", "site", "dictionary") if where.get(key)),
        metric=str(where.get("metric") or ""),
    )


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
