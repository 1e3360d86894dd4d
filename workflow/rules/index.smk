# The index of a model's features, from which single ones are read at once and found by their tokens. A job makes the parts
# of dictionaries whose tables are others than before; the others stay, which is why folder and receipt are updated.


def indexed(wildcards):
    """All dictionaries of a model."""
    return [one for one in studied.dictionaries(study) if one.model == wildcards.model]


rule index_features:
    """S4.U1, S4.U2: the rows of every feature side by side, and the tokens that features are about."""
    input:
        lambda wildcards: [one.tables_receipt for one in indexed(wildcards)],
        images_receipt,
        subject=sheet_subject,
    output:
        folder=update(directory(MODEL.index.path)),
        receipt=update(MODEL.index.receipt),
    log:
        "logs/index_features/{model}.log",
    resources:
        **requests.of(MODEL.index.path),
    params:
        code=code_digest("polysem.index.index_features"),
        spec=lambda wildcards: spec_file(
            model=wildcards.model, dictionaries=[[one.site, one.dictionary] for one in indexed(wildcards)]
        ),
        subject=subject_option,
    shell:
        "python -m polysem step index_features --config {params.spec} {params.subject} "
        "--code {params.code} --log {log} > {log} 2>&1"
