"""Profiles: Snakemake reads one of them, so each has what the default one says."""

import pytest
from repository import ROOT
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
