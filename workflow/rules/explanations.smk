# What explainers say of features; what it is worth says the table `explanations`.


def explained(wildcards):
    """The tables of the dictionaries whose features are explained: they say which tokens features promote."""
    return [one.tables_receipt for one in tables.places("relatives", place(wildcards))]


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
    benchmark:
        "logs/explain_features/{model}.tsv"
    wildcard_constraints:
        model=names(LANGUAGE),
    params:
        code=code_digest("polysem.explanations.explain_features"),
    shell:
        "python -m polysem step explain_features --model {wildcards.model} --code {params.code} --log {log} > {log} 2>&1"
