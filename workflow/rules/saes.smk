# Sparse autoencoders: one job per point of a recipe's grid, and one per SAE that somebody else trained.

from polysem.params.recipes.pretrained import FORMATS


def rows(wildcards):
    """Where the rows of a training come from, by the names that `polysem.saes.sources` knows."""
    here, target = place(wildcards), recipe(wildcards.sae).target
    if recipe(wildcards.sae).activations == "stored":
        predicted = {} if target is None else {"target": here.at(target).activations("train").store}
        return {"store": here.activations("train").store} | predicted
    return {
        "model": here.weights.path,
        "tokens": here.tokens("train").store,
        "site": wildcards.site,
        "dtype": study.every_model[wildcards.model].activations.dtype,
        "leave_out": study.every_model[wildcards.model].activations.leave_out,
    }


def row_files(wildcards):
    """The files of those rows: receipts count by content, stores are left to them."""
    here, target = place(wildcards), recipe(wildcards.sae).target
    if recipe(wildcards.sae).activations == "streamed":
        read = here.tokens("train")
        return [ancient(read.store), read.receipt, here.record]
    stores = [here.activations("train"), *([] if target is None else [here.at(target).activations("train")])]
    return [*(ancient(read.store) for read in stores), *(read.receipt for read in stores)]


def row_modules(wildcards):
    """The modules that a training finds by name to get its rows."""
    source = recipe(wildcards.sae).activations
    models = study.every_model[wildcards.model].modules() if source == "streamed" else []
    return [f"polysem.saes.sources.{source}", *models]


def avoided(wildcards):
    """The SAE whose ultra-low direction a training is kept away from, by the table of its frequencies; or None."""
    name = recipe(wildcards.sae).orthogonal_to
    return None if name is None else place(wildcards).of(name)


def avoided_files(wildcards):
    """The files of that SAE, and the receipt of its tables."""
    other = avoided(wildcards)
    return [] if other is None else [*artifacts.sae_files(other), other.tables_receipt]


def avoided_modules(wildcards):
    """The modules that a training finds by name to read it."""
    other = recipe(wildcards.sae).orthogonal_to
    return tables.modules_of_weights(other) if other is not None else []


def training(wildcards):
    """All values that a training reads."""
    values = {"architecture": recipe(wildcards.sae).architecture, "params": recipe(wildcards.sae).hyper_parameters()}
    values["rows"] = rows(wildcards)
    if other := avoided(wildcards):
        read = {"folder": other.sae.path, "table": other.table("frequency")}
        values |= {"avoided": read} | analysis("ultra_low_frequency")
    return values


rule train_sae:
    """S1.M1: a sparse autoencoder on the activations of one site."""
    input:
        row_files,
        avoided_files,
    output:
        artifacts.sae_files(SAE, artifacts.TRAINED_SAE_FILES),
    log:
        "logs/train_sae/{model}/{site}/{sae}.log",
    wildcard_constraints:
        sae=sae_ids([sae for sae in study.saes.values() if sae.trained]),
    priority: 5
    threads: lambda wildcards: recipe(wildcards.sae).threads
    resources:
        **requests.of(SAE.sae.file("cfg.json"), SITE.activations("train").store, card=True),
    params:
        code=lambda wildcards: code_digest(
            "polysem.saes.train_sae",
            *recipe(wildcards.sae).modules(),
            *row_modules(wildcards),
            *avoided_modules(wildcards),
        ),
        spec=lambda wildcards: spec(**training(wildcards)),
        folder=SAE.sae.path,
        threads=lambda wildcards: recipe(wildcards.sae).threads,
    shell:
        "python -m polysem step train_sae --output {params.folder} --config {params.spec:q} {DEVICE} "
        "--threads {params.threads} --code {params.code} --log {log} > {log} 2>&1"


def target_receipt(wildcards):
    """The receipt of the activations that an imported transcoder predicts; nothing for an SAE."""
    target = recipe(wildcards.sae).target
    return [] if target is None else place(wildcards).at(target).activations("eval").receipt


rule import_sae:
    """An SAE that somebody else trained, in the form of those that are trained here."""
    input:
        receipt=SITE.activations("eval").receipt,
        target=target_receipt,
    output:
        artifacts.sae_files(SAE),
    log:
        "logs/import_sae/{model}/{site}/{sae}.log",
    wildcard_constraints:
        sae=sae_ids([sae for sae in study.saes.values() if sae.imported]),
    resources:
        **requests.of(SAE.sae.file("cfg.json")),
    params:
        code=lambda wildcards: code_digest(
            "polysem.saes.import_sae",
            *recipe(wildcards.sae).modules(),
            *modules_of("polysem.saes.activation_functions").values(),  # it is read which one theirs has
        ),
        spec=lambda wildcards: spec(params=recipe(wildcards.sae).values() | {"models": [wildcards.model]}),
        content=lambda wildcards: outside_content(recipe(wildcards.sae)),
        folder=SAE.sae.path,
        target=lambda wildcards, input: f"--target_receipt {input.target}" if input.target else "",
    shell:
        "python -m polysem step import_sae --receipt {input.receipt} --output {params.folder} {params.target} "
        "--config {params.spec:q} --outside {params.content:q} --code {params.code} --log {log} > {log} 2>&1"
