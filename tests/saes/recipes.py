"""A small recipe of every architecture, and one step of it."""

import torch
import torch.nn.functional as F

from polysem.params.study import kinds
from polysem.saes.architecture import Architecture, recipe_class
from polysem.saes.constraints import Constraints
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer

ARCHITECTURES = kinds("saes")
CASES = [(name, case) for name in ARCHITECTURES for case in recipe_class(name).cases]


def recipe_of(architecture, **keys):
    """The first case of an architecture, or what `keys` make of it."""
    values = {"architecture": architecture, "expansion": 2, "tokens": 4096, "batch_size": 128, "learning_rate": 5e-3}
    if keys.get("penalty", "").startswith("hoyer_"):
        keys = {"hoyer": 0.2} | keys
    own = recipe_class(architecture).cases[0]
    if "target_l0" in keys:  # in place of a weight
        own = {key: value for key, value in own.items() if key not in ("l1", "l0", "l1_warmup", "l0_warmup")}
    return recipe_class(architecture).model_validate(values | own | keys)


def trainer_of(path, recipe, **keys):
    return Trainer(recipe, StoredRows(path, recipe.batch_size, recipe.seed), **keys)


def random_weights(recipe, features, neurons):
    """Weights of a training under way, numbers of float32 in float64; encoder and decoder are one where they are
    tied."""
    generator = torch.Generator().manual_seed(1)
    W_dec = F.normalize(torch.randn(features, neurons, generator=generator), dim=1)
    if recipe.decoder_norm in ("free", "unpenalised"):
        W_dec *= 0.5 + torch.rand(features, 1, generator=generator)
    W_enc = W_dec + 0.1 * torch.randn(features, neurons, generator=generator)
    weights = {
        "b_enc": 0.1 * torch.randn(features, generator=generator),
        "b_dec": 0.1 * torch.randn(neurons, generator=generator),
    }
    for name, tensor in Architecture(recipe).loss.extra_weights(features).items():
        weights[name] = tensor + 0.1 * torch.randn(features, generator=generator)
    doubles = {name: tensor.double() for name, tensor in weights.items()}
    W_dec = W_dec.double()
    return {"W_enc": W_dec if recipe.tied else W_enc.double(), "W_dec": W_dec} | doubles


def single(weights):
    """The same in float32."""
    return {name: tensor.float() for name, tensor in weights.items()}


def step(recipe, x, weights, target=None, progress=0.5):
    """Gradients of the architecture of a recipe on a batch, with weights as constraints show them."""
    architecture = Architecture(recipe)
    architecture.loss.begin(weights, progress)
    return architecture.gradients(x, x if target is None else target, Constraints(recipe, None).seen(weights))
