# Sparse autoencoders, one job per point of a recipe's grid.


rule train_sae:
    """S1.M1: a sparse autoencoder on the activations of one site."""
    input:
        store=ancient(f"{artifacts.ACTIVATIONS.replace('{split}', 'train')}.zarr"),
        receipt=f"{artifacts.ACTIVATIONS.replace('{split}', 'train')}.json",
    output:
        [f"{artifacts.SAE}/{file}" for file in artifacts.SAE_FILES],
    log:
        "logs/train_sae/{model}/{site}/{sae}.log",
    benchmark:
        "logs/train_sae/{model}/{site}/{sae}.tsv"
    priority: 5
    threads: lambda wildcards: recipe(wildcards.sae).threads
    params:
        code=lambda wildcards: code_digest(
            "polysem.saes.train_sae", f"polysem.saes.architectures.{recipe(wildcards.sae).architecture}"
        ),
        spec=lambda wildcards: spec(
            architecture=recipe(wildcards.sae).architecture, params=recipe(wildcards.sae).hyper_parameters()
        ),
        folder=artifacts.SAE,
    message:
        "Training {wildcards.sae} at {wildcards.site} of {wildcards.model}"
    shell:
        "python -m polysem.saes.train_sae --activations {input.store} --output {params.folder} --code {params.code} "
        "--config {params.spec:q} > {log} 2>&1"
