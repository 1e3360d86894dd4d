# Feature sheets: pages of chosen features, which the report links to.

from polysem.io.feature_labels import label_file


def sheet_subject(wildcards):
    """What the examples of a sheet are shown with: the images of a classifier, or the tokenizer of a language model."""
    if model_kind(wildcards) == "classifier":
        return ancient(artifacts.TOKENS.format(model=wildcards.model, split="eval") + ".zarr")
    return artifacts.MODEL.format(model=wildcards.model) + "/tokenizer.json"


def sheet_neighbours(wildcards):
    """What sheets need beside the dictionary's own tables: those of neurons say of what features each is the strongest
    neuron, and images count by their receipt."""
    receipt = artifacts.TOKENS.format(model=wildcards.model, split="eval") + ".json"
    images = [receipt] if model_kind(wildcards) == "classifier" else []
    if wildcards.dictionary != NEURONS:
        return images
    others = study.saes_of(wildcards.model, wildcards.site)
    return images + artifacts.surveys(wildcards.model, wildcards.site, others)


def cluster_relations(wildcards):
    """The table of clusters that are like those of this dictionary, if it takes part."""
    takes_part = wildcards.dictionary in related(wildcards.model)[wildcards.site]
    return artifacts.RELATIONS.format(**wildcards) if takes_part else []


rule write_sheets:
    """S0.F4: a page for each chosen feature of one dictionary, with its labels."""
    input:
        sheet_neighbours,
        tables=artifacts.SURVEY,
        relations=cluster_relations,
        subject=sheet_subject,
    output:
        folder=directory(artifacts.SHEETS),
        receipt=f"{artifacts.SHEETS}.json",
    log:
        "logs/write_sheets/{model}/{site}/{dictionary}.log",
    benchmark:
        "logs/write_sheets/{model}/{site}/{dictionary}.tsv"
    params:
        code=code_digest("polysem.report.write_sheets"),
        page=lambda wildcards: file_digest(
            *(
                f"src/polysem/report/{name}"
                for name in ("sheet.html.j2", "sheets_index.html.j2", "sheet.css", "sheet.js")
            )
        ),
        labels=lambda wildcards: outside_digest(label_file(**wildcards)),
        spec=lambda wildcards: spec_file(
            params=study.sheets.choice(**wildcards, analysis=study.analysis).values(),
            saes=study.saes_of(wildcards.model, wildcards.site) if wildcards.dictionary == NEURONS else [],
            labels=str(label_file(**wildcards)),
        ),
        tables=artifacts.TABLE,
        subject=lambda wildcards: "--images" if model_kind(wildcards) == "classifier" else "--tokenizer",
        relations=lambda wildcards, input: f"--relations {input.relations}" if input.relations else "",
    message:
        "Writing the sheets of {wildcards.dictionary} at {wildcards.site} of {wildcards.model}"
    shell:
        "python -m polysem.report.write_sheets --tables {params.tables} {params.subject} {input.subject} "
        "--output {output.folder} --config {params.spec} {params.relations} > {log} 2>&1"
