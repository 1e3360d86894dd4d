# The report: one static site with all figures, metrics and provenance, and the sheets of features.


def sheet_subject(wildcards):
    """What the examples of a sheet are shown with: the images of a classifier, or the tokenizer of a language model."""
    if model_kind(wildcards) == "classifier":
        return ancient(artifacts.TOKENS.format(model=wildcards.model, split="eval") + ".zarr")
    return artifacts.MODEL.format(model=wildcards.model) + "/tokenizer.json"


def sheet_neighbours(wildcards):
    """What sheets need beside the dictionary's own tables: the neurons' say of what features each is the strongest
    neuron, and images count by their receipt."""
    receipt = artifacts.TOKENS.format(model=wildcards.model, split="eval") + ".json"
    images = [receipt] if model_kind(wildcards) == "classifier" else []
    if wildcards.dictionary != NEURONS:
        return images
    others = study.saes_of(wildcards.model, wildcards.site)
    return images + [
        f"{artifacts.TABLE.format(model=wildcards.model, site=wildcards.site, dictionary=sae)}/alignment.nc"
        for sae in others
    ]


rule write_report:
    """Figures by document, metrics, provenance."""
    input:
        figures=ancient(artifacts.figures(study)),
        figure_receipts=[f"{folder}.json" for folder in artifacts.figures(study)],
        metrics=artifacts.METRICS,
        receipts=artifacts.receipts(study),
        captions=[f"workflow/report/{name}.rst" for name in ("workflow", *artifacts.FIGURES, *artifacts.SITE_FIGURES)],
    output:
        site=directory(artifacts.REPORT),
    log:
        "logs/write_report.log",
    benchmark:
        "logs/write_report.tsv"
    params:
        code=code_digest(
            "polysem.report.write_report",
            *(f"polysem.figures.{figure}" for figure in (*artifacts.FIGURES, *artifacts.SITE_FIGURES)),
        ),
        page=lambda wildcards: file_digest(
            "src/polysem/report/page.html.j2", "src/polysem/report/page.css", "src/polysem/report/page.js"
        ),
        spec=spec_file(
            params=study.values(),
            folders=[folder.removeprefix("results/figures/") for folder in artifacts.figures(study)],
            receipts=artifacts.receipts(study),
        ),
    message:
        "Writing the report"
    shell:
        "python -m polysem.report.write_report --figures results/figures --metrics {input.metrics} "
        "--captions workflow/report --output {output.site} --config {params.spec} > {log} 2>&1"


rule write_sheets:
    """S0.F4: a page for each chosen feature of one dictionary, with its labels."""
    input:
        [f"{artifacts.TABLE}/{table}.nc" for table in artifacts.SHEET_TABLES],
        sheet_neighbours,
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
    message:
        "Writing the sheets of {wildcards.dictionary} at {wildcards.site} of {wildcards.model}"
    shell:
        "python -m polysem.report.write_sheets --tables {params.tables} {params.subject} {input.subject} "
        "--output {output.folder} --config {params.spec} > {log} 2>&1"
