"""A package of somebody else adds an architecture, a corpus source, a format, a table and a figure."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr
from repository import Repository, plant

ADDON = Path(__file__).parent / "addon"
SITE = "blocks.0.mlp.hook_post"
PARAMS = f"""
corpora:
  sums: {{source: numerals, documents: 400}}
models:
  small:
    source: trained
    corpus: sums
    sites: [{SITE}]
    context_length: 32
    architecture: {{layers: 1, d_model: 16, heads: 2, d_mlp: 32, activation: relu, vocabulary: 300}}
    training: {{tokens: 8192, batch_tokens: 1024}}
    activations: {{train_tokens: 2048, eval_tokens: 1024}}
saes:
  cut: {{architecture: floor, floor: 0.05, l1: 0.1, expansion: 2, tokens: 4096, batch_size: 128}}
  elsewhere: {{source: pretrained, format: arrays, path: sae.npz, models: [small], site: {SITE}}}
analysis: {{fidelity_tokens: 512}}
"""
DICTIONARIES = ("neurons", "cut", "elsewhere")


def folder_of(kind: str, dictionary: str) -> str:
    return f"results/{kind}/small/{SITE}/{dictionary}"


@pytest.fixture(scope="session")
def python(tmp_path_factory) -> Path:
    """An interpreter that has the package beside what this one has."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder, with_pip=False)
    found = next(folder.glob("lib/python*/site-packages"))
    known = [path for path in sys.path if path.endswith("site-packages")]
    (found / "beside.pth").write_text("\n".join(known))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    sources = shutil.copytree(ADDON, folder / "sources")  # pip builds where the sources lie
    subprocess.run([*install, "--target", found, sources], check=True, capture_output=True)
    return folder / "bin/python"


@pytest.fixture(scope="session")
def study(shared, python) -> Repository:
    """A study of all that the package adds, finished."""

    def build(folder: Path) -> Repository:
        repository = plant(folder, PARAMS, few_figures=True)
        generator = np.random.default_rng(0)
        weights = {"W_enc": (32, 48), "b_enc": (48,), "W_dec": (48, 32), "b_dec": (32,)}
        arrays = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in weights.items()}
        np.savez(folder / "sae.npz", **arrays)
        snakemake(repository, python)
        return repository

    return shared("addons", build)


def snakemake(repository: Repository, python: Path, *arguments: str) -> str:
    """A run with that interpreter, whose packages its steps have, too."""
    done = repository.run(str(python), "-m", "snakemake", *arguments, PATH=f"{python.parent}:/usr/bin:/bin")
    return done.stdout + done.stderr


@pytest.mark.workflow
def test_one_addition_of_each_kind_runs_to_the_report(study):
    documents = pq.read_table(study / "results/corpora/sums/documents.parquet")["text"].to_pylist()
    assert documents[123] == "one plus two plus three"
    config = json.loads((study / folder_of("saes", "cut") / "cfg.json").read_text())
    assert config["architecture"] == "jumprelu"
    for dictionary in DICTIONARIES:
        with xr.open_dataset(study / folder_of("tables", dictionary) / "weight_norms.nc", engine="h5netcdf") as table:
            assert table["norm"].sizes["feature"] == {"neurons": 32, "cut": 64, "elsewhere": 48}[dictionary]
        assert (study / folder_of("figures", dictionary) / "norm_histogram.svg").is_file()
    assert "Norms of decoder rows" in (study / "results/report/pages/S2.html").read_text()


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("edit", "rules"),
    [
        ("# a comment", {"norm_histogram.py": ""}),
        ("LONG = 1", {"norm_histogram.py": "draw_figures"}),
        ("LONG = 1", {"weight_norms.py": "measure_neurons", "floor/loss.py": "train_sae", "arrays.py": "import_sae"}),
        ("LONG = 1", {"numerals/make.py": "make_corpus"}),
    ],
)
def test_an_edit_of_an_addition_reruns_what_it_makes(study, python, edit, rules):
    """None of what is edited together reads what another one makes."""
    folder = next(python.parents[1].glob("lib/python*/site-packages/polysem_extras"))
    texts = {folder / file: (folder / file).read_text() for file in rules}
    try:
        for path, text in texts.items():
            path.write_text(f"{text}\n{edit}\n")
        said = snakemake(study, python, "--dry-run", "--quiet", "progress")
    finally:
        for path, text in texts.items():
            path.write_text(text)
    reasons = said.partition("code has changed")[2] or said.partition("params have changed")[2]
    wanted = {rule for rule in rules.values() if rule}
    assert bool(wanted) == ("Nothing to be done" not in said), said
    assert all(rule in reasons for rule in wanted), said
