# Feature sheets: pages of chosen features, which the report links to.

SHEET_PAGE = [own_file(f"report/{name}") for name in ("sheet.html.j2", "sheets_index.html.j2", "sheet.css", "sheet.js")]


def sheet_subject(wildcards):
    """What the examples of a sheet are shown with: the images of a classifier, or the tokenizer of a language model."""
    if tables.kind(wildcards.model) == "classifier":
        return ancient(place(wildcards).tokens("eval").store)
    return place(wildcards).tokenizer


def neighbours(wildcards):
    """The SAEs whose features the sheets of the neurons name: those that have sheets themselves."""
    return artifacts.with_sheets(study, Place(wildcards.model, wildcards.site))[1:]


def images_receipt(wildcards):
    """By what the images of a classifier count; nothing for a language model."""
    return [place(wildcards).tokens("eval").receipt] if tables.kind(wildcards.model) == "classifier" else []


def sheet_neighbours(wildcards):
    """What sheets need beside the dictionary's own tables: those of neurons say of what features each is the strongest
    neuron."""
    images = images_receipt(wildcards)
    if wildcards.dictionary != NEURONS:
        return images
    return images + [sae.tables_receipt for sae in neighbours(wildcards)]


def cluster_relations(wildcards):
    """The table of clusters that are like those of this dictionary, if it takes part."""
    takes_part = wildcards.dictionary in related(wildcards.model)[wildcards.site]
    return Place(wildcards.model).table("cluster_relations") if takes_part else []


def subject_option(wildcards, input):
    """The option of what examples are shown with."""
    option = "--images" if tables.kind(wildcards.model) == "classifier" else "--tokenizer"
    return f"{option} {input.subject}"


def other_files(wildcards, input):
    """The options of what else sheets are written from."""
    relations = f" --relations {input.relations}" if input.relations else ""
    return f"{subject_option(wildcards, input)}{relations}"


rule write_sheets:
    """S0.F4: a page for each chosen feature of one dictionary, with what people said of it."""
    input:
        sheet_neighbours,
        tables=DICTIONARY.tables_receipt,
        relations=cluster_relations,
        subject=sheet_subject,
    output:
        folder=directory(DICTIONARY.sheets.path),
        receipt=DICTIONARY.sheets.receipt,
    log:
        "logs/write_sheets/{model}/{site}/{dictionary}.log",
    resources:
        **requests.of(DICTIONARY.sheets.path),
    params:
        code=code_digest("polysem.report.write_sheets"),
        outside=outside(SHEET_PAGE),
        spec=lambda wildcards: spec_file(
            place=place(wildcards).values(),
            params=study.sheets.choice(**wildcards, analysis=study.analysis).values(),
            saes=[sae.dictionary for sae in neighbours(wildcards)] if wildcards.dictionary == NEURONS else [],
            annotations=annotations(place(wildcards)).values(),
        ),
        tables=DICTIONARY.tables,
        others=other_files,
    shell:
        "python -m polysem step write_sheets --tables {params.tables} --output {output.folder} "
        "--config {params.spec} {params.others} --outside {params.outside:q} "
        "--code {params.code} --log {log} > {log} 2>&1"


CASE_PAGE = [
    *SHEET_PAGE[:1],
    *(own_file(f"report/{name}") for name in ("case.html.j2", "cases_index.html.j2", "sheet.css", "sheet.js")),
]


def case_tables(wildcards):
    """What case studies are written from: tables of the model, of its sites, and of the dictionaries that may have one."""
    model = Place(wildcards.model)
    compared = [model.at(site).receipt_of_table("comparison") for site in study.models[wildcards.model].sites]
    relatives = [model.at(site, name) for site, names in related(wildcards.model).items() for name in names]
    return (
        [model.receipt_of_table(name) for name in artifacts.CASE_TABLES]
        + compared
        + [one.tables_receipt for one in relatives]
    )


def annotated_dictionaries(model):
    """What people said of the features of a model, by dictionary."""
    found = {each.path: annotations(each) for each in studied.dictionaries(study) if each.model == model}
    return {path: said.values() for path, said in found.items() if not said.is_empty}


rule write_case_studies:
    """S1.F11: a page for each feature that is studied in full, with everything that was measured of it."""
    input:
        case_tables,
        tokenizer=MODEL.tokenizer,
    output:
        folder=directory(MODEL.case_studies.path),
        receipt=MODEL.case_studies.receipt,
    log:
        "logs/write_case_studies/{model}.log",
    params:
        code=code_digest("polysem.report.write_case_studies"),
        outside=outside(CASE_PAGE),
        spec=lambda wildcards: spec_file(
            place={"model": wildcards.model},
            rare_frequency=study.analysis.rare_frequency,
            ultra_low_frequency=study.analysis.ultra_low_frequency,
            tables=artifacts.CASE_TABLES,
            annotations=annotated_dictionaries(wildcards.model),
            root=RESULTS,
        ),
    shell:
        "python -m polysem step write_case_studies --tokenizer {input.tokenizer} --output {output.folder} "
        "--config {params.spec} --outside {params.outside:q} "
        "--code {params.code} --log {log} > {log} 2>&1"
