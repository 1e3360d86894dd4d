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
)


rule survey_features:
    """S0.F1-F4, S0.X3, S1.F1-F3, S1.F6, S2.F1-F7, S2.F11-F14: all that a dictionary's activations and weights tell."""
    input:
        dictionary_files,
        tokenizer_files,
        directions=artifacts.DIRECTIONS,
        tokens=ancient(f"{EVAL_TOKENS}.zarr"),
        tokens_receipt=f"{EVAL_TOKENS}.json",
        store=ancient(f"{EVAL}.zarr"),
        receipt=f"{EVAL}.json",
    output:
        [f"{artifacts.TABLE}/{table}.nc" for table in artifacts.FEATURE_TABLES],
    log:
        "logs/survey_features/{model}/{site}/{dictionary}.log",
    benchmark:
        "logs/survey_features/{model}/{site}/{dictionary}.tsv"
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest("polysem.tables.survey_features", *dictionary_modules(wildcards)),
        spec=lambda wildcards: spec(site=wildcards.site, params=analysis(*SURVEYED)),
        dictionary=artifacts.SAE.replace("{sae}", "{dictionary}"),
        folder=artifacts.TABLE,
        tokenizer=lambda wildcards: "".join(f"--tokenizer {file}" for file in tokenizer_files(wildcards)),
    message:
        "Surveying the features of {wildcards.dictionary} at {wildcards.site} of {wildcards.model}"
    shell:
        "python -m polysem.tables.survey_features --activations {input.store} --tokens {input.tokens} "
        "--dictionary {params.dictionary} --directions {input.directions} --output {params.folder} "
        "{params.tokenizer} --config {params.spec:q} {DEVICE} > {log} 2>&1"


rule measure_fidelity:
    """S0.T1, S2.T1: how well the model does with the dictionary's reconstruction in place of the activations."""
    input:
        dictionary_files,
        frequency=f"{artifacts.TABLE}/frequency.nc",
        model=f"{artifacts.MODEL}/model.json",
        tokens=ancient(f"{EVAL_TOKENS}.zarr"),
        tokens_receipt=f"{EVAL_TOKENS}.json",
        store=ancient(f"{EVAL}.zarr"),
        receipt=f"{EVAL}.json",
    output:
        table=f"{artifacts.TABLE}/fidelity.nc",
    log:
        "logs/measure_fidelity/{model}/{site}/{dictionary}.log",
    benchmark:
        "logs/measure_fidelity/{model}/{site}/{dictionary}.tsv"
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest(
            "polysem.tables.measure_fidelity",
            f"polysem.models.{model_kind(wildcards)}",
            *dictionary_modules(wildcards),
        ),
        spec=lambda wildcards: spec(site=wildcards.site, params=analysis("fidelity_tokens", "ultra_low_frequency")),
        model=artifacts.MODEL,
        dictionary=artifacts.SAE.replace("{sae}", "{dictionary}"),
    message:
        "Splicing {wildcards.dictionary} into {wildcards.site} of {wildcards.model}"
    shell:
        "python -m polysem.tables.measure_fidelity --model {params.model} --tokens {input.tokens} "
        "--activations {input.store} --dictionary {params.dictionary} --frequency {input.frequency} "
        "--output {output.table} --config {params.spec:q} {DEVICE} > {log} 2>&1"


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
    message:
        "Measuring {wildcards.model}"
    shell:
        "python -m polysem.tables.measure_model --model {params.model} --train_tokens {input.train} "
        "--eval_tokens {input.eval} --output {output.table} --directions {output.directions} --config {params.spec:q} "
        "{DEVICE} > {log} 2>&1"


rule collect_metrics:
    """All flat numbers of the run, for `dvc metrics diff`."""
    input:
        artifacts.tables(study),
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
            names=artifacts.TABLES,
            toys=["/".join(key) for key in study.known()],
            params=analysis(*THRESHOLDS),
        ),
    message:
        "Collecting metrics"
    shell:
        "python -m polysem.tables.collect_metrics --tables results/tables --output {output.metrics} "
        "--config {params.spec} > {log} 2>&1"


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
        code=code_digest("polysem.tables.check_claims"),
    message:
        "Checking claims"
    shell:
        "python -m polysem.tables.check_claims --claims {input.claims} --metrics {input.metrics} "
        "--output {output.claims} > {log} 2>&1"


rule collect_plots:
    """Small tables for `dvc plots`."""
    input:
        [table for table in artifacts.tables(study) if table.endswith("frequency.nc")],
    output:
        artifacts.plots(study),
    log:
        "logs/collect_plots.log",
    benchmark:
        "logs/collect_plots.tsv"
    params:
        code=code_digest("polysem.tables.collect_plots"),
        spec=spec_file(dictionaries=["/".join(key) for key in study.dictionaries()]),
    message:
        "Collecting plots"
    shell:
        "python -m polysem.tables.collect_plots --tables results/tables --output results/plots "
        "--config {params.spec} > {log} 2>&1"
