# Sparse autoencoders: one job per point of a recipe's grid, and one per SAE that somebody else trained.


def rows(wildcards):
    """Where the rows of a training come from, by the names that `polysem.saes.sources` knows."""
    target = recipe(wildcards.sae).target
    if recipe(wildcards.sae).activations == "stored":
        sites = {"store": wildcards.site} | ({} if target is None else {"target": target})
        return {
            name: artifacts.ACTIVATIONS.format(model=wildcards.model, site=site, split="train") + ".zarr"
            for name, site in sites.items()
        }
    return {
        "model": artifacts.MODEL.format(**wildcards),
        "tokens": artifacts.TOKENS.format(**wildcards, split="train") + ".zarr",
        "site": wildcards.site,
        "dtype": study.models[wildcards.model].activations.dtype,
    }


def row_files(wildcards):
    """The files of those rows: receipts count by content, stores are left to them."""
    where = rows(wildcards)
    stores = [where[name] for name in ("store", "target", "tokens") if name in where]
    model = [f"{where['model']}/model.json"] if "model" in where else []
    return [
        *(ancient(store) for store in stores),
        *(f"{store.removesuffix('.zarr')}.json" for store in stores),
        *model,
    ]


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
    shell:
        "python -m polysem.saes.train_sae --output {params.folder} --config {params.spec:q} {DEVICE} "
        "--code {params.code} --log {log} > {log} 2>&1"


def target_receipt(wildcards):
    """The receipt of the activations that an imported transcoder predicts; nothing for an SAE."""
    target = recipe(wildcards.sae).target
    if target is None:
        return []
    return f"{artifacts.ACTIVATIONS.format(model=wildcards.model, site=target, split='eval')}.json"


rule import_sae:
    """An SAE that somebody else trained, in the form of those that are trained here."""
    input:
        receipt=f"{artifacts.ACTIVATIONS.replace('{split}', 'eval')}.json",
        target=target_receipt,
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
        target=lambda wildcards, input: f"--target_receipt {input.target}" if input.target else "",
    shell:
        "python -m polysem.saes.import_sae --receipt {input.receipt} --output {params.folder} {params.target} "
        "--config {params.spec:q} --outside {params.content:q} --code {params.code} --log {log} > {log} 2>&1"
