"""A study: the results of one run, and how they are opened."""

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.io.revisions import Revision
from polysem.layout.place import PLOTS, RESULTS
from polysem.study.made_from import require
from polysem.study.model import Model
from polysem.study.names import Named, as_path
from polysem.study.notes import notes_table
from polysem.study.recorded import Recorded
from polysem.study.results import CLAIMS, METRICS, FolderResults, Results, RevisionResults
from polysem.study.search import SearchResults, asked, labelled
from polysem.study.showing import table

if TYPE_CHECKING:
    import pandas as pd

    from polysem.study.engine import Engine

COLUMNS = ["model", "site", "dictionary", "metric", "value"]
OF_MODEL = "model"
"""What stands in place of a site in `metrics.json` for the numbers of a model."""


class Study(Named[Model]):
    """The results of one run: a mapping from names to models. `polysem.open` makes one.

    Names are those of the params that the run recorded. Where it recorded none, they are those of the dictionaries that
    are there, and the study says so when it is shown.

    >>> import polysem
    >>> study = polysem.open("results")
    >>> list(study)
    ['digits', 'stories-1l']
    >>> list(study.metrics.columns)
    ['model', 'site', 'dictionary', 'metric', 'value']
    """

    _kind = "model"

    def __init__(self, results: Results) -> None:
        super().__init__()
        self.results: Results = results
        self.recorded: Recorded = Recorded.of(results)
        self._engines: dict[str, Engine] = {}
        self._searching = Lock()

    @property
    def name(self) -> str:
        """The folder or the revision that was opened."""
        return self.results.name

    @property
    def params(self) -> dict[str, Any] | None:
        """The params of the run as plain values, defaults filled in and grids spanned; None where it recorded none. A
        copy, with which one may do as one likes."""
        return deepcopy(self.recorded.params)

    @property
    def _names(self) -> list[str]:
        return list(self.recorded.names)

    @property
    def _where(self) -> str:
        return f"the study {self.name}"

    def _open(self, name: str) -> Model:
        return Model(self, name)

    @property
    def metrics(self) -> "pd.DataFrame":
        """All numbers of `metrics.json`: columns `model`, `site`, `dictionary`, `metric` and `value`.

        Numbers of a model have neither site nor dictionary (None). A value may be a word, as the law of a
        rank-frequency plot is, or None where there is no number. Raises InputError if the run wrote no metrics; warns
        if there are other SAEs now than tables or params are of.
        """
        import pandas as pd

        self._warn("metrics")
        rows: list[tuple[Any, ...]] = []
        for model, sites in self.results.json(METRICS).items():
            for site, held in sites.items():
                if site == OF_MODEL:
                    rows += [(model, None, None, metric, value) for metric, value in held.items()]
                    continue
                for dictionary, numbers in held.items():
                    rows += [(model, site, dictionary, metric, value) for metric, value in numbers.items()]
        return pd.DataFrame(rows, columns=COLUMNS).astype(object)

    @property
    def claims(self) -> "pd.DataFrame":
        """Published numbers beside those of the run, one claim per row, as `claims.json` has them. Warns as `metrics`
        does."""
        import pandas as pd

        self._warn("claims")
        return pd.DataFrame(self.results.json(CLAIMS))

    @property
    def notes(self) -> "pd.DataFrame":
        """What people wrote about features, a note per row: columns `model`, `site`, `dictionary`, `feature`, `author`,
        `star` (bool), `label`, `note`, `comments` (a list of (date, text)), `weights`, and `current`, a nullable
        boolean: whether it is about the weights that are there, and not about another training; NA where no run says
        which there are. Labels of CSV files are not among them.
        """
        return notes_table(self)

    @property
    def starred(self) -> "pd.DataFrame":
        """The rows of `notes` with a star, of the features that are there."""
        found = self.notes
        return found[found.star & found.current.fillna(False)].reset_index(drop=True)

    def search(
        self,
        text: str,
        top: int = 25,
        scale: str = "raw",
        model: str | None = None,
        sites: str | Sequence[str] | None = None,
        dictionaries: str | Sequence[str] | None = None,
        kind: str = "all",
        tokens: int | Sequence[int] | None = None,
        density: float = 0.01,
        bos: bool = False,
    ) -> SearchResults:
        """The features and neurons that are strongest on a text, of all dictionaries of a model, exactly.

        Args:
            text: What the model reads, up to 800 characters; its BOS token is put in front, as it was in the corpus.
            top: How many, at most; up to 1000.
            scale: What they are ranked by: the activation (`raw`), its `share` of the feature's largest on the eval
                tokens, its `quantile` among the feature's active eval tokens, or its `surprise`, −log₂ P(f ≥ a) in
                bits. Dictionaries without a table of quantiles are ranked by `raw` alone; `notes` say so.
            model: Name of a language model; the first one of the study without it.
            sites: Names of sites; all without any.
            dictionaries: Names of dictionaries; all without any.
            kind: `features` of SAEs and transcoders, `neurons`, or `all`.
            tokens: Positions of the tokens that count, from 0, the BOS token where there is one; all without any.
            density: What is active on a larger share of the eval tokens is left out; 1 leaves out nothing, without
                which few neurons are found.
            bos: Whether BOS and masked tokens count, too; they do if `tokens` names them.

        The model and its dictionaries are loaded at the first search and kept. Raises InputError for a text that is
        empty or too long, and for a value that is not allowed; UnknownNameError, with the nearest, for a wrong name.

        >>> import polysem
        >>> found = polysem.open("results").search("The red ball", top=3, density=1)
        >>> found.results[0].value >= found.results[2].value > 0
        True
        """
        query = asked(text, top, scale, sites, dictionaries, kind, tokens, density, bos)
        with self._searching:
            (found,) = self._engine(model).search([query])
        if isinstance(found, InputError):
            raise found
        return labelled(self, found)

    def _engine(self, model: str | None) -> "Engine":
        from polysem.study.engine import Engine

        name = next((name for name, one in self.items() if one.is_language_model), None) if model is None else model
        if name is None:
            raise InputError(f"{self._where} has no model that reads text; a search asks one")
        if name not in self._engines:
            self._engines[name] = Engine(self[name])
        return self._engines[name]

    def plot(self, model: str, site: str, dictionary: str, name: str) -> "pd.DataFrame":
        """A small table for `dvc plots`, `frequency_histogram` or `rank_frequency`. Raises InputError if there is
        none, and if the tables are of another SAE than there is now."""
        from io import StringIO

        import pandas as pd

        if name not in PLOTS:
            raise InputError(f"there is no plot {name!r}; there are: {', '.join(PLOTS)}")
        found = self[model][site][dictionary]
        require(found.not_of_one_run)
        path = self.results.parts(found.place.plot(name))
        text = self.results.text(path)
        if text is None:
            raise InputError(f"{self.name} has no {path}; `snakemake --cores all` writes the plots")
        return pd.read_csv(StringIO(text))

    def __repr__(self) -> str:
        lines = [
            f"  {model}: {site} ({', '.join(held)})"
            for model, sites in self.recorded.names.items()
            for site, held in sites.items()
        ]
        mixed = [f"  not of one run: {wrong[0]}" for wrong in [self._mixed()] if wrong]
        return "\n".join([f"<polysem.Study {self.name}; {self.recorded.source}", *lines, *mixed]) + ">"

    def _mixed(self) -> list[str]:
        """What speaks against dictionaries that an unfinished run has left, a sentence each."""
        found = (held for model in self.values() for site in model.values() for held in site.values())
        return [wrong for held in found if (wrong := held.not_of_one_run)]

    def _warn(self, what: str) -> None:
        if wrong := self._mixed():
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            warnings.warn(f"{what} of {self.name} are not of one run: {wrong[0]}{more}", stacklevel=3)

    def _repr_html_(self) -> str:
        rows = [
            (model, site, ", ".join(held))
            for model, sites in self.recorded.names.items()
            for site, held in sites.items()
        ]
        return table(f"Study {self.name}", ("model", "site", "dictionaries"), rows, f"{self.recorded.source}.")


def open_study(path: str | Path = RESULTS, revision: str | None = None) -> Study:
    """Open the results of a run.

    Args:
        path: A results folder, or the folder of a repository with `results/` in it.
        revision: A commit, branch or tag of the repository: metrics, claims, plots and labels then come from git, all
            else from DVC's cache. What is not in the cache is named when it is asked for, with the command that fetches
            it.

    Neither `params.yaml` nor the sources of the run are needed. Raises InputError for a folder that holds no results,
    and for a revision that git does not know or that has no metrics.

    >>> import polysem
    >>> polysem.open(".")["stories-1l"]["blocks.0.mlp.hook_post"]["neurons"]
    <polysem.Dictionary stories-1l/blocks.0.mlp.hook_post/neurons: 64 features>
    """
    folder = as_path(path, "polysem.open").expanduser()
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name a results folder, or the folder of a repository")
    folder = folder.resolve()
    if revision is not None:
        return Study(_revision(folder, revision))
    held = [place for place in (folder, folder / RESULTS) if (place / METRICS).is_file() or (place / "models").is_dir()]
    if not held:
        raise InputError(
            f"{path} holds no results: there is neither {METRICS} nor a folder of models in it or in its {RESULTS}/; "
            "`snakemake --cores all` makes them"
        )
    return Study(FolderResults(held[0], str(path)))


def _revision(folder: Path, name: str) -> RevisionResults:
    repository = folder.parent if folder.name == RESULTS and not (folder / RESULTS).is_dir() else folder
    revision = Revision.find(name, repository)
    if revision is None:
        raise InputError(f"git knows no revision {name!r} in {repository}; name a commit, a branch or a tag")
    results = RevisionResults(revision)
    if results.text(METRICS) is None:
        raise InputError(f"{name} has no {RESULTS}/{METRICS} in git; commit it after a run, then open it")
    return results
