"""Which dictionaries are one line through the layers of a model."""

from polysem.params.series import series
from polysem.params.study import load_study

STUDY = """
corpora:
  stories: {source: generated}
  digits: {source: images}
models:
  three:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_post, blocks.1.mlp.hook_post, blocks.1.hook_resid_post, blocks.11.mlp.hook_post]
    architecture: {layers: 12}
    training: {tokens: 1000, batch_tokens: 100}
  mlp: {source: classifier, corpus: digits, hidden: [8]}
saes:
  topk-x1: {architecture: topk, k: 4, seed: [0, 1]}
"""
IMPORTED = "  {name}: {{source: pretrained, format: openai, models: [{model}], site: {site}, path: theirs.pt}}\n"
NAMES = {
    "v1-mlp-0": ("three", "blocks.0.mlp.hook_post"),
    "v1-mlp-1": ("three", "blocks.1.mlp.hook_post"),
    "v1-mlp-11": ("three", "blocks.11.mlp.hook_post"),
    "1-1-resid": ("three", "blocks.1.hook_resid_post"),
    "alone": ("three", "blocks.1.mlp.hook_post"),
    "layer10": ("three", "blocks.1.mlp.hook_post"),
    "digits-0": ("mlp", "layers.0.hook_post"),
}


def test_recipes_and_imported_saes_that_differ_in_their_layer_alone_are_one_line(tmp_path):
    saes = "".join(IMPORTED.format(name=name, model=model, site=site) for name, (model, site) in NAMES.items())
    (tmp_path / "params.yaml").write_text(STUDY + saes)
    study = load_study(tmp_path / "params.yaml")
    assert series(study, "three") == {
        "neurons": "neurons",
        "topk-x1_seed=0": "topk-x1",
        "v1-mlp-0": "v1-mlp-*",
        "v1-mlp-1": "v1-mlp-*",
        "v1-mlp-11": "v1-mlp-*",
        "1-1-resid": "1-*-resid",
        "alone": "alone",
        "layer10": "layer10",
    }
    assert series(study, "mlp")["digits-0"] == "digits-0"
