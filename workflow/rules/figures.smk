# Figures, all of one dictionary or of one site in one job: starting Python takes longer than drawing. A job draws those
# that are made of something else than before; the others stay, which is why folders and receipts are updated.

from polysem.layout.place import DICTIONARY, MODEL, SITE, Place
from polysem.workflow import figures

try:
    figures.all_figures()
except InputError as error:
    sys.exit(f"error: {error}")

FIGURES = figures.figures_of(figures.OF_DICTIONARY)
SITE_FIGURES = figures.figures_of(figures.OF_SITE)
MODEL_FIGURES = figures.figures_of(figures.OF_MODEL)
TOY_FIGURES = figures.figures_of(figures.OF_TOY)


def figure_codes(step, drawn):
    """The digest of the code of each figure: its module, the step that draws it, and what runs that."""
    return {one.name: code_digest(step, one.module).partition(":")[0] for one in drawn}


def captions(drawn, place=figures.PLACE):
    """A file with the captions of all figures of a folder, as Snakemake's report wants it, and whose they are."""
    return os.path.abspath(text_file(figures.captions_template(drawn, place), ".cache/captions/{}.rst"))


def surveyed(wildcards, dictionaries):
    """The receipts of the tables of some dictionaries of a site."""
    site = Place(wildcards.model, wildcards.site)
    return [site.of(dictionary).tables_receipt for dictionary in dictionaries]


def history(wildcards):
    """What a training left of its course; neurons and imported SAEs have nothing like it."""
    sae = None if wildcards.dictionary == NEURONS else study.saes[wildcards.dictionary]
    return Place(**wildcards).sae.file("training.nc") if sae is not None and sae.trained else []


def hyper_parameters(model, site):
    """The recipes of the SAEs of a site that are trained here, by SAE."""
    trained = {sae: study.saes[sae].trained for sae in study.saes_of(model, site)}
    return {sae: recipe.hyper_parameters() for sae, recipe in trained.items() if recipe}


def other_options(wildcards, input):
    """The option of the history of a training, if there is one."""
    return f"--training {input.training}" if input.training else ""


def drawing_spec(wildcards):
    """What the step is told: the same for all dictionaries but for what people call their features. Stars and comments
    are no part of it, so that they draw nothing again."""
    called = annotations(place(wildcards)).calling
    return spec_file(**DRAWN, **({} if called.is_empty else {"annotations": called.values()}))


DRAWN = {
    "figures": figure_codes("polysem.figures.draw_figures", FIGURES),
    "params": analysis(*figures.params_of(FIGURES)),
}


rule draw_figures:
    """All figures of one dictionary; those that hold features against neurons read the neurons' tables, too."""
    input:
        lambda wildcards: surveyed(wildcards, dict.fromkeys([wildcards.dictionary, NEURONS])),
        training=history,
    output:
        folder=update(
            report(
                directory(DICTIONARY.figures.path),
                patterns=["{figure}.svg"],
                caption=captions(FIGURES),
                category="{model}",
                subcategory="{site}",
                labels={"dictionary": "{dictionary}", "figure": "{figure}"},
            )
        ),
        receipt=update(DICTIONARY.figures.receipt),
    log:
        "logs/draw_figures/{model}/{site}/{dictionary}.log",
    resources:
        **requests.of(DICTIONARY.figures.path),
    params:
        code=code_digest("polysem.figures.draw_figures", *(one.module for one in FIGURES)),
        spec=drawing_spec,
        tables=DICTIONARY.tables,
        others=other_options,
    shell:
        "python -m polysem step draw_figures --tables {params.tables} --output {output.folder} "
        "--config {params.spec} {params.others} --code {params.code} --log {log} > {log} 2>&1"


rule draw_site_figures:
    """S0.T1, S2.T1, S3.T2, S3.T3: all dictionaries of one site together."""
    input:
        lambda wildcards: surveyed(wildcards, study.dictionaries_of(wildcards.model, wildcards.site)),
        [SITE.table(table) for table in figures.site_tables_of(SITE_FIGURES)],
    output:
        folder=update(
            report(
                directory(SITE.figures.path),
                patterns=["{figure}.svg"],
                caption=captions(SITE_FIGURES),
                category="{model}",
                subcategory="{site}",
                labels={"dictionary": ALL_DICTIONARIES, "figure": "{figure}"},
            )
        ),
        receipt=update(SITE.figures.receipt),
    log:
        "logs/draw_site_figures/{model}/{site}.log",
    resources:
        **requests.of(SITE.figures.path),
    params:
        code=code_digest("polysem.figures.draw_site_figures", *(one.module for one in SITE_FIGURES)),
        spec=lambda wildcards: spec_file(
            figures=figure_codes("polysem.figures.draw_site_figures", SITE_FIGURES),
            dictionaries=study.dictionaries_of(wildcards.model, wildcards.site),
            families=study.families(study.dictionaries_of(wildcards.model, wildcards.site)),
            params=analysis(*figures.params_of(SITE_FIGURES)),
            recipes=hyper_parameters(wildcards.model, wildcards.site),
        ),
        tables=SITE.tables,
    shell:
        "python -m polysem step draw_site_figures --tables {params.tables} --output {output.folder} "
        "--config {params.spec} --code {params.code} --log {log} > {log} 2>&1"


rule draw_model_figures:
    """S4: all sites of one model together."""
    input:
        [MODEL.table(table) for table in figures.tables_of(MODEL_FIGURES)],
    output:
        folder=update(
            report(
                directory(MODEL.figures.path),
                patterns=["{figure}.svg"],
                caption=captions(MODEL_FIGURES, figures.PLACE_OF_MODEL),
                category="{model}",
                subcategory="all sites",
                labels={"dictionary": ALL_DICTIONARIES, "figure": "{figure}"},
            )
        ),
        receipt=update(MODEL.figures.receipt),
    log:
        "logs/draw_model_figures/{model}.log",
    resources:
        **requests.of(MODEL.figures.path),
    params:
        code=code_digest("polysem.figures.draw_model_figures", *(one.module for one in MODEL_FIGURES)),
        spec=spec(
            figures=figure_codes("polysem.figures.draw_model_figures", MODEL_FIGURES),
            params=analysis(*figures.params_of(MODEL_FIGURES)),
        ),
        tables=MODEL.tables,
    shell:
        "python -m polysem step draw_model_figures --tables {params.tables} --output {output.folder} "
        "--config {params.spec:q} --code {params.code} --log {log} > {log} 2>&1"
