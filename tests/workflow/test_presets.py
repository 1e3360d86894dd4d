"""Every preset is a whole study whose DAG can be built on a machine without network and data."""

import re

import pytest
from repository import ROOT

PRESETS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
JOBS = {
    "absorption": {"train_classifier": 1, "recover_features": 16, "draw_toy_figures": 2},
    "massive-activations": {"import_model": 2, "train_sae": 2},
    "quick": {"train_model": 1, "train_classifier": 1, "train_sae": 3},
    "s0-tinystories-2l": {"import_model": 3, "import_sae": 3, "train_sae": 10},
    "s1-one-layer": {"train_model": 2, "train_sae": 6},
    "s1-case-studies": {"train_model": 3, "train_sae": 6, "write_case_studies": 3},
    "s2-gelu-1l": {"import_model": 2, "import_sae": 2, "train_sae": 22},
    "s3-gpt2-small": {"import_model": 1, "measure_neurons": 12, "measure_features": 1},
    "s3-language": {"train_model": 1, "train_sae": 8},
    "s3-mnist": {"train_classifier": 1, "train_sae": 15},
    "smollm2-135m": {"import_model": 1, "measure_neurons": 4},
    "s4-gpt2-small": {"import_model": 1, "import_sae": 24, "measure_dictionary": 24, "measure_features": 1},
    "s4-layers": {"train_model": 1, "train_sae": 6, "measure_dictionary": 6, "draw_model_figures": 1},
    "tinystories-656k": {"import_model": 1, "train_sae": 4},
    "transcoders": {"train_model": 1, "train_sae": 8, "measure_dictionary": 8, "measure_site": 3},
}
"""How many jobs of some rules each preset has: its models, and its published and its trained SAEs."""


def test_the_jobs_of_every_preset_are_known_to_these_tests():
    assert set(PRESETS) == set(JOBS)


@pytest.mark.workflow
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_dry_runs_offline(blank, preset):
    said = blank.snakemake(
        "--dry-run", "--quiet", "rules", "--configfile", f"presets/{preset}.yaml", HF_HUB_OFFLINE="1"
    )
    rows = re.findall(r"^ *([a-z_ ]+?) +(\d+) *$", said, flags=re.MULTILINE)
    counts = {rule.replace(" ", "_"): int(count) for rule, count in rows}
    assert {rule: counts.get(rule) for rule in JOBS[preset]} == JOBS[preset], said
    assert not (blank / "results").exists()
