# Activations of every site, as Zarr stores.


def turn(model, split):
    """Of a model and a split, one job runs at a time on one machine: the first makes the stores of all others, too."""
    return lambda wildcards: int((wildcards.model, wildcards.split) == (model, split))


STORED = Counter((site.model, split) for site, split in artifacts.activation_splits(study))
SHARED = [each for each, stores in STORED.items() if stores > 1]
# Numbers and no names: a node takes a resource only if it is called as a variable can be.
TURNS = {} if workflow.output_settings.dryrun else {f"turn_{n}": turn(*each) for n, each in enumerate(SHARED)}


rule extract_activations:
    """The activations of one site on one split."""
    input:
        model=MODEL.record,
        tokens=ancient(MODEL.tokens("{split}").store),
        tokens_receipt=MODEL.tokens("{split}").receipt,
        train_tokens=ancient(MODEL.tokens("train").store),
        train_tokens_receipt=MODEL.tokens("train").receipt,
    output:
        store=directory(SITE.activations("{split}").store),
        receipt=SITE.activations("{split}").receipt,
    log:
        "logs/extract_activations/{model}/{site}/{split}.log",
    resources:
        **requests.of(SITE.activations("{split}").store, MODEL.tokens("{split}").store, MODEL.record, card=True),
        **TURNS,
    params:
        code=lambda wildcards: code_digest(
            "polysem.activations.extract_activations", *study.every_model[wildcards.model].modules()
        ),
        spec=lambda wildcards: spec(
            site=wildcards.site,
            limit=getattr(study.every_model[wildcards.model].activations, f"{wildcards.split}_tokens"),
            dtype=study.every_model[wildcards.model].activations.dtype,
            inputs=wildcards.split == "eval",
            leave_out=study.every_model[wildcards.model].activations.leave_out,
        ),
        model=MODEL.weights.path,
        waiting=extractions.LIST,
    shell:
        "python -m polysem step extract_activations --model {params.model} --tokens {input.tokens} "
        "--train_tokens {input.train_tokens} --waiting {params.waiting} "
        "--output {output.store} --config {params.spec:q} {DEVICE} --code {params.code} --log {log} > {log} 2>&1"
