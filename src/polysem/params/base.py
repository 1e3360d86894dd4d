"""What every section of `params.yaml` shares."""

import re
from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from polysem.params.needs import CorpusNeeds, ModelNeeds, SaeNeeds

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+-]*(\.[A-Za-z0-9+-]+)*")
"""What corpora, models and recipes may be called: they become wildcards and folders, so no slash, space or
underscore."""

HUB_ID = re.compile(r"([\w-][\w.-]{0,95}/)?[\w-][\w.-]{0,95}", re.ASCII)
"""What repositories of the hub may be called: a name, or a user and a name."""

NEURONS = "neurons"
"""Id of the identity dictionary, in which every neuron is one feature; no recipe may be called so."""

TOGETHER = "together"
"""What stands in place of a dictionary's id in paths where all of a site are meant; no recipe may be called so."""

INDEX = "index"
"""Name of the page of a site in the report, beside those of its dictionaries; no recipe may be called so."""

FILE_ENDINGS = (
    "csv", "html", "json", "lock", "log", "nc", "parquet", "partial", "pt", "safetensors", "svg", "tsv", "yaml", "zarr",
)  # fmt: skip
"""What names must not end in: beside the folder `a` stand files `a.json`, `a.partial`, `a.html`."""
LONGEST_NAME = 200
"""Characters of a name that becomes a folder; file systems take 255 bytes, and `.safetensors.partial` follows."""
LONGEST_PART, LONGEST_PATH = 255, 4000
"""Bytes of a name, and of a path, that systems take."""

ALL_DICTIONARIES = "all dictionaries"
"""The same in words."""
UNDECIDED = "undecided"
"""Stands in place of a word where what was measured does not decide it."""

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
"""The name of another entry of `params.yaml`."""

Text = Annotated[str, StringConstraints(min_length=1)]
"""An id or a word: where there is none, the key is null or left out, and never an empty text."""


def possible_path(path: str) -> str:
    """The same; ValueError for what no file can be called."""
    if not path:
        raise ValueError("it names no file; write a path, or leave the key out")
    if "\0" in path or len(path.encode()) > LONGEST_PATH or max(map(len, path.encode().split(b"/"))) > LONGEST_PART:
        raise ValueError(
            f"{path[:40]!r}… is no path: files have names of at most {LONGEST_PART} bytes, in paths of at most "
            f"{LONGEST_PATH}, without zero bytes"
        )
    return path


def possible_hub_id(name: str) -> str:
    """The same; ValueError for what no repository of the hub can be called."""
    if not HUB_ID.fullmatch(name) or ".." in name or "--" in name or name.endswith(".git"):
        raise ValueError(f"{name[:80]!r} is no hub id; one looks as 'gpt2' or 'raincandy-u/TinyStories-656K'")
    return name


HubId = Annotated[str, AfterValidator(possible_hub_id)]
"""The name of a repository of the Hugging Face hub."""
FilePath = Annotated[str, AfterValidator(possible_path)]
"""A path or pattern of files that the workflow does not make; relative ones start at the folder of the Snakefile."""

Share = Annotated[float, Field(ge=0, le=1)]
Documents = Annotated[int, Field(ge=1, le=1_000_000_000)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
Width = Annotated[int, Field(ge=1, le=1_048_576)]
Rate = Annotated[float, Field(gt=0, le=10)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Section(BaseModel):
    """A section of `params.yaml`: unknown keys are refused, values are frozen, defaults are checked. What a key means
    is the text below it, which `params.meanings` reads for the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    def values(self) -> dict[str, Any]:
        """All keys with their values as plain JSON types, the form in which a rule passes them to its step."""
        return self.model_dump(mode="json")


class Entry(Section, ABC):
    """An entry under `corpora:`, `models:` or `saes:`, which says what hangs on it: no entry can be of a kind that does
    not."""

    @abstractmethod
    def outside_files(self) -> list[str]:
        """Paths and patterns of the files outside of the workflow that it is read from; their content is part of what
        the rule states."""

    @abstractmethod
    def modules(self) -> list[str]:
        """Modules that a step finds by name because of it; the rule names them in the digest of the step's code."""


class CorpusSection(Entry):
    """An entry under `corpora:`; the subclass of each source stands in a module of the source's name."""

    source: str

    @abstractmethod
    def needs(self) -> CorpusNeeds:
        """What it takes."""


LeaveOut = Literal["massive", "first", "none"]
"""Which tokens have no row in activation stores."""


class Activations(Section):
    """How many activation rows are stored, and how."""

    train_tokens: Tokens = 400_000
    """Rows of the train store; SAEs are trained on them."""
    eval_tokens: Tokens = 100_000
    """Rows of the eval store; every table counts them."""
    dtype: Literal["float16", "float32"] = "float16"
    """Number format of the store."""
    leave_out: LeaveOut = "massive"
    """Tokens that have no row in the stores, are in no training and no table, and keep the model's own activations
    where a dictionary is spliced in. `massive`: those whose activations at the site have a norm above 10 times the
    median of the first 16,384 train tokens (Sun et al. 2024, arXiv 2402.17762); `first`: the first position of every
    sequence, which text alone has; `none`: none."""


class ModelEntry(Entry):
    """An entry under `models:`; the subclass of each source stands in a module of the source's name."""

    source: str


class ModelSection(ModelEntry):
    """A model with all that it is studied under: an entry, or what one that names another comes to."""

    corpus: Name
    sites: list[str]
    activations: Activations

    def settings(self) -> dict[str, Any]:
        """What the model is studied under, beside its weights; recorded with the model and with all activations."""
        return {}

    @abstractmethod
    def needs(self) -> ModelNeeds:
        """What making it takes; its shape may be known from files, too (`polysem.workflow.checks.shapes`)."""

    @abstractmethod
    def files(self) -> list[str]:
        """Names of the files of its folder, but for `model.json`."""


class SaeSection(Entry):
    """An entry under `saes:`: a recipe, or an SAE that somebody else trained."""

    @abstractmethod
    def needs(self) -> SaeNeeds:
        """What it takes."""
