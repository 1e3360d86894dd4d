"""SAEs that somebody else trained, through the whole workflow: here those of a finished run, taken for a stranger's."""

import json
import shutil

import pytest
import xarray as xr
from test_reruns import COLLECTING

from polysem.models.load import load_subject
from polysem.saes.sae import load_sae

pytestmark = pytest.mark.workflow

SITE = "stories-1l/blocks.0.mlp.hook_post"
ENTRY = """  theirs:
    source: pretrained
    format: saelens
    models: [stories-1l]
    site: blocks.0.mlp.hook_post
    path: published

analysis:"""


@pytest.fixture
def with_published(repository):
    shutil.copytree(repository / f"results/saes/{SITE}/l1-x4", repository / "published")
    (repository / "published/training.nc").unlink()
    repository.edit("params.yaml", "analysis:", ENTRY)
    return repository


def test_an_imported_sae_is_treated_like_a_trained_one(with_published):
    repository = with_published
    with repository.executed() as ran:
        repository.snakemake()
    plan = repository.plan()
    assert plan.pending == set()
    assert ran == plan.matching(
        "*/theirs",
        "measure_site/stories-1l/*",
        "draw_site_figures/stories-1l/*",
        "measure_features/stories-1l",
        "explain_features/stories-1l",
        "measure_explanations/stories-1l",
        "index_features/stories-1l",
        "write_case_studies/stories-1l",
        "draw_model_figures/stories-1l",
        "write_sheets/stories-1l/*",
        *COLLECTING,
    )
    assert f"import_sae/{SITE}/theirs" in ran
    table = xr.load_dataset(repository / f"results/tables/{SITE}/fidelity.nc")
    ours, theirs = (table.sel(dictionary=sae) for sae in ("l1-x4", "theirs"))
    for name in ours.data_vars:
        assert float(theirs[name]) == pytest.approx(float(ours[name]), rel=1e-5), name
    assert "theirs" in (repository / "results/report/index.html").read_text()
    about = json.loads((repository / f"results/saes/{SITE}/theirs/cfg.json").read_text())["metadata"]
    assert about["imported"]["format"] == "saelens"
    assert about["imported"]["not_known"] == ["model_name"]
    assert len(about["imported"]["sha256"]) == 64

    repository.polysem("export", f"{SITE}/theirs", "--format", "neuronpedia", "--output", "out")
    feature = json.loads((repository / "out/batch-0.json").read_text())["features"][3]
    effects = load_sae(repository / f"results/saes/{SITE}/theirs", 64).W_dec[3] @ load_subject(
        repository / "results/models/stories-1l"
    ).logit_directions("blocks.0.mlp.hook_post")
    assert feature["pos_values"] == pytest.approx(effects.sort(descending=True).values[:10].tolist(), rel=1e-4)
    assert feature["neg_values"] == pytest.approx(effects.sort().values[:10].tolist(), rel=1e-4)
    assert sum(feature["logits_hist_data_bar_heights"]) == len(effects)
    assert len(set(feature["pos_str"])) == 10
    examples, associations, frequency = (
        xr.load_dataset(repository / f"results/tables/{SITE}/theirs/{name}.nc").sel(feature=3)
        for name in ("examples", "associations", "frequency")
    )
    shown = feature["activations"][0]
    strongest = float(examples["activation"].max())
    assert shown["values"][shown["qualifying_token_index"]] == pytest.approx(strongest, rel=1e-4)
    assert feature["correlated_neurons_indices"][0] == int(associations["correlated_neuron"][0])
    assert sum(feature["freq_hist_data_bar_heights"]) == int(frequency["activation_histogram"].sum()) > 0

    # another file in its place, of the same size and date, is noticed; a file that nothing reads is not
    (repository / "published/notes.txt").write_text("unrelated")
    assert repository.plan().pending == set()
    file = repository / "published/cfg.json"
    file.write_text(file.read_text().replace('"hook_name"', '"dataset_path": "x", "hook_name"'))
    pending = repository.plan().pending
    assert f"import_sae/{SITE}/theirs" in pending
    assert not any(job.startswith("train_sae") for job in pending)
    said = repository.polysem("export", f"{SITE}/theirs", "--format", "saelens", "--output", "again", fails=True)
    assert f"error: published holds another SAE than results/saes/{SITE}/theirs/cfg.json was made from" in said
