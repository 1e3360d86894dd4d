# The report: one static site with all figures, metrics, claims and provenance.

from snakemake.io import apply_wildcards
from snakemake.iocontainers import Wildcards

from polysem.layout.feature_labels import label_file
from polysem.workflow.running.steps import step_module
from polysem.params.base import TOGETHER

CAPTIONS = [f"workflow/report/{name}.rst" for name in ("workflow", *artifacts.FIGURES, *artifacts.SITE_FIGURES)]


def label_files():
    """Labels that people gave to features of this study."""
    return [str(file) for file in (label_file(*key) for key in study.dictionaries()) if file.is_file()]


def page_files():
    """Templates, style sheet and scripts of the report."""
    folder = SOURCES / "polysem/report"
    found = [*folder.glob("templates/*.j2"), *folder.glob("scripts/*.js"), folder / "page.css"]
    return [str(file.relative_to(workflow.basedir)) for file in found]


def making(name, inputs, **wildcards):
    """What the report says of one job behind a figure, as the job's own rule states it."""
    made, known = workflow.get_rule(name), Wildcards(fromdict=wildcards)
    said = {key: made.params[key] for key in ("code", "spec") if key in made.params.keys()}
    values = {key: value(known) if callable(value) else value for key, value in said.items()}
    text = values.get("spec", "{}")
    return {
        "rule": name,
        "module": step_module(name),
        "code": values["code"].partition(":")[0],
        "inputs": inputs,
        "params": json.loads(Path(text).read_text(encoding="utf-8") if text.endswith(".json") else text),
        "target": apply_wildcards(str(made.output[-1]), wildcards),
    }


def makings():
    """The jobs behind the figures of every dictionary and of every site, the last one first."""
    found = {}
    for model, site in study.sites():
        place = {"model": model, "site": site}
        tables = f"{artifacts.TABLE.format(**place, dictionary='*')}/{{}}.nc"
        fidelity, comparison = artifacts.FIDELITY.format(**place), artifacts.COMPARISON.format(**place)
        eval_files = [
            f"{store.format(**place, split='eval')}.json" for store in (artifacts.ACTIVATIONS, artifacts.TOKENS)
        ]
        saes = f"{artifacts.SAE.format(**place, sae='*')}/sae_weights.safetensors"
        found[f"{model}/{site}/{TOGETHER}"] = [
            making(
                "draw_site_figures",
                [*(tables.format(table) for table in artifacts.SITE_TABLES), fidelity, comparison],
                **place,
            ),
            making(
                "measure_fidelity",
                [tables.format("frequency"), saes, *eval_files, f"{artifacts.MODEL.format(**place)}/model.json"],
                **place,
            ),
            making("compare_dictionaries", [tables.format("*"), saes, *eval_files], **place),
        ]
    for toy in artifacts.drawn_toys(study):
        tables = artifacts.KNOWN_TABLE.format(toy=toy, sae="*")
        found[f"{toy}/known/{TOGETHER}"] = [making("draw_toy_figures", [tables], toy=toy)]
    for model, site, dictionary in study.dictionaries():
        place = {"model": model, "site": site, "dictionary": dictionary}
        folder, sae = artifacts.TABLE.format(**place), artifacts.SAE.format(**place, sae=dictionary)
        store = f"{artifacts.ACTIVATIONS.format(**place, split='eval')}.json"
        tokens = f"{artifacts.TOKENS.format(**place, split='eval')}.json"
        record = f"{artifacts.MODEL.format(**place)}/model.json"
        files = [] if dictionary == NEURONS else [f"{sae}/{file}" for file in artifacts.SAE_FILES]
        jobs = [
            making("draw_figures", [f"{folder}/{table}.nc" for table in artifacts.FEATURE_TABLES], **place),
            making("survey_features", [*files, store, tokens, artifacts.DIRECTIONS.format(**place)], **place),
        ]
        if dictionary != NEURONS:
            trained, store_of = study.saes[dictionary].trained, artifacts.ACTIVATIONS.format(**place, split="{split}")
            rows = [f"{store_of.format(split='train' if trained else 'eval')}.json"]
            if trained and trained.activations == "streamed":
                rows = [record, f"{artifacts.TOKENS.format(**place, split='train')}.json"]
            jobs.append(making("train_sae" if trained else "import_sae", rows, **place, sae=dictionary))
        jobs.append(making("extract_activations", [record, tokens], **place, split="eval"))
        found["/".join(place.values())] = jobs
    return found


rule write_report:
    """All documents, figures, claims, metrics and provenance as pages."""
    input:
        figures=[f"{folder}.json" for folder in artifacts.figures(study)],
        sheets=artifacts.sheets(study),
        labels=label_files(),
        metrics=artifacts.METRICS,
        claims=artifacts.CLAIMS,
        receipts=artifacts.receipts(study),
        captions=CAPTIONS,
    output:
        index=artifacts.REPORT_INDEX,
        pages=directory(artifacts.REPORT_PAGES),
    log:
        "logs/write_report.log",
    benchmark:
        "logs/write_report.tsv"
    params:
        code=code_digest(
            "polysem.report.write_report",
            *(f"polysem.figures.of_dictionary.{figure}" for figure in artifacts.FIGURES),
            *(f"polysem.figures.of_site.{figure}" for figure in artifacts.SITE_FIGURES),
            *(f"polysem.figures.of_toy.{figure}" for figure in artifacts.TOY_FIGURES),
        ),
        outside=lambda wildcards: outside_file([*page_files(), *CAPTIONS, *label_files()]),
        spec=lambda wildcards: spec_file(
            params=study.values(),
            folders=[folder.removeprefix("results/figures/") for folder in artifacts.figures(study)],
            sheets=[
                "/".join((*place, name)) for place in study.sites() for name in artifacts.with_sheets(study, *place)
            ],
            table_names=[*artifacts.FEATURE_TABLES, f"../{Path(artifacts.FIDELITY).stem}"],
            receipts=artifacts.receipts(study),
            makings=makings(),
        ),
        folder=artifacts.REPORT,
    shell:
        "python -m polysem step write_report --figures results/figures --tables results/tables "
        "--metrics {input.metrics} --claims {input.claims} --labels labels --captions workflow/report "
        "--output {params.folder} --config {params.spec} --outside {params.outside} "
        "--code {params.code} --log {log} > {log} 2>&1"
