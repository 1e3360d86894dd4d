"""DVC and git around a finished study: clones, branches, experiments, lost records."""

import json
import shutil
from pathlib import Path

import pytest
from repository import OTHER_K
from ruamel.yaml import YAML
from test_reruns import COLLECTING, TOPK

pytestmark = pytest.mark.workflow


def test_a_fresh_clone_that_pulled_does_nothing(clone, finished):
    assert "Nothing to be done" in clone.snakemake()
    assert clone.digests() == finished.digests()
    assert clone.git("status", "--porcelain") == ""
    assert "up to date" in clone.dvc("status")


def test_a_changed_param_in_a_fresh_clone_reruns_exactly_its_dependants(changed, finished):
    """Kept stale artifacts under new params are the one failure that must never be."""
    plan = changed.plan()
    assert plan.pending == set()
    depends = plan.matching(*TOPK, *COLLECTING)
    assert set(json.loads((changed / ".git/executed.json").read_text())) == depends
    before, after = finished.digests(), changed.digests()
    others = {path for path in before | after if before.get(path) != after.get(path)}
    sheets = "results/report/sheets/"  # other features get a sheet
    assert all(path.startswith(sheets) for path in before.keys() ^ after.keys())
    shared = ("results/metrics", "results/claims", "results/report/")
    shared += ("results/index/stories-1l.json", "results/index/digits.json")
    mine = (
        "/topk-x4/",
        "/topk-x4.json",
        "/together",
        "/comparison.nc",
        "/embedding_loss.nc",
        "/fidelity.nc",
        "/cluster_relations.nc",
        "/match_layers.nc",
        "/concept_probes.nc",
        "/ablation.nc",
        "/steering.nc",
        "/automata.nc",
        "/explained_examples.nc",
        "/explanations.nc",
        "/explanations.jsonl",
        "/rubric.nc",
        "/case_studies.nc",
        "/twins.nc",
        "/features.sqlite",
    )
    assert {path for path in others if not path.startswith(shared) and not any(part in path for part in mine)} == set()
    for site in ("stories-1l/blocks.0.mlp.hook_post", "digits/layers.0.hook_post"):
        assert {
            f"results/saes/{site}/topk-x4/sae_weights.safetensors",
            f"results/tables/{site}/fidelity.nc",
        } <= others
    assert "results/metrics.json" in others


def test_a_fresh_clone_without_the_artifacts_runs_everything(finished, tmp_path):
    """It has the metrics and plots that live in git, and neither stops for them nor believes them."""
    clone = finished.clone(tmp_path / "clone")
    assert (clone / "results/metrics.json").exists()
    plan = clone.plan()
    assert plan.pending == plan.jobs


def test_switching_branches_there_and_back_does_nothing(changed, tmp_path):
    repository = changed.copy(tmp_path / "repository")
    for branch, k in (("main", "k: 8"), ("other", "k: 6"), ("main", "k: 8")):
        repository.git("checkout", "--quiet", branch)
        repository.dvc("checkout")
        assert k in (repository / "params.yaml").read_text()
        assert repository.plan().pending == set()


def test_a_branch_without_its_artifacts_reruns(changed, tmp_path):
    """Who forgets `dvc checkout` gets new artifacts, not those of the other branch."""
    repository = changed.copy(tmp_path / "repository")
    repository.git("checkout", "--quiet", "main")
    plan = repository.plan()
    assert plan.pending == plan.matching(*TOPK, *COLLECTING)


def test_an_experiment_gives_other_artifacts_than_its_parent_and_runs_its_own_sources(repository, tmp_path):
    step, witness = repository / "src/polysem/tables/collect_metrics.py", tmp_path / "witness"
    step.write_text(f"{step.read_text()}\nPath({str(witness)!r}).write_text(__file__)\n")
    ours = repository.digests()
    changes = ("saes.topk-x4.k=6", "+saes.topk-x4.models=[digits]")
    repository.dvc("exp", "run", "--temp", "--name", "other", *(f"--set-param={change}" for change in changes))
    assert repository.digests() == ours
    assert Path(witness.read_text()).is_relative_to(repository / ".dvc/tmp/exps")
    (experiment,) = repository.git("for-each-ref", "--format=%(refname)", "refs/exps/*/*/other").split()
    parent, child = (
        locked(repository.git("show", "HEAD:dvc.lock")),
        locked(repository.git("show", f"{experiment}:dvc.lock")),
    )
    same = {path for path in parent if parent[path] == child[path]}
    assert same == {f"results/{kind}" for kind in ("corpora", "models", "tokens", "activations")}
    metrics = [json.loads(repository.git("show", f"{each}:results/metrics.json")) for each in ("HEAD", experiment)]
    mine, theirs = (each["digits"]["layers.0.hook_post"]["topk-x4"]["L0"] for each in metrics)
    assert theirs < mine


def test_snakemake_and_dvc_commit_give_the_lock_of_dvc_repro(repository):
    lock = (repository / "dvc.lock").read_text()
    (repository / "dvc.lock").unlink()
    repository.dvc("repro")
    assert (repository / "dvc.lock").read_text() == lock
    assert repository.git("status", "--porcelain") == ""


def test_the_same_params_from_nothing_give_the_same_bytes(finished, tmp_path):
    """The first run was Snakemake's, this one is DVC's; records of jobs hold times, all else is equal."""
    second = finished.clone(tmp_path / "second")
    second.git("rm", "--quiet", "-r", "dvc.lock", "results")
    second.dvc("repro")
    assert second.digests() == finished.digests()
    locks = [locked((each / "dvc.lock").read_text()) for each in (finished, second)]
    for lock in locks:
        del lock[".snakemake/metadata"]
    assert locks[0] == locks[1]


def locked(text: str) -> dict[str, str]:
    """Outputs of `dvc.lock` with their digests."""
    return {output["path"]: output["md5"] for output in YAML(typ="safe").load(text)["stages"]["workflow"]["outs"]}


@pytest.mark.parametrize("lost", ["all", "one"])
def test_lost_records_stop_the_run_with_the_remedy(repository, lost):
    records = repository / ".snakemake/metadata"
    if lost == "all":
        shutil.rmtree(records)
    else:
        min(record for record in records.rglob("*") if record.is_file()).unlink()
    repository.edit("params.yaml", *OTHER_K)
    before = repository.digests()
    with repository.executed() as ran:
        message = repository.snakemake(fails=True)
    assert "`dvc checkout`" in message
    assert "`polysem adopt`" in message
    assert "Traceback" not in message
    assert not ran
    assert repository.digests() == before
    repository.git("checkout", "--quiet", "params.yaml")
    repository.dvc("checkout", "--force")
    assert repository.plan().pending == set()


def test_adopted_artifacts_do_nothing_and_still_notice_a_changed_param(repository):
    shutil.rmtree(repository / ".snakemake/metadata")
    before = repository.digests()
    assert "adopted" in repository.polysem("adopt")
    assert repository.digests() == before
    assert repository.plan().pending == set()
    repository.edit("params.yaml", *OTHER_K)
    plan = repository.plan()
    assert plan.pending == plan.matching(*TOPK, *COLLECTING)


@pytest.mark.parametrize("doubt", ["params", "artifact", "uncommitted"])
def test_nothing_is_adopted_that_git_and_dvc_do_not_vouch_for(repository, doubt):
    shutil.rmtree(repository / ".snakemake/metadata")
    if doubt == "artifact":
        with (repository / "results/tables/digits/model.nc").open("ab") as file:
            file.write(b"x")
    elif doubt == "params":
        repository.edit("params.yaml", *OTHER_K)
        repository.commit("Params without a run")
    else:
        repository.edit("params.yaml", *OTHER_K)
    before = repository.digests()
    message = repository.polysem("adopt", fails=True)
    assert ("git is not clean" if doubt == "uncommitted" else "`dvc status` is not clean") in message
    assert "Traceback" not in message
    assert repository.digests() == before
    assert not (repository / ".snakemake/metadata").exists()
