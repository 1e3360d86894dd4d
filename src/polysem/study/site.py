"""A site of a model of a study, with its dictionaries."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.layout.place import Place, Stored
from polysem.params.base import NEURONS
from polysem.study import tables
from polysem.study.dictionary import Dictionary, drawn
from polysem.study.figures import Drawing, draw
from polysem.study.made_from import about_table, require
from polysem.study.names import Named
from polysem.study.recorded import Recorded, on_disk
from polysem.study.results import NotAtHandError, Results
from polysem.study.showing import table
from polysem.study.stores import as_split, opened

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from polysem.study.model import Model


class Site(Named[Dictionary]):
    """A place in a model where activations are read: a mapping from names to dictionaries, `neurons` first.

    >>> import polysem
    >>> site = polysem.open("results")["stories-1l"]["blocks.0.mlp.hook_post"]
    >>> list(site)
    ['neurons', 'l1-x4', 'topk-x4']
    >>> site.activations("eval").dims
    ('token', 'neuron')
    """

    _kind = "dictionary"

    def __init__(self, model: "Model", name: str) -> None:
        super().__init__()
        self.model: Model = model
        """The model that it is a site of."""
        self.name: str = name
        """The TransformerLens hook name."""
        self.place: Place = model.place.at(name)
        """Where its files lie."""
        self.results: Results = model.results
        self.recorded: Recorded = model.recorded

    @property
    def _names(self) -> list[str]:
        return self.recorded.names[self.model.name][self.name]

    @property
    def _where(self) -> str:
        return self.place.path

    def _hint(self, name: str) -> str:
        if name in self._known_left_over:
            return " in the params of the run, but on disk; `site.left_over` opens it"
        return ""

    def _open(self, name: str) -> Dictionary:
        return Dictionary(self, name)

    @cached_property
    def left_over(self) -> "LeftOver":
        """Dictionaries that are on disk and not in the params that the run recorded: those that were removed since, and
        those that a run made which has not come to its end. A mapping like the site."""
        return LeftOver(self)

    @property
    def _known_left_over(self) -> list[str]:
        """Their names; none where what is on disk cannot be known, as at a revision that is not in the cache."""
        try:
            return list(self.left_over)
        except NotAtHandError:
            return []

    @cached_property
    def neurons(self) -> int:
        """Number of neurons."""
        from polysem.io.stores import read_receipt

        store = self.place.activations("eval")
        self.results.bring(store.receipt)
        return int(read_receipt(Path(store.store))["arrays"]["activations"]["shape"][1])

    def activations(self, split: str = "eval") -> "xr.DataArray":
        """Activations of the neurons on all counted tokens of a split, `train` or `eval`: (token, neuron).

        They are read from the Zarr store when they are asked for, in chunks of 1024 tokens. `sequence` and `position`
        are coordinates: where each token stands in `model.tokens(split)`. Raises InputError for a store that is not
        there: a site whose SAEs are all imported has none of the train split.
        """
        return self._store(split)["activations"]

    def inputs(self, split: str = "eval") -> "xr.DataArray":
        """What the weights into the neurons multiply: (token, input), kept of the eval split where neurons have such
        weights. Raises InputError where it is not kept."""
        from polysem.io.errors import InputError

        store = self._store(split)
        if "inputs" not in store:
            raise InputError(
                f"the {split} store of {self.place.path} keeps no inputs of neurons; eval stores of MLPs do"
            )
        return store["inputs"]

    def _store(self, split: str) -> "xr.Dataset":
        store: Stored = self.place.activations(as_split(split))
        return opened(self.results, store).set_coords(["sequence", "position"])

    @cached_property
    def tables(self) -> list[str]:
        """Names of the tables about all its dictionaries together."""
        return tables.files_of_tables(self.results, self.place)

    def table(self, name: str) -> "xr.Dataset":
        """A table about all its dictionaries, `fidelity` or `comparison`, lazily. Raises UnknownNameError, and
        InputError for a table that was made of other SAEs, tables or activations than there are now."""
        require(about_table(self.results, self.place, name) if name in self.tables else "")
        return tables.open_table(self.results, self.place, name, self.tables)

    @property
    def figures(self) -> dict[str, str]:
        """Figures of all dictionaries together: '' for those that the run drew, for others why they do not apply."""
        return tables.drawn_figures(self.results, self.place)

    def drawn(self, name: str) -> Drawing:
        """A figure of all dictionaries as the run drew it, an SVG."""
        return drawn(self.results, self.place, name)

    def draw(self, name: str, **analysis: Any) -> "Figure":
        """A figure of all dictionaries, `loss_recovered`, as a Matplotlib figure; see `Dictionary.draw`."""
        from polysem.figures.draw_site_figures import site_sources

        folder = self.results.bring(self.place.tables)
        trained = {name: self.recorded.hyper_parameters(name) for name in self if name != NEURONS}
        recipes = {name: recipe for name, recipe in trained.items() if recipe is not None}
        sources = site_sources(folder, list(self), self.recorded.families(), recipes)
        return draw(self.place, name, "of_site", sources, self.recorded.analysis(**analysis), list(analysis))

    def __repr__(self) -> str:
        left = self._known_left_over
        more = f"; left over: {', '.join(left)}" if left else ""
        return f"<polysem.Site {self.place.path}: {', '.join(self)}{more}>"

    def _repr_html_(self) -> str:
        left = self._known_left_over
        note = f"On disk, but not in the params of the run: {', '.join(left)}." if left else ""
        return table(f"Site {self.place.path}", ("dictionary", "recipe"), map(_in_a_row, self.values()), note)


def _in_a_row(dictionary: Dictionary) -> tuple[str, str]:
    recipe = dictionary.site.recorded.recipe(dictionary.name)
    kind = recipe.get("architecture", recipe.get("source", "neurons" if dictionary.is_neurons else ""))
    return dictionary.name, str(kind)


class LeftOver(Named[Dictionary]):
    """Dictionaries of a site that the params of the run do not name."""

    _kind = "left over dictionary"

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site
        there = on_disk(site.results, site.model.name, site.name)
        self._there = [name for name in there if name not in site]

    @property
    def _names(self) -> list[str]:
        return self._there

    @property
    def _where(self) -> str:
        return self._site.place.path

    def _open(self, name: str) -> Dictionary:
        return Dictionary(self._site, name)

    def __repr__(self) -> str:
        return f"<dictionaries of {self._where} that are not in the params of the run: {', '.join(self) or 'none'}>"
