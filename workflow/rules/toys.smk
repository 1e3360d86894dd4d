# SAEs on activations made of known features.


rule recover_features:
    """S1.X1: how many of the features that activations are made of an SAE finds."""
    output:
        table=known_table("{toy}", "{sae}"),
    log:
        "logs/recover_features/{toy}/{sae}.log",
    threads: lambda wildcards: recipe(wildcards.sae).threads
    resources:
        **requests.of(known_table("{toy}", "{sae}"), card=True),
    params:
        code=lambda wildcards: code_digest("polysem.toys.recover_features", *recipe(wildcards.sae).modules()),
        spec=lambda wildcards: spec(
            toy=study.toys[wildcards.toy].rows(),
            architecture=recipe(wildcards.sae).architecture,
            params=recipe(wildcards.sae).hyper_parameters(),
        ),
        threads=lambda wildcards: recipe(wildcards.sae).threads,
    shell:
        "python -m polysem step recover_features --output {output.table} --config {params.spec:q} {DEVICE} "
        "--threads {params.threads} --code {params.code} --log {log} > {log} 2>&1"


rule draw_toy_figures:
    """S1.X1: what SAEs make of known features that imply others, all of a set together."""
    input:
        lambda wildcards: [known_table(wildcards.toy, sae) for sae in artifacts.drawn_toys(study)[wildcards.toy]],
    output:
        folder=update(
            report(
                directory(known("{toy}").figures.path),
                patterns=["{figure}.svg"],
                caption=captions(TOY_FIGURES, "Known features ``{{ snakemake.wildcards.toy }}``, all SAEs."),
                category="{toy}",
                subcategory="known features",
                labels={"dictionary": ALL_DICTIONARIES, "figure": "{figure}"},
            )
        ),
        receipt=update(known("{toy}").figures.receipt),
    log:
        "logs/draw_toy_figures/{toy}.log",
    resources:
        **requests.of(known("{toy}").figures.path),
    params:
        code=code_digest("polysem.figures.draw_toy_figures", *(one.module for one in TOY_FIGURES)),
        spec=lambda wildcards: spec(
            toy=wildcards.toy,
            figures=figure_codes("polysem.figures.draw_toy_figures", TOY_FIGURES),
            saes=artifacts.drawn_toys(study)[wildcards.toy],
            families=study.families(artifacts.drawn_toys(study)[wildcards.toy]),
        ),
        tables=known("{toy}").tables,
    shell:
        "python -m polysem step draw_toy_figures --tables {params.tables} --output {output.folder} "
        "--config {params.spec:q} --code {params.code} --log {log} > {log} 2>&1"
