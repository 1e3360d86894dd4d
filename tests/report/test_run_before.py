"""What other runs said to claims: which of it the report shows, and whether what is recorded in git is still true."""

from pathlib import Path

import pytest

from polysem.io.errors import InputError
from polysem.report.check_claims import distance, verdict
from polysem.report.claims import read_ledger
from polysem.report.run_before import SAME, read_run_before

from .run_folder import RunFolder

ROOT = Path(__file__).parents[2]
RECORDED = sorted((ROOT / "docs/results").glob("*/claims.json"))


@pytest.fixture
def study(tmp_path):
    found = RunFolder(tmp_path)
    found.claims = [found.claim(compare="near", close=0.2)]
    return found


def recorded(study, **changes):
    """Another run that said something to the one claim of a study."""
    claim = study.claims[0] | {"value": 0.75, "distance": -0.171, "verdict": "close"} | changes
    kept = {key: claim.get(key) for key in ("id", *SAME, "unit", "value", "distance", "verdict")}
    run = {
        "preset": "presets/s2-gelu-1l.yaml",
        "changed": ["corpora.pile.path"],
        "date": "2026-11-28",
        "machine": "a card",
        "claims": [kept],
    }
    study.write_json("s2-gelu-1l/claims.json", run)
    study.before = [study.folder / "s2-gelu-1l/claims.json"]
    return study


def test_a_claim_that_was_not_run_here_shows_what_another_run_gave(study):
    recorded(study).write()
    said = "with another corpora.pile.path, run on 2026-11-28 on a card: 1 close."
    front, claims, chapter = (study.page(name) for name in ("index.html", "pages/claims.html", "pages/S2.html"))
    for page in (front, claims):
        assert f"presets/s2-gelu-1l.yaml {said}" in page.words()
    for page in (claims, chapter):
        assert "–not run herebefore: 0.75, close −0.1712026-11-28, s2-gelu-1l" in page.words()
    dots = [one["class"] for one in front.all("span") if one.get("class", "").startswith("dot")]
    assert dots.count("dot run-before") == 2, "in the key, and at its entry"


@pytest.mark.parametrize(
    "changes",
    [{"published": 0.93}, {"tolerance": 0.03}, {"where": {}}, {"id": "S2.F1-other"}, {"close": None}],
)
def test_what_was_said_to_another_claim_is_not_shown(study, changes):
    recorded(study, **changes).write()
    assert "Run before" not in study.page().words()
    assert "before:" not in study.page("pages/claims.html").words()


def test_a_claim_that_was_run_here_has_its_own_verdict_alone(study):
    recorded(study)
    study.claims[0] |= {"value": 0.92, "distance": -0.001, "verdict": "reproduced"}
    study.write()
    assert "before:" not in study.page("pages/claims.html").words()
    assert "Run before" not in study.page().words()


@pytest.mark.parametrize("content", ["{", "[]", '{"preset": "a.yaml"}'])
def test_a_file_that_no_command_wrote_is_refused_before_anything_is_written(study, content):
    recorded(study)
    study.before[0].write_text(content)
    with pytest.raises(InputError, match=r"s2-gelu-1l/claims\.json cannot be read .* call `polysem claims`"):
        study.write()
    assert not (study.output / "index.html").exists()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_what_is_recorded_in_git_is_what_the_ledger_says_of_it(path):
    run = read_run_before(path)
    assert (ROOT / run.preset).is_file() and run.name == path.parent.name
    ledger = {claim.id: claim for claim in read_ledger(ROOT / "workflow/claims.yaml").claims}
    assert run.claims
    for own in run.claims:
        claim = ledger[own["id"]]
        assert (own["published"], own["close"]) == (claim.published, claim.close), "record its run again"
        assert own["where"] == (claim.where and claim.where.values())
        assert own["distance"] == distance(claim, own["value"])
        assert own["verdict"] == verdict(claim, own["value"])
