"""The steps of the workflow: each is a function in a module of its name, which `polysem step NAME` runs."""

from collections.abc import Callable
from importlib import import_module

from polysem.io.errors import InputError
from polysem.params.explain import nearest

STEPS = {
    name: f"polysem.{room}.{name}"
    for room, names in {
        "corpora": ("make_corpus",),
        "models": (
            "train_tokenizer",
            "tokenize_corpus",
            "store_images",
            "import_classifier",
            "import_model",
            "randomise_model",
            "copy_tokens",
            "record_model",
        ),
        "activations": ("extract_activations",),
        "training": ("train_model", "train_classifier"),
        "saes": ("train_sae", "import_sae"),
        "tables": (
            "measure_dictionary",
            "measure_tables",
            "collect_metrics",
            "collect_plots",
        ),
        "index": ("index_features",),
        "explanations": ("explain_features",),
        "toys": ("recover_features",),
        "figures": ("draw_figures", "draw_site_figures", "draw_model_figures", "draw_toy_figures"),
        "report": ("check_claims", "write_sheets", "write_case_studies", "write_report"),
        "workflow.provenance": ("collect_provenance",),
    }.items()
    for name in names
}
"""The module of each step. A rule, its step and its log share the name, but for the rules of tables (tables.smk)."""


def step_module(name: str) -> str:
    """The module of a step; InputError, with the nearest name, if there is none."""
    if name not in STEPS:
        raise InputError(f"there is no step {name!r}{nearest(name, list(STEPS))}; steps are {', '.join(STEPS)}")
    return STEPS[name]


def load_step(name: str) -> Callable[..., None]:
    """The function of a step, its module imported; InputError, with the nearest name, if there is none."""
    found: Callable[..., None] = getattr(import_module(step_module(name)), name)
    return found
