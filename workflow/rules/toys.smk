# SAEs on activations made of known features.


rule recover_features:
    """S1.X1: how many of the features that activations are made of an SAE finds."""
    output:
        table=known_table("{toy}", "{sae}"),
    log:
        "logs/recover_features/{toy}/{sae}.log",
    benchmark:
        "logs/recover_features/{toy}/{sae}.tsv"
    threads: lambda wildcards: recipe(wildcards.sae).threads
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest("polysem.toys.recover_features", *recipe(wildcards.sae).modules()),
        spec=lambda wildcards: spec(
            toy=study.toys[wildcards.toy].rows(),
            architecture=recipe(wildcards.sae).architecture,
            params=recipe(wildcards.sae).hyper_parameters(),
        ),
        threads=lambda wildcards: recipe(wildcards.sae).threads,
    shell:
        "python -m polysem step recover_features --output {output.table} --config {params.spec:q} {DEVICE} "
        "--threads {params.threads} --code {params.code} --log {log} > {log} 2>&1"
