"""The study that campaigns run: images, a classifier and an SAE, half a minute on two cores."""

from pathlib import Path

from repository import Repository, plant

PARAMS = """corpora:
  digits: {source: images, images: digits}
models:
  digits:
    source: classifier
    corpus: digits
    hidden: [32]
    training: {tokens: 6000, batch_tokens: 64, weight_decay: 0.01}
saes:
  topk-x2: {architecture: topk, k: 8, expansion: 2, tokens: 4096, batch_size: 256}

analysis:
  fidelity_tokens: 512
"""


def finished(folder: Path) -> Repository:
    """A repository in which the study has run, committed to git."""
    repository = plant(folder, PARAMS)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.snakemake("--quiet", "all")
    repository.commit("Small study")
    return repository
