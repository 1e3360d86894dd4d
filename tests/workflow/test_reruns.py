"""What would run after a change to a finished study: exactly what depends on it."""

import os

import pytest

pytestmark = pytest.mark.workflow

TOLD = ["collect_provenance", "write_report"]
"""What follows from any figure."""
CHECKED = ["collect_metrics", "check_claims", *TOLD]
COLLECTING = [*CHECKED, "collect_plots"]
OF_FEATURES = ["measure_features/*", "explain_features/*", "measure_explanations/*"]
SHOWN = ["write_sheets/*", "write_case_studies/*", "draw_model_figures/*"]
"""What shows tables of a model."""
OF_PLACES = ["measure_site/*", *OF_FEATURES]
"""Jobs of what stands in tables in which all dictionaries of a site or of a model stand together."""
TOPK = [
    *(f"{rule}/*/topk-x4" for rule in ("train_sae", "measure_dictionary", "draw_figures")),
    *OF_PLACES,
    "draw_site_figures/*",
    "index_features/*",
    "draw_model_figures/*",
    "write_sheets/*",
    "write_case_studies/*",
]
"""The sheets of other dictionaries of the model name similar clusters of this one."""
L1 = [pattern.replace("/*", "/stories-1l*", 1).replace("topk", "l1") for pattern in TOPK]
"""The preset trains it at the site of stories-1l alone."""
FIDELITY = ["measure_site/*", "draw_site_figures/*", "write_case_studies/*"]
"""Case studies show another table of the job."""
SURVEYED = [
    "measure_dictionary/*",
    "measure_neurons/*",
    *OF_PLACES,
    "draw_*",
    "index_features/*",
    "write_sheets/*",
    "write_case_studies/*",
    *COLLECTING,
]
OF_TEXT = ("explain_features", "write_case_studies")
"""Rules of models that read text."""
TRAINER = "src/polysem/saes/trainer.py"


def behind_model(model):
    """All jobs but those that make the model's text and weights."""
    rules = ("extract_*", "train_sae", "measure_*", "draw_*", "index_features", "write_sheets")
    if model != "digits":
        rules += OF_TEXT
    return [f"{rule}/{model}*" for rule in rules] + COLLECTING


def add_code(repository, module):
    """A real edit of a module that is there."""
    file = repository / f"src/polysem/{module}.py"
    text = file.read_text()
    file.write_text(f"{text}\nADDED = True\n")


def test_a_second_run_does_nothing(repository):
    before = repository.digests()
    with repository.executed() as ran:
        assert "Nothing to be done" in repository.snakemake()
    assert not ran
    assert repository.digests() == before


def test_touching_every_source_does_nothing(repository):
    for file in repository.git("ls-files").splitlines():
        os.utime(repository / file)
    assert repository.plan().pending == set()


def test_the_dates_of_artifacts_do_nothing(repository):
    """A checkout writes files in any order."""
    for number, file in enumerate(sorted((repository / "results").rglob("*"))):
        os.utime(file, (1_500_000_000 + number * 7919 % 10_007,) * 2)
    assert repository.plan().pending == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    def advance(self)", "    # What a batch teaches.\n    def advance(self)"),
        ('"""Training of a sparse autoencoder or a transcoder, one step at a time."""', '"""Another docstring."""'),
        ("before = self.step / self.steps\n", "before = (\n            self.step / self.steps\n        )\n"),
    ],
    ids=["comment", "docstring", "layout"],
)
def test_a_comment_a_docstring_or_layout_in_the_trainer_retrains_nothing(repository, old, new):
    repository.edit(TRAINER, old, new)
    assert repository.plan().pending == set()


def test_a_real_edit_of_the_trainer_retrains_every_sae_and_nothing_else(repository):
    repository.edit(TRAINER, "SAMPLE = 16_384", "SAMPLE = 16_000")
    plan = repository.plan()
    assert plan.pending == plan.matching(*TOPK, *L1, *COLLECTING)


@pytest.mark.parametrize(
    ("module", "patterns"),
    [
        ("training/order", ["train_model/*", "train_classifier/*", "record_model/*", *behind_model("")]),
        ("saes/architectures/topk/loss", [*TOPK, *COLLECTING]),
        ("saes/architectures/relu/recipe", [*L1, *COLLECTING]),
        ("tables/of_site/fidelity", [*FIDELITY, *CHECKED]),
        ("figures/of_dictionary/decoder_power", ["draw_figures/*", *TOLD]),
        ("figures/parts/theme", ["draw_*", *TOLD]),
        ("figures/of_site/loss_recovered", ["draw_site_figures/*", *TOLD]),
        ("report/gallery", ["write_report"]),
        ("workflow/artifacts", TOLD),
        ("report/visible", ["write_sheets/*", "write_case_studies/*", "write_report"]),
        ("index/top_tokens", ["index_features/*", "write_sheets/*", "write_case_studies/*", "write_report"]),
        (
            "corpora/stories/cast",
            ["*stories*", *OF_FEATURES, "write_sheets/*", "draw_model_figures/*", *COLLECTING],
        ),
    ],
)
def test_a_real_edit_of_an_imported_module_reruns_exactly_its_dependants(repository, module, patterns):
    add_code(repository, module)
    plan = repository.plan()
    assert plan.pending == plan.matching(*patterns)


@pytest.mark.parametrize("module", ["figures", "checks/preflight", "provenance/freshness"])
def test_an_edit_of_the_workflow_helpers_that_no_step_uses_reruns_nothing(repository, module):
    add_code(repository, f"workflow/{module}")
    assert repository.plan().pending == set()


def test_an_edit_of_a_template_or_a_caption_writes_the_report_again(repository):
    with (repository / "src/polysem/report/page.css").open("a") as file:
        file.write("body { color: black }\n")
    assert repository.plan().pending == {"write_report"}


def test_a_label_writes_figures_and_sheets_of_its_dictionary_and_the_report_again(repository):
    file = repository / "labels/stories-1l/blocks.0.mlp.hook_post/topk-x4.csv"
    file.parent.mkdir(parents=True)
    file.write_text("feature,label,author,note\n3,dogs,Ada,\n")
    plan = repository.plan()
    assert plan.pending == plan.matching(
        "draw_figures/stories-1l/*/topk-x4",
        "write_sheets/stories-1l/*/topk-x4",
        "write_case_studies/stories-1l",
        *TOLD,
    )


@pytest.mark.parametrize(
    ("old", "new", "patterns"),
    [
        ("k: 8", "k: 6", [*TOPK, *COLLECTING]),
        ("l1: 0.5", "l1: 0.25", [*L1, *COLLECTING]),
        ("tokens: 60000", "tokens: 62000", ["train_model/*", "record_model/stories-1l", *behind_model("stories-1l")]),
        ("hidden: [32]", "hidden: [16]", ["train_classifier/*", "record_model/digits", *behind_model("digits")]),
        (
            "eval_tokens: 4096",
            "eval_tokens: 2048",
            [
                "extract_activations/stories-1l/*/eval",
                *(f"{rule}/stories-1l/*" for rule in ("measure_*", "draw_*", "write_sheets")),
                *(
                    f"{rule}/stories-1l"
                    for rule in (
                        "measure_features",
                        "explain_features",
                        "measure_explanations",
                        "write_case_studies",
                    )
                ),
                "draw_model_figures/stories-1l",
                "index_features/stories-1l",
                *COLLECTING,
            ],
        ),
        ("eval_documents: 300", "eval_documents: 299", ["*stories*", *COLLECTING]),
        ("fidelity_tokens: 2048", "fidelity_tokens: 1024", [*FIDELITY, *CHECKED]),
        ("analysis:", "analysis:\n  head_ranks: 900", SURVEYED),
        (
            "analysis:",
            "analysis:\n  rare_frequency: 2e-3",
            ["draw_figures/*", "write_sheets/*", "write_case_studies/*", *CHECKED],
        ),
        (
            "analysis:",
            'analysis:\n  probes: ["a [ball|box]"]',
            [*OF_FEATURES, *SHOWN, *CHECKED],
        ),
        (
            "analysis:",
            "analysis:\n  steering_doses: [1, 3]",
            [*OF_FEATURES, *SHOWN, *CHECKED],
        ),
        ("analysis:", "sheets:\n  random: 3\n\nanalysis:", ["write_sheets/*", "write_report"]),
    ],
    ids=lambda value: None if isinstance(value, list) else value.replace("\n", ""),
)
def test_a_changed_param_reruns_exactly_its_dependants(repository, old, new, patterns):
    repository.edit("params.yaml", old, new)
    plan = repository.plan()
    assert plan.pending == plan.matching(*patterns)


@pytest.mark.parametrize(
    ("old", "new", "patterns"),
    [
        ("k: 8", "k: 8\n    warmup: 0.2\n    decay: 0.05", [*TOPK, *COLLECTING]),
        (
            "analysis:",
            "analysis:\n  one_sparse: 0.1\n  next_nine: 0.35",
            SURVEYED,
        ),
        ("layers: 1, d_model: 32, heads: 2", "layers: 2, d_model: 32, heads: 1", None),
    ],
    ids=["of-a-recipe", "of-the-analysis", "of-an-architecture"],
)
def test_two_params_that_swap_values_are_noticed(repository, old, new, patterns):
    """The defaults are warmup 0.05, decay 0.2, one_sparse 0.35, next_nine 0.1."""
    patterns = patterns or ["train_model/*", "record_model/stories-1l", *behind_model("stories-1l")]
    repository.edit("params.yaml", old, new)
    plan = repository.plan()
    assert plan.pending == plan.matching(*patterns)


def test_a_default_that_is_written_out_reruns_nothing(repository):
    repository.edit("params.yaml", "k: 8", "k: 8\n    warmup: 0.05\n    decay: 0.2")
    assert repository.plan().pending == set()


def test_adding_a_model_runs_only_its_jobs(repository):
    model = "  digits-wide:\n    source: classifier\n    corpus: digits\n    hidden: [48]\n\nsaes:"
    repository.edit("params.yaml", "\nsaes:", model)
    plan = repository.plan()
    assert plan.pending == plan.matching("*/digits-wide*", *COLLECTING)


def test_removing_a_recipe_runs_only_what_shows_all_of_them(repository):
    text = (repository / "params.yaml").read_text()
    start, end = text.index("  topk-x4:"), text.index("analysis:")
    (repository / "params.yaml").write_text(text[:start] + text[end:])
    plan = repository.plan()
    assert plan.pending == plan.matching(*(pattern for pattern in TOPK if "topk" not in pattern), *COLLECTING)


def test_a_deleted_artifact_is_made_again_with_what_hangs_on_it(repository):
    (repository / "results/saes/digits/layers.0.hook_post/topk-x4/sae_weights.safetensors").unlink()
    digits = [pattern.replace("/*", "/digits*", 1) for pattern in TOPK if not pattern.startswith(OF_TEXT)]
    plan = repository.plan()
    assert plan.pending == plan.matching(*digits, *COLLECTING)
