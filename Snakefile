# polysem: every figure and table of five documents on polysemantic neurons and sparse autoencoders.
# params.yaml says what to study; docs/design.md says why things are as they are.

from snakemake.utils import min_version

min_version("9.27.1")


include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/saes.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/explanations.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/toys.smk"
include: "workflow/rules/sheets.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


# A cluster would spend more on submitting these than on running them; some read the records of all jobs.
localrules:
    all,
    record_model,
    copy_tokens,
    collect_metrics,
    collect_plots,
    check_claims,
    collect_provenance,
    draw_toy_figures,
    write_case_studies,
    write_report,


rule all:
    default_target: True
    input:
        artifacts.ends(study),
        guard.deleted([*artifacts.recorded(study), *artifacts.plots(study)]),
