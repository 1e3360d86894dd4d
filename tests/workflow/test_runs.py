"""Runs of the quick preset and of small additions to it."""

import json
import re
import shutil
from pathlib import PurePath

import pytest
import torch
from repository import ROOT, plant
from test_reruns import COLLECTING

from polysem.io.tables import read_table
from polysem.saes.sae import load_sae

pytestmark = pytest.mark.workflow

QUICK = (ROOT / "presets/quick.yaml").read_text()
SITE = "digits/layers.0.hook_post"
TOGETHER = [
    f"measure_site/{SITE}",
    f"draw_site_figures/{SITE}",
    "index_features/digits",
]
"""What takes all dictionaries of the site, or of the model, together."""
RELATED = [
    "measure_features/digits",
    "measure_explanations/digits",
    "draw_model_figures/digits",
    f"write_sheets/{SITE}/*",
]
"""What reads the tables of the first SAE of every recipe."""
OF_PLACES = (
    "comparison", "fidelity", "embedding_loss", "cluster_relations", "match_layers", "concept_probes", "twins",
    "ablation", "automata", "explained_examples", "explanations", "steering", "rubric",
    "case_studies",
)  # fmt: skip
"""Tables in which SAEs stand together, each with a receipt beside it."""
RECIPE = """  tiny:
    architecture: topk
    k: [4]
    models: [digits]
    expansion: 2
    tokens: 2048
    batch_size: 256

analysis:"""


def test_the_quick_preset_makes_a_whole_report(finished):
    page = (finished / "results/report/index.html").read_text()
    for name in ("stories-1l", "digits", "l1-x4", "topk-x4", "neurons"):
        assert name in page
    assert finished.plan().pending == set()
    assert not list((finished / "results").rglob("*.partial"))
    assert finished.git("status", "--porcelain") == ""


def test_adding_a_recipe_and_then_a_grid_value_runs_only_their_jobs(repository):
    before = repository.digests()
    repository.edit("params.yaml", "analysis:", RECIPE)
    with repository.executed() as ran:
        repository.snakemake()
    plan = repository.plan()
    assert plan.pending == set()
    assert ran == plan.matching("*/tiny_k=4", *TOGETHER, *RELATED, *COLLECTING)
    after = repository.digests()
    assert {path for path in before if before[path] != after[path]} <= {
        path
        for path in after
        if path.startswith(("results/report/", "results/metrics.json", "results/claims.json"))
        or path in ("results/index/digits.json", "results/index/digits/features.sqlite")
        or "/together" in path
        or PurePath(path.removesuffix(".json")).stem in OF_PLACES
    }
    repository.edit("params.yaml", "k: [4]", "k: [4, 2]")
    plan = repository.plan()
    assert plan.pending == plan.matching("*/tiny_k=2", *TOGETHER, *COLLECTING)
    assert f"write_sheets/{SITE}/tiny_k=2" not in plan.jobs


ENGINE = """  stream:
    architecture: batchtopk
    k: 4
    models: [digits]
    expansion: 2
    tokens: 2048
    batch_size: 64
    activations: streamed
    buffer_gib: 0.00005
    followed_features: [0, 9]
  away:
    architecture: gated
    l1: 0.5
    models: [digits]
    expansion: 2
    tokens: 2048
    batch_size: 256
    orthogonal_to: stream

analysis:
  ultra_low_frequency: 0.2"""


def test_a_streamed_sae_and_one_kept_away_from_its_rare_features_come_out_of_the_dag(repository):
    repository.edit("params.yaml", "analysis:", ENGINE)
    folder = f"results/saes/{SITE}/"
    with repository.executed() as ran:
        repository.snakemake(f"{folder}away/cfg.json")
    measured = {f"measure_dictionary/{SITE}/stream", f"measure_neurons/{SITE}/neurons"}
    assert ran == measured | {f"train_sae/{SITE}/stream", f"train_sae/{SITE}/away"}
    saes = {name: load_sae(repository / folder / name, 32) for name in ("stream", "away")}
    frequency = read_table(repository / f"results/tables/{SITE}/stream/frequency.nc")["frequency"].values
    low = (frequency > 0) & (frequency < 0.2)
    rare = saes["stream"].W_enc[:, torch.from_numpy(low)].mean(1)
    assert 0 < low.sum() < 64
    cosine = torch.nn.functional.cosine_similarity(saes["away"].W_enc.T, rare, dim=1)
    assert cosine.abs().max() < 1e-5
    assert read_table(repository / folder / "stream/training.nc")["feature"].values.tolist() == [0, 9]
    plan = repository.plan()
    repository.edit("params.yaml", "ultra_low_frequency: 0.2", "ultra_low_frequency: 0.3")
    assert f"train_sae/{SITE}/away" in repository.plan().pending - plan.pending


TOY = """  known:
    architecture: topk
    k: [1, 2]
    models: []
    expansion: 2
    tokens: 4096
    batch_size: 256

toys:
  few: {saes: [known], neurons: 8, features: 8, active: 1, decay: 1, eval_rows: 500}

analysis:"""


def test_known_features_come_out_of_the_dag_and_into_the_metrics(repository):
    repository.edit("params.yaml", "analysis:", TOY)
    with repository.executed() as ran:
        repository.snakemake("results/metrics.json")
    assert ran == {*(f"recover_features/few/known_k={k}" for k in (1, 2)), "collect_metrics"}
    metrics = json.loads((repository / "results/metrics.json").read_text())["few"]["known"]
    assert set(metrics) == {"known_k=1", "known_k=2"}
    assert 0 < metrics["known_k=1"]["mean_max_cosine"] <= 1
    repository.edit("params.yaml", "saes: [known], neurons: 8", "saes: [known], neurons: 9")
    plan = repository.plan()
    assert plan.pending == plan.matching("recover_features/*", "collect_metrics", "check_claims", "write_report")


def test_plotting_jobs_import_no_torch(repository):
    """Packages that stand in for them end every process that imports them, the Snakefile's among them."""
    shutil.rmtree(repository / f"results/figures/{SITE}/neurons")
    for name in ("results/metrics.json", "results/plots/digits/layers.0.hook_post/neurons/rank_frequency.csv"):
        (repository / name).unlink()
    for package in ("torch", "transformer_lens"):
        (repository / f"src/{package}.py").write_text(f"raise SystemExit('{package} was imported')\n")
    with repository.executed() as ran:
        repository.snakemake()
    assert ran == {f"draw_figures/{SITE}/neurons", *COLLECTING}


def test_without_a_terminal_a_run_tells_each_job_that_is_done(tmp_path):
    repository = plant(tmp_path / "told", QUICK)
    said = repository.snakemake("results/tokens/digits/eval.json")
    told = [line for line in said.splitlines() if re.fullmatch(r"\d+/\d+ \w+ \S+ \d+ s", line)]
    assert [line.rsplit(maxsplit=2)[0] for line in told] == ["1/2 make_corpus digits", "2/2 store_images digits/eval"]
    assert not re.search(r"^\d+/\d+ ", repository.snakemake("--dry-run"), re.MULTILINE)


def test_while_a_job_waits_snakemake_looks_for_room_when_one_ends_and_not_all_the_time(tmp_path):
    repository = plant(tmp_path / "waiting", QUICK)
    tokens = [
        f"results/tokens/{model}/{split}.json" for model in ("stories-1l", "digits") for split in ("train", "eval")
    ]
    said = repository.snakemake("--cores", "1", "--verbose", *tokens)
    assert 7 <= said.count("Ready jobs: ") <= 2 * 7


def test_a_checkout_may_be_called_anything(tmp_path):
    repository = plant(tmp_path / 'it\'s $(here) "now" ä', QUICK)
    repository.snakemake("results/corpora/digits/documents.parquet")
    assert "Nothing to be done" in repository.snakemake("results/corpora/digits/documents.parquet")
