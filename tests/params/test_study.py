"""Params files: what is read, what is refused, and with which words."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.params.spelling import read_yaml
from polysem.params.study import kinds, load_study

ROOT = Path(__file__).parents[2]
GOOD = """
corpora:
  stories: {source: generated}
  digits: {source: images}
models:
  tiny:
    source: trained
    corpus: stories
    sites: [blocks.0.mlp.hook_post]
    architecture: {layers: 2}
    training: {tokens: 1000, batch_tokens: 100}
  mlp: {source: classifier, corpus: digits, hidden: [8, 4]}
saes:
  l1-x8: {architecture: relu, l1: 0.5}
analysis: {one_sparse: 0.35}
"""


@pytest.fixture
def study(tmp_path):
    def load(text: str):
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        return load_study(tmp_path / "params.yaml")

    return load


@pytest.fixture
def refused(study):
    def words(text: str) -> str:
        with pytest.raises(InputError) as caught:
            study(text)
        return str(caught.value)

    return words


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_where_steps_compute_is_one_key(study, device):
    assert study(changed("corpora:", f"device: {device}\ncorpora:")).device == device


def test_the_good_one_loads(study):
    loaded = study(GOOD)
    assert loaded.device == "auto"
    assert list(loaded.sites()) == [("tiny", "blocks.0.mlp.hook_post"), ("mlp", "layers.0.hook_post")]
    assert list(loaded.dictionaries())[:2] == [
        ("tiny", "blocks.0.mlp.hook_post", "neurons"),
        ("tiny", "blocks.0.mlp.hook_post", "l1-x8"),
    ]
    assert loaded.values()["models"]["tiny"]["training"]["tokens"] == 1000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("analysis:", "analyses:", "unknown key 'analyses' (did you mean 'analysis'?)", id="top level"),
        pytest.param(
            "source: generated", "source: generated, sede: 1",
            "corpora.stories.sede: unknown key (did you mean 'seed'?); allowed here: eval_documents, other_kinds",
            id="corpus",
        ),
        pytest.param("corpus: stories", "corpus: stories\n    context: 4",
            "models.tiny.context: unknown key (did you mean 'context_length'?)", id="model"),
        pytest.param("layers: 2", "layer: 2",
            "models.tiny.architecture.layer: unknown key (did you mean 'layers'?); allowed here: activation, d_mlp",
            id="section of a model"),
        pytest.param("l1: 0.5", "l1: 0.5, kk: 3", "saes.l1-x8.kk: unknown key", id="recipe"),
        pytest.param("one_sparse", "one_spars", "analysis.one_spars: unknown key (did you mean 'one_sparse'?)",
            id="analysis"),
        pytest.param("l1: 0.5", "l1: 0.5, list: 3", "saes.l1-x8.list: unknown key", id="named like a type"),
        pytest.param("l1: 0.5", "l1: 0.5, 'a[0]': 3", "saes.l1-x8.a[0]: unknown key", id="named like a list"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_the_nearest_one_and_all_that_are_allowed(refused, old, new, said):
    assert said in refused(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("corpora:", "device: gpu\ncorpora:", "device: found 'gpu', allowed is 'auto', 'cpu' or 'cuda'"),
        ("corpora:", "device: [cpu]\ncorpora:", "device: found ['cpu'], allowed is 'auto', 'cpu' or 'cuda'"),
        ("corpora:", "device: mps\ncorpora:", "'cuda'; Apple's GPU is not used, so a Mac takes the CPU"),
        ("layers: 2", "layers: two", "models.tiny.architecture.layers: found 'two', allowed is a whole number"),
        ("layers: 2", "layers: 2.5", "models.tiny.architecture.layers: found 2.5, allowed is a whole number"),
        ("layers: 2", "layers: '2'", "models.tiny.architecture.layers: found '2', allowed is a whole number"),
        ("layers: 2", "layers: true", "models.tiny.architecture.layers: found true, allowed is a whole number"),
        ("layers: 2", "layers: null", "models.tiny.architecture.layers: found null, allowed is a whole number"),
        ("{layers: 2}", "7", "models.tiny.architecture: found 7, allowed is"),
        ("tokens: 1000", "tokens: -5", "training.tokens: found -5, allowed is greater than or equal to 1"),
        ("tokens: 1000", "tokens: 0", "training.tokens: found 0, allowed is greater than or equal to 1"),
        ("tokens: 1000", "tokens: 1e30", "models.tiny.training.tokens: found 1e+30, allowed is"),
        ("batch_tokens: 100", "batch_tokens: 100, learning_rate: 50", "learning_rate: found 50, allowed is less than"),
        ("batch_tokens: 100", "batch_tokens: 100, learning_rate: .nan", "learning_rate: found nan, allowed is a fini"),
        ("batch_tokens: 100", "batch_tokens: 100, seed: -1", "training.seed: found -1, allowed is greater than"),
        ("tokens: 1000, ", "", "models.tiny.training.tokens: this key is missing"),
        ("l1: 0.5", "l1: -1", "saes.l1-x8.l1: found -1, allowed is greater than or equal to 0"),
        ("l1: 0.5", "l1: much", "saes.l1-x8.l1: found 'much', allowed is a number"),
        (", l1: 0.5", "", "saes.l1-x8: give one of l1, the weight of the penalty, and target_l0"),
        ("l1: 0.5", "l1: []", "saes.l1-x8.l1: an empty list spans no grid"),
        ("l1: 0.5", "l1: [1, [2]]", "saes.l1-x8.l1: found [2], allowed is a number"),
        ("one_sparse: 0.35", "one_sparse: 35", "analysis.one_sparse: found 35, allowed is less than 1"),
        ("layers: 2", "layers: 2, d_model: 100, heads: 3", "heads = 3 does not divide d_model = 100"),
        ("layers: 2", "layers: 2, activation: tanh", "activation: found 'tanh', allowed is 'relu', 'gelu'"),
        ("layers: 2", "layers: 2, vocabulary: 100", "vocabulary: found 100, allowed is greater than or equal to 257"),
        ("hidden: [8, 4]", "hidden: []", "models.mlp.hidden: found [], allowed is"),
        ("hidden: [8, 4]", "hidden: [8, x]", "models.mlp.hidden.1: found 'x', allowed is a whole number"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(refused, old, new, said):
    assert said in refused(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("source: generated", "source: generatd",
            "corpora.stories.source is 'generatd' (did you mean 'generated'?); allowed: files, generated, huggingface"),
        ("source: trained", "source: trainde", "models.tiny.source is 'trainde' (did you mean 'trained'?); allowed:"),
        ("source: classifier, ", "", "models.mlp.source is missing; allowed: classifier, randomised, trained, transf"),
        ("architecture: relu", "architecture: topkk", "architecture is 'topkk' (did you mean 'topk'?); allowed: "),
        ("architecture: relu", "architecture: [relu, topk]", "saes.l1-x8.architecture is ['relu', 'topk']; allowed:"),
        ("source: generated", "source: base", "corpora.stories.source is 'base'"),
    ],
)  # fmt: skip
def test_an_unknown_kind_is_named_with_those_that_there_are(refused, old, new, said):
    assert said in refused(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[blocks.0.mlp.hook_post]", "[blocks.0.mlp.hook_posst]",
            "models.tiny.sites.0: unknown hook 'blocks.0.mlp.hook_posst'; a site is one of blocks.<layer>.hook_re"),
        ("[blocks.0.mlp.hook_post]", "[blocks.2.mlp.hook_post]",
            "the model has no site 'blocks.2.mlp.hook_post'; it has blocks.0.hook_resid_pre"),
        ("[blocks.0.mlp.hook_post]", "[blocks.00.mlp.hook_post]", "unknown hook 'blocks.00.mlp.hook_post'"),
        ("[blocks.0.mlp.hook_post]", "[]", "models.tiny.sites: found [], allowed is"),
        ("[blocks.0.mlp.hook_post]", "[blocks.0.mlp.hook_post, blocks.0.mlp.hook_post]", "name the same hook twice"),
        ("hidden: [8, 4]", "hidden: [8], sites: [layers.1.hook_post]",
            "the model has no site 'layers.1.hook_post'; it has layers.0.hook_post"),
    ],
)  # fmt: skip
def test_a_site_that_the_model_lacks_is_named_with_those_that_it_has(refused, old, new, said):
    assert said in refused(changed(old, new))


@pytest.mark.parametrize("name", ["a/b", "'a b'", "'..'", "a_b", "neurons", "'.a'", "'a.'", "é", "'-a'", "''", "12"])
def test_a_name_that_could_be_no_folder_or_no_wildcard_is_refused(refused, name):
    for section, known in [("models", "tiny:"), ("saes", "l1-x8:"), ("corpora", "digits:")]:
        said = refused(changed(f"  {known}", f"  {name}:"))
        assert said.startswith(f"{section}: the name "), said
        assert "names consist of letters, digits, '-', '+' and inner dots" in said


def test_two_equal_points_of_a_grid_are_named(refused):
    said = refused(changed("l1: 0.5", "l1: [3e-4, 1, 0.0003]"))
    assert said == "saes.l1-x8: l1-x8_l1=3e-4 and l1-x8_l1=0.0003 are the same point of the grid; remove one"


def test_a_key_that_stands_twice_is_named_with_its_line(refused):
    assert "line 15: the key 'l1-x8' stands there twice" in refused(
        changed("analysis:", "  l1-x8: {architecture: relu, l1: 1}\nanalysis:")
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("corpus: stories", "corpus: storys",
            "models.tiny.corpus names 'storys' (did you mean 'stories'?); corpora are stories, digits"),
        ("training: {", "activations: {leave_out: masive}\n    training: {",
            "models.tiny.activations.leave_out: found 'masive', allowed is 'massive', 'first' or 'none'"),
        ("corpus: digits", "corpus: digits, activations: {leave_out: first}",
            "models.mlp: activations.leave_out is 'first', the first token of each text, and a classifier"),
        ("corpus: stories", "corpus: digits", "models.tiny (trained) reads text, but corpora.digits holds images"),
        ("corpus: digits", "corpus: stories", "models.mlp (classifier) reads images, but corpora.stories holds text"),
        ("l1: 0.5", "l1: 0.5, models: [tny]", "saes.l1-x8: models names 'tny' (did you mean 'tiny'?); models are tiny"),
        ("l1: 0.5", "l1: 0.5, models: [mlp], sites: [layers.0.hook_pots]",
            "saes.l1-x8: sites names 'layers.0.hook_pots' (did you mean 'layers.0.hook_post'?); "
            "sites of its models are layers.0.hook_post"),
        ("l1: 0.5", "l1: 0.5, tokens: 100", "batch_size = 1024 exceeds its tokens = 100; lower batch_size"),
        ("training: {", "activations: {train_tokens: 1000}\n    training: {",
            "batch_size = 1024 exceeds models.tiny.activations.train_tokens = 1000"),
    ],
)  # fmt: skip
def test_entries_that_do_not_fit_together_are_refused(refused, old, new, said):
    assert said in refused(changed(old, new))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("just words", "found no mapping"),
        ("- a\n- b", "found no mapping"),
        ("corpora: {a: 1", "is no YAML file"),
        ("corpora:\n\t- a", "is no YAML file"),
        ("corpora: !python/name:os.system {}", "the key 'corpora' is missing"),
        ("corpora: {a: !thing 3}", "could not determine a constructor for the tag"),
        ("corpora: {[1, 2]: 3}", "a key must be a plain word"),
        ("1: 2", "unknown key 1"),
        ("corpora:", "the key 'corpora' is missing; name at least one entry under it"),
        ("corpora: {}", "the key 'corpora' is missing; name at least one entry under it"),
        ("corpora: [a]", "corpora: expected entries by name, found ['a']"),
        ("corpora: {a: generated}", "corpora.a: expected keys and values, found 'generated'"),
        ("corpora: {a: {source: generated}}", "the key 'models' is missing"),
    ],
)
def test_a_file_that_is_no_params_file_is_refused_with_a_reason(refused, text, said):
    assert said in refused(text)


def test_a_missing_file_a_folder_and_other_encodings_are_refused(tmp_path):
    with pytest.raises(InputError, match="is missing; copy one from presets/"):
        load_study(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is no YAML file in UTF-8"):
        load_study(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("corpora: {é: 1}".encode("latin-1"))
    with pytest.raises(InputError, match="is no YAML file in UTF-8"):
        load_study(tmp_path / "latin.yaml")


def test_every_error_is_one_line_without_the_words_of_the_schema_library(refused):
    for old, new in [("layers: 2", "layers: two"), ("corpus: digits", "corpus: x"), ("l1: 0.5", "l1: 0.5, x: 1")]:
        said = refused(changed(old, new))
        assert "\n" not in said
        assert "pydantic" not in said
        assert "validation error" not in said


@pytest.mark.parametrize(
    ("written", "spelled", "value"),
    [
        ("3e-4", "3e-4", 3e-4),
        ("0.0003", "0.0003", 3e-4),
        ("3.0E-4", "3.0E-4", 3e-4),
        ("1", "1", 1.0),
        ("1.0", "1.0", 1.0),
        ("1.50", "1.50", 1.5),
        ("1_000", "1-000", 1000.0),
        ("+2", "+2", 2.0),
    ],
)
def test_ids_are_spelled_as_the_file_spells_the_values(study, written, spelled, value):
    saes = study(changed("l1: 0.5", f"l1: [{written}, 77]")).saes
    assert list(saes) == [f"l1-x8_l1={spelled}", "l1-x8_l1=77"]
    assert saes[f"l1-x8_l1={spelled}"].recipe.values()["l1"] == value


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False).map(abs), min_size=1, max_size=4, unique=True))
def test_any_numbers_keep_their_text_and_their_value(tmp_path_factory, values):
    file = tmp_path_factory.mktemp("grid") / "params.yaml"
    file.write_text(changed("l1: 0.5", f"l1: [{', '.join(map(repr, values))}]"))
    saes = load_study(file).saes
    assert [sae.recipe.values()["l1"] for sae in saes.values()] == values
    assert list(saes) == [f"l1-x8_l1={value!r}" for value in values]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12))
def test_the_text_of_any_value_becomes_part_of_a_file_name(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("spelling") / "a.yaml"
    quoted = text.replace("'", "''")
    file.write_text(f"key: '{quoted}'", encoding="utf-8")
    spelled = read_yaml(file).value["key"]
    assert spelled.value == text
    assert len(spelled.text) == len(text)
    assert not set(spelled.text) & set("/\\ _=\0~'\"")


def test_a_single_value_and_a_list_of_one_differ_in_the_id_alone(study):
    plain = study(changed("l1: 0.5", "l1: 3e-4")).saes
    listed = study(changed("l1: 0.5", "l1: [3e-4]")).saes
    assert (list(plain), list(listed)) == (["l1-x8"], ["l1-x8_l1=3e-4"])
    assert plain["l1-x8"].recipe == listed["l1-x8_l1=3e-4"].recipe


def test_the_axes_of_a_grid_stand_in_one_order_whatever_the_file_says(study):
    one = study(changed("l1: 0.5", "l1: [1, 2], seed: [0, 1], expansion: [4]")).saes
    other = study(changed("l1: 0.5", "seed: [0, 1], expansion: [4], l1: [1, 2]")).saes
    assert list(one) == list(other)
    assert list(one) == [f"l1-x8_l1={l1}_expansion=4_seed={seed}" for l1 in (1, 2) for seed in (0, 1)]


def test_a_list_of_followed_features_spans_no_grid(study):
    loaded = study(changed("l1: 0.5", "l1: 0.5, followed_features: [1, 2]"))
    assert list(loaded.saes) == ["l1-x8"]
    assert loaded.saes["l1-x8"].recipe.followed_features == [1, 2]


AWAY = "l1: 0.5}\n  away: {architecture: topk, k: 8, orthogonal_to: "


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            f"{AWAY}l1-x9",
            "saes.away: orthogonal_to names 'l1-x9' (did you mean 'l1-x8'?); SAEs of tiny are l1-x8, away",
        ),
        (f"{AWAY}away", "saes.away: orthogonal_to goes in a circle: away → away"),
        ("l1: 0.5, orthogonal_to: away" + AWAY[7:] + "l1-x8", "goes in a circle: l1-x8 → away → l1-x8"),
        ("l1: 0.5, hoyer: 1", "saes.l1-x8: hoyer is read with penalty: hoyer_l1, hoyer_sqrt; here it is l1"),
        ("l1: 0.5, penalty: hoyer_l1", "penalty hoyer_l1 needs the key hoyer, the weight of its second term"),
        ("l1: 0.5, dead_every: 10", "dead_every is read with dead_features: reinitialise, loss_weighted, auxk"),
        ("l1: 0.5, buffer_gib: 2", "buffer_gib is read with activations: streamed"),
    ],
)
def test_keys_of_a_recipe_that_do_not_fit_together_are_refused(refused, written, said):
    assert said in refused(changed("l1: 0.5", written))


def test_a_site_of_text_without_a_stored_training_has_no_train_store(study):
    from polysem.workflow.artifacts import activation_splits, stores

    streamed = study(changed("l1: 0.5", "l1: 0.5, activations: streamed"))
    assert Place("tiny", "blocks.0.mlp.hook_post").activations("train") in stores(study(GOOD))
    stored = [site for site, split in activation_splits(streamed) if split == "train"]
    assert stored == [Place("mlp", "layers.0.hook_post")], "dead features are counted there"


def test_a_recipe_for_some_models_is_trained_on_those_alone(study):
    loaded = study(changed("l1: 0.5", "l1: 0.5, models: [mlp]"))
    assert loaded.saes_of("mlp", "layers.0.hook_post") == ["l1-x8"]
    assert loaded.saes_of("tiny", "blocks.0.mlp.hook_post") == []


def test_a_recipe_for_some_sites_is_trained_on_those_alone(study):
    loaded = study(changed("l1: 0.5", "l1: 0.5, sites: [layers.0.hook_post]"))
    assert loaded.saes_of("mlp", "layers.0.hook_post") == ["l1-x8"]
    assert loaded.saes_of("tiny", "blocks.0.mlp.hook_post") == []
    assert "sites" not in loaded.saes["l1-x8"].trained.hyper_parameters()


def test_a_grid_is_one_family_by_the_name_of_its_recipe(study):
    loaded = study(changed("l1: 0.5", "l1: [0.5, 1e-1]"))
    families = loaded.families(["neurons", "l1-x8_l1=0.5", "l1-x8_l1=1e-1"])
    assert families == {"neurons": "neurons", "l1-x8_l1=0.5": "l1-x8", "l1-x8_l1=1e-1": "l1-x8"}


def test_values_keep_the_types_of_json_and_defaults_are_filled_in(study):
    values = study(GOOD).values()
    assert values["saes"]["l1-x8"]["learning_rate"] == 1e-3
    assert values["families"]["l1-x8"] == "l1-x8"
    assert values["models"]["tiny"]["mask_tokens"] == ["<|bos|>"]
    assert values["analysis"]["one_sparse"] == 0.35


def test_a_study_without_saes_and_analysis_is_whole(study):
    loaded = study(GOOD[: GOOD.index("saes:")])
    assert loaded.saes == {}
    assert loaded.analysis.one_sparse == 0.35


@pytest.mark.parametrize(
    "file", [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))], ids=lambda p: p.name
)
def test_the_files_that_come_with_the_project_load(file):
    assert load_study(file).models


@pytest.mark.parametrize("key", ["corpora", "models", "saes"])
def test_every_kind_has_described_keys(key):
    from polysem.params.study import section_class

    assert kinds(key)
    for kind in kinds(key):
        fields = section_class(key, kind).model_json_schema()["properties"]
        assert fields, kind


def test_keys_whose_values_are_lists_are_known_by_their_annotation():
    from polysem.params.kinds import is_list
    from polysem.params.study import section_class

    for kind in kinds("saes"):
        recipe = section_class("saes", kind)
        lists = {key for key in recipe.model_fields if is_list(recipe, key)}
        assert {"models", "sites", "followed_features"} <= lists
        schemas = recipe.model_json_schema()["properties"]
        options = {key: schemas[key].get("anyOf", [schemas[key]]) for key in schemas}
        assert lists == {key for key, some in options.items() if any(one.get("type") == "array" for one in some)}


def test_reading_a_params_file_imports_no_torch():
    reads = "import sys; from pathlib import Path; from polysem.params.study import load_study; "
    reads += f"load_study(Path({str(ROOT / 'params.yaml')!r})); print({{'torch', 'numpy'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", reads], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


TOYS = "toys:\n  few: {{saes: [{}], neurons: 8, features: 8, active: 1, decay: 1}}\n"


def test_a_toy_takes_all_points_of_the_recipes_that_it_names(study):
    loaded = study(changed("l1: 0.5", "l1: [0.5, 1]") + TOYS.format("l1-x8"))
    assert list(loaded.known()) == [("few", "l1-x8_l1=0.5"), ("few", "l1-x8_l1=1")]
    toy = loaded.toys["few"]
    assert toy.rows().keys() == toy.values().keys() - {"saes"}


@pytest.mark.parametrize(
    ("toys", "said"),
    [
        (TOYS.format("l1-x9"), "toys.few.saes names 'l1-x9' (did you mean 'l1-x8'?); recipes are l1-x8"),
        (TOYS.format("l1-x8").replace("few", "tiny"), "toys.tiny: a model has this name, too"),
        (TOYS.format("l1-x8").replace("active: 1", "active: 9"), "toys.few: active: with 9 active features"),
        (TOYS.format("l1-x8").replace("active", "activ"), "toys.few.activ: unknown key (did you mean 'active'?)"),
    ],
)
def test_toys_that_cannot_be_are_refused(refused, toys, said):
    assert said in refused(GOOD + toys)


def test_a_recipe_that_is_kept_away_from_another_fits_no_toy(refused):
    away = changed("l1: 0.5}", f"{AWAY}l1-x8}}")
    assert "toys.few.saes: away is orthogonal_to another SAE" in refused(away + TOYS.format("away"))
