# Models, their tokenizers and the sequences that they read.

LANGUAGE = models_of("trained", "transformers", "transformer_lens")
IMPORTED = models_of("transformers", "transformer_lens")
CONTROL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


rule train_tokenizer:
    """A byte-level BPE for a model that is trained here."""
    input:
        documents=lambda wildcards: corpus(study.models[wildcards.model].corpus),
    output:
        tokenizer=MODEL.tokenizer,
    log:
        "logs/train_tokenizer/{model}.log",
    wildcard_constraints:
        model=names(models_of("trained")),
    resources:
        **requests.of(MODEL.tokenizer),
    params:
        code=code_digest("polysem.models.train_tokenizer"),
        spec=lambda wildcards: spec(
            vocabulary=study.models[wildcards.model].architecture.vocabulary,
            bos_token=study.models[wildcards.model].bos_token,
        ),
    shell:
        "python -m polysem step train_tokenizer --corpus {input.documents} --output {output.tokenizer} "
        "--config {params.spec:q} --code {params.code} --log {log} > {log} 2>&1"


rule tokenize_corpus:
    """The sequences that a language model reads."""
    input:
        documents=lambda wildcards: corpus(study.models[wildcards.model].corpus),
        tokenizer=MODEL.tokenizer,
    output:
        store=directory(MODEL.tokens("{split}").store),
        receipt=MODEL.tokens("{split}").receipt,
    log:
        "logs/tokenize_corpus/{model}/{split}.log",
    wildcard_constraints:
        model=names(LANGUAGE),
    resources:
        **requests.of(MODEL.tokens("{split}").store),
    params:
        code=code_digest("polysem.models.tokenize_corpus"),
        spec=lambda wildcards: spec(params=tokenization(wildcards)),
    shell:
        "python -m polysem step tokenize_corpus --corpus {input.documents} --tokenizer {input.tokenizer} "
        "--output {output.store} --split {wildcards.split} --config {params.spec:q} --code {params.code} --log {log} > {log} 2>&1"


rule store_images:
    """The images that a classifier reads."""
    input:
        documents=lambda wildcards: corpus(study.models[wildcards.model].corpus),
    output:
        store=directory(MODEL.tokens("{split}").store),
        receipt=MODEL.tokens("{split}").receipt,
    log:
        "logs/store_images/{model}/{split}.log",
    wildcard_constraints:
        model=names(models_of("classifier")),
    resources:
        **requests.of(MODEL.tokens("{split}").store),
    params:
        code=code_digest("polysem.models.store_images"),
    shell:
        "python -m polysem step store_images --corpus {input.documents} --output {output.store} "
        "--split {wildcards.split} --code {params.code} --log {log} > {log} 2>&1"


rule train_model:
    """A language model trained on its corpus."""
    input:
        store=ancient(MODEL.tokens("train").store),
        receipt=MODEL.tokens("train").receipt,
    output:
        config=MODEL.weights.file("config.json"),
        weights=MODEL.weights.file("model.safetensors"),
    log:
        "logs/train_model/{model}.log",
    wildcard_constraints:
        model=names(models_of("trained")),
    priority: 10
    threads: lambda wildcards: study.models[wildcards.model].training.threads
    resources:
        **requests.of(MODEL.record, MODEL.tokens("train").store, card=True),
    params:
        code=code_digest("polysem.training.train_model"),
        spec=lambda wildcards: spec(
            architecture=study.models[wildcards.model].architecture.values(),
            training=study.models[wildcards.model].training.values(),
            context_length=study.models[wildcards.model].context_length,
        ),
        folder=MODEL.weights.path,
        threads=lambda wildcards: study.models[wildcards.model].training.threads,
    shell:
        "python -m polysem step train_model --tokens {input.store} --folder {params.folder} "
        "--config {params.spec:q} {DEVICE} --threads {params.threads} --code {params.code} --log {log} > {log} 2>&1"


rule train_classifier:
    """An image classifier trained on its corpus."""
    input:
        store=ancient(MODEL.tokens("train").store),
        receipt=MODEL.tokens("train").receipt,
    output:
        config=MODEL.weights.file("config.json"),
        weights=MODEL.weights.file("model.safetensors"),
    log:
        "logs/train_classifier/{model}.log",
    wildcard_constraints:
        model=names([name for name in models_of("classifier") if study.models[name].weights is None]),
    threads: lambda wildcards: study.models[wildcards.model].training.threads
    resources:
        **requests.of(MODEL.record, MODEL.tokens("train").store, card=True),
    params:
        code=code_digest("polysem.training.train_classifier"),
        spec=lambda wildcards: spec(
            hidden=study.models[wildcards.model].hidden,
            activation=study.models[wildcards.model].activation,
            training=study.models[wildcards.model].training.values(),
        ),
        folder=MODEL.weights.path,
        threads=lambda wildcards: study.models[wildcards.model].training.threads,
    shell:
        "python -m polysem step train_classifier --tokens {input.store} --folder {params.folder} "
        "--config {params.spec:q} {DEVICE} --threads {params.threads} --code {params.code} --log {log} > {log} 2>&1"


rule import_classifier:
    """An image classifier that somebody else trained."""
    output:
        config=MODEL.weights.file("config.json"),
        weights=MODEL.weights.file("model.safetensors"),
    log:
        "logs/import_classifier/{model}.log",
    wildcard_constraints:
        model=names([name for name in models_of("classifier") if study.models[name].weights is not None]),
    resources:
        **requests.of(MODEL.record),
    params:
        code=code_digest("polysem.models.import_classifier"),
        spec=lambda wildcards: spec(
            **{
                key: getattr(study.models[wildcards.model], key)
                for key in ("weights", "hidden", "activation", "input_mean", "input_std")
            }
        ),
        content=lambda wildcards: outside_content(study.models[wildcards.model]),
        folder=MODEL.weights.path,
    shell:
        "python -m polysem step import_classifier --folder {params.folder} --config {params.spec:q} "
        "--outside {params.content:q} --code {params.code} --log {log} > {log} 2>&1"


rule import_model:
    """A model of the hub, or a local copy of one."""
    output:
        config=MODEL.weights.file("config.json"),
        weights=MODEL.weights.file("model.safetensors"),
        tokenizer=MODEL.tokenizer,
        origin=MODEL.weights.file("origin.json"),
    log:
        "logs/import_model/{model}.log",
    wildcard_constraints:
        model=names(IMPORTED),
    resources:
        **requests.of(MODEL.record),
    params:
        code=lambda wildcards: code_digest("polysem.models.import_model", study.models[wildcards.model].reader),
        spec=lambda wildcards: spec(
            source=study.models[wildcards.model].form, params=study.models[wildcards.model].origin()
        ),
        content=lambda wildcards: outside_content(study.models[wildcards.model]),
        folder=MODEL.weights.path,
    shell:
        "python -m polysem step import_model --folder {params.folder} --config {params.spec:q} "
        "--outside {params.content:q} --code {params.code} --log {log} > {log} 2>&1"


def origin(wildcards):
    """What `model.json` says of where a model comes from, beside what its `origin.json` does."""
    model = study.every_model[wildcards.model]
    beside = {"of": model.of, "seed": model.seed} if wildcards.model in study.controls else {}
    return {"source": model.source, **beside}


def original(wildcards):
    """The model that a control is of."""
    return Place(study.original(wildcards.model))


rule randomise_model:
    """A random-model control: a model with the entries of each weight tensor in random order."""
    input:
        lambda wildcards: [original(wildcards).weights.file(name) for name in CONTROL_FILES],
    output:
        [MODEL.weights.file(name) for name in CONTROL_FILES],
    log:
        "logs/randomise_model/{model}.log",
    wildcard_constraints:
        model=names(study.controls),
    resources:
        **requests.of(MODEL.record),
    params:
        code=code_digest("polysem.models.randomise_model"),
        spec=lambda wildcards: spec(seed=study.controls[wildcards.model].seed),
        model=lambda wildcards: original(wildcards).weights.path,
        folder=MODEL.weights.path,
    shell:
        "python -m polysem step randomise_model --model {params.model} --folder {params.folder} "
        "--config {params.spec:q} --code {params.code} --log {log} > {log} 2>&1"


rule copy_tokens:
    """The sequences that a control reads: those of its model."""
    input:
        store=lambda wildcards: ancient(original(wildcards).tokens(wildcards.split).store),
        receipt=lambda wildcards: original(wildcards).tokens(wildcards.split).receipt,
    output:
        store=directory(MODEL.tokens("{split}").store),
        receipt=MODEL.tokens("{split}").receipt,
    log:
        "logs/copy_tokens/{model}/{split}.log",
    wildcard_constraints:
        model=names(study.controls),
    params:
        code=code_digest("polysem.models.copy_tokens"),
    shell:
        "python -m polysem step copy_tokens --store {input.store} --output {output.store} "
        "--code {params.code} --log {log} > {log} 2>&1"


rule record_model:
    """What a model folder holds, and the settings that the model is studied under."""
    input:
        lambda wildcards: [
            place(wildcards).weights.file(name)
            for name in artifacts.model_files(study.every_model[wildcards.model])
            if name != "model.json"
        ],
    output:
        record=MODEL.record,
    log:
        "logs/record_model/{model}.log",
    params:
        code=code_digest("polysem.models.record_model"),
        spec=lambda wildcards: spec(
            kind="classifier" if study.every_model[wildcards.model].source == "classifier" else "language",
            settings=settings(wildcards),
            origin=origin(wildcards),
        ),
        folder=MODEL.weights.path,
    shell:
        "python -m polysem step record_model --folder {params.folder} --config {params.spec:q} "
        "--code {params.code} --log {log} > {log} 2>&1"
