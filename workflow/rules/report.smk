# The report: one static site with all figures, metrics, claims and provenance.

STYLES = ("page.css", "rubric.css", "search.css", "sheet.css")


def all_annotations():
    """What people said of features of this study, by dictionary."""
    found = {each.path: annotations(each) for each in studied.dictionaries(study)}
    return {path: said.values() for path, said in found.items() if not said.is_empty}


def runs_before():
    """What other runs said to claims, as `polysem claims` recorded it."""
    found = sorted(Path(workflow.basedir, artifacts.RUNS_BEFORE).glob("*/claims.json"))
    return [file.relative_to(workflow.basedir).as_posix() for file in found]


def page_files():
    """Templates, style sheets and scripts of the report."""
    folder = SOURCES / "polysem/report"
    found = [*folder.glob("templates/*.j2"), *folder.glob("scripts/*.js"), *(folder / name for name in STYLES)]
    return [own_file(file.relative_to(SOURCES / "polysem").as_posix()) for file in found]


rule collect_provenance:
    """How the figures were made, as Snakemake's records tell."""
    input:
        [folder.receipt for folder in artifacts.figures(study)],
    output:
        provenance=artifacts.PROVENANCE,
    log:
        "logs/collect_provenance.log",
    params:
        code=code_digest("polysem.workflow.provenance.collect_provenance"),
        spec=lambda wildcards: spec_file(places=[drawn.values() for drawn in artifacts.figure_places(study)]),
    shell:
        "python -m polysem step collect_provenance --output {output.provenance} --config {params.spec} "
        "--code {params.code} --log {log} > {log} 2>&1"


rule write_report:
    """All documents, figures, claims, metrics and provenance as pages."""
    input:
        figures=[folder.receipt for folder in artifacts.figures(study)],
        sheets=[folder.receipt for folder in artifacts.sheets(study) + artifacts.case_studies(study)],
        metrics=artifacts.METRICS,
        claims=artifacts.CLAIMS,
        provenance=artifacts.PROVENANCE,
        receipts=artifacts.receipts(study),
        rubrics=[model.table_receipt("rubric") for model in artifacts.text_models(study)],
        tokenizers=[model.tokenizer for model in artifacts.text_models(study)],
    output:
        index=artifacts.REPORT_INDEX,
        pages=directory(artifacts.REPORT_PAGES),
    log:
        "logs/write_report.log",
    params:
        code=code_digest("polysem.report.write_report"),
        outside=lambda wildcards: outside_file([*page_files(), *runs_before()]),
        spec=lambda wildcards: spec_file(
            params=study.values(),
            introduction=INTRODUCTION.read_text(encoding="utf-8"),
            captions={one.name: one.caption for one in figures.all_figures()},
            places=[drawn.values() for drawn in artifacts.figure_places(study)],
            sheets=[dictionary.values() for dictionary in artifacts.sheet_places(study)],
            case_studies=[model.values() for model in artifacts.text_models(study)],
            tables=artifacts.FEATURE_TABLES,
            site_tables=["fidelity"],
            receipts=artifacts.receipts(study),
            annotations=all_annotations(),
            rubrics=[model.values() for model in artifacts.text_models(study)],
            before=runs_before(),
        ),
        results=RESULTS,
        folder=artifacts.REPORT,
    shell:
        "python -m polysem step write_report --results {params.results} --metrics {input.metrics} "
        "--claims {input.claims} --provenance {input.provenance} --output {params.folder} --config {params.spec} --outside {params.outside} "
        "--code {params.code} --log {log} > {log} 2>&1"
