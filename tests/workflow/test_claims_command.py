"""`polysem claims`: what a finished run found of published numbers, kept for the reports of other studies."""

import json
from datetime import UTC, datetime

import pytest

CLAIM = """
  - id: S0.F1-own
    statement: Neurons are neurons.
    document: S0
    published: 64
    tolerance: 0
    basis: count
    because: a count
    where: {model: stories-1l, site: blocks.0.mlp.hook_post, dictionary: neurons, metric: features}
"""


@pytest.mark.workflow
def test_claims_that_a_run_could_tell_are_kept_with_their_day_and_machine(repository):
    said = repository.polysem("claims", fails=True)
    assert "this run has none of the models that claims are about" in said
    ledger = repository / "workflow/claims.yaml"
    ledger.write_text(ledger.read_text() + CLAIM)
    assert "is not what params.yaml gives now; run `snakemake" in repository.polysem("claims", fails=True)
    repository.snakemake("results/claims.json")
    (repository / "presets").mkdir(exist_ok=True)
    preset = repository / "presets/own.yaml"
    preset.write_text((repository / "params.yaml").read_text().replace("fidelity_tokens: 2048", "fidelity_tokens: 99"))
    said = repository.polysem("claims", "--preset", "presets/own.yaml", "--machine", "a card")
    assert said == "written: docs/results/own/claims.json, claims: 1\n"
    kept = json.loads((repository / "docs/results/own/claims.json").read_text())
    made = datetime.fromtimestamp((repository / "results/metrics.json").stat().st_mtime, UTC).date().isoformat()
    assert (kept["preset"], kept["date"], kept["machine"]) == ("presets/own.yaml", made, "a card")
    assert kept["changed"] == ["analysis.fidelity_tokens"]
    assert [(one["id"], one["value"], one["verdict"]) for one in kept["claims"]] == [("S0.F1-own", 64, "reproduced")]
