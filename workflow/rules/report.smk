# The report: one static site with all figures, metrics and provenance.


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
