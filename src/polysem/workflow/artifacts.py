"""All paths under `results/` (docs/design.md), in one place."""

from collections.abc import Iterable

from polysem.io.folders import TABLES_RECEIPT
from polysem.layout.feature_labels import label_file
from polysem.params.base import NEURONS, TOGETHER, ModelSection
from polysem.params.comparisons import firsts_of_recipes
from polysem.params.study import Study

FIGURES = (
    "frequency_histogram",
    "rank_frequency",
    "decoder_power",
    "decoder_kurtosis",
    "features_per_neuron",
    "neuron_sparsity",
    "kurtosis_against_random",
    "ultra_low_frequency",
    "ultra_low_encoders",
    "ultra_low_projections",
    "co_firing",
    "ultra_low_singular_values",
    "encoder_decoder_cosine",
    "null_space",
    "frequency_bias_product",
    "decoder_cosines",
    "tag_activations",
    "logit_weights",
    "feature_not_neuron",
    "monosemanticity",
    "training_frequencies",
    "followed_features",
    "embedding_making",
    "dendrogram",
    "rare_behaviour",
    "embedding_planes",
    "image_feature",
    "cluster_distances",
    "label_free_measure",
)
"""Figures of every dictionary; each is a module of its name in `polysem.figures`."""
SITE_FIGURES = (
    "loss_recovered",
    "recipes_compared",
    "tags_by_dictionary",
    "universality",
    "wrong_site",
    "feature_splitting",
    "feature_map",
    "splitting_tree",
    "ultra_low_directions",
    "embedding_loss",
)
"""Figures of every site, in which its dictionaries stand together; modules of `polysem.figures`, too."""
FIGURE_KEYS = ("rare_frequency", "ultra_low_frequency", "one_sparse", "next_nine", "head_ranks")
"""Keys of `analysis:` that the figures of a dictionary show or name; a figure cannot read another one."""
SITE_FIGURE_KEYS = ("ultra_low_frequency",)
"""The same of the figures of a site."""
SITE_TABLES = ("ultra_low", "geometry", "tags", "clusters")
"""Tables of every dictionary that these figures show."""
FEATURE_TABLES = (
    "frequency",
    "rank_frequency",
    "alignment",
    "examples",
    "associations",
    "geometry",
    "ultra_low",
    "logits",
    "tags",
    "clusters",
)
"""Tables of the features of every dictionary, which one job measures."""
SPLITS = ("train", "eval")
SAE_FILES = ("cfg.json", "sae_weights.safetensors")
"""Files of every SAE's folder."""
TRAINED_SAE_FILES = (*SAE_FILES, "sparsity.safetensors", "training.nc")
"""Those of one that is trained here; an imported one has no history, and frequencies only if its files tell them."""

PLOTS = ("frequency_histogram", "rank_frequency")

LEDGER = "workflow/claims.yaml"
"""Published numbers; an input, no artifact."""
METRICS = "results/metrics.json"
CLAIMS = "results/claims.json"
REPORT = "results/report"
REPORT_INDEX = f"{REPORT}/index.html"
REPORT_PAGES = f"{REPORT}/pages"
SHEETS = "results/report/sheets/{model}/{site}/{dictionary}"

CORPUS = "results/corpora/{corpus}/documents.parquet"
MODEL = "results/models/{model}"
TOKENS = "results/tokens/{model}/{split}"
ACTIVATIONS = "results/activations/{model}/{site}/{split}"
SAE = "results/saes/{model}/{site}/{sae}"
TABLE = "results/tables/{model}/{site}/{dictionary}"
SURVEY = f"{TABLE}/{TABLES_RECEIPT}"
"""The receipt of `FEATURE_TABLES`, by which jobs that read several of them know them all: Snakemake takes a millisecond
for every file of every job."""
KNOWN_TABLE = "results/tables/{toy}/known/{sae}.nc"
MODEL_TABLE = "results/tables/{model}/model.nc"
DIRECTIONS = "results/tables/{model}/directions.safetensors"
RELATIONS = "results/tables/{model}/cluster_relations.nc"
FIDELITY = "results/tables/{model}/{site}/fidelity.nc"
COMPARISON = "results/tables/{model}/{site}/comparison.nc"
FIGURE = "results/figures/{model}/{site}/{dictionary}"
SITE_FIGURE = f"results/figures/{{model}}/{{site}}/{TOGETHER}"
PLOT_FOLDER = "results/plots"
PLOT = f"{PLOT_FOLDER}/{{model}}/{{site}}/{{dictionary}}"


def model_files(model: ModelSection) -> list[str]:
    """Names of the files of a model's folder."""
    names = ["config.json", "model.safetensors"]
    if model.source != "classifier":
        names.append("tokenizer.json")
    if model.source in {"transformers", "transformer_lens"}:
        names.append("origin.json")
    return [*names, "model.json"]


def figures(study: Study) -> list[str]:
    """All folders of figures, each with a receipt `….json` beside it."""
    of_sites = [SITE_FIGURE.format(model=model, site=site) for model, site in study.sites()]
    return of_sites + [
        FIGURE.format(model=model, site=site, dictionary=dictionary) for model, site, dictionary in study.dictionaries()
    ]


def with_sheets(study: Study, model: str, site: str) -> list[str]:
    """The dictionaries of a site whose features have sheets: the neurons, the first SAE of each recipe, and those with
    labels or listed features; all of them where `sheets:` asks for it."""
    dictionaries = study.dictionaries_of(model, site)
    if study.sheets.all or study.sheets.saes == "all":
        return dictionaries
    firsts = {NEURONS, *firsts_of_recipes(study, model, site)}
    return [
        name
        for name in dictionaries
        if name in firsts or f"{model}/{site}/{name}" in study.sheets.listed or label_file(model, site, name).is_file()
    ]


def sheets(study: Study) -> list[str]:
    """The receipts of all folders of feature sheets."""
    return [
        f"{SHEETS.format(model=model, site=site, dictionary=dictionary)}.json"
        for model, site in study.sites()
        for dictionary in with_sheets(study, model, site)
    ]


def tables(study: Study) -> list[str]:
    """All tables."""
    return [
        *_tables_of_models(study),
        *(f"{folder}/{table}.nc" for folder in table_folders(study) for table in FEATURE_TABLES),
    ]


def measured(study: Study) -> list[str]:
    """The files by which a job knows all tables: receipts where there are such."""
    return [
        *_tables_of_models(study),
        *(f"{folder}/{TABLES_RECEIPT}" for folder in table_folders(study)),
    ]


def table_folders(study: Study) -> list[str]:
    """The folders of the tables of all dictionaries."""
    return [TABLE.format(model=model, site=site, dictionary=name) for model, site, name in study.dictionaries()]


def surveys(model: str, site: str, dictionaries: Iterable[str]) -> list[str]:
    """The receipts of the tables of some dictionaries of a site."""
    return [SURVEY.format(model=model, site=site, dictionary=dictionary) for dictionary in dictionaries]


def _tables_of_models(study: Study) -> list[str]:
    return [
        *(MODEL_TABLE.format(model=model) for model in study.models),
        *(KNOWN_TABLE.format(toy=toy, sae=sae) for toy, sae in study.known()),
        *(table.format(model=model, site=site) for model, site in study.sites() for table in (COMPARISON, FIDELITY)),
    ]


def plots(study: Study) -> list[str]:
    """All small tables for `dvc plots`. They are named one by one: Snakemake leaves a file of its own in a folder that
    is an output, which DVC takes for a plot."""
    return [
        f"{PLOT.format(model=model, site=site, dictionary=dictionary)}/{plot}.csv"
        for model, site, dictionary in study.dictionaries()
        for plot in PLOTS
    ]


def stores(study: Study) -> list[str]:
    """All Zarr stores, without their receipts. A site of a language model whose SAEs are all imported, or trained on
    streamed activations, has no train store, unless a transcoder predicts it from a stored one; by that of a classifier
    dead features are told."""
    tokens = [f"{TOKENS.format(model=model, split=split)}.zarr" for model in study.models for split in SPLITS]
    activations = []
    predicted = {
        (model, recipe.target)
        for model, site in study.sites()
        for sae in study.saes_of(model, site)
        if (recipe := study.saes[sae].trained) and recipe.activations == "stored"
    }
    for model, site in study.sites():
        saes = [study.saes[sae].trained for sae in study.saes_of(model, site)]
        reads_store = not saes or any(recipe and recipe.activations == "stored" for recipe in saes)
        reads_store |= (model, site) in predicted
        reads_store |= study.models[model].source == "classifier"
        for split in SPLITS if reads_store else ("eval",):
            activations.append(f"{ACTIVATIONS.format(model=model, site=site, split=split)}.zarr")
    return tokens + activations


def receipts(study: Study) -> list[str]:
    """The receipts of all stores, and the records of all models."""
    return [f"{MODEL.format(model=model)}/model.json" for model in study.models] + [
        store.removesuffix(".zarr") + ".json" for store in stores(study)
    ]


def recorded(study: Study) -> list[str]:
    """All artifacts but the report and those that live in git: these must not exist without a record of how they were
    made."""
    files = [CORPUS.format(corpus=corpus) for corpus in study.corpora]
    for name, model in study.models.items():
        files += [f"{MODEL.format(model=name)}/{file}" for file in model_files(model)]
    for model_name, site, dictionary in study.dictionaries():
        if dictionary != NEURONS:
            folder = SAE.format(model=model_name, site=site, sae=dictionary)
            names = TRAINED_SAE_FILES if study.saes[dictionary].trained else SAE_FILES
            files += [f"{folder}/{file}" for file in names]
    files += [DIRECTIONS.format(model=model) for model in study.models]
    files += [f"{folder}/{TABLES_RECEIPT}" for folder in table_folders(study)]
    files += [RELATIONS.format(model=model) for model in study.models]
    stored = [file for store in stores(study) for file in (store, store.removesuffix(".zarr") + ".json")]
    drawn = [path for folder in figures(study) for path in (folder, f"{folder}.json")]
    written = [path for receipt in sheets(study) for path in (receipt.removesuffix(".json"), receipt)]
    return list(dict.fromkeys([*files, *stored, *tables(study), *drawn, *written, REPORT_INDEX, REPORT_PAGES]))


def in_git(study: Study) -> list[list[str]]:
    """The artifacts that live in git, by the job that makes them."""
    return [[METRICS], [CLAIMS], plots(study)]


def everything(study: Study) -> list[str]:
    """All artifacts."""
    return [*recorded(study), *(path for job in in_git(study) for path in job)]


def ends(study: Study) -> list[str]:
    """What nothing else is made from; all other artifacts follow from asking for these.

    The first plot stands for all, which one job makes: Snakemake holds every file that is asked for against every input
    and output of its job, and a study has as many plots as dictionaries.
    """
    return [REPORT_INDEX, METRICS, CLAIMS, plots(study)[0]]
