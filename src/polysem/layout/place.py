"""Where everything lies: paths of artifacts, made from the names that a study gives.

The same objects give Snakemake its patterns: `Place("{model}", "{site}", "{dictionary}").table("alignment")`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from polysem.params.base import TOGETHER

RESULTS = "results"
"""The folder of all artifacts, from the folder of the Snakefile."""
LABELS = "labels"
"""The folder of labels and notes that people gave to features."""
SPLITS = ("train", "eval")
PLOTS = ("frequency_histogram", "rank_frequency")
"""The small tables for `dvc plots` that every dictionary has."""
STORE = ".zarr"
RECEIPT = ".json"


@dataclass(frozen=True)
class Stored:
    """A Zarr store with its receipt beside it."""

    base: str
    """The path of both, without what they end in."""

    @property
    def store(self) -> str:
        """The folder `….zarr`."""
        return self.base + STORE

    @property
    def receipt(self) -> str:
        """The file `….json`, which is there when the store is whole."""
        return self.base + RECEIPT

    @property
    def files(self) -> tuple[str, str]:
        """Both."""
        return self.store, self.receipt


@dataclass(frozen=True)
class Folder:
    """A folder with its receipt beside it."""

    path: str

    @property
    def receipt(self) -> str:
        """The file `….json`, which is there when the folder is whole."""
        return self.path + RECEIPT

    @property
    def files(self) -> tuple[str, str]:
        """Both."""
        return self.path, self.receipt

    def file(self, name: str) -> str:
        """A file in the folder."""
        return f"{self.path}/{name}"


@dataclass(frozen=True)
class Place:
    """A model; with a site, that site of it; with a dictionary, that dictionary of the site.

    Paths are texts that begin with `root`. A path that needs a name which the place lacks raises ValueError.
    """

    model: str
    site: str = ""
    dictionary: str = ""
    root: str = RESULTS

    def __post_init__(self) -> None:
        """A dictionary stands at a site, and each name is that of one folder."""
        if self.dictionary and not self.site:
            raise ValueError(f"dictionary {self.dictionary!r} of {self.model} needs its site")
        for name in (self.model, self.site, self.dictionary):
            if "/" in name or name in {".", ".."}:
                raise ValueError(f"{name!r} is no name of a folder, as those of models, sites and dictionaries are")

    @classmethod
    def named(cls, names: Iterable[str], root: str = RESULTS) -> "Place":
        """The place of some `names`: model, site and dictionary, as far as they are given."""
        return cls(**dict(zip(("model", "site", "dictionary"), names, strict=False)), root=root)

    def at(self, site: str, dictionary: str = "") -> "Place":
        """A site of the same model, or a dictionary of it."""
        return replace(self, site=site, dictionary=dictionary)

    def of(self, dictionary: str) -> "Place":
        """A dictionary of the same site."""
        return replace(self, dictionary=dictionary)

    @property
    def names(self) -> tuple[str, ...]:
        """Model, site and dictionary, as far as they are given."""
        return tuple(name for name in (self.model, self.site, self.dictionary) if name)

    def values(self) -> dict[str, str]:
        """The names that are given as plain JSON types, the form in which a rule passes them to its step."""
        return {key: name for key, name in vars(self).items() if name and key != "root"}

    @property
    def path(self) -> str:
        """The names as one text, `stories-2l/blocks.0.mlp.hook_post/neurons`."""
        return "/".join(self.names)

    @property
    def layer(self) -> int:
        """Number of the layer that the site is in. ValueError for a site that names none."""
        found = re.match(r"(?:blocks|layers)\.(\d+)\.", self._site())
        if found is None:
            raise ValueError(f"{self.site!r} names no layer, as blocks.0.mlp.hook_post and layers.0.hook_post do")
        return int(found[1])

    @property
    def weights(self) -> Folder:
        """The folder of the model: weights, config, tokenizer and `model.json`."""
        return Folder(f"{self.root}/models/{self.model}")

    @property
    def record(self) -> str:
        """What the model folder holds, and the settings that the model is studied under."""
        return self.weights.file("model.json")

    @property
    def tokenizer(self) -> str:
        """The tokenizer of a language model."""
        return self.weights.file("tokenizer.json")

    def tokens(self, split: str) -> Stored:
        """The sequences, or images, that the model reads."""
        return Stored(f"{self.root}/tokens/{self.model}/{split}")

    def activations(self, split: str) -> Stored:
        """The activations of the site."""
        return Stored(f"{self.root}/activations/{self.model}/{self._site()}/{split}")

    @property
    def dictionaries(self) -> str:
        """The folder of all SAEs of the site."""
        return f"{self.root}/saes/{self.model}/{self._site()}"

    @property
    def sae(self) -> Folder:
        """The folder of an SAE, in the form of SAELens."""
        return Folder(f"{self.dictionaries}/{self._dictionary()}")

    @property
    def tables(self) -> str:
        """The folder of the tables of the dictionary, of the site or of the model."""
        return "/".join((self.root, "tables", *self.names))

    def table(self, name: str) -> str:
        """A table of the dictionary, of the site or of the model."""
        return f"{self.tables}/{name}.nc"

    @property
    def tables_receipt(self) -> str:
        """The receipt of the tables of the dictionary, by which jobs that read some of them know them: it names the
        digest of each, and a dry run grows with the files of its jobs."""
        self._dictionary()
        return self.tables + RECEIPT

    def table_receipt(self, name: str) -> str:
        """The receipt of a table of the site or of the model, each of which has its own."""
        if self.dictionary:
            raise ValueError(f"the tables of {self.path} have one receipt, tables_receipt")
        return self.table(name) + RECEIPT

    def receipt_of_table(self, name: str) -> str:
        """The file by which others know a table, whatever it is of."""
        return self.tables_receipt if self.dictionary else self.table_receipt(name)

    def target_of_table(self, name: str) -> str:
        """What to ask Snakemake for to have a table made: those of a dictionary are made together."""
        return self.tables if self.dictionary else self.table(name)

    @property
    def directions(self) -> str:
        """Weights around the sites of the model."""
        return f"{self.root}/tables/{self.model}/directions.safetensors"

    @property
    def figures(self) -> Folder:
        """The figures of the dictionary; of a site or a model, those in which its dictionaries stand together."""
        return Folder("/".join((all_figures(self.root), *self.names, *([] if self.dictionary else [TOGETHER]))))

    def figure(self, name: str) -> str:
        """One of these figures."""
        return self.figures.file(f"{name}.svg")

    @property
    def explanations(self) -> str:
        """What explainers say of features of all dictionaries of the model."""
        return f"{self.root}/tables/{self.model}/explanations.jsonl"

    @property
    def answers(self) -> str:
        """What language models answered about the features of the model; no rule makes it, and it need not exist."""
        return f"{self.root}/tables/{self.model}/answers.jsonl"

    @property
    def index(self) -> Folder:
        """The index of the features of all dictionaries of the model."""
        return Folder(f"{self.root}/index/{self.model}")

    @property
    def feature_index(self) -> str:
        """The folder in it with the rows of the dictionary's features."""
        return self.index.file(f"{self._site()}/{self._dictionary()}")

    @property
    def token_search(self) -> str:
        """The file in it that finds features by the tokens that they are about."""
        return self.index.file("features.sqlite")

    @property
    def sheets(self) -> Folder:
        """The folder of the feature sheets of the dictionary."""
        return Folder(f"{self.root}/report/sheets/{self.model}/{self._site()}/{self._dictionary()}")

    def sheet(self, feature: int) -> str:
        """The page of one feature."""
        return self.sheets.file(f"{feature}.html")

    @property
    def case_studies(self) -> Folder:
        """The folder of the case studies of the model."""
        return Folder(f"{self.root}/report/case_studies/{self.model}")

    def plot(self, name: str) -> str:
        """A small table for `dvc plots`."""
        return f"{self.root}/plots/{self.model}/{self._site()}/{self._dictionary()}/{name}.csv"

    @property
    def labels(self) -> str:
        """The labels that people gave to features of the dictionary; the file need not exist."""
        return f"{self.notes}.csv"

    @property
    def notes(self) -> str:
        """The folder of notes that people wrote on features of the dictionary; it need not exist."""
        return f"{LABELS}/{self.model}/{self._site()}/{self._dictionary()}"

    @property
    def rubric(self) -> str:
        """The folder of scores that people gave on the rubric sheet of the model; it need not exist."""
        return f"{LABELS}/{self.model}/rubric"

    def _site(self) -> str:
        if not self.site:
            raise ValueError(f"{self.model} is a model; name a site of it")
        return self.site

    def _dictionary(self) -> str:
        if not self.dictionary:
            raise ValueError(f"{self.path} is no dictionary; name one of the site")
        return self.dictionary


MODEL = Place("{model}")
SITE = Place("{model}", "{site}")
DICTIONARY = Place("{model}", "{site}", "{dictionary}")
SAE = Place("{model}", "{site}", "{sae}")
"""Snakemake's patterns."""
ANY_MODEL = Place("*")
ANY_SITE = Place("*", "*")
ANY_DICTIONARY = Place("*", "*", "*")
"""Patterns for `glob`."""


def all_figures(root: str = RESULTS) -> str:
    """The folder of all figures."""
    return f"{root}/figures"


def corpus(name: str, root: str = RESULTS) -> str:
    """The documents of a corpus."""
    return f"{root}/corpora/{name}/documents.parquet"


def known(toy: str, root: str = RESULTS) -> Place:
    """The known features of a toy: their tables, one of each SAE, and the figures in which these stand together."""
    return Place(toy, "known", root=root)


def known_table(toy: str, sae: str, root: str = RESULTS) -> str:
    """Known features of a toy against those that an SAE found."""
    return known(toy, root).table(sae)
