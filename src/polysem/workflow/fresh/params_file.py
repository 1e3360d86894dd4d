"""The params file of a fresh study, as text with comments: small enough for minutes on a laptop."""

import json

from polysem.params.names import TAKEN
from polysem.workflow.fresh.answers import Answers, Corpus, Model
from polysem.workflow.fresh.texts import reading_lines

SCHEMA = "params.schema.json"
CONTEXT = 128
"""Tokens of a sequence, where the model takes so many."""


def params_text(answers: Answers) -> str:
    """A params file of one corpus, one model and two SAE recipes."""
    corpus = _free(answers.corpus.name)
    model = f"{corpus}-1l" if answers.model.is_trained else _free(answers.model.name)
    of_model = _trained(answers, corpus) if answers.model.is_trained else _imported(answers, corpus)
    return "\n".join(
        [
            f"# yaml-language-server: $schema={SCHEMA}",
            "# What to study. A run of these sizes takes minutes: raise tokens for better SAEs; `polysem plan` says",
            "# what that takes. A list in a recipe spans a grid, as k: [8, 16, 32].",
            "",
            "corpora:",
            f"  {corpus}:",
            *_corpus(answers.corpus, answers.model),
            "",
            "models:",
            f"  {model}:",
            *of_model,
            "",
            "saes: # at every site above, beside its neurons",
            *_recipes(answers.model),
            "",
            "analysis:",
            "  fidelity_tokens: 4096 # on which the loss is measured with an SAE in the model",
            "",
        ]
    )


def _free(name: str) -> str:
    """A name that is not one of those that mean something else."""
    return f"{name}-1" if name.casefold() in TAKEN else name


def _corpus(corpus: Corpus, model: Model) -> list[str]:
    if corpus.dataset:
        return [
            "    source: huggingface",
            f"    dataset: {corpus.dataset}",
            "    revision: main # a commit makes the run reproducible",
            "    limit: 4000 # documents; a tenth of them is set aside for eval",
        ]
    if corpus.paths:
        return [
            "    source: files",
            f"    paths: {json.dumps(corpus.paths, ensure_ascii=False)}",
            *reading_lines(corpus.paths),
            "    eval_share: 0.1 # of the documents",
        ]
    documents = (6000, 600) if model.is_trained else (1500, 400)
    return [
        "    source: generated # stories of polysem's own grammar; the truth about every token is known",
        f"    train_documents: {documents[0]}",
        f"    eval_documents: {documents[1]}",
    ]


def _trained(answers: Answers, corpus: str) -> list[str]:
    return [
        "    source: trained # in the run, on the corpus",
        f"    corpus: {corpus}",
        f"    sites: [{', '.join(answers.sites)}]",
        "    architecture: {layers: 1, d_model: 64, heads: 4, d_mlp: 256, activation: relu, vocabulary: 1024}",
        "    training: {tokens: 800000, batch_tokens: 2048, learning_rate: 5e-3}",
        "    activations: {train_tokens: 150000, eval_tokens: 40000}",
    ]


def _imported(answers: Answers, corpus: str) -> list[str]:
    model = answers.model
    origin = [f"    repository: {model.repository}", "    revision: main # a commit makes the run reproducible"]
    if model.path:
        copy = json.dumps(model.path, ensure_ascii=False)
        origin = [
            f"    repository: local/{model.name} # what it is called; nothing is downloaded",
            f"    local_copy: {copy}",
        ]
    return [
        "    source: transformers",
        *origin,
        f"    corpus: {corpus}",
        f"    sites: [{', '.join(answers.sites)}]",
        f"    context_length: {min(CONTEXT, answers.positions or CONTEXT)}",
        "    bos_token: null # the token that was set before every text in training, where there was one",
        "    mask_tokens: [] # tokens that no statistics are of, usually that one",
        "    activations: {train_tokens: 100000, eval_tokens: 30000}",
    ]


def _recipes(model: Model) -> list[str]:
    tokens, expansion = (150000, 4) if model.is_trained else (100000, 2)
    return [
        "  topk: # k active features per token",
        "    architecture: topk",
        "    k: 16",
        f"    expansion: {expansion} # features per neuron",
        f"    tokens: {tokens}",
        "    batch_size: 256",
        "    learning_rate: 3e-3",
        "  l1: # ReLU and an L1 penalty",
        "    architecture: relu",
        "    l1: 1",
        f"    expansion: {expansion}",
        f"    tokens: {tokens}",
        "    batch_size: 256",
        "    learning_rate: 3e-3",
    ]
