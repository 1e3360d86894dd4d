"""A small recipe of every architecture."""

from importlib import import_module

from polysem.params.study import section_class
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer

KEYS = {
    "relu": {"l1": 0.3, "l1_warmup": 0.0},
    "topk": {"k": 3},
    "batchtopk": {"k": 3},
    "jumprelu": {"l0": 0.1, "l0_warmup": 0.0, "threshold": 0.3, "bandwidth": 0.2},
    "gated": {"l1": 0.3, "l1_warmup": 0.0},
}


def recipe_of(architecture, **keys):
    values = {"architecture": architecture, "expansion": 2, "tokens": 4096, "batch_size": 128, "learning_rate": 5e-3}
    if keys.get("penalty", "").startswith("hoyer_"):
        keys["hoyer"] = 0.2
    own = KEYS[architecture]
    if "target_l0" in keys:  # in place of a weight
        own = {key: value for key, value in own.items() if key not in ("l1", "l0", "l1_warmup", "l0_warmup")}
    return section_class("saes", architecture).model_validate(values | own | keys)


def method_of(recipe):
    return import_module(f"polysem.saes.architectures.{recipe.architecture}").Method(recipe)


def trainer_of(path, recipe, **keys):
    return Trainer(method_of(recipe), recipe, StoredRows(path, recipe.batch_size, recipe.seed), **keys)
