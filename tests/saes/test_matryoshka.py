"""Matryoshka BatchTopK: its prefixes, a case worked by hand, and what is saved."""

import json

import pytest
import torch
from directions import random_directions, sparse_sums
from recipes import recipe_of, step, trainer_of

from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.saes.exported import Exported
from polysem.saes.sae import load_sae
from polysem.saes.train_sae import train_sae


def test_a_case_worked_by_hand():
    """Two features on two neurons, the first of which is a prefix; one token x = (3, 1), k = 2."""
    recipe = recipe_of("matryoshka_batchtopk", k=2, prefixes=[0.5])
    weights = {
        "W_enc": torch.tensor([[1.0, 0.0], [0.0, 2.0]]),
        "b_enc": torch.zeros(2),
        "W_dec": torch.tensor([[1.0, 0.0], [0.6, 0.8]]),
        "b_dec": torch.zeros(2),
    }
    found = step(recipe, torch.tensor([[3.0, 1.0]]), weights)
    # f = (3, 2); prefix: (3, 0), missing (0, -1); whole: (4.2, 1.6), off by (1.2, 0.6)
    assert found.terms == {"squared_error": pytest.approx(1.44 + 0.36), "prefix_error": pytest.approx(1.0)}
    # by f: the first feels both residuals, 2 · ((0, -1) + (1.2, 0.6)) · (1, 0) = 2.4, the second the last one alone,
    # 2 · (1.2 · 0.6 + 0.6 · 0.8) = 2.4
    assert found.by_weight["b_enc"].tolist() == pytest.approx([2.4, 2.4])
    # W_dec: 2 · 3 · (1.2, -0.4) and 2 · 2 · (1.2, 0.6)
    assert found.by_weight["W_dec"].flatten().tolist() == pytest.approx([7.2, -2.4, 4.8, 2.4])
    assert found.by_weight["W_enc"].flatten().tolist() == pytest.approx([7.2, 2.4, 7.2, 2.4])
    # b_dec: 2 · (1.2, -0.4) as the decoder's, less W_encᵀ (2.4, 2.4) as the encoder's
    assert found.by_weight["b_dec"].tolist() == pytest.approx([2.4 - 2.4, -0.8 - 4.8])


def test_prefixes_are_shares_that_rise_and_a_list_of_them_spans_no_grid(tmp_path):
    text = "corpora: {d: {source: images}}\nmodels: {n: {source: classifier, corpus: d, hidden: [16]}}\nsaes:\n"
    text += "  m: {architecture: matryoshka_batchtopk, k: [3, 4], prefixes: PREFIXES}\n"
    (tmp_path / "params.yaml").write_text(text.replace("PREFIXES", "[0.25, 0.5]"))
    saes = load_study(tmp_path / "params.yaml").saes
    assert list(saes) == ["m_k=3", "m_k=4"]
    assert saes["m_k=3"].recipe.sizes(64) == [16, 32, 64]
    for wrong, words in (
        ("[0.5, 0.25]", "each must be larger than the one before it"),
        ("[0.5, 0.5]", "each must be larger than the one before it"),
        ("[0.5, 1.0]", "prefixes.1: found 1.0, allowed is less than 1"),
        ("[]", "prefixes: found \\[\\], allowed is a list of 1 or more"),
    ):
        (tmp_path / "params.yaml").write_text(text.replace("PREFIXES", wrong))
        with pytest.raises(InputError, match=words):
            load_study(tmp_path / "params.yaml")


def test_prefixes_that_would_be_the_same_number_of_features_are_refused():
    recipe = recipe_of("matryoshka_batchtopk", prefixes=[0.01, 0.02, 0.5])
    with pytest.raises(InputError, match="of 32 features have 0, 1, 16, 32; each needs one more"):
        recipe.check_features(32)
    with pytest.raises(InputError, match="k is 33, and it has 32 features"):
        recipe_of("matryoshka_batchtopk", k=33).check_features(32)


def test_the_first_features_reconstruct_by_themselves_better_than_those_of_batchtopk(store):
    path = store(sparse_sums(4000, random_directions(48, 32), 4))
    left = {}
    for architecture, keys in (("batchtopk", {}), ("matryoshka_batchtopk", {"prefixes": [0.25]})):
        trainer = trainer_of(path, recipe_of(architecture, k=4, tokens=300 * 128, **keys))
        for _ in range(trainer.steps):
            trainer.advance()
        sae = trainer.finished()
        x = torch.from_numpy(sparse_sums(2000, random_directions(48, 32), 4, seed=9)).float()
        f = sae.encode(x)
        f[:, 16:] = 0.0
        left[architecture] = float((sae.decode(f) - x).square().sum())
    assert left["matryoshka_batchtopk"] < 0.8 * left["batchtopk"]


def test_prefixes_stand_in_the_metadata_under_saelens_names_and_go_out_with_an_export(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = store(sparse_sums(1000, random_directions(24, 16), 3))
    recipe = {"architecture": "matryoshka_batchtopk", "k": 3, "expansion": 2, "tokens": 4000, "batch_size": 128}
    train_sae({"store": str(path)}, tmp_path / "sae", "matryoshka_batchtopk", recipe, "code")
    config = json.loads((tmp_path / "sae/cfg.json").read_text())
    assert config["architecture"] == "jumprelu"
    told = {key: config["metadata"][key] for key in ("training_architecture", "training_architecture_details")}
    assert told["training_architecture_details"] == {"k": 3, "matryoshka_widths": [2, 4, 8, 16, 32]}
    sae = load_sae(tmp_path / "sae", 16)
    out = Exported(sae=sae, model_name="m", site="site", name="x", metadata=config["metadata"])
    assert told.items() <= out.settings().items()
