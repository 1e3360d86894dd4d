# Text and images, with a train and an eval split.


rule make_corpus:
    """Documents of one corpus."""
    output:
        documents=corpus("{corpus}"),
    log:
        "logs/make_corpus/{corpus}.log",
    resources:
        **requests.of(corpus("{corpus}")),
    params:
        code=lambda wildcards: code_digest("polysem.corpora.make_corpus", *study.corpora[wildcards.corpus].modules()),
        spec=lambda wildcards: spec(
            source=study.corpora[wildcards.corpus].source, params=study.corpora[wildcards.corpus].values()
        ),
        content=lambda wildcards: outside_content(study.corpora[wildcards.corpus]),
    shell:
        "python -m polysem step make_corpus --output {output.documents} --config {params.spec:q} "
        "--outside {params.content:q} --code {params.code} --log {log} > {log} 2>&1"
