"""`polysem verify` and `polysem doctor`; `polysem adopt` has its tests where records are lost."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from repository import ROOT, environment

from polysem import __main__
from polysem.workflow.commands import verify
from polysem.workflow.running.seals import SEALS, write_seal

STORE = "results/activations/digits/layers.0.hook_post/train"


def test_the_console_command_starts_without_torch(tmp_path):
    code = "import sys, polysem.cli; sys.exit('torch' in sys.modules or 'snakemake' in sys.modules)"
    variables = environment(tmp_path) | {"PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", code], env=variables).returncode == 0


def test_ctrl_c_ends_a_command_in_one_line(monkeypatch, capsys):
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["polysem", "status"])
    monkeypatch.setattr("polysem.cli.main", interrupted)
    assert __main__.main() == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    "content", ["[]", "3", '{"sha256": 3}', '{"artifacts": []}', '{"artifacts": {"x": 3}}', "\udcff"]
)
def test_a_receipt_that_no_run_wrote_is_named(tmp_path, content):
    for receipt in ("tables.json", "figures.json", "train.json", "model/model.json"):
        (tmp_path / receipt).parent.mkdir(exist_ok=True)
        (tmp_path / receipt).write_bytes(content.encode("utf-8", "surrogateescape"))
    (tmp_path / "train.zarr").mkdir()
    assert verify.tables_problem(tmp_path / "tables.json").startswith("its receipt cannot be used")
    assert verify.artifacts_problem(tmp_path / "figures.json").startswith("its receipt cannot be used")
    assert verify.store_problem(tmp_path / "train.zarr").startswith("its receipt cannot be used")
    assert verify.model_problem(tmp_path / "model")


def test_what_an_older_version_made_is_said_to_be_of_it_and_not_to_be_damaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, file = Path("results/saes/x"), Path("results/metrics.json")
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text("{}")
    file.write_text("{}")
    write_seal("logs/train_sae/x.log", "command", [folder, file])
    outputs, _ = verify.sealed_outputs()
    assert [verify.output_problem(Path(path), output) for path, output in outputs.items()] == ["", ""]
    seal = SEALS / "train_sae/x.json"
    older = {name: value for name, value in json.loads(seal.read_text()).items() if name != "format"}
    seal.write_text(json.dumps(older))
    outputs, damaged = verify.sealed_outputs()
    assert not damaged and verify.output_problem(file, outputs[file.as_posix()]) == ""
    said = verify.output_problem(folder, outputs[folder.as_posix()])
    assert said == "an older version of polysem sealed it, by another digest; run snakemake, which makes it again"


@pytest.mark.workflow
def test_everything_that_a_run_made_is_verified(repository):
    made = {
        str(path.relative_to(repository.folder))
        for path in (repository / "results").rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    found = repository.polysem("verify")
    assert re.fullmatch(r"\d+ artifacts checked, 0 bad\n", found)
    checked = {path for path in made if flipped(repository, path)}
    assert checked == made


def flipped(repository, path):
    """Whether verify names a file, or the folder or store that it is in, when one of its bits is another."""
    content = bytearray((repository / path).read_bytes())
    content[len(content) // 2] ^= 1
    problems = dict(verified(repository.folder, path, bytes(content)))
    return any(path == name or path.startswith(f"{name}/") for name, problem in problems.items() if problem)


def verified(folder, path, content):
    """What verify says of the artifacts that a file is of, with other content."""
    original = (folder / path).read_bytes()
    (folder / path).write_bytes(content)
    try:
        with chdir(folder):
            seals, damaged = verify.sealed_outputs()
            assert not damaged
            mine = {name: output for name, output in seals.items() if path == name or path.startswith(f"{name}/")}
            return [(name, verify.output_problem(Path(name), output)) for name, output in mine.items()]
    finally:
        (folder / path).write_bytes(original)


@pytest.mark.workflow
def test_a_flipped_byte_in_a_store_is_named(repository):
    chunk = min(file for file in (repository / f"{STORE}.zarr/activations/c").rglob("*") if file.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    found = repository.polysem("verify", fails=True)
    assert re.search(rf"bad: {STORE}\.zarr: it is not what was written: .*…: activations/c/0/0\n", found)
    assert " artifacts checked, 1 bad" in found


@pytest.mark.workflow
def test_damaged_and_missing_artifacts_are_named(repository):
    (repository / f"{STORE}.json").unlink()
    shutil.rmtree(repository / "results/tokens/digits/eval.zarr")
    shutil.copytree(repository / f"{STORE}.zarr", repository / "results/activations/other/site/train.zarr")
    site = "digits/layers.0.hook_post"
    damaged = {
        "results/models/digits/model.safetensors": "results/models/digits",
        f"results/figures/{site}/neurons/decoder_power.svg": f"results/figures/{site}/neurons",
        f"results/tables/{site}/neurons/alignment.nc": f"results/tables/{site}/neurons",
        f"results/saes/{site}/topk-x4/training.nc": "",
        f"results/tables/{site}/fidelity.nc": "",
        "results/tables/digits/directions.safetensors": "",
        "results/corpora/digits/documents.parquet": "",
        "results/metrics.json": "",
        f"results/plots/{site}/neurons/rank_frequency.csv": "",
        "results/report/index.html": "",
    }
    for path in damaged:
        with (repository / path).open("ab") as file:
            file.write(b" ")
    (repository / ".snakemake/metadata/seals/check_claims.json").write_text("{")
    found = repository.polysem("verify", fails=True)
    for path, with_receipt in damaged.items():
        sealed = with_receipt if with_receipt.endswith("/neurons") else path  # the folder of a dictionary is sealed
        assert f"bad: {sealed}: it is not what was written" in found
        assert not with_receipt or re.search(f"bad: {with_receipt}.*{Path(path).name}", found)
    assert f"bad: {STORE}.json: it is missing" in found
    assert "bad: results/tokens/digits/eval.zarr: it is missing" in found
    assert "bad: results/activations/other/site/train.zarr: its receipt" in found
    assert "bad: .snakemake/metadata/seals/check_claims.json: " in found
    assert "Traceback" not in found


@pytest.mark.workflow
def test_before_the_first_run_nothing_is_made_and_nothing_bad(blank):
    assert blank.polysem("verify") == "nothing made yet\n"


@pytest.mark.workflow
def test_what_is_not_made_yet_is_counted_and_not_bad(blank):
    blank.snakemake("results/corpora/digits/documents.parquet")
    assert re.fullmatch(r"1 artifacts checked, 0 bad, \d{3} not made yet\n", blank.polysem("verify"))


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
