"""`polysem verify` and `polysem doctor`; `polysem adopt` has its tests where records are lost."""

import shutil
import subprocess
import sys

import pytest
from repository import ROOT, environment

STORE = "results/activations/digits/layers.0.hook_post/train"


def test_the_console_command_starts_without_torch(tmp_path):
    code = "import sys, polysem.cli; sys.exit('torch' in sys.modules or 'snakemake' in sys.modules)"
    variables = environment(tmp_path) | {"PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", code], env=variables).returncode == 0


@pytest.mark.workflow
def test_what_a_run_made_is_verified(repository):
    assert repository.polysem("verify") == "22 stores, models and folders of tables and figures checked, 0 bad\n"


@pytest.mark.workflow
def test_a_flipped_byte_in_a_store_is_named(repository):
    chunk = min(file for file in (repository / f"{STORE}.zarr/activations/c").rglob("*") if file.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    found = repository.polysem("verify", fails=True)
    assert f"bad: {STORE}.zarr: its sha256 is" in found
    assert "22 stores, models and folders of tables and figures checked, 1 bad" in found


@pytest.mark.workflow
def test_damaged_stores_receipts_weights_tables_and_figures_are_named(repository):
    (repository / f"{STORE}.json").unlink()
    shutil.rmtree(repository / "results/tokens/digits/eval.zarr")
    with (repository / "results/models/digits/model.safetensors").open("ab") as file:
        file.write(b"x")
    shutil.copytree(repository / f"{STORE}.zarr", repository / "results/activations/other/site/train.zarr")
    drawn = "results/figures/digits/layers.0.hook_post/neurons"
    with (repository / drawn / "decoder_power.svg").open("a") as file:
        file.write(" ")
    tables = "results/tables/digits/layers.0.hook_post/neurons"
    with (repository / tables / "alignment.nc").open("ab") as file:
        file.write(b"x")
    found = repository.polysem("verify", fails=True)
    assert f"bad: {drawn}: decoder_power.svg is not what was written" in found
    assert f"bad: {tables}: alignment.nc is not what was written" in found
    assert f"bad: {STORE}.zarr: its receipt train.json is missing" in found
    assert "bad: results/tokens/digits/eval.zarr: the store is missing but its receipt is there" in found
    assert "bad: results/models/digits: results/models/digits/model.safetensors is not the file" in found
    assert "bad: results/activations/other/site/train.zarr: its receipt" in found
    assert "23 stores, models and folders of tables and figures checked, 6 bad" in found


@pytest.mark.workflow
def test_stores_that_were_never_made_are_named(blank):
    assert "bad: results/tokens/digits/eval.zarr: the store is missing\n" in blank.polysem("verify", fails=True)


@pytest.mark.workflow
def test_the_doctor_finds_a_finished_repository_healthy(repository):
    found = repository.polysem("doctor")
    assert "problem" not in found
    assert "each with its record" in found


@pytest.mark.workflow
def test_the_doctor_names_what_is_wrong(repository):
    shutil.rmtree(repository / ".snakemake/metadata")
    repository.edit(".dvc/config", "reflink,copy", "hardlink,copy")
    repository.edit("requirements.lock", "snakemake==9", "snakemake==8")
    (repository / "results/tokens/digits/eval.zarr.partial").mkdir()
    found = " ".join(repository.polysem("doctor", fails=True).split())
    for words in ("links make outputs read-only", "artifacts without records", "pinned is ==8", "1 partial files"):
        assert words in found
