"""SAEs whose files name a module of transformers as the place that they read."""

import pytest
import torch

from polysem.models.modules import module_place, sites_of
from polysem.saes.agreement import disagreement, unknown
from polysem.saes.published import Published, Settings

LLAMA = {
    "hook_resid_post": ["model.layers.*"],
    "hook_mlp_out": ["model.layers.*.mlp", "model.layers.*.mlp.down_proj"],
    "mlp.hook_pre": ["model.layers.*.mlp.gate_proj"],
}
GEMMA = {"hook_resid_post": ["model.layers.*"], "hook_mlp_out": ["model.layers.*.post_feedforward_layernorm"]}
SETTINGS = {"bos_token": None, "context_length": 9, "processing": {"fold_ln": False, "center_writing_weights": False}}


def problem(module, site, modules):
    published = Published(4, 8, Settings(module=module), lambda: torch.zeros(0))
    return disagreement(published, site, 4, SETTINGS, modules)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.layers.0.mlp.down_proj", (0, "model.layers.*.mlp.down_proj")),
        ("transformer.h.11", (11, "transformer.h.*")),
        ("gpt_neox.layers.3.attention", (3, "gpt_neox.layers.*.attention")),
        ("transformer.blocks.2.ffn", (2, "transformer.blocks.*.ffn")),
        ("layers.5", (5, "layers.*")),
        ("blocks.0.mlp.hook_post", None),
        ("blocks.0.hook_resid_post", None),
        ("model.embed_tokens", None),
        ("model.layers.01", None),
    ],
)
def test_the_name_of_a_module_tells_its_layer(name, place):
    assert module_place(name) == place


def test_the_start_of_a_name_may_be_left_out():
    assert sites_of("layers.3.mlp", LLAMA) == ["blocks.3.hook_mlp_out"]
    assert sites_of("rs.3.mlp", LLAMA) == []


def test_an_sae_of_the_output_of_a_module_fits_the_site_where_it_stands():
    assert problem("model.layers.0.mlp.down_proj", "blocks.0.hook_mlp_out", LLAMA) is None
    assert problem("layers.2", "blocks.2.hook_resid_post", LLAMA) is None


def test_at_another_site_the_remedy_is_a_site_that_the_schema_takes():
    said = problem("model.layers.0.mlp.down_proj", "blocks.0.mlp.hook_post", LLAMA)
    assert said == (
        "it was trained on the output of model.layers.0.mlp.down_proj, and site is blocks.0.mlp.hook_post; "
        "set site to blocks.0.hook_mlp_out"
    )


def test_what_stands_in_front_of_a_norm_is_no_site_of_a_model_that_has_one_there():
    said = problem("model.layers.0.mlp.down_proj", "blocks.0.hook_mlp_out", GEMMA)
    assert "stands at no site of the model; these do: model.layers.* (hook_resid_post), " in said


def test_before_the_model_is_there_the_layer_is_compared():
    assert problem("model.layers.0.mlp.down_proj", "blocks.0.hook_mlp_out", None) is None
    assert "set site to a hook of blocks.3" in problem("model.layers.3.mlp", "blocks.0.hook_mlp_out", None)
    assert "which is no site here; sites are blocks.<layer>." in problem("model.norm", "blocks.0.hook_mlp_out", None)


def test_a_hook_that_polysem_has_not_is_refused_with_those_that_it_has():
    published = Published(4, 8, Settings(hook_name="blocks.0.hook_q_input"), lambda: torch.zeros(0))
    said = disagreement(published, "blocks.0.hook_mlp_out", 4, SETTINGS)
    assert "polysem has no such site; it has blocks.<layer>.hook_resid_pre" in said
    assert "set site to" not in said


def test_the_hook_is_known_where_the_module_was_found_in_the_model():
    published = Published(4, 8, Settings(module="layers.0"), lambda: torch.zeros(0))
    assert "hook_name" not in unknown(published, SETTINGS, LLAMA)
    assert "hook_name" in unknown(published, SETTINGS, None)
