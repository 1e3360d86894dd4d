"""What a fresh study is to be of: given as options, or asked on a terminal."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from polysem.io.errors import InputError
from polysem.io.files import expanded, matching_files
from polysem.params.base import HUB_ID, possible_hub_id
from polysem.params.models.imported import is_gguf
from polysem.params.models.language import block_sites, check_sites, known_hook
from polysem.params.models.transformers import TransformersModel
from polysem.workflow.checks.shapes import Outline, known_outline
from polysem.workflow.fresh.texts import require_enough

TRAINED, GENERATED = "trained", "generated"
LAYERS = 1
"""Of a model that the study trains."""
COMMON = ("mlp.hook_post", "hook_resid_post", "hook_mlp_out")
"""Hooks that are offered, the first one that a model has."""
LONGEST = 40
"""Characters of a name that is made of another one."""
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Model:
    """A model, by exactly one of hub id and path, or, without either, one that the study trains."""

    repository: str = ""
    path: str = ""

    @property
    def is_trained(self) -> bool:
        """Whether the study trains it."""
        return not (self.repository or self.path)

    @property
    def name(self) -> str:
        """What its entry is called."""
        return entry_name((self.repository or Path(self.path).name.removesuffix(".gguf")).rpartition("/")[2], "model")

    def outline(self) -> Outline | None:
        """Its sites, where a local config tells."""
        if not self.path:
            return None
        section = TransformersModel(
            source="transformers",
            repository=f"local/{self.name}",
            local_copy=self.path,
            corpus="text",
            sites=["blocks.0.hook_resid_post"],
        )
        return known_outline(self.name, section)


@dataclass(frozen=True)
class Corpus:
    """A text, by exactly one of path or pattern and data set, or, without either, generated stories."""

    paths: str = ""
    dataset: str = ""

    @property
    def name(self) -> str:
        """What its entry is called."""
        if not (self.paths or self.dataset):
            return "stories"
        stem = Path(self.paths).name.partition(".")[0] if self.paths else self.dataset.rpartition("/")[2]
        return entry_name(stem, "text")


@dataclass(frozen=True)
class Answers:
    """All that is asked."""

    model: Model
    sites: list[str]
    corpus: Corpus
    positions: int | None
    """Tokens that a sequence of the model may have, where that is known."""


def answers(model: str | None, sites: Sequence[str] | None, corpus: str | None, folder: Path) -> Answers:
    """What the options say; what they do not say is asked on the terminal.

    Relative paths start at `folder`. InputError for an answer that cannot be, and for a missing one where there is no
    terminal.
    """
    missing = [option for option, said in (("model", model), ("sites", sites), ("corpus", corpus)) if said is None]
    if missing and not sys.stdin.isatty():
        options = ", ".join(f"--{option}" for option in missing)
        raise InputError(
            f"{options} {'is' if len(missing) == 1 else 'are'} missing, and there is no terminal to ask on; say, for "
            f"example, --model {TRAINED} --sites blocks.0.mlp.hook_post --corpus {GENERATED}"
        )
    chosen = _answer(
        "model",
        model,
        f"Model: {TRAINED} (a small one, trained here), owner/name on the Hugging Face hub, or a folder or .gguf file",
        TRAINED,
        lambda text: parsed_model(text, folder),
    )
    outline = chosen.outline()
    at = _answer(
        "sites",
        None if sites is None else " ".join(sites),
        "Sites whose neurons and SAEs are studied, blanks between",
        usual_site(outline),
        lambda text: parsed_sites(text, chosen, outline),
    )
    text = _answer(
        "corpus",
        corpus,
        f"Text: {GENERATED} (stories with a known truth), a file or pattern, or owner/name of a data set on the hub",
        GENERATED,
        lambda text: parsed_corpus(text, folder, chosen),
    )
    return Answers(chosen, at, text, None if outline is None else outline.positions)


def _answer(option: str, given: str | None, question: str, usual: str, parse: Callable[[str], Answer]) -> Answer:
    """What an option says, or somebody on the terminal, who is asked until it can be."""
    if given is not None:
        try:
            return parse(given)
        except InputError as error:
            raise InputError(f"--{option}: {error}") from None
    while True:
        try:
            text = input(f"{question} [{usual}]: ").strip()
        except (EOFError, KeyboardInterrupt):
            raise InputError(f"no answer to the question for --{option}; nothing was made") from None
        try:
            return parse(text or usual)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)


def parsed_model(text: str, folder: Path) -> Model:
    """The model that somebody means."""
    if text == TRAINED:
        return Model()
    path = placed(text, folder)
    there = expanded(path)
    if there.is_dir() or (there.is_file() and is_gguf(path)):
        return Model(path=path)
    if there.is_file():
        raise InputError(
            f"{text} is a file and no .gguf file; name that, or the folder of a model as transformers has it"
        )
    if is_gguf(text):
        raise InputError(f"there is no file {text}")
    return Model(repository=_hub_id(text, f"{TRAINED}, a folder or .gguf file that is there"))


def parsed_sites(text: str, model: Model, outline: Outline | None) -> list[str]:
    """The sites that somebody means, if the model has them as far as that is known."""
    sites = [site for site in re.split(r"[\s,]+", text) if site]
    known = block_sites(LAYERS) if model.is_trained else list(outline.widths) if outline else None
    try:
        check_sites([known_hook(site) for site in sites], sites if known is None else known)
    except ValueError as error:
        raise InputError(str(error)) from None
    return sites


def parsed_corpus(text: str, folder: Path, model: Model) -> Corpus:
    """The text that somebody means. InputError also where it is too short to train the model on."""
    if text == GENERATED:
        return Corpus()
    paths = placed(text, folder)
    if expanded(paths).is_dir():
        raise InputError(f"{text} is a folder; write a pattern of its files, as '{text.rstrip('/')}/*.txt'")
    if matching_files(paths):
        if model.is_trained:
            require_enough(paths)
        return Corpus(paths=paths)
    return Corpus(dataset=_hub_id(text, f"{GENERATED}, a file or pattern of files that are there"))


def _hub_id(text: str, others: str) -> str:
    """InputError for what looks like a path, or is no owner and name: a typing error is no download."""
    looks_like_path = text.startswith(("/", ".", "~")) or text.count("/") > 1 or any(sign in text for sign in "*?[ ")
    is_file = re.search(r"\.(txt|jsonl?|parquet|gguf|gz|zst|bz2|xz)$", text)
    if looks_like_path or is_file or "/" not in text or not HUB_ID.fullmatch(text):
        raise InputError(f"{text!r} is not there; allowed: {others}, or owner/name on the Hugging Face hub")
    try:
        return possible_hub_id(text)
    except ValueError as error:
        raise InputError(str(error)) from None


def placed(path: str, folder: Path) -> str:
    """A path from anywhere: absolute, or from the home folder on, which may be another one on another machine."""
    if path.startswith("~"):
        return path
    absolute = Path(os.path.normpath(folder / path))
    home = Path.home()
    return f"~/{absolute.relative_to(home)}" if absolute.is_relative_to(home) else str(absolute)


def entry_name(text: str, otherwise: str) -> str:
    """A name for an entry of the params file, made of another one."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:LONGEST].strip("-") or otherwise


def usual_site(outline: Outline | None) -> str:
    """The neurons in the middle of a model, or what it has in their place."""
    if outline is None or not outline.widths:
        return "blocks.0.mlp.hook_post"
    layers = 1 + max(int(site.split(".")[1]) for site in outline.widths)
    sites = [f"blocks.{layers // 2}.{hook}" for hook in COMMON]
    return next((site for site in sites if site in outline.widths), next(iter(outline.widths)))
