# Sparse autoencoders, one job per point of a recipe's grid.


def rows(wildcards):
    """Where the rows of a training come from, by the names that `polysem.saes.sources` knows."""
    if recipe(wildcards.sae).activations == "stored":
        return {"store": artifacts.ACTIVATIONS.format(**wildcards, split="train") + ".zarr"}
    return {
        "model": artifacts.MODEL.format(**wildcards),
        "tokens": artifacts.TOKENS.format(**wildcards, split="train") + ".zarr",
        "site": wildcards.site,
        "dtype": study.models[wildcards.model].activations.dtype,
    }


def row_files(wildcards):
    """The files of those rows: receipts count by content, stores are left to them."""
    where = rows(wildcards)
    store = where.get("store", where.get("tokens"))
    model = [f"{where['model']}/model.json"] if "model" in where else []
    return [ancient(store), f"{store.removesuffix('.zarr')}.json", *model]


def row_modules(wildcards):
    """The modules that a training finds by name to get its rows."""
    source = recipe(wildcards.sae).activations
    models = [f"polysem.models.{model_kind(wildcards)}"] if source == "streamed" else []
    return [f"polysem.saes.sources.{source}", *models]


def avoided(wildcards):
    """The SAE whose ultra-low direction a training is kept away from, and the table of its frequencies; or nothing."""
    other = recipe(wildcards.sae).orthogonal_to
    if other is None:
        return {}
    place = {"model": wildcards.model, "site": wildcards.site}
    return {
        "folder": artifacts.SAE.format(**place, sae=other),
        "table": f"{artifacts.TABLE.format(**place, dictionary=other)}/frequency.nc",
    }


def avoided_files(wildcards):
    """The files of that SAE."""
    found = avoided(wildcards)
    return (
        [f"{found['folder']}/cfg.json", f"{found['folder']}/sae_weights.safetensors", found["table"]] if found else []
    )


def training(wildcards):
    """All values that a training reads."""
    values = {"architecture": recipe(wildcards.sae).architecture, "params": recipe(wildcards.sae).hyper_parameters()}
    values["rows"] = rows(wildcards)
    if found := avoided(wildcards):
        values |= {"avoided": found} | analysis("ultra_low_frequency")
    return values


rule train_sae:
    """S1.M1: a sparse autoencoder on the activations of one site."""
    input:
        row_files,
        avoided_files,
    output:
        [f"{artifacts.SAE}/{file}" for file in artifacts.SAE_FILES],
    log:
        "logs/train_sae/{model}/{site}/{sae}.log",
    benchmark:
        "logs/train_sae/{model}/{site}/{sae}.tsv"
    priority: 5
    threads: lambda wildcards: recipe(wildcards.sae).threads
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest(
            "polysem.saes.train_sae",
            f"polysem.saes.architectures.{recipe(wildcards.sae).architecture}",
            *row_modules(wildcards),
        ),
        spec=lambda wildcards: spec(**training(wildcards)),
        folder=artifacts.SAE,
    message:
        "Training {wildcards.sae} at {wildcards.site} of {wildcards.model}"
    shell:
        "python -m polysem.saes.train_sae --output {params.folder} --code {params.code} --config {params.spec:q} "
        "{DEVICE} > {log} 2>&1"
