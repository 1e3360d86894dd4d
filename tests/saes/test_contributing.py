"""The architecture that CONTRIBUTING.md adds works as it stands there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import torch
from recipes import recipe_of
from reference import pre_activations, squared_error
from test_architectures import random_weights, single

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_example_has_the_gradients_of_autograd_in_under_60_lines(monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = ["polysem.params.recipes.floor", "polysem.saes.architectures.floor"]
    assert sum(block.count("\n") for block in blocks) < 60
    modules = []
    for name, block in zip(names, blocks, strict=True):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(block, name, "exec"), vars(module))
        modules.append(module)
    recipe = modules[0].FloorRecipe(architecture="floor", floor=0.1, l1=0.3)
    x = torch.randn(200, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = random_weights(recipe_of("relu"), 96, 32)
    found = modules[1].Method(recipe).gradients(x.float(), single(weights, recipe), 1.0)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    pre = pre_activations(x, leaves)
    f = pre * (pre > 0.1)
    loss = squared_error(x, f, leaves) + 0.3 * f.sum(-1).mean()
    for name, wanted in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
        assert (found.by_weight[name] - wanted).norm() / wanted.norm() < 1e-5
