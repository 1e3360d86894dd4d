# Figures, all of one dictionary or of one site in one job: starting Python takes longer than drawing.


import shlex

from polysem.layout.feature_labels import label_file


def history(wildcards):
    """What a training left of its course; neurons and imported SAEs have nothing like it."""
    sae = None if wildcards.dictionary == NEURONS else study.saes[wildcards.dictionary]
    if sae is None or not sae.trained:
        return []
    return f"{artifacts.SAE.format(model=wildcards.model, site=wildcards.site, sae=sae.id)}/training.nc"


def hyper_parameters(model, site):
    """The recipes of the SAEs of a site that are trained here, by SAE."""
    trained = {sae: study.saes[sae].trained for sae in study.saes_of(model, site)}
    return {sae: recipe.hyper_parameters() for sae, recipe in trained.items() if recipe}


def other_options(wildcards, input):
    """The options of the history of a training and of the labels of a dictionary, if there are any."""
    file = label_file(**wildcards)
    training = f"--training {input.training} " if input.training else ""
    return training + (f"--labels {shlex.quote(str(file))}" if file.is_file() else "")


rule draw_figures:
    """All figures of one dictionary; those that hold features against neurons read the neurons' tables, too."""
    input:
        lambda wildcards: artifacts.surveys(
            wildcards.model, wildcards.site, dict.fromkeys([wildcards.dictionary, NEURONS])
        ),
        training=history,
    output:
        folder=report(
            directory(artifacts.FIGURE),
            patterns=["{figure}.svg"],
            caption="../report/figures.rst",
            category="{model}",
            subcategory="{site}",
            labels={"dictionary": "{dictionary}", "figure": "{figure}"},
        ),
        receipt=f"{artifacts.FIGURE}.json",
    log:
        "logs/draw_figures/{model}/{site}/{dictionary}.log",
    benchmark:
        "logs/draw_figures/{model}/{site}/{dictionary}.tsv"
    params:
        code=code_digest(
            "polysem.figures.draw_figures",
            *(f"polysem.figures.of_dictionary.{figure}" for figure in artifacts.FIGURES),
        ),
        spec=spec(figures=artifacts.FIGURES, params=analysis(*artifacts.FIGURE_KEYS)),
        tables=artifacts.TABLE,
        labels=lambda wildcards: outside([str(label_file(**wildcards))]),
        others=other_options,
    shell:
        "python -m polysem step draw_figures --tables {params.tables} --output {output.folder} "
        "--config {params.spec:q} {params.others} --outside {params.labels:q} --code {params.code} --log {log} > {log} 2>&1"


rule draw_site_figures:
    """S0.T1, S2.T1, S3.T2, S3.T3: all dictionaries of one site together."""
    input:
        lambda wildcards: artifacts.surveys(
            wildcards.model, wildcards.site, study.dictionaries_of(wildcards.model, wildcards.site)
        ),
        comparison=artifacts.COMPARISON,
        fidelity=artifacts.FIDELITY,
        embedding_loss=SITE.table("embedding_loss"),
    output:
        folder=report(
            directory(artifacts.SITE_FIGURE),
            patterns=["{figure}.svg"],
            caption="../report/figures.rst",
            category="{model}",
            subcategory="{site}",
            labels={"dictionary": ALL_DICTIONARIES, "figure": "{figure}"},
        ),
        receipt=f"{artifacts.SITE_FIGURE}.json",
    log:
        "logs/draw_site_figures/{model}/{site}.log",
    benchmark:
        "logs/draw_site_figures/{model}/{site}.tsv"
    params:
        code=code_digest(
            "polysem.figures.draw_site_figures",
            *(f"polysem.figures.of_site.{figure}" for figure in artifacts.SITE_FIGURES),
        ),
        spec=lambda wildcards: spec_file(
            figures=artifacts.SITE_FIGURES,
            dictionaries=study.dictionaries_of(wildcards.model, wildcards.site),
            params=analysis(*artifacts.SITE_FIGURE_KEYS),
            recipes=hyper_parameters(wildcards.model, wildcards.site),
        ),
        tables=artifacts.TABLE.removesuffix("/{dictionary}"),
    shell:
        "python -m polysem step draw_site_figures --tables {params.tables} --output {output.folder} "
        "--config {params.spec} --code {params.code} --log {log} > {log} 2>&1"
