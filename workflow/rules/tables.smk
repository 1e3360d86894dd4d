# One xarray Dataset per table, for SAEs and for neurons alike; metrics and small plots of them all.

EVAL = artifacts.ACTIVATIONS.replace("{split}", "eval")
EVAL_TOKENS = artifacts.TOKENS.replace("{split}", "eval")
TRAIN_TOKENS = artifacts.TOKENS.replace("{split}", "train")

SURVEYED = (
    "baseline_seed",
    "head_ranks",
    "top_examples",
    "sampled_examples",
    "context_before",
    "context_after",
    "ultra_low_frequency",
    "one_sparse",
    "next_nine",
    "strong_share",
    "strong_examples",
    "cluster_cut",
)


def training_store(wildcards):
    """The training activations of a classifier, by which its dead features are told (S3.T3), and their receipt."""
    if model_kind(wildcards) != "classifier":
        return []
    store = artifacts.ACTIVATIONS.format(model=wildcards.model, site=wildcards.site, split="train")
    return [ancient(f"{store}.zarr"), f"{store}.json"]


rule survey_features:
    """S0.F1-F4, S0.X3, S1.F1-F3, S1.F6, S2.F1-F7, S2.F11-F14, S3.F1-F5: all that a dictionary's activations and weights tell."""
    input:
        dictionary_files,
        tokenizer_files,
        directions=artifacts.DIRECTIONS,
        tokens=ancient(f"{EVAL_TOKENS}.zarr"),
        tokens_receipt=f"{EVAL_TOKENS}.json",
        store=ancient(f"{EVAL}.zarr"),
        receipt=f"{EVAL}.json",
        training=training_store,
    output:
        [f"{artifacts.TABLE}/{table}.nc" for table in artifacts.FEATURE_TABLES],
        receipt=artifacts.SURVEY,
    log:
        "logs/survey_features/{model}/{site}/{dictionary}.log",
    benchmark:
        "logs/survey_features/{model}/{site}/{dictionary}.tsv"
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest("polysem.tables.survey_features", *dictionary_modules(wildcards.dictionary)),
        spec=lambda wildcards: spec(site=wildcards.site, params=analysis(*SURVEYED)),
        dictionary=artifacts.SAE.replace("{sae}", "{dictionary}"),
        folder=artifacts.TABLE,
        tokenizer=lambda wildcards: "".join(f"--tokenizer {file}" for file in tokenizer_files(wildcards)),
        training=lambda wildcards, input: f"--training {input.training[0]}" if input.training else "",
    shell:
        "python -m polysem.tables.survey_features --activations {input.store} --tokens {input.tokens} "
        "--dictionary {params.dictionary} --directions {input.directions} --output {params.folder} "
        "{params.tokenizer} {params.training} --config {params.spec:q} {DEVICE} --code {params.code} --log {log} > {log} 2>&1"


def spliced_files(wildcards):
    """The SAEs of a site, and the tables that say how often their features are active."""
    files = [
        f"{artifacts.TABLE.format(**wildcards, dictionary=dictionary)}/frequency.nc"
        for dictionary in study.dictionaries_of(wildcards.model, wildcards.site)
    ]
    for sae in study.saes_of(wildcards.model, wildcards.site):
        files += [f"{artifacts.SAE.format(**wildcards, sae=sae)}/{file}" for file in artifacts.SAE_FILES]
    return files


def predicted(wildcards):
    """Stores of the eval activations of the sites that the transcoders of a site predict, by site."""
    saes = (study.saes[sae] for sae in study.saes_of(wildcards.model, wildcards.site))
    return {
        target: artifacts.ACTIVATIONS.format(model=wildcards.model, site=target, split="eval") + ".zarr"
        for target in dict.fromkeys(sae.target for sae in saes if sae.target is not None)
    }


def predicted_files(wildcards):
    """These stores and their receipts."""
    stores = predicted(wildcards).values()
    return [*(ancient(store) for store in stores), *(f"{store.removesuffix('.zarr')}.json" for store in stores)]


rule measure_fidelity:
    """S0.T1, S2.T1, S3.T2: how well the model does with the reconstructions of a site's dictionaries in its place."""
    input:
        spliced_files,
        predicted_files,
        model=f"{artifacts.MODEL}/model.json",
        tokens=ancient(f"{EVAL_TOKENS}.zarr"),
        tokens_receipt=f"{EVAL_TOKENS}.json",
        store=ancient(f"{EVAL}.zarr"),
        receipt=f"{EVAL}.json",
    output:
        table=artifacts.FIDELITY,
    log:
        "logs/measure_fidelity/{model}/{site}.log",
    benchmark:
        "logs/measure_fidelity/{model}/{site}.tsv"
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest(
            "polysem.tables.measure_fidelity",
            f"polysem.models.{model_kind(wildcards)}",
            *dictionary_modules(*study.dictionaries_of(wildcards.model, wildcards.site)),
        ),
        spec=lambda wildcards: spec_file(
            dictionaries=study.dictionaries_of(wildcards.model, wildcards.site),
            site=wildcards.site,
            params=analysis("fidelity_tokens", "ultra_low_frequency"),
            **({"targets": targets} if (targets := predicted(wildcards)) else {}),
        ),
        model=artifacts.MODEL,
        saes=artifacts.SAE.removesuffix("/{sae}"),
        tables=artifacts.TABLE.removesuffix("/{dictionary}"),
    shell:
        "python -m polysem.tables.measure_fidelity --model {params.model} --tokens {input.tokens} "
        "--activations {input.store} --saes {params.saes} --tables {params.tables} --output {output.table} "
        "--config {params.spec} {DEVICE} --code {params.code} --log {log} > {log} 2>&1"


@cache
def related(model):
    """The dictionaries of a model whose clusters are held against each other, by site: the neurons and the first SAE of
    each recipe, so that a grid does not crowd out everything else."""
    return {site: [NEURONS, *comparisons.firsts_of_recipes(study, model, site)] for site in study.models[model].sites}


def relations(model):
    """All values that step reads."""
    return {
        "places": {
            site: {
                "activations": artifacts.ACTIVATIONS.format(model=model, site=site, split="eval") + ".zarr",
                "dictionaries": artifacts.SAE.removesuffix("/{sae}").format(model=model, site=site),
                "tables": artifacts.TABLE.removesuffix("/{dictionary}").format(model=model, site=site),
                "names": names,
            }
            for site, names in related(model).items()
        },
        **analysis("context_before"),
    }


def related_files(wildcards):
    """The receipts of stores and tables of all sites, and the weights of the SAEs."""
    files = []
    for site, dictionaries in related(wildcards.model).items():
        store = artifacts.ACTIVATIONS.format(model=wildcards.model, site=site, split="eval")
        files += [ancient(f"{store}.zarr"), f"{store}.json", *artifacts.surveys(wildcards.model, site, dictionaries)]
        for sae in dictionaries[1:]:
            folder = artifacts.SAE.format(model=wildcards.model, site=site, sae=sae)
            files += [f"{folder}/{file}" for file in artifacts.SAE_FILES]
    return files


rule examine_clusters:
    """S3.F2, S3.U1: clusters of other neurons, layers and dictionaries that are alike, and which tokens matter."""
    input:
        related_files,
        model=f"{artifacts.MODEL}/model.json",
        directions=artifacts.DIRECTIONS,
        tokens=ancient(f"{EVAL_TOKENS}.zarr"),
        tokens_receipt=f"{EVAL_TOKENS}.json",
    output:
        table=artifacts.RELATIONS,
    log:
        "logs/examine_clusters/{model}.log",
    benchmark:
        "logs/examine_clusters/{model}.tsv"
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest(
            "polysem.tables.examine_clusters",
            f"polysem.models.{model_kind(wildcards)}",
            "polysem.saes.sae",
            *activation_functions(),
        ),
        spec=lambda wildcards: spec_file(**relations(wildcards.model)),
        model=artifacts.MODEL,
    shell:
        "python -m polysem.tables.examine_clusters --model {params.model} --tokens {input.tokens} "
        "--directions {input.directions} --output {output.table} --config {params.spec} {DEVICE} "
        "--code {params.code} --log {log} > {log} 2>&1"


rule measure_model:
    """The loss of a model, beside those of a unigram and a bigram model of its corpus; the weights around its sites."""
    input:
        model=f"{artifacts.MODEL}/model.json",
        train=ancient(f"{TRAIN_TOKENS}.zarr"),
        train_receipt=f"{TRAIN_TOKENS}.json",
        eval=ancient(f"{EVAL_TOKENS}.zarr"),
        eval_receipt=f"{EVAL_TOKENS}.json",
    output:
        table=artifacts.MODEL_TABLE,
        directions=artifacts.DIRECTIONS,
    log:
        "logs/measure_model/{model}.log",
    benchmark:
        "logs/measure_model/{model}.tsv"
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest("polysem.tables.measure_model", f"polysem.models.{model_kind(wildcards)}"),
        spec=lambda wildcards: spec(sites=list(study.models[wildcards.model].sites)),
        model=artifacts.MODEL,
    shell:
        "python -m polysem.tables.measure_model --model {params.model} --train_tokens {input.train} "
        "--eval_tokens {input.eval} --output {output.table} --directions {output.directions} --config {params.spec:q} "
        "{DEVICE} --code {params.code} --log {log} > {log} 2>&1"


rule collect_metrics:
    """All flat numbers of the run, for `dvc metrics diff`."""
    input:
        artifacts.measured(study),
    output:
        metrics=artifacts.METRICS,
    log:
        "logs/collect_metrics.log",
    benchmark:
        "logs/collect_metrics.tsv"
    params:
        code=code_digest("polysem.tables.collect_metrics"),
        spec=spec_file(
            dictionaries=["/".join(key) for key in study.dictionaries()],
            models=list(study.models),
            names=artifacts.FEATURE_TABLES,
            toys=["/".join(key) for key in study.known()],
            comparisons=["/".join(key) for key in study.sites()],
            params=analysis(*THRESHOLDS),
        ),
    shell:
        "python -m polysem.tables.collect_metrics --tables results/tables --output {output.metrics} "
        "--config {params.spec} --code {params.code} --log {log} > {log} 2>&1"


rule check_claims:
    """Published numbers beside those of this run."""
    input:
        claims=artifacts.LEDGER,
        metrics=artifacts.METRICS,
    output:
        claims=artifacts.CLAIMS,
    log:
        "logs/check_claims.log",
    benchmark:
        "logs/check_claims.tsv"
    params:
        code=code_digest("polysem.report.check_claims"),
        ledger=outside([artifacts.LEDGER]),
    shell:
        "python -m polysem.report.check_claims --claims {input.claims} --metrics {input.metrics} "
        "--output {output.claims} --outside {params.ledger:q} --code {params.code} --log {log} > {log} 2>&1"


rule collect_plots:
    """Small tables for `dvc plots`."""
    input:
        [table for table in artifacts.measured(study) if table.endswith(artifacts.TABLES_RECEIPT)],
    output:
        artifacts.plots(study),
    log:
        "logs/collect_plots.log",
    benchmark:
        "logs/collect_plots.tsv"
    params:
        code=code_digest("polysem.tables.collect_plots"),
        folder=artifacts.PLOT_FOLDER,
        spec=spec_file(dictionaries=["/".join(key) for key in study.dictionaries()]),
    shell:
        "python -m polysem.tables.collect_plots --tables results/tables --output {params.folder} "
        "--config {params.spec} --code {params.code} --log {log} > {log} 2>&1"


@cache
def comparison(model, site):
    """What is compared at a site, and where the files of all sites are that take part."""
    chosen = comparisons.pairs(study, model, site)
    keys = [(model, site), *((pair.model, pair.site) for pair in chosen)]
    text = study.models[model].source != "classifier"
    return {
        "model": model,
        "site": site,
        "pairs": [pair.values() for pair in chosen],
        "sizes": comparisons.sizes(study, model, site),
        "places": {
            f"{of}/{at}": {
                "activations": artifacts.ACTIVATIONS.format(model=of, site=at, split="eval") + ".zarr",
                "tokens": artifacts.TOKENS.format(model=of, split="eval") + ".zarr",
                "directions": artifacts.DIRECTIONS.format(model=of),
                "dictionaries": artifacts.SAE.removesuffix("/{sae}").format(model=of, site=at),
                "tables": artifacts.TABLE.removesuffix("/{dictionary}").format(model=of, site=at),
            }
            for of, at in dict.fromkeys(keys)
        },
        "tokenizer": f"{artifacts.MODEL.format(model=model)}/tokenizer.json" if text else None,
        "params": analysis("baseline_seed", "comparison_tokens", "split_cosine", "ultra_low_frequency"),
    }


def compared_files(wildcards):
    """The files of all that takes part: stores and their receipts, weights, and the tables of the site's own SAEs."""
    values = comparison(wildcards.model, wildcards.site)
    files = [values["tokenizer"]] if values["tokenizer"] else []
    for place in values["places"].values():
        for store in (place["activations"], place["tokens"]):
            files += [ancient(store), f"{store.removesuffix('.zarr')}.json"]
        files.append(place["directions"])
    ours = study.saes_of(wildcards.model, wildcards.site)
    dictionaries = [(wildcards.model, wildcards.site, sae) for sae in ours]
    dictionaries += [
        (pair["model"], pair["site"], pair["other"]) for pair in values["pairs"] if pair["other"] != NEURONS
    ]
    for model, site, sae in dict.fromkeys(dictionaries):
        folder = artifacts.SAE.format(model=model, site=site, sae=sae)
        files += [f"{folder}/{file}" for file in artifacts.SAE_FILES]
    return files + artifacts.surveys(wildcards.model, wildcards.site, ours)


rule compare_dictionaries:
    """S0.X1, S1.F7, S1.F8, S2.F8, S2.F9: the dictionaries of a site against each other and those of other sites."""
    input:
        compared_files,
    output:
        table=artifacts.COMPARISON,
    log:
        "logs/compare_dictionaries/{model}/{site}.log",
    benchmark:
        "logs/compare_dictionaries/{model}/{site}.tsv"
    resources:
        gpu=GPU,
    params:
        code=code_digest("polysem.tables.compare_dictionaries", "polysem.saes.sae", *activation_functions()),
        spec=lambda wildcards: spec_file(**comparison(**wildcards)),
    shell:
        "python -m polysem.tables.compare_dictionaries --output {output.table} --config {params.spec} {DEVICE} "
        "--code {params.code} --log {log} > {log} 2>&1"
