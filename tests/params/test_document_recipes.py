"""What the documents' presets train stays what the documents say, whatever the defaults are."""

from pathlib import Path

import pytest

from polysem.params.study import load_study

PRESETS = Path(__file__).resolve().parents[2] / "presets"
DOCUMENTS = ("s0-tinystories-2l", "s1-one-layer", "s2-gelu-1l", "s3-mnist")
"""The presets whose numbers `workflow/claims.yaml` compares with published ones, as far as they train SAEs."""


@pytest.mark.parametrize("preset", [*DOCUMENTS, "s3-language"])
def test_a_documents_recipes_have_its_adam_no_clipping_and_a_penalty_of_f_alone(preset):
    recipes = [sae.trained for sae in load_study(PRESETS / f"{preset}.yaml").saes.values() if sae.trained]
    assert recipes
    for recipe in recipes:
        assert (recipe.beta1, recipe.clip_norm, recipe.target_l0) == (0.9, None, None)
        assert recipe.decoder_norm in ("unit", "project_only", "unpenalised")


def test_towards_monosemanticity_is_trained_by_its_named_recipe():
    recipes = [sae.trained for sae in load_study(PRESETS / "s1-one-layer.yaml").saes.values()]
    assert {recipe.recipe for recipe in recipes} == {"towards-monosemanticity"}
    assert {(recipe.decoder_norm, recipe.beta2) for recipe in recipes} == {("unit", 0.999)}
