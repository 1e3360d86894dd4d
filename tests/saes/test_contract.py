"""What every architecture keeps, found by its folder."""

import itertools
from typing import Literal, get_args, get_origin

import pytest
import torch
import torch.nn.functional as F
from directions import random_directions, sparse_sums
from recipes import ARCHITECTURES, CASES, random_weights, recipe_of, single, step, trainer_of

from polysem.params.recipes.base import Recipe
from polysem.saes import autograd
from polysem.saes import gradients as gradients_module
from polysem.saes import search as search_module
from polysem.saes.architecture import Architecture, recipe_class
from polysem.saes.constraints import Constraints
from polysem.saes.gradients import auxiliary_gradients
from polysem.saes.products import PRODUCTS
from polysem.saes.scales import activation_scale

WITH_ANY_PRODUCT = {"dense": {"DENSE_ABOVE": -1.0}, "sparse": {"DENSE_ABOVE": 1.1, "SCORED_AGAIN_BELOW": -1.0}}
"""Which product searches moves what is found to be active, and nothing behind that."""
FORMS = WITH_ANY_PRODUCT | {
    f"sparse, searched in {product.name}": {
        "DENSE_ABOVE": 1.1,
        "SCORED_AGAIN_BELOW": 1.1,
        "fastest": lambda product=product: product,
    }
    for product in PRODUCTS.values()
}
ON_GPU = {"dense": {"DENSE_ABOVE_ON_GPU": -1.0}, "sparse": {"DENSE_ABOVE_ON_GPU": 1.1}}
NORMS = ("unit", "project_only", "free", "unpenalised")
CONSTRAINED = {"encoder_l1": 0.1, "encoder_l2": 0.1, "clip_norm": 0.5, "dead_features": "auxk", "auxk": 2}
FORBIDDEN = F.normalize(torch.arange(32.0, dtype=torch.float64), dim=0)
DEAD = torch.tensor([1, 5, 7, 20, 33])
BATCH = [torch.randn(600, 32, generator=torch.Generator().manual_seed(seed)).double() for seed in (0, 7)]
"""Activations, and what may be predicted in their place."""


def options():
    """Every combination: norms, tied weights, scale, target, and all that changes gradients before a step."""
    for norm, tied, scaled, other, constrained in itertools.product(NORMS, *[(False, True)] * 4):
        keys = {"decoder_norm": norm, "tied": tied, "normalize_activations": scaled}
        yield keys | (CONSTRAINED if constrained else {"clip_norm": None}), other


def constrained(recipe, found, x, weights, forbidden):
    """What a step follows: gradients behind penalties of the encoder, the dead features and the constraints."""
    constraints = Constraints(recipe, forbidden)
    if recipe.dead_features == "auxk":
        found.terms["auxiliary"] = auxiliary_gradients(found, x, weights, DEAD.to(x.device), recipe.auxk, 0.25)
    found.terms["encoder"] = constraints.add_encoder_penalty(weights, found.by_weight)
    constraints.before_step(weights, found.by_weight)
    return found


def ways(recipe, other, forms, monkeypatch, device="cpu"):
    """A constrained step by autograd in float64, and by the fast path in float32 in each form of the search."""
    x, target = BATCH
    x = 3 * x * (activation_scale(3 * x) if recipe.normalize_activations else 1.0)
    target = target if other else x
    weights = random_weights(recipe, 96, 32)
    architecture, forbidden = Architecture(recipe), FORBIDDEN if recipe.encoder_l1 else None
    architecture.loss.begin(weights, 0.5)

    def made(path, *kind):
        seen = {name: tensor.to(*kind) for name, tensor in weights.items()}
        batch = x.to(*kind)
        found = path(architecture.loss, batch, target.to(*kind), Constraints(recipe, None).seen(seen))
        return constrained(recipe, found, batch, seen, None if forbidden is None else forbidden.to(*kind))

    fast = []
    for form in forms:
        for name, value in form.items():
            monkeypatch.setattr(search_module, name, value)
        fast.append(made(architecture.fast, device, torch.float32))
    return made(autograd.gradients, torch.float64), fast


@pytest.mark.parametrize(("architecture", "case"), CASES, ids=str)
def test_a_fast_path_has_the_gradients_of_its_loss_under_every_combination_of_options(architecture, case, monkeypatch):
    if Architecture(recipe_class(architecture)(architecture=architecture, **case)).fast is None:
        pytest.skip("autograd alone trains it")
    # √f is so steep near 0 that the rounding of a pre-activation shows in its slope
    bound = 3e-4 if "sqrt" in case.get("penalty", "") else 1e-5
    for keys, other in options():
        recipe = recipe_class(architecture)(architecture=architecture, **(case | keys))
        forms = WITH_ANY_PRODUCT if other or "encoder_l1" in keys else FORMS
        slow, found = ways(recipe, other, forms.values(), monkeypatch)
        for form, fast in zip(forms, found, strict=True):
            assert fast.by_weight.keys() == slow.by_weight.keys()
            for name, wanted in slow.by_weight.items():
                error = (fast.by_weight[name] - wanted).norm() / wanted.norm()
                assert error < bound, f"{name}: {error} with {keys}, {other}, {form}"
            assert fast.terms == pytest.approx(slow.terms, rel=1e-5), keys
            assert torch.equal(fast.active.firings(), slow.active.firings())
            torch.testing.assert_close(fast.residual.double(), slow.residual, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("architecture", "case"), CASES, ids=str)
def test_the_form_for_a_gpu_has_gradients_within_the_precision_of_bfloat16(architecture, case, monkeypatch):
    monkeypatch.setattr(
        gradients_module, "active_entries", lambda *batch: search_module.masked_matrix(*batch, torch.bfloat16)
    )
    require_rounded_gradients(architecture, case, monkeypatch, "cpu", {})


@pytest.mark.parametrize("form", ON_GPU)
@pytest.mark.parametrize(("architecture", "case"), CASES, ids=str)
def test_gradients_on_a_gpu_are_within_the_precision_of_bfloat16(architecture, case, form, monkeypatch, gpu):
    require_rounded_gradients(architecture, case, monkeypatch, gpu, ON_GPU[form])


def require_rounded_gradients(architecture, case, monkeypatch, device, form):
    recipe = recipe_class(architecture)(architecture=architecture, **(case | {"clip_norm": None}))
    if Architecture(recipe).fast is None:
        pytest.skip("autograd alone trains it")
    slow, (fast,) = ways(recipe, False, [form], monkeypatch, device)
    assert fast.by_weight.keys() == slow.by_weight.keys()
    for name, wanted in slow.by_weight.items():
        assert fast.by_weight[name].dtype == torch.float32
        error = (fast.by_weight[name].cpu() - wanted).norm() / wanted.norm()
        assert error < 0.15, f"{name}: {error}"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_cases_of_an_architecture_have_every_value_of_every_choice(architecture):
    recipe = recipe_class(architecture)
    tried = [recipe(architecture=architecture, **case) for case in recipe.cases]
    for key in recipe.model_fields.keys() - Recipe.model_fields.keys():
        annotation = recipe.model_fields[key].annotation
        choices = [kind for kind in (annotation, *get_args(annotation)) if get_origin(kind) is Literal]
        for value in get_args(choices[0]) if choices else ():
            assert value in [getattr(one, key) for one in tried], f"{key}: {value}"


@pytest.mark.parametrize(("architecture", "case"), CASES, ids=str)
def test_without_a_fast_path_a_training_goes_the_same_way(architecture, case, store, monkeypatch):
    """Rounding moves single weights by the size of a step, so their losses are compared; under a root, whose slope has
    no bound, what it moves grows from step to step, and with the processor."""
    path = store(sparse_sums(1000, random_directions(24, 16), 3))
    recipe = recipe_class(architecture)(
        architecture=architecture, expansion=2, tokens=4096, batch_size=128, learning_rate=5e-3, **case
    )
    losses = []
    for slow in (False, True):
        trainer = trainer_of(path, recipe)
        if slow:
            monkeypatch.setattr(trainer._architecture, "fast", None)
        losses.append([trainer.advance()[0] for _ in range(trainer.steps)])
    for number, (fast, slow) in enumerate(zip(*losses, strict=True)):
        assert fast.keys() == slow.keys()
        assert fast["loss"] == pytest.approx(slow["loss"], rel=0.005 if 2 * number < len(losses[0]) else 0.03)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_history_names_all_terms_and_none_twice(architecture, store):
    keys = {"dead_features": "auxk", "auxk": 4, "encoder_l1": 0.1, "embedding_loss": 0.1, "embedding_loss_from": 3}
    trainer = trainer_of(store(sparse_sums(1000, random_directions(24, 16), 3)), recipe_of(architecture, **keys))
    own = trainer._loss.TERMS
    assert trainer.terms.keys() == trainer.advance()[0].keys()
    others = ["loss", "auxiliary", "embedding", "encoder", "learning_rate", "L0", "explained_variance"]
    assert sorted(trainer.terms) == sorted([*own, *others])
    assert all(term.long_name and term.units for term in own.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_finished_sae_has_the_activation_function_that_the_recipe_names(architecture, store):
    trainer = trainer_of(store(sparse_sums(1000, random_directions(24, 16), 3)), recipe_of(architecture))
    trainer.advance()
    assert trainer.finished().activation.config()["architecture"] == recipe_class(architecture).saved_as


def test_a_loss_with_other_terms_than_it_declares_is_refused(monkeypatch):
    recipe = recipe_of("topk")
    weights = single(random_weights(recipe, 96, 32))
    monkeypatch.setattr("polysem.saes.architectures.topk.loss.Loss.TERMS", {})
    with pytest.raises(ValueError, match="the loss of topk has the terms squared_error, and its TERMS "):
        step(recipe, BATCH[0].float(), weights)
