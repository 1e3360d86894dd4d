# What explainers say of features; what it is worth says the table `explanations`.


def explained(wildcards):
    """The tables of the dictionaries whose features are explained: they say which tokens features promote."""
    return [one.tables_receipt for one in tables.places("relatives", place(wildcards))]


def asked(wildcards):
    """The language models that explain features of a model, too."""
    return {name: one for name, one in study.explainers.items() if one.explains(wildcards.model)}


rule explain_features:
    """S1.F10: features explained by the examples that are shown, not by those that test explanations."""
    input:
        explained,
        ancient(MODEL.tokens("eval").store),
        MODEL.tokens("eval").receipt,
        MODEL.tokenizer,
        examples=MODEL.table_receipt("explained_examples"),
    output:
        explanations=MODEL.explanations,
    log:
        "logs/explain_features/{model}.log",
    wildcard_constraints:
        model=names(LANGUAGE),
    resources:
        **requests.of(MODEL.explanations),
    params:
        code=lambda wildcards: code_digest(
            "polysem.explanations.explain_features",
            *dict.fromkeys(module for one in asked(wildcards).values() for module in one.modules()),
        ),
        spec=lambda wildcards: spec(explainers={name: one.values() for name, one in asked(wildcards).items()}),
        content=lambda wildcards: outside([path for one in asked(wildcards).values() for path in one.outside_files()]),
    shell:
        "python -m polysem step explain_features --model {wildcards.model} --config {params.spec:q} "
        "--outside {params.content:q} --code {params.code} --log {log} > {log} 2>&1"
