"""The architecture that CONTRIBUTING.md adds works as it stands there: one folder, and nothing else."""

import ast
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from directions import random_directions, sparse_sums
from recipes import random_weights, single, step, trainer_of

from polysem.io.tables import read_table
from polysem.params import addons
from polysem.params.addons import modules_of
from polysem.params.study import kinds, load_study
from polysem.saes import architectures
from polysem.saes.sae import load_sae
from polysem.saes.train_sae import train_sae

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
STUDY = """
corpora: {digits: {source: images}}
models: {net: {source: classifier, corpus: digits, hidden: [16]}}
saes:
  cut: {architecture: floor, floor: [0.1, 0.2], l1: 0.3, expansion: 2, tokens: 20000, batch_size: 100}
"""


@pytest.fixture
def floor(tmp_path, monkeypatch):
    """The text of each file of the folder, which stands where architectures are found."""
    files = dict(re.findall(r"`(\w+\.py)`[^`]*(?:`[^`]+`[^`]*)*?```python\n(.*?)```", TEXT, re.DOTALL))
    folder = tmp_path / "architectures/floor"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(folder.parent)])
    modules_of.cache_clear()
    yield files
    modules_of.cache_clear()
    for name in [name for name in sys.modules if name.startswith("polysem.saes.architectures.floor")]:
        del sys.modules[name]


def test_the_example_is_four_files_in_under_60_lines_of_which_the_keys_import_no_torch(floor):
    assert set(floor) == {"__init__.py", "recipe.py", "loss.py", "function.py"}
    assert sum(text.count("\n") for text in floor.values()) < 60
    imported = [node for node in ast.walk(ast.parse(floor["recipe.py"])) if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in imported} == {"typing", "pydantic", "polysem.params.recipes.base"}


def test_a_study_finds_the_folder_and_spans_a_grid_of_its_keys(floor, tmp_path):
    assert "floor" in kinds("saes")
    (tmp_path / "params.yaml").write_text(STUDY, encoding="utf-8")
    saes = load_study(tmp_path / "params.yaml").saes
    assert list(saes) == ["cut_floor=0.1", "cut_floor=0.2"]
    assert saes["cut_floor=0.2"].recipe.floor == 0.2


def test_the_example_trains_by_autograd_to_an_sae_with_its_threshold(floor, tmp_path, store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(STUDY, encoding="utf-8")
    recipe = load_study(tmp_path / "params.yaml").saes["cut_floor=0.2"].recipe
    rows = store(sparse_sums(1500, random_directions(24, 16), 3))
    scale = trainer_of(rows, recipe).scale
    train_sae({"store": str(rows)}, tmp_path / "sae", "floor", recipe.hyper_parameters(), "code")
    sae, history = load_sae(tmp_path / "sae", 16), read_table(tmp_path / "sae/training.nc")
    assert sae.activation.config() == {"architecture": "jumprelu"}
    torch.testing.assert_close(sae.activation.threshold, torch.full((32,), 0.2 / scale))
    assert history["penalty"].attrs["long_name"] == "sparsity penalty per token"
    assert float(history["squared_error"][-1]) < 0.5 * float(history["squared_error"][0])


def test_the_example_has_the_gradients_that_its_words_say(floor):
    from polysem.saes.architecture import recipe_class

    recipe = recipe_class("floor")(architecture="floor", floor=0.1, l1=0.3)
    x = torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    weights = single(random_weights(recipe, 96, 32))
    found = step(recipe, x, weights)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    pre = (x - leaves["b_dec"]) @ leaves["W_enc"].T + leaves["b_enc"]
    f = torch.where(pre > 0.1, pre, 0.0)
    error = (f @ leaves["W_dec"] + leaves["b_dec"] - x).square().sum(1).mean()
    wanted = torch.autograd.grad(error + 0.3 * f.sum(1).mean(), list(leaves.values()))
    for name, gradient in zip(leaves, wanted, strict=True):
        torch.testing.assert_close(found.by_weight[name], gradient)


def test_an_architecture_may_end_as_an_activation_function_of_another_package(tmp_path, monkeypatch, request):
    from polysem.saes.architecture import Architecture, recipe_class

    (tmp_path / "their_function.py").write_text("from polysem.saes.activation_functions.topk import Function\n")
    monkeypatch.syspath_prepend(tmp_path)
    theirs = EntryPoint("theirs", "their_function", "polysem.saes.activation_functions")
    monkeypatch.setattr(addons, "_entries", lambda: (theirs,))
    modules_of.cache_clear()
    request.addfinalizer(modules_of.cache_clear)
    kind = recipe_class("relu")
    monkeypatch.setattr(kind, "saved_as", "theirs")
    recipe = kind(architecture="relu", l1=1)
    assert not Architecture(recipe).elementwise, "that of topk"
    assert "their_function" in recipe.modules()
