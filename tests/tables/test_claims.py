"""The ledger of published numbers, and its comparison with a run's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polysem.io.errors import InputError
from polysem.params.base import NEURONS
from polysem.params.study import load_study
from polysem.report.check_claims import ANALOGOUS, check_claims, checked
from polysem.report.claims import read_ledger
from polysem.tables.collect_metrics import ALL_SITES
from polysem.workflow.running.command import run

ROOT = Path(__file__).parents[2]
LEDGER = ROOT / "workflow/claims.yaml"
SITE = "blocks.0.mlp.hook_post"
GOOD = """
documents:
  D: {title: A document, preset: presets/quick.yaml}
claims:
  - id: S2.T1-recovered
    statement: Most of the loss is recovered.
    document: D
    published: 0.92
    tolerance: 0.005
    basis: digit
    because: the last digit
    where: {model: m, site: SITE, dictionary: d, metric: loss_recovered_zero}
""".replace("SITE", SITE)
TOLERANCE = "    tolerance: 0.005\n    basis: digit\n    because: the last digit\n"


@pytest.fixture
def check(tmp_path):
    def outcome(metrics: dict, ledger: str = GOOD) -> list[dict]:
        (tmp_path / "claims.yaml").write_text(ledger)
        (tmp_path / "metrics.json").write_text(json.dumps(metrics))
        check_claims(tmp_path / "claims.yaml", tmp_path / "metrics.json", tmp_path / "claims.json")
        return json.loads((tmp_path / "claims.json").read_text())

    return outcome


@pytest.fixture
def refused(check):
    def words(ledger: str) -> str:
        with pytest.raises(InputError) as caught:
            check({}, ledger)
        return str(caught.value)

    return words


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def of(value: object, dictionary: str = "d", model: str = "m", metric: str = "loss_recovered_zero") -> dict:
    return {model: {"model": {"cross_entropy": 1.0}, SITE: {dictionary: {metric: value, "L0": 3.0}}}}


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.92, "reproduced"), (0.925, "reproduced"), (0.915, "reproduced"), (0.9251, "differs"), (0.9149, "differs")],
)
def test_a_number_within_the_tolerance_is_reproduced(check, value, verdict):
    (claim,) = check(of(value))
    assert (claim["verdict"], claim["value"]) == (verdict, value)
    assert claim["where"] == {"model": "m", "site": SITE, "dictionary": "d", "metric": "loss_recovered_zero"}
    assert (claim["document"], claim["preset"]) == ("A document", "presets/quick.yaml")
    assert claim["analogous"] == []


@pytest.mark.parametrize(
    ("value", "verdict", "distance"),
    [
        (0.925, "reproduced", 0.005),
        (0.926, "close", 0.006),
        (0.87, "close", -0.05),
        (0.971, "differs", 0.051),
        (0.6, "differs", -0.32),
    ],
)
def test_a_number_that_is_near_and_no_reproduction_is_close_with_its_distance(check, value, verdict, distance):
    near = "    close: 0.05\n    close_because: other stories\n"
    (claim,) = check(of(value), changed(TOLERANCE, TOLERANCE + near))
    assert (claim["verdict"], claim["distance"]) == (verdict, pytest.approx(distance))
    assert (claim["close"], claim["close_because"], claim["basis"]) == (0.05, "other stories", "digit")
    assert check({}, changed(TOLERANCE, TOLERANCE + near))[0]["distance"] is None


def test_no_published_number_of_the_ledger_is_reproduced_at_a_distance_of_more_than_a_quarter_of_it():
    ledger = read_ledger(LEDGER)
    near = [claim for claim in ledger.claims if claim.tolerance is not None]
    assert len(near) > 40
    for claim in near:
        assert claim.basis and claim.because, claim.id
        assert claim.tolerance <= 0.2501 * abs(claim.published), claim.id
        if claim.where is not None and claim.published:
            numbers = {claim.where.model: {claim.where.site: {claim.where.dictionary: {}}}}
            place = numbers[claim.where.model][claim.where.site][claim.where.dictionary]
            for share in (0.5, 1.5):
                place[claim.where.metric] = share * claim.published
                found = checked(claim, ledger.documents[claim.document], numbers)
                assert found["verdict"] != "reproduced", claim.id


@pytest.mark.parametrize(
    ("tolerance", "published", "factor"), [("0.39", "20.3", "0.0078125"), ("0.005", "0.92", "1"), ("50", "1700", "1")]
)
def test_half_of_a_digit_is_meant_of_the_number_as_it_was_published(check, tolerance, published, factor):
    text = GOOD.replace("0.005", tolerance).replace("0.92", published) + f"    factor: {factor}\n"
    assert check({}, text)[0]["tolerance"] == float(tolerance)


@pytest.mark.parametrize(
    ("compare", "value", "verdict"),
    [
        ("at_least", 0.92, "reproduced"),
        ("at_least", 0.93, "reproduced"),
        ("at_least", 0.919, "differs"),
        ("at_most", 0.919, "reproduced"),
        ("at_most", 0.921, "differs"),
    ],
)
def test_a_bound_has_one_side(check, compare, value, verdict):
    ledger = changed(TOLERANCE, f"    compare: {compare}\n")
    assert check(of(value), ledger)[0]["verdict"] == verdict


@pytest.mark.parametrize(("value", "verdict"), [("power_law", "reproduced"), ("exponential", "differs")])
def test_a_word_must_be_the_same(check, value, verdict):
    ledger = changed(f"    published: 0.92\n{TOLERANCE}", "    published: power_law\n    compare: equal\n")  # fmt: skip
    assert check(of(value), ledger)[0]["verdict"] == verdict


def test_a_word_that_the_run_could_not_decide_differs_from_none(check):
    ledger = changed(f"    published: 0.92\n{TOLERANCE}", "    published: power_law\n    compare: equal\n")
    found = check(of("undecided"), ledger)[0]
    assert (found["verdict"], found["value"]) == ("not run", None)
    assert found["note"].startswith("The tokens of this run do not decide loss_recovered_zero of d.")


@pytest.mark.parametrize(
    ("metrics", "note"),
    [
        ({}, "This run has no model m; presets/quick.yaml has it."),
        ({"m": {"model": {}}}, f"This run has no site {SITE}; presets/quick.yaml has it."),
        ({"m": {SITE: {"e": {}}}}, "This run has no dictionary d; presets/quick.yaml has it."),
        ({"m": {SITE: {"d": {"L0": 1.0}}}}, "d has no number loss_recovered_zero here."),
        (of(None), "loss_recovered_zero is not defined for d in this run."),
    ],
)
def test_what_this_run_cannot_say_is_not_run_and_says_why(check, metrics, note):
    (claim,) = check(metrics)
    assert (claim["value"], claim["verdict"], claim["note"]) == (None, "not run", note)


def test_other_dictionaries_are_shown_beside_a_claim_and_never_as_its_reproduction(check):
    (claim,) = check(of(0.92, dictionary="l1", model="small"))
    assert (claim["verdict"], claim["value"]) == ("not run", None)
    assert claim["analogous"] == [{"model": "small", "site": SITE, "dictionary": "l1", "value": 0.92}]


def test_analogous_numbers_are_few_and_those_of_saes_come_first(check):
    metrics = {}
    for model in ("a", "b"):
        sites = {f"s{number}": {"neurons": 1.0, "l1": 0.5, "topk": 0.6, "none": None} for number in range(2)}
        metrics[model] = {
            site: {name: {"loss_recovered_zero": value} for name, value in values.items()}
            for site, values in sites.items()
        } | {"model": {"loss_recovered_zero": 9.0}}
    (claim,) = check(metrics)
    shown = [(found["model"], found["site"], found["dictionary"]) for found in claim["analogous"]]
    assert len(shown) == ANALOGOUS
    assert shown == [(m, s, "l1") for m in "ab" for s in ("s0", "s1")] + [("a", "s0", "topk"), ("a", "s1", "topk")]


def test_numbers_of_a_site_of_the_same_name_come_before_those_of_other_sites(check):
    saes = {"l1": {"loss_recovered_zero": 0.5}, "topk": {"loss_recovered_zero": 0.6}}
    (claim,) = check({"a": {"layers.0": saes}, "b": {SITE: saes}})
    assert [(found["model"], found["dictionary"]) for found in claim["analogous"]] == [
        ("b", "l1"), ("b", "topk"), ("a", "l1"), ("a", "topk")
    ]  # fmt: skip


def test_a_claim_that_no_number_can_check_says_what_shows_it(check):
    where = f"where: {{model: m, site: {SITE}, dictionary: d, metric: loss_recovered_zero}}"
    (claim,) = check(of(0.92), changed(where, "unmeasured: It is read off a figure."))
    assert (claim["verdict"], claim["where"], claim["note"]) == ("not run", {}, "It is read off a figure.")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tolerance:", "tolerence:", "claims.S2.T1-recovered.tolerence: unknown key (did you mean 'tolerance'?)"),
        ("metric: loss_recovered_zero", "metrics: x", "claims.S2.T1-recovered.where.metrics: unknown key"),
        ("id: S2.T1-recovered", "id: T1", "claims.T1.id: found 'T1'"),
        ("id: S2.T1-recovered", "id: S2.T1_recovered", "claims.S2.T1_recovered.id: found"),
        ("document: D", "document: E", "claims.S2.T1-recovered.document names 'E'; documents are D"),
        ("published: 0.92", "published: much", "a word goes with compare: equal"),
        ("    tolerance: 0.005\n", "", "tolerance belongs to compare: near, which needs one"),
        ("    because: the last digit\n", "", "basis and because say why the tolerance is what it is"),
        ("    basis: digit\n", "", "basis and because say why the tolerance is what it is"),
        ("basis: digit", "basis: taste", "claims.S2.T1-recovered.basis: found 'taste'"),
        ("basis: digit", "basis: count", "a count is met or not, its tolerance is 0"),
        ("basis: digit", "basis: words", "because quotes no words of the document"),
        ("basis: digit", "basis: seeds", "seeds are given with basis: seeds"),
        ("basis: digit", "basis: seeds\n    seeds: [0.919, 0.921]", "3 standard deviations of the seeds are 0.00424"),
        ("basis: digit", "basis: seeds\n    seeds: [0.92, 0.93]", "the mean of the seeds is 0.925"),
        ("tolerance: 0.005", "tolerance: 0.02", "it is not half of a digit"),
        ("tolerance: 0.005", "tolerance: 0.05", "0.92 has digits below 0.1"),
        ("    because: the last digit", "    because: the last digit\n    close: 0.1", "close_because says why"),
        (
            "    because: the last digit",
            "    because: the last digit\n    close: 0.004\n    close_because: why",
            "is wider than the tolerance",
        ),
        ("tolerance: 0.005", "tolerance: -1", "claims.S2.T1-recovered.tolerance: found -1"),
        (
            "    statement: Most of the loss is recovered.\n",
            "",
            "claims.S2.T1-recovered.statement: this key is missing",
        ),
        ("claims:", "claim:", "unknown key 'claim' (did you mean 'claims'?)"),
        ("title: A document, ", "", "documents.D.title: this key is missing"),
    ],
)
def test_a_mistake_in_the_ledger_is_explained(refused, old, new, said):
    assert said in refused(changed(old, new))


def test_two_claims_of_one_id_are_refused(refused):
    assert "S2.T1-recovered stands there twice; ids get a suffix" in refused(GOOD + GOOD.partition("claims:\n")[2])


def test_the_step_has_a_command_line_and_needs_no_torch(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    options = ["--claims", str(LEDGER), "--metrics", str(tmp_path / "metrics.json")]
    run(check_claims, [*options, "--output", str(tmp_path / "claims.json")])
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert {claim["verdict"] for claim in claims} == {"not run"}
    loaded = "import sys, polysem.report.check_claims; print({'torch', 'xarray', 'snakemake'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_metrics_that_are_no_metrics_are_refused(check, tmp_path):
    (tmp_path / "claims.yaml").write_text(GOOD)
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json cannot be read"):
        check_claims(tmp_path / "claims.yaml", tmp_path / "metrics.json", tmp_path / "claims.json")
    with pytest.raises(InputError, match="holds list, expected an object"):
        check([])  # type: ignore[arg-type]


def test_every_bracketed_number_of_the_documents_has_a_claim():
    """The entries of the catalogue that have published numbers in brackets."""
    entries = {claim.entry for claim in read_ledger(LEDGER).claims}
    bracketed = {"S0.F3b", "S0.F3c", "S0.T1", "S1.F7", "S2.F1", "S2.F3", "S2.F4", "S2.F6", "S2.F7", "S2.F8", "S2.F10"}
    bracketed |= {"S2.F11", "S2.F12", "S2.F14", "S2.T1", "S3.F2", "S3.F3", "S3.F5", "S3.T1", "S3.T2", "S3.T3", "S4.T1"}
    assert bracketed <= entries


def test_each_claim_is_checked_by_the_preset_of_its_document():
    ledger = read_ledger(LEDGER)
    studies = {document.preset: load_study(ROOT / document.preset) for document in ledger.documents.values()}
    for claim in ledger.claims:
        if claim.where is not None:
            place = (claim.where.model, claim.where.site, claim.where.dictionary)
            places = set(studies[ledger.documents[claim.document].preset].dictionaries())
            places |= {(model, ALL_SITES, dictionary) for model, _, dictionary in places if dictionary == NEURONS}
            assert place in places, claim.id


def test_each_tolerance_is_smaller_than_what_it_surrounds():
    for claim in read_ledger(LEDGER).claims:
        if claim.tolerance is not None:
            assert isinstance(claim.published, float)
            assert claim.tolerance <= 0.5 * abs(claim.published), claim.id
