"""What a study makes, file by file; where each lies says `polysem.layout.place`."""

from collections.abc import Iterable, Iterator

from polysem.layout.annotations import is_annotated
from polysem.layout.place import PLOTS, RECEIPT, RESULTS, SPLITS, Folder, Place, Stored, corpus, known, known_table
from polysem.layout.studied import control_dictionaries, control_sites, dictionaries, sites
from polysem.params.base import NEURONS, ModelSection
from polysem.params.comparisons import firsts_of_recipes
from polysem.params.study import Study
from polysem.tables.contract import ROOMS
from polysem.workflow.declarations import modules_of

FEATURE_TABLES = tuple(modules_of(ROOMS["dictionary"]))
"""Tables of the features of every dictionary, which one job makes: the modules of their folder."""
CASE_TABLES = ("case_studies", "ablation", "steering", "automata", "explanations")
"""Tables of a model that its case studies show."""
SAE_FILES = ("cfg.json", "sae_weights.safetensors")
"""Files of every SAE's folder."""
TRAINED_SAE_FILES = (*SAE_FILES, "sparsity.safetensors", "training.nc")
"""Those of one that is trained here; an imported one has no history, and frequencies only if its files tell them."""
"""Published numbers; an input, no artifact."""
METRICS = f"{RESULTS}/metrics.json"
CLAIMS = f"{RESULTS}/claims.json"
RUNS_BEFORE = "docs/results"
"""Folder with what other runs said to claims, in git."""
REPORT = f"{RESULTS}/report"
REPORT_INDEX = f"{REPORT}/index.html"
PROVENANCE = f"{REPORT}/provenance.json"
"""How figures were made, by the records of the jobs behind them."""
REPORT_PAGES = f"{REPORT}/pages"


def model_files(model: ModelSection) -> list[str]:
    """Names of the files of a model's folder."""
    return [*model.files(), "model.json"]


def sae_files(sae: Place, names: Iterable[str] = SAE_FILES) -> list[str]:
    """Files of the folder of an SAE."""
    return [sae.sae.file(name) for name in names]


def figure_places(study: Study) -> list[Place]:
    """Whose figures are drawn: all models and sites, in which their dictionaries stand together, sets of known
    features, then all dictionaries."""
    return [*map(Place, study.models), *sites(study), *map(known, drawn_toys(study)), *dictionaries(study)]


def drawn_toys(study: Study) -> dict[str, list[str]]:
    """The sets of known features that have figures, with the SAEs that were trained on them."""
    saes: dict[str, list[str]] = {}
    for toy, sae in study.known():
        if study.toys[toy].children:
            saes.setdefault(toy, []).append(sae)
    return saes


def figures(study: Study) -> list[Folder]:
    """All folders of figures."""
    return [drawn.figures for drawn in figure_places(study)]


def made_for(place: Place) -> list[str]:
    """What the jobs make that run for a dictionary alone, or for a site alone, and those that extract its
    activations; of a model, what those make that run for it as a whole."""
    if not place.site:
        return [place.table(name) for name in modules_of(ROOMS["model"])]
    if not place.dictionary:
        return [place.table(name) for name in modules_of(ROOMS["site"])]
    activations = [place.activations(split).receipt for split in SPLITS]
    return [place.tables_receipt, *sae_files(place), *activations]


def with_sheets(study: Study, site: Place) -> list[Place]:
    """The dictionaries of a site whose features have sheets: the neurons, the first SAE of each recipe, and those with
    labels, notes or listed features; all of them where `sheets:` asks for it."""
    there = [site.of(name) for name in study.dictionaries_of(site.model, site.site)]
    if study.sheets.all or study.sheets.saes == "all":
        return there
    firsts = {NEURONS, *firsts_of_recipes(study, site.model, site.site)}
    return [
        each for each in there if each.dictionary in firsts or each.path in study.sheets.listed or is_annotated(each)
    ]


def sheet_places(study: Study) -> list[Place]:
    """All dictionaries whose features have sheets."""
    return [dictionary for site in sites(study) for dictionary in with_sheets(study, site)]


def sheets(study: Study) -> list[Folder]:
    """All folders of feature sheets."""
    return [dictionary.sheets for dictionary in sheet_places(study)]


def explanations(study: Study) -> list[str]:
    """What explainers say of the features of each model that reads text."""
    return [place.explanations for place in text_models(study)]


def text_models(study: Study) -> list[Place]:
    """The models that read text: they have case studies and a rubric sheet."""
    return [Place(name) for name, model in study.models.items() if model.source != "classifier"]


def case_studies(study: Study) -> list[Folder]:
    """The folders of case studies."""
    return [model.case_studies for model in text_models(study)]


def indexes(study: Study) -> list[Folder]:
    """The index of the features of each model."""
    return [Place(model).index for model in study.models]


def tables(study: Study) -> list[str]:
    """All tables that are artifacts of their own; those of a dictionary are one folder."""
    return [*_tables_of_places(study), *(known_table(toy, sae) for toy, sae in study.known())]


def measured(study: Study) -> list[str]:
    """The files by which a job knows all tables: receipts where there are such."""
    return [*tables(study), *(one.tables_receipt for one in dictionaries(study))]


def feature_tables(dictionary: Place) -> list[str]:
    """The tables of a dictionary."""
    return [dictionary.table(name) for name in FEATURE_TABLES]


def _tables_of_places(study: Study) -> list[str]:
    """The tables of all models and sites, a file each."""
    rooms = {"model": [Place(model) for model in study.models], "site": [*sites(study)]}
    return [place.table(name) for room, places in rooms.items() for place in places for name in modules_of(ROOMS[room])]


def plots(study: Study) -> list[str]:
    """All small tables for `dvc plots`. They are named one by one: Snakemake leaves a file of its own in a folder that
    is an output, which DVC takes for a plot."""
    return [dictionary.plot(plot) for dictionary in dictionaries(study) for plot in PLOTS]


def token_stores(study: Study) -> list[Stored]:
    """The stores of what all models read, and their controls."""
    return [Place(model).tokens(split) for model in study.every_model for split in SPLITS]


def activation_splits(study: Study) -> Iterator[tuple[Place, str]]:
    """The sites and splits whose activations are stored. A site of a language model whose SAEs are all imported, or
    trained on streamed activations, has no train store, unless a transcoder predicts it from a stored one; by that of a
    classifier dead features are told. A control without SAEs has none."""
    everywhere = [*sites(study), *control_sites(study)]
    predicted = {
        (site.model, recipe.target)
        for site in everywhere
        for sae in study.saes_of(site.model, site.site)
        if (recipe := study.saes[sae].trained) and recipe.activations == "stored"
    }
    for site in everywhere:
        saes = [study.saes[sae].trained for sae in study.saes_of(site.model, site.site)]
        reads_store = (not saes and site.model not in study.controls) or any(
            recipe and recipe.activations == "stored" for recipe in saes
        )
        reads_store |= (site.model, site.site) in predicted
        reads_store |= study.every_model[site.model].source == "classifier"
        for split in SPLITS if reads_store else ("eval",):
            yield site, split


def stores(study: Study) -> list[Stored]:
    """All Zarr stores."""
    return token_stores(study) + [site.activations(split) for site, split in activation_splits(study)]


def receipts(study: Study) -> list[str]:
    """The receipts of all stores, and the records of all models and controls."""
    return [Place(model).record for model in study.every_model] + [store.receipt for store in stores(study)]


def recorded(study: Study) -> list[str]:
    """All artifacts but the report and those that live in git: these must not exist without a record of how they were
    made."""
    files = [corpus(name) for name in study.corpora]
    for name, model in study.every_model.items():
        files += [Place(name).weights.file(file) for file in model_files(model)]
    measured = [*dictionaries(study), *control_dictionaries(study)]
    for each in measured:
        if each.dictionary != NEURONS:
            files += sae_files(each, TRAINED_SAE_FILES if study.saes[each.dictionary].trained else SAE_FILES)
    files += [Place(model).directions for model in study.models]
    files += [path for one in measured for path in (one.tables, one.tables_receipt)]
    files += [table + RECEIPT for table in _tables_of_places(study)]
    files += explanations(study)
    stored = [file for store in stores(study) for file in store.files]
    folders = [
        path
        for folder in figures(study) + sheets(study) + case_studies(study) + indexes(study)
        for path in folder.files
    ]
    return list(dict.fromkeys([*files, *stored, *tables(study), *folders, PROVENANCE, REPORT_INDEX, REPORT_PAGES]))


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
    return [REPORT_INDEX, METRICS, CLAIMS, plots(study)[0], *(index.receipt for index in indexes(study))]
