"""One feature of a dictionary: where it is active, what people call it, and its sheet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.feature_labels import Label
from polysem.layout.notes import Note
from polysem.layout.place import Place
from polysem.study.names import Named
from polysem.study.showing import framed
from polysem.study.tables import require_variables

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from polysem.study.dictionary import Dictionary

OF_EXAMPLE = ("activation", "sequence", "position", "token", "window_activation", "offset")
"""Variables of a table of examples."""
OF_TAG = ("base_rate", "precision", "recall", "f1", "auroc", "specificity", "sensitivity")
"""Variables of the table `tags` about the best feature of each tag."""
OF_FEATURE = ("main_tag", "main_tag_f1", "main_tag_base_rate", "monosemanticity", "monosemanticity_above_base")
"""Those about the main tag of each feature."""


@dataclass(frozen=True, eq=False)
class Example:
    """One place in the corpus where a feature is active, with the tokens around it."""

    tokens: list[str]
    """The tokens as text; empty for an image."""
    activations: "NDArray[np.float32]"
    """Activations of the feature at these tokens; NaN at tokens that no statistic counts; empty for an image."""
    key: int
    """Which of the tokens the example is about."""
    activation: float
    """Activation there."""
    kind: str
    """`top`, one of the largest activations, `sample`, drawn at random from all active tokens, or `diverse`, one that
    differs from the others."""
    quantile: float
    """Of a sample, the share of the active tokens on which the activation is lower; NaN of a top one."""
    sequence: int
    """Sequence, or image, of the eval split."""
    position: int
    """Position in it."""
    repeats: int = 0
    """Of a diverse one, how many other strong examples have the same token in the same context."""
    similar: int = 0
    """Of a diverse one, how many others it stands for beside these."""

    def __str__(self) -> str:
        """The text, with the token that the example is about in double brackets."""
        shown = [f"[[{text}]]" if place == self.key else text for place, text in enumerate(self.tokens)]
        return f"{self.activation:.3g}: {''.join(shown)!r}"


class Rows(Named["xr.Dataset"]):
    """The rows of one feature in the tables of its dictionary, by the names of the tables."""

    _kind = "table of features"

    def __init__(self, dictionary: "Dictionary", number: int) -> None:
        super().__init__()
        self._dictionary, self._number = dictionary, number

    @property
    def _names(self) -> list[str]:
        return self._dictionary.tables

    @property
    def _where(self) -> str:
        return repr(self._dictionary)

    def _open(self, name: str) -> "xr.Dataset":
        table = self._dictionary.table(name)
        if "feature" not in table.dims:
            raise InputError(f"the table {name!r} says nothing of single features; read it as table({name!r})")
        return table.isel(feature=self._number)


class Feature:
    """A feature of a dictionary; of `neurons`, a neuron. In a notebook it shows its sheet.

    >>> import polysem
    >>> feature = polysem.open("results")["stories-1l"]["blocks.0.mlp.hook_post"]["topk-x4"].feature(3)
    >>> feature
    <polysem.Feature 3 of stories-1l/blocks.0.mlp.hook_post/topk-x4>
    >>> [example.kind for example in feature.examples][:2]
    ['top', 'top']
    """

    def __init__(self, dictionary: "Dictionary", number: int) -> None:
        self.dictionary: Dictionary = dictionary
        """The dictionary that it is of."""
        self.number: int = number
        """Its number, counted from 0."""
        self.tables: Mapping[str, xr.Dataset] = Rows(dictionary, number)
        """Its rows in the tables of the dictionary: `feature.tables["frequency"]`, an xarray Dataset, read lazily."""

    @property
    def place(self) -> Place:
        """Where the dictionary stands."""
        return self.dictionary.place

    @property
    def labels(self) -> list[Label]:
        """What people call it, from notes and from `labels/{model}/{site}/{dictionary}.csv`: `text`, `author` and
        `note` of each."""
        return self._said.labels

    @property
    def label(self) -> str:
        """The texts of all its labels in one; empty if it has none."""
        return self._said.label

    @property
    def notes(self) -> list[Note]:
        """What people wrote about it, from the files in `labels/{model}/{site}/{dictionary}/`, a note for each author:
        `author`, `star`, `label`, `note`, and `comments`, each with `date` and `text`."""
        return self._said.notes

    @property
    def notes_on_other_trainings(self) -> list[Note]:
        """Notes about the feature of this number of other `weights`: they say nothing of this one."""
        return self._said.others

    @property
    def starred(self) -> bool:
        """Whether anybody gave it a star."""
        return bool(self._said.starred_by)

    @property
    def _said(self) -> FeatureAnnotations:
        return self.dictionary.annotations.get(self.number, FeatureAnnotations())

    @property
    def examples(self) -> list[Example]:
        """Where it is active: the largest activations first, then those that were drawn at random.

        Empty for a feature that is active nowhere. Raises InputError if the table `examples` is of an older version.
        """
        row = self._row("examples", *OF_EXAMPLE, "kind", "quantile")
        return [
            replace(example, kind=str(row["kind"][slot]), quantile=float(row["quantile"][slot]))
            for slot, example in self._examples(row)
        ]

    @property
    def diverse_examples(self) -> list[Example]:
        """Strong examples that differ, the largest activation first, each with the number of others that it stands for.

        Empty for a feature that is active nowhere. Raises InputError if there is no table `diverse_examples`.
        """
        row = self._row("diverse_examples", *OF_EXAMPLE, "repeats", "similar")
        return [
            replace(example, repeats=int(row["repeats"][slot]), similar=int(row["similar"][slot]))
            for slot, example in self._examples(row)
        ]

    def _examples(self, row: "dict[str, NDArray[Any]]") -> "Iterator[tuple[int, Example]]":
        """The examples of a row of a table of them, with their places in it."""
        name, offsets = self.dictionary.site.model.token_text, row["offset"]
        for slot, sequence in enumerate(row["sequence"].tolist()):
            if sequence >= 0:
                inside = row["token"][slot] >= 0
                yield (
                    slot,
                    Example(
                        tokens=[name(token) for token in row["token"][slot][inside].tolist()],
                        activations=row["window_activation"][slot][inside],
                        key=int((offsets[inside] < 0).sum()),
                        activation=float(row["activation"][slot]),
                        kind="diverse",
                        quantile=float("nan"),
                        sequence=sequence,
                        position=int(row["position"][slot]),
                    ),
                )

    @property
    def tags(self) -> "pd.DataFrame":
        """Tags that it has to do with, one per row: its main tag, and those whose best feature it is.

        Columns: `main` and `best` (bool); `monosemanticity`, the share of its activation mass that lies on tokens with
        its main tag; `base_rate` of the tag among all tokens; `precision`, `recall`, `f1`, `auroc`, `specificity` and
        `sensitivity` where it is the best feature (of a main tag alone, `f1`). No rows where nothing is known.
        """
        import numpy as np
        import pandas as pd

        columns = ["main", "best", "monosemanticity", *OF_TAG]
        table = self.dictionary.table("tags")
        if "tag" not in table.coords:
            return pd.DataFrame(columns=columns, index=pd.Index([], name="tag"))
        own, of_tags = self._row("tags", *OF_FEATURE), self._row("tags", "best_feature", "tag", *OF_TAG)
        names, main = of_tags["tag"], int(own["main_tag"])
        rows: dict[str, dict[str, Any]] = {}
        for place in sorted(
            {*np.flatnonzero(of_tags["best_feature"] == self.number).tolist(), *([main] * (main >= 0))}
        ):
            is_best = int(of_tags["best_feature"][place]) == self.number
            row = {key: float(of_tags[key][place]) if is_best else float("nan") for key in OF_TAG}
            row["base_rate"] = float(of_tags["base_rate"][place])
            if place == main:
                row["monosemanticity"] = float(own["monosemanticity"])
                row["f1"] = float(own["main_tag_f1"]) if not is_best else row["f1"]
            rows[str(names[place])] = {"main": place == main, "best": is_best} | row
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("tag")

    def _row(self, name: str, *variables: str) -> "dict[str, NDArray[Any]]":
        """Variables of a table, those of features at this one; InputError for one that the table has not."""
        table = self.dictionary.table(name)
        require_variables(self.place, name, table, variables)
        row = table.isel(feature=self.number)
        return {variable: row[variable].to_numpy() for variable in variables}

    def sheet(self) -> str:
        """Its sheet as an HTML page: the one of the run if it wrote one, else one that is made now.

        Text of the corpus and of people is escaped. Raises InputError if a table that it shows is missing or older.
        """
        return self.dictionary.sheet(self.number)

    def _repr_html_(self) -> str:
        return framed(self.sheet())

    def __repr__(self) -> str:
        called = f" {self.label!r}" if self.labels else ""
        return f"<polysem.Feature {self.number}{called} of {self.place.path}>"
