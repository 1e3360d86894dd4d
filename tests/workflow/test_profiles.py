"""Profiles: Snakemake reads one of them, so each has what the default one says."""

import re

import pytest
from repository import ROOT, Repository
from ruamel.yaml import YAML

OF_THE_MACHINE = {"cores", "resources"}


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "profiles").iterdir()))
def test_a_profile_has_what_the_default_one_has(name):
    default, found = (
        YAML(typ="safe").load((ROOT / f"profiles/{each}/profile.yaml").read_text()) for each in ("default", name)
    )
    assert {key: found.get(key) for key in default.keys() - OF_THE_MACHINE} == {
        key: default[key] for key in default.keys() - OF_THE_MACHINE
    }
    assert found.keys() >= OF_THE_MACHINE


def test_on_slurm_the_stores_of_a_model_and_a_split_are_one_submission(tmp_path):
    slurm = YAML(typ="safe").load((ROOT / "profiles/slurm/profile.yaml").read_text())
    made = 'expand("{model}/{site}/{split}", model=["a-1", "b"], site="xy", split=["train", "eval"])'
    (tmp_path / "Snakefile").write_text(
        f"rule all:\n    input: {made}\n"
        'rule extract_activations:\n    output: "{model}/{site}/{split}"\n    shell: "touch {output}"\n'
    )
    options = ["--groups", *slurm["groups"], "--group-components", *slurm["group-components"]]
    said = Repository(tmp_path).snakemake("--dry-run", *options)
    assert sorted(re.findall(r"Group job (\S+)", said)) == [
        f"activations_{model}_{split}" for model in ("a-1", "b") for split in ("eval", "train")
    ]
