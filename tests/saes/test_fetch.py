"""SAEs of the hub: which files are asked for, and what is said where one is missing. The hub itself is out of reach."""

from types import SimpleNamespace

import pytest

from polysem.io.errors import InputError
from polysem.models import hub
from polysem.params.recipes.pretrained import PretrainedSae
from polysem.saes.fetch import _from_hub


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What was asked of the hub, whose repository holds nothing but the weights of an SAE."""
    found = []

    def snapshot(repository, names):
        found.append((repository.repository, repository.revision, names))
        return SimpleNamespace(folder=tmp_path, commit="c" * 40)

    monkeypatch.setattr(hub, "snapshot", snapshot)
    (tmp_path / "blocks.0").mkdir()
    (tmp_path / "blocks.0/sae_weights.safetensors").touch()
    return found


def test_weights_are_taken_with_the_config_beside_them_and_what_is_missing_is_named(asked, tmp_path):
    section = PretrainedSae(
        source="pretrained", format="saelens", models=["m"], site="blocks.0.hook_resid_pre", repository="a/b",
        filename="blocks.0",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"the repository a/b holds no file 'blocks\.0/cfg\.json'; mend filename"):
        _from_hub(section)
    (tmp_path / "blocks.0/cfg.json").touch()
    path, origin = _from_hub(section)
    assert path == tmp_path / "blocks.0/sae_weights.safetensors"
    assert origin == {"repository": "a/b", "commit": "c" * 40}
    repository, revision, names = asked[0]
    assert (repository, revision) == ("a/b", "main")
    assert names[:2] == ["blocks.0/sae_weights.safetensors", "blocks.0/cfg.json"]
