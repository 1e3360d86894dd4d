"""A published MLP and its SAE (mechMNISTic), through the workflow to the numbers that were published with them."""

import json
import os

import pytest
import xarray as xr
from repository import ROOT, plant

DATA = ROOT / "../shared/data"
PAIR, MNIST = DATA / "mechmnistic/standard_sae", DATA / "mnist/mnist.npz"
TABLES = "results/tables/mlp/layers.0.hook_post/theirs"
PARAMS = f"""
corpora:
  mnist: {{source: images, images: mnist, path: {MNIST.resolve()}}}
models:
  mlp:
    source: classifier
    corpus: mnist
    hidden: [64]
    weights: {(PAIR / "model.pt").resolve()}
    input_mean: 0.1307
    input_std: 0.3081
saes:
  theirs:
    source: pretrained
    format: mechmnistic
    models: [mlp]
    site: layers.0.hook_post
    path: {PAIR.resolve()}
analysis: {{fidelity_tokens: 10000, strong_share: 0}}
"""

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.real,
    pytest.mark.skipif(
        not (PAIR.is_dir() and MNIST.is_file()), reason=f"needs the published pair of mechMNISTic and MNIST in {DATA}"
    ),
]


def test_the_published_numbers_are_reproduced_to_the_printed_digit(tmp_path):
    repository = plant(tmp_path / "pair", PARAMS)
    repository.snakemake("--cores", "2", TABLES, os.path.normpath(f"{TABLES}/../fidelity.nc"))
    fidelity = xr.load_dataset(repository / f"{TABLES}/../fidelity.nc").sel(dictionary="theirs")
    assert fidelity.attrs["tokens"] == 10_000
    found = {name: float(fidelity[name]) for name in fidelity.data_vars}
    assert round(found["accuracy_clean"], 4) == 0.9399
    assert round(found["accuracy_spliced"], 4) == 0.9272
    assert round(found["L0"], 2) == 12.26
    assert round(1 - found["explained_variance"], 4) == 0.1237
    frequency = xr.load_dataset(repository / f"{TABLES}/frequency.nc")["frequency"]
    assert frequency.size == 512
    assert int((frequency == 0).sum()) == 129
    # Published, table 2: an L1 of 2600, over batches of 128 images; table 3: 23.8 % dead, which are 122 of 512.
    assert round(128 * found["l1"]) == 2658
    low = xr.load_dataset(repository / f"{TABLES}/ultra_low.nc")
    assert int(low["training_images"]) == 60_000
    assert int(low["dead_features"]) == int((low["largest_training_activation"] < 0.005).sum()) == 122
    assert round(100 * float(low["dead_share"]), 1) == 23.8
    assert low["never_active"] == 129
    clusters = xr.load_dataset(repository / f"{TABLES}/clusters.nc")
    assert round(float(clusters["median_max_distance"].sel(embedding="neuron")), 2) == 0.45
    assert round(float(clusters["median_mean_distance"].sel(embedding="neuron")), 2) == 0.21
    assert float(clusters["median_size"]) == 7
    metadata = json.loads((repository / "results/saes/mlp/layers.0.hook_post/theirs/cfg.json").read_text())["metadata"]
    assert metadata["imported"]["format"] == "mechmnistic"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("input_std: 0.3081", "input_std: 0.5", ["trained on pixels with input_std: 0.3081", "input_std: 0.5"]),
        ("hidden: [64]", "hidden: [32]", ["models.mlp.weights", "hidden layers of [64]", "hidden: [32]"]),
        (f"mnist, path: {MNIST.resolve()}", "digits", ["reads 784 pixels", "corpora.mnist has 64"]),
    ],
)
def test_another_scale_or_shape_is_refused_before_anything_runs(tmp_path, old, new, words):
    assert PARAMS.count(old) == 1
    repository = plant(tmp_path / "pair", PARAMS.replace(old, new))
    message = " ".join(repository.snakemake("--dry-run", fails=True).split())
    assert all(word in message for word in words), message
    assert not (repository / "results").exists()
