"""Recipes that predict another site: what is read, what is refused before the run, what they are compared with."""

import pytest

from polysem.io.errors import InputError
from polysem.layout.place import Stored
from polysem.params.comparisons import sizes
from polysem.params.recipes.base import TRANSCODING
from polysem.params.study import kinds, load_study, section_class
from polysem.workflow.artifacts import stores
from polysem.workflow.checks.needs import jobs

IN, OUT, POST = "blocks.0.mlp.hook_in", "blocks.0.hook_mlp_out", "blocks.0.mlp.hook_post"
PARAMS = """
corpora:
  stories: {source: generated}
  digits: {source: images}
models:
  tiny:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_in, blocks.0.mlp.hook_post, blocks.0.hook_mlp_out]
    architecture: {layers: 1}
    training: {tokens: 1000, batch_tokens: 100}
  other:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_in, blocks.0.mlp.hook_post]
    architecture: {layers: 1}
    training: {tokens: 1000, batch_tokens: 100}
  mlp: {source: classifier, corpus: digits, hidden: [8, 4], sites: [layers.0.hook_post, layers.1.hook_post]}
saes:
"""
RECIPE = "t: {architecture: relu, l1: 1, models: [tiny], sites: [blocks.0.mlp.hook_in], target: blocks.0.hook_mlp_out}"


@pytest.fixture
def study(tmp_path):
    def load(*entries: str):
        (tmp_path / "params.yaml").write_text(PARAMS + "".join(f"  {entry}\n" for entry in entries), encoding="utf-8")
        return load_study(tmp_path / "params.yaml")

    return load


def test_a_recipe_and_a_published_transcoder_name_the_site_that_they_predict(study):
    theirs = f"theirs: {{source: pretrained, format: saelens, models: [tiny], site: {IN}, target: {OUT}, path: x}}"
    loaded = study(RECIPE, theirs, "plain: {architecture: topk, k: 4, models: [tiny]}")
    assert [loaded.saes[name].target for name in ("t", "theirs", "plain")] == [OUT, OUT, None]
    assert loaded.saes["t"].trained.hyper_parameters()["target"] == OUT
    assert not {"target", "skip"} & set(loaded.saes["plain"].trained.hyper_parameters())


def test_skip_spans_a_grid(study):
    assert list(study(RECIPE.replace("l1: 1", "l1: 1, skip: [false, true]")).saes) == ["t_skip=false", "t_skip=true"]


def test_a_target_between_the_layers_of_a_classifier_is_read(study):
    recipe = "t: {architecture: relu, l1: 1, models: [mlp], sites: [layers.0.hook_post], target: layers.1.hook_post}"
    assert study(recipe).saes_of("mlp", "layers.0.hook_post") == ["t"]


def changed(old: str, new: str) -> str:
    assert old in RECIPE
    return RECIPE.replace(old, new)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (changed("hook_mlp_out", "hook_mpl_out"),
            "saes.t: target is 'blocks.0.hook_mpl_out' (did you mean 'blocks.0.hook_mlp_out'?), which is not among "
            "models.tiny.sites: blocks.0.mlp.hook_in, blocks.0.mlp.hook_post, blocks.0.hook_mlp_out; add it there, or"),
        (changed("[tiny]", "[tiny, other]"), "saes.t: target is 'blocks.0.hook_mlp_out' (did you mean "
            "'blocks.0.mlp.hook_post'?), which is not among models.other.sites: blocks.0.mlp.hook_in, "
            "blocks.0.mlp.hook_post; add it there, or mend it here"),
        (changed("sites: [blocks.0.mlp.hook_in], ", ""),
            "saes.t: target is 'blocks.0.hook_mlp_out', which is among the sites that it reads, too; name other"),
        (changed("hook_mlp_out", "mlp.hook_in"), "saes.t: target is 'blocks.0.mlp.hook_in', which is among the sites"),
        (changed("relu, l1: 1", "topk, k: 4"), "saes.t: target is read with architecture: batchtopk, jumprelu, relu; "
            "here it is topk, of which SAELens has no transcoder"),
        (changed("relu", "gated"), "here it is gated, of which SAELens has no transcoder"),
        (changed(", target: blocks.0.hook_mlp_out", ", skip: true"),
            "saes.t: skip is read with target, the site that is predicted; here there is none"),
        (changed("l1: 1", "l1: 1, tied: true"), "tied: true needs one basis for encoder and decoder; with target the"),
        (changed("l1: 1", "l1: 1, tokens: 1000000, embedding_loss: 1"), "embedding_loss is of an SAE, whose b_dec"),
        (changed("l1: 1", "l1: 1, dead_features: reinitialise"), "with target it is none or auxk"),
        (changed("l1: 1", "l1: 1, dead_features: loss_weighted"), "with target it is none or auxk"),
        (f"t: {{source: pretrained, format: saelens, models: [tiny], site: {IN}, target: {IN}, path: x}}",
            "target is site itself, blocks.0.mlp.hook_in; leave target out for an SAE"),
        (f"t: {{source: pretrained, format: openai, models: [tiny], site: {IN}, target: {OUT}, path: x}}",
            "target is read with format: saelens; here it is openai"),
        (f"t: {{source: pretrained, format: saelens, models: [tiny], site: {IN}, target: blocks.0.out, path: x}}",
            "saes.t: target is 'blocks.0.out'"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_is_refused_with_what_could(study, entry, words):
    with pytest.raises(InputError) as caught:
        study(entry)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_known_features_have_no_other_site(tmp_path):
    toys = "toys:\n  known: {saes: [t], neurons: 8, features: 16, active: 2}\n"
    (tmp_path / "params.yaml").write_text(f"{PARAMS}  {RECIPE}\n{toys}", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"toys\.known\.saes: t predicts another site \(target\), which known features"
    ):
        load_study(tmp_path / "params.yaml")


def test_the_architectures_that_the_message_names_are_those_that_read_a_target():
    trained = [name for name in kinds("saes") if name != "pretrained"]
    assert {name for name in trained if section_class("saes", name).transcodes} == set(TRANSCODING)


def test_dictionaries_of_several_sizes_are_those_of_one_target(study):
    small = "{0}: {{architecture: relu, l1: 1, expansion: {1}, models: [tiny], sites: [blocks.0.mlp.hook_in]{2}}}"
    target = f", target: {OUT}"
    mixed = study(small.format("a", 2, ""), small.format("b", 4, target), small.format("c", 8, target))
    assert sizes(mixed, "tiny", IN) == ["b", "c"]
    theirs = "{0}: {{source: pretrained, format: saelens, models: [tiny], site: blocks.0.mlp.hook_in, path: x{1}}}"
    imported = study(theirs.format("a", ""), theirs.format("b", target), theirs.format("c", target))
    assert sizes(imported, "tiny", IN) == ["b", "c"]
    assert sizes(study(theirs.format("a", ""), theirs.format("b", target)), "tiny", IN) == []


def test_the_train_store_of_what_is_predicted_is_counted_although_all_saes_of_it_stream(study):
    streams = "s: {architecture: topk, k: 4, models: [tiny], sites: [blocks.0.hook_mlp_out], activations: streamed}"
    store = Stored(f"results/activations/tiny/{OUT}/train")
    assert store not in stores(study(streams))
    assert store in stores(study(streams, RECIPE))
    assert store not in stores(study(streams, RECIPE.replace("l1: 1", "l1: 1, activations: streamed")))


def test_a_plan_counts_the_weights_that_a_transcoder_has(study):
    def disk(entry):
        (job,) = [job for job in jobs(study(entry)) if job.phase == "saes"]
        assert all("/t/" in file for file in job.outputs)
        return job.disk

    # width 128 at both ends, eight times as many features
    assert disk(RECIPE) == 4 * (2 * 128 * 1024 + 128 + 1024)
    assert disk(RECIPE.replace("l1: 1", "l1: 1, skip: true")) == disk(RECIPE) + 4 * 128 * 128
    post = RECIPE.replace("sites: [blocks.0.mlp.hook_in]", "sites: [blocks.0.mlp.hook_post]")
    assert disk(post) == 4 * ((512 + 128) * 8 * 512 + 128 + 8 * 512)
