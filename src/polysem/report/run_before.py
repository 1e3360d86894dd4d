"""What other runs said to the ledger: `docs/results/{preset}/claims.json`, which `polysem claims` writes."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from polysem.io.errors import InputError

SAME = ("published", "compare", "tolerance", "close", "where")
"""What a recorded claim has to have in common with one of the ledger: else its verdict is one on something else."""
KEPT = ("id", *SAME, "unit", "value", "distance", "verdict")
"""What is recorded of a claim, out of what `check_claims` writes."""


class RunBefore(BaseModel):
    """The claims that one run could tell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str
    """Its params file."""
    changed: tuple[str, ...]
    """Keys that were others than those of the preset."""
    date: str
    """The day on which its numbers were made, as 2026-11-28."""
    machine: str
    claims: tuple[dict[str, Any], ...]
    """With the keys `KEPT`, in the order of the ledger."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return Path(self.preset).stem

    def of(self, claim: dict[str, Any]) -> dict[str, Any] | None:
        """What it said to a claim, given as `check_claims` writes it; None for one that it does not know as it is."""
        for own in self.claims:
            if own["id"] == claim.get("id") and all(own[key] == claim.get(key) for key in SAME):
                return own
        return None


def read_run_before(path: Path) -> RunBefore:
    """A file of `polysem claims`; InputError if it is none."""
    try:
        found = RunBefore.model_validate(json.loads(path.read_text(encoding="utf-8")))
        if any(set(claim) != set(KEPT) for claim in found.claims):
            raise ValueError("a claim with other keys")
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}); get it back with `git checkout`, or remove it and "
            "call `polysem claims` where its run is"
        ) from error
    return found
