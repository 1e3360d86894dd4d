# Sparse autoencoders: one job per point of a recipe's grid, and one per SAE that somebody else trained.


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
    place = avoided_place(wildcards)
    return {} if place is None else {"folder": place.sae.path, "table": place.table("frequency")}


def avoided_place(wildcards):
    """Where that SAE stands; or None."""
    other = recipe(wildcards.sae).orthogonal_to
    return None if other is None else Place(wildcards.model, wildcards.site, other)


def avoided_files(wildcards):
    """The files of that SAE, and the receipt of its tables."""
    place = avoided_place(wildcards)
    if place is None:
        return []
    return [*(place.sae.file(file) for file in artifacts.SAE_FILES), place.tables_receipt]


def avoided_modules(wildcards):
    """The modules that a training finds by name to read it."""
    other = recipe(wildcards.sae).orthogonal_to
    return dictionary_modules(other) if other is not None else []


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
        [f"{artifacts.SAE}/{file}" for file in artifacts.TRAINED_SAE_FILES],
    log:
        "logs/train_sae/{model}/{site}/{sae}.log",
    benchmark:
        "logs/train_sae/{model}/{site}/{sae}.tsv"
    wildcard_constraints:
        sae=sae_ids([sae for sae in study.saes.values() if sae.trained]),
    priority: 5
    threads: lambda wildcards: recipe(wildcards.sae).threads
    resources:
        gpu=GPU,
    params:
        code=lambda wildcards: code_digest(
            "polysem.saes.train_sae",
            f"polysem.saes.architectures.{recipe(wildcards.sae).architecture}",
            *row_modules(wildcards),
            *avoided_modules(wildcards),
        ),
        spec=lambda wildcards: spec(**training(wildcards)),
        folder=artifacts.SAE,
        threads=lambda wildcards: recipe(wildcards.sae).threads,
    shell:
        "python -m polysem step train_sae --output {params.folder} --config {params.spec:q} {DEVICE} "
        "--threads {params.threads} --code {params.code} --log {log} > {log} 2>&1"


rule import_sae:
    """An SAE that somebody else trained, in the form of those that are trained here."""
    input:
        receipt=f"{artifacts.ACTIVATIONS.replace('{split}', 'eval')}.json",
    output:
        [f"{artifacts.SAE}/{file}" for file in artifacts.SAE_FILES],
    log:
        "logs/import_sae/{model}/{site}/{sae}.log",
    benchmark:
        "logs/import_sae/{model}/{site}/{sae}.tsv"
    wildcard_constraints:
        sae=sae_ids([sae for sae in study.saes.values() if sae.imported]),
    params:
        code=lambda wildcards: code_digest(
            "polysem.saes.import_sae",
            f"polysem.saes.formats.{recipe(wildcards.sae).format}",
            *activation_functions(),
        ),
        spec=lambda wildcards: spec(params=recipe(wildcards.sae).values() | {"models": [wildcards.model]}),
        content=lambda wildcards: outside_content(recipe(wildcards.sae)),
        folder=artifacts.SAE,
    shell:
        "python -m polysem step import_sae --receipt {input.receipt} --output {params.folder} "
        "--config {params.spec:q} --outside {params.content:q} --code {params.code} --log {log} > {log} 2>&1"
