# One xarray Dataset per table, for SAEs and for neurons alike; metrics and small plots of them all.
#
# What a table reads, holds and needs of `analysis:` stands in its module (polysem/tables/contract.py); inputs, params and
# outputs follow from that. Outputs are marked as updated, because a step keeps what is made of the same.

from polysem.workflow.readable import BESIDE
from polysem.workflow.contracts import all_contracts, contracts, modules, together
from polysem.workflow.tables import FOUND_BY_NAME
from polysem.tables.sources import uses_device

try:
    all_contracts()
except InputError as error:
    sys.exit(f"error: {error}")

related = cache(tables.relatives)


def table_inputs(declared):
    """An input function: what the tables that a job makes read, by the files that count, and the folders that belong to these."""

    def inputs(wildcards):
        files, folders = tables.files(declared(wildcards), place(wildcards))
        return [*files, *map(ancient, folders)]

    return inputs


def dictionary_code(wildcards):
    """The digest of all that makes the tables of a dictionary."""
    return measuring_code(tables.kind(wildcards.model), tuple(tables.activation_functions(wildcards.dictionary)))


@cache
def measuring_code(kind, functions):
    return code_digest(
        "polysem.tables.measure_dictionary",
        *modules("dictionary"),
        *FOUND_BY_NAME["weights"],
        *functions,
    )


def dictionary_spec(wildcards):
    """What the step is told of each table; the same for all dictionaries that are encoded in the same way and held
    against the same others."""
    functions = tuple(tables.activation_functions(wildcards.dictionary))
    target, trained = tables.target(wildcards.dictionary), tables.trained(wildcards.dictionary)
    beside = tuple(tuple(tables.places(scope, place(wildcards))) for scope in BESIDE)
    key = (tables.kind(wildcards.model), functions, target, trained, beside, wildcards.model in study.controls)
    if key not in dictionary_specs:
        wanted = tables.of_dictionary(wildcards.model)
        stated = zip(wanted.items(), modules("dictionary", *wanted), strict=True)
        said = {name: tables.stated(contract, module, place(wildcards)) for (name, contract), module in stated}
        more = {name: value for name, value in (("target", target), ("trained", trained)) if value}
        dictionary_specs[key] = spec_file(kind=key[0], tables=said, **more)
    return dictionary_specs[key]


dictionary_specs = {}


# Tables of SAEs read those of neurons, and tables of a model those of its random-model control. Rules of their own for
# each, as `--until` stops Snakemake at the first job of a rule on which others of that rule wait.
for measured, models, dictionaries in (
    ("measure_dictionary", study.models, SAE_IDS),
    ("measure_neurons", study.models, NEURONS),
    ("measure_control_dictionary", study.controls, SAE_IDS),
    ("measure_control_neurons", study.controls, NEURONS),
):

    rule:
        name:
            measured
        input:
            table_inputs(lambda wildcards: [*tables.of_dictionary(wildcards.model).values()]),
        output:
            folder=update(directory(DICTIONARY.tables)),
            receipt=update(DICTIONARY.tables_receipt),
        log:
            f"logs/{measured}/{{model}}/{{site}}/{{dictionary}}.log",
        wildcard_constraints:
            model=names(models),
            dictionary=dictionaries,
        resources:
            **requests.of(DICTIONARY.tables_receipt, SITE.activations("eval").store, card=True),
        params:
            code=dictionary_code,
            spec=dictionary_spec,
        shell:
            "python -m polysem step measure_dictionary --model {wildcards.model} --site {wildcards.site} "
            "--dictionary {wildcards.dictionary} --config {params.spec} {DEVICE} --code {params.code} --log {log} "
            "> {log} 2>&1"


def tables_code(room, names):
    """A param: the digest of all that makes some tables of a site or a model."""
    return lambda wildcards: code_digest(
        "polysem.tables.measure_tables", *modules(room, *names), *found_for(room, names, place(wildcards))
    )


def found_for(room, names, of):
    """The modules that some tables use without importing them."""
    return dict.fromkeys(found for name in names for found in tables.found_by_name(contracts(room)[name], of))


def tables_spec(room, names):
    """A param: what the step is told of each table."""
    stated = {name: (contracts(room)[name], *modules(room, name)) for name in names}
    return lambda wildcards: spec_file(
        kind=tables.kind(wildcards.model),
        tables={name: tables.stated(*each, place(wildcards)) for name, each in stated.items()},
    )


def made_together(room, names):
    """A function: what the tables declare that a job makes."""
    return lambda wildcards: [contracts(room)[name] for name in names]


def largest(made):
    """The table, of those that a job makes, whose estimate is that of the job."""
    return next((name for name in ("fidelity", "model") if name in made), made[0])


def on_device(room, made):
    """Whether a device computes anything of the tables that a job makes."""
    return any(uses_device(contracts(room)[name].reads) for name in made)


def evaluated(room):
    """The activations that tables of a site read."""
    return [SITE.activations("eval").store] if room == "site" else []


for room, pattern, wanted in (("site", SITE, "{model}/{site}"), ("model", MODEL, "{model}")):
    for measured, made in together(room).items():

        rule:
            name:
                measured
            input:
                table_inputs(made_together(room, made)),
            output:
                tables=update([pattern.table(name) for name in made]),
                receipts=update([pattern.table_receipt(name) for name in made]),
                files=update([f"{pattern.tables}/{file}" for name in made for file in contracts(room)[name].files]),
            log:
                f"logs/{measured}/{wanted}.log",
            resources:
                **requests.of(pattern.table(largest(made)), *evaluated(room), card=on_device(room, made)),
            params:
                code=tables_code(room, made),
                spec=tables_spec(room, made),
                place="--model {model}" + (" --site {site}" if room == "site" else ""),
                device=DEVICE if on_device(room, made) else "",
            shell:
                "python -m polysem step measure_tables {params.place} --config {params.spec} {params.device} "
                "--code {params.code} --log {log} > {log} 2>&1"


rule collect_metrics:
    """All flat numbers of the run, for `dvc metrics diff`."""
    input:
        artifacts.measured(study),
    output:
        metrics=artifacts.METRICS,
    log:
        "logs/collect_metrics.log",
    params:
        code=code_digest("polysem.tables.collect_metrics"),
        spec=spec_file(
            dictionaries=["/".join(key) for key in study.dictionaries()],
            models=list(study.models),
            names=artifacts.FEATURE_TABLES,
            of_models=[*contracts("model")],
            toys=["/".join(key) for key in study.known()],
            comparisons=["/".join(key) for key in study.sites()],
            matched=list(study.models),
            probed=list(study.models),
            ablated=list(study.models),
            traced=list(study.models),
            explained=list(study.models),
            params=analysis(*THRESHOLDS),
        ),
    shell:
        "python -m polysem step collect_metrics --tables results/tables --output {output.metrics} "
        "--config {params.spec} --code {params.code} --log {log} > {log} 2>&1"


# By its content, as the ledger of an installed package lies in another place on every machine.
LEDGER_TEXT = text_file(LEDGER.read_text(encoding="utf-8"), ".cache/claims/{}.yaml")


rule check_claims:
    """Published numbers beside those of this run."""
    input:
        metrics=artifacts.METRICS,
    output:
        claims=artifacts.CLAIMS,
    log:
        "logs/check_claims.log",
    params:
        code=code_digest("polysem.report.check_claims"),
        claims=LEDGER_TEXT,
        ledger=outside([LEDGER_TEXT]),
    shell:
        "python -m polysem step check_claims --claims {params.claims} --metrics {input.metrics} "
        "--output {output.claims} --outside {params.ledger:q} --code {params.code} --log {log} > {log} 2>&1"


rule collect_plots:
    """Small tables for `dvc plots`."""
    input:
        [Place(*key).tables_receipt for key in study.dictionaries()],
    output:
        artifacts.plots(study),
    log:
        "logs/collect_plots.log",
    params:
        code=code_digest("polysem.tables.collect_plots"),
        folder=f"{RESULTS}/plots",
        spec=spec_file(dictionaries=["/".join(key) for key in study.dictionaries()]),
    shell:
        "python -m polysem step collect_plots --tables results/tables --output {params.folder} "
        "--config {params.spec} --code {params.code} --log {log} > {log} 2>&1"
