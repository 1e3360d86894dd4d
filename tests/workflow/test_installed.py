"""A study outside of the repository: the wheel is built and installed, and a small study of its own runs with it."""

import json
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import warm_steps
from forked import PACKAGES
from repository import ROOT, Repository, leave_few_figures

from polysem.workflow.running.warm import FOLDER as WARM

SITE = "blocks.0.mlp.hook_post"
SMALLER = {
    "train_documents: 6000": "train_documents: 400",
    "eval_documents: 600": "eval_documents: 150",
    "d_model: 64, heads: 4, d_mlp: 256": "d_model: 16, heads: 2, d_mlp: 32",
    "vocabulary: 1024": "vocabulary: 300",
    "tokens: 800000": "tokens: 8192",
    "train_tokens: 150000, eval_tokens: 40000": "train_tokens: 2048, eval_tokens: 1024",
    "tokens: 150000": "tokens: 4096",
    "fidelity_tokens: 4096": "fidelity_tokens: 512",
}
"""Numbers of the params file with which the study takes a minute of one core."""
TOOL = """#!{python}
import sys
from snakemake.cli import main
sys.exit(main())
"""


class Environment:
    """An environment that has the wheel, and the libraries of this one."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self.tools = folder / "bin"
        (site,) = folder.glob("lib/python*/site-packages")
        self.package = site / "polysem"
        self.found_first = {PACKAGES: str(site)}
        """Has processes of the tests take the package from here."""
        (site / "beside.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
        pip = [sys.executable, "-m", "pip", "--python", str(self.tools / "python"), "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--no-index", "--no-build-isolation", str(ROOT)], check=True, text=True)
        (self.tools / "snakemake").write_text(TOOL.format(python=self.tools / "python"))
        (self.tools / "snakemake").chmod(0o755)

    def polysem(self, at: Repository, *arguments: str) -> str:
        """What a command says in a folder."""
        return at.run(str(self.tools / "polysem"), *arguments).stdout

    @contextmanager
    def edited(self, module: str, line: str) -> Iterator[None]:
        """A line more in a module of the package."""
        file = self.package / module
        text = file.read_text()
        file.write_text(f"{text}\n{line}\n")
        try:
            yield
        finally:
            file.write_text(text)


@pytest.mark.workflow
def test_a_study_of_ones_own_runs_with_the_installed_package_and_follows_its_changes(tmp_path):
    environment = Environment(tmp_path / "environment")
    leave_few_figures(environment.package)
    given = ["--model", "trained", "--sites", SITE, "--corpus", "generated"]
    said = environment.polysem(Repository(tmp_path), "new", "mine", *given)
    assert "Its workflow is that of polysem 0.1.0 (" in said
    study = Repository(tmp_path / "mine")
    make_smaller(study / "params.yaml")
    study.commit("Make it smaller")

    warm = {WARM: warm_steps.folder()} | environment.found_first
    run = study.run("make", "run", PATH="/usr/bin:/bin", **warm)
    assert "write_report" in run.stderr
    assert study.git("status", "--porcelain") == "?? results/\n"
    assert "decoder_power.svg" in {path.name for path in (study / "results/figures").rglob("*.svg")}
    claims = json.loads((study / "results/claims.json").read_text())
    assert len(claims) > 50 and {claim["verdict"] for claim in claims} == {"not run"}
    records = [path.read_text() for path in (study / ".snakemake/metadata").rglob("*") if path.is_file()]
    assert not any(str(environment.tools.parent) in text for text in records), "elsewhere it lies in another place"

    assert "Nothing to be done" in study.snakemake(**environment.found_first)
    study.dvc("commit", "--force")
    assert "up to date" in study.dvc("status")

    with environment.edited("tables/of_dictionary/frequency.py", "LONG = 1"):
        stale = study.snakemake("--dry-run", **environment.found_first)
        assert re.search(r"measure_neurons[^\n]*: the code of its step", stale), stale
        assert "measure_dictionary" in stale and "train_sae" not in stale
        assert "note: polysem.lock says that polysem 0.1.0 (" in stale
        assert "error: polysem.lock says that polysem" in study.snakemake(fails=True, **environment.found_first)
        assert "polysem.lock names polysem 0.1.0 (" in environment.polysem(study, "lock")
        assert "polysem.lock" in study.dvc("status")


def make_smaller(params: Path) -> None:
    """Few tokens, and one of the two recipes."""
    text = params.read_text()
    for old, new in SMALLER.items():
        assert old in text
        text = text.replace(old, new)
    params.write_text(re.sub(r"  l1:.*?\n\n", "\n", text, flags=re.DOTALL))
