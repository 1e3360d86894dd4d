"""A dictionary of a study: an SAE, or the neurons."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations, labels_in
from polysem.layout.feature_labels import Label
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.study import tables
from polysem.study.coding import Coder
from polysem.study.feature import Feature
from polysem.study.figures import Drawing, draw
from polysem.study.indexed import Indexed
from polysem.study.made_from import CONFIG, MadeFrom, require
from polysem.study.names import UnknownNameError, as_number
from polysem.study.results import NotAtHandError
from polysem.study.showing import fact_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr
    from matplotlib.figure import Figure

    from polysem.saes.dictionary import Dictionary as Weights
    from polysem.saes.exported import Exported
    from polysem.study.site import Site

TRAINING = "training"
"""The name of the history of a training among the tables; its file lies with the weights."""
HISTORY = "training.nc"


class Dictionary(Coder):
    """Anything with features on a site: an SAE, or `neurons`, in which every neuron is one feature.

    >>> import polysem
    >>> sae = polysem.open("results")["stories-1l"]["blocks.0.mlp.hook_post"]["topk-x4"]
    >>> sae
    <polysem.Dictionary stories-1l/blocks.0.mlp.hook_post/topk-x4: 256 features>
    >>> sae.table("alignment")["strongest_neuron"].dims
    ('feature',)
    """

    def __init__(self, site: "Site", name: str) -> None:
        self.site: Site = site
        """The site that it stands at."""
        self.name: str = name
        """Its id, `neurons` or that of an SAE."""
        self.place: Place = site.place.of(name)
        """Where its files lie."""
        self._results, self._recorded = site.results, site.recorded
        self._made_from = MadeFrom(self._results, self._recorded, self.place)
        self._indexed = Indexed(self._results, self.place)

    @property
    def is_neurons(self) -> bool:
        """Whether it is the identity dictionary."""
        return self.name == NEURONS

    @cached_property
    def features(self) -> int:
        """Number of features."""
        return self.site.neurons if self.is_neurons else int(self.config["d_sae"])

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of the SAE's `cfg.json`, with its `metadata`; empty for the neurons."""
        if self.is_neurons:
            return {}
        file = self._results.bring(self.place.sae.path) / CONFIG
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{file} cannot be read ({error}); delete the folder and run again") from None
        return found

    @property
    def recipe(self) -> dict[str, Any]:
        """Its keys in the params of the run, defaults filled in; empty for the neurons, and where the run recorded
        none. Raises InputError if the SAE was trained with others since."""
        require(self._made_from.recipe)
        return self._recorded.recipe(self.name)

    @property
    def not_of_one_run(self) -> str:
        """Why its tables, or the params that the run recorded, are of another SAE than there is now, as a sentence;
        '' if they are not, as far as receipts tell."""
        return self._made_from.tables or self._made_from.recipe

    @cached_property
    def weights(self) -> "Weights":
        """The dictionary itself, in torch on the CPU: `W_enc` [neuron, feature], `b_enc`, `W_dec` [feature, neuron] and
        `b_dec` of an SAE. Raises InputError for files that do not fit the site."""
        from polysem.saes.dictionary import Neurons
        from polysem.saes.sae import load_sae

        if self.is_neurons:
            return Neurons(self.site.neurons)
        return load_sae(self._results.bring(self.place.sae.path), int(self.config["d_in"]))

    @cached_property
    def tables(self) -> list[str]:
        """Names of its tables; of an SAE that was trained here, `training` is the history of that."""
        found = tables.listed_tables(self._results, self.place)
        return [*found, TRAINING] if self._has_history else found

    def table(self, name: str) -> "xr.Dataset":
        """A table as an xarray Dataset, lazily: numbers are read when they are asked for.

        Every variable says its `long_name` and `units`. Raises UnknownNameError, with the nearest name, and InputError
        for tables that were made of another SAE than there is now.
        """
        if name == TRAINING and not self.is_neurons and "imported" not in self.config["metadata"]:
            return tables.open_table(self._results, self.place, name, [name], self.place.sae.file(HISTORY))
        require(self._made_from.tables)
        return tables.open_table(self._results, self.place, name, self.tables)

    @cached_property
    def annotations(self) -> dict[int, FeatureAnnotations]:
        """What people said of features, by number: `labels`, `notes` about these weights, and those of `others`, which
        are about the feature of that number of another training. Raises InputError for files that cannot be read."""
        found = self._results.annotations(self.place)
        return found.about(self._results.bring(self.place.tables_receipt)) if found.notes else found.about(Path())

    @property
    def labels(self) -> dict[int, list[Label]]:
        """What people call features, by number: labels of their notes, and of `labels/{model}/{site}/{dictionary}.csv`.
        Labels that were given to another training are not among them."""
        return {number: said.labels for number, said in self.annotations.items() if said.labels}

    def feature(self, number: int) -> Feature:
        """One feature, by its number from 0, an integer of Python or NumPy. Raises UnknownNameError for one that there
        is not, TypeError for what is no integer, InputError if the tables are of another SAE than there is now."""
        number = as_number(number, "feature", self.place.path)
        require(self._made_from.tables)
        if not 0 <= number < self.features:
            raise UnknownNameError(f"{self.place.path} has no feature {number}; it has 0 … {self.features - 1}")
        return Feature(self, number)

    def __iter__(self) -> "Iterator[Feature]":
        """All features, one after the other."""
        return map(self.feature, range(self.features))

    def __len__(self) -> int:
        """Number of features."""
        return self.features

    @property
    def figures(self) -> dict[str, str]:
        """Figures of the run by name: '' for those that it drew, for others why they do not apply."""
        return tables.drawn_figures(self._results, self.place)

    def drawn(self, name: str) -> Drawing:
        """A figure as the run drew it, an SVG. Raises InputError for one that it did not draw, and for figures of other
        tables, or tables of another SAE, than there are now."""
        require(self._made_from.by_tables(self.place.figures.receipt, "figures"))
        return drawn(self._results, self.place, name)

    def draw(self, name: str, **analysis: Any) -> "Figure":
        """A figure of the catalogue as a Matplotlib figure, to change or to save.

        Args:
            name: As the figures in `figures` are called, `decoder_power`.
            analysis: Thresholds in place of those of the run, `rare_frequency=1e-3`; keys are those of `analysis:` in
                the params file that the figure reads. Where the run recorded no params, the defaults hold.

        Raises InputError for an unknown figure, for a key that it does not read, for a figure that does not apply here,
        for older tables, and for tables that were made of another SAE than there is now.
        """
        from polysem.figures.draw_figures import dictionary_sources

        require(self._made_from.tables)
        folder = self._results.bring(self.place.tables)
        if not self.is_neurons:
            self._results.bring(self.place.of(NEURONS).tables)
        training = self._results.bring(self.place.sae.file(HISTORY)) if self._has_history else None
        sources = dictionary_sources(folder, self.place.names, training, labels_in(self.annotations))
        return draw(self.place, name, "of_dictionary", sources, self._recorded.analysis(**analysis), list(analysis))

    def sheet(self, number: int) -> str:
        """The sheet of a feature as an HTML page: the one of the run if it wrote one of the tables that there are now,
        else one that is made now. Raises InputError if these are of another SAE than there is now."""
        number = self.feature(number).number
        page, receipt = self.place.sheet(number), self.place.sheets.receipt
        written = self._results.has(receipt) and self._results.has(page)
        if written and not self._made_from.by_tables(receipt, "sheets"):
            return self._results.bring(page).read_text(encoding="utf-8")
        return self.new_sheet(number)

    def new_sheet(self, number: int, home: str = "") -> str:
        """The sheet of a feature as an HTML page that is made now, with what people said of it by now. It links to no
        other page but `home`, if that is given, an address. Raises InputError as `sheet` does."""
        number = self.feature(number).number
        from polysem.report.sheet_page import sheet_page

        model, is_text = self.site.model, self.site.model.is_language_model
        saes = [name for name in self.site if name != NEURONS and "alignment" in self.site[name].tables]
        shown = [self, *(self.site[name] for name in (saes if self.is_neurons else []))]
        indexes = {each.name: index for each in shown if (index := each._indexed.now) is not None}
        for each in shown:
            if each.name not in indexes:
                self._results.bring(each.place.table("alignment"))
        try:
            return sheet_page(
                self.place,
                self._results.bring(self.place.tables),
                number,
                self.annotations.get(number, FeatureAnnotations()),
                self._recorded.sheet_choice(*self.place.names),
                saes,
                tokenizer=self._results.bring(model.place.tokenizer) if is_text else None,
                images=None if is_text else self._results.bring(model.place.tokens("eval").store),
                home=home,
                indexes=indexes,
            )
        except KeyError as error:
            raise InputError(
                f"the sheet of {number} cannot be made: the tables of {self.place.path} lack {error}, which this "
                "version of polysem writes; `snakemake --cores all` measures them again"
            ) from error

    @property
    def _has_history(self) -> bool:
        """Whether there is a history of its training; not, as far as one can tell, where weights are not at hand."""
        try:
            return not self.is_neurons and self._results.has(self.place.sae.file(HISTORY))
        except NotAtHandError:
            return False

    def _exported(self) -> "Exported":
        import torch

        from polysem.saes.exported import Exported
        from polysem.saes.sae import SAE

        weights = self.weights
        if not isinstance(weights, SAE):
            raise InputError("the neurons are no SAE; save one of the SAEs of the site")
        frequency = self.table("frequency")["frequency"].to_numpy() if "frequency" in self.tables else None
        return Exported(
            sae=weights,
            model_name=self.site.model.known_as,
            site=self.site.name,
            name=self.name,
            metadata=self.config["metadata"],
            stored_frequency=None if frequency is None else torch.from_numpy(frequency),
        )

    def __repr__(self) -> str:
        number = _said(lambda: f"{self.features:,} features")
        wrong = self.not_of_one_run
        return f"<polysem.Dictionary {self.place.path}: {number}{'; ' if wrong else ''}{wrong}>"

    def _repr_html_(self) -> str:
        facts = {
            "features": _said(lambda: f"{self.features:,}"),
            "tables": _said(lambda: ", ".join(self.tables)),
            "figures": _said(lambda: ", ".join(name for name, reason in self.figures.items() if not reason)),
            "labelled features": _said(lambda: str(len(self.labels))),
        }
        if wrong := self.not_of_one_run:
            facts["not of one run"] = wrong
        recipe = {} if self._made_from.recipe else self.recipe
        return fact_table(f"{'Neurons' if self.is_neurons else 'SAE'} {self.place.path}", facts | recipe)


def _said(say: "Callable[[], str]") -> str:
    """A fact for somebody who looks at an object, or why it is not at hand: showing one never fails."""
    try:
        return say()
    except NotAtHandError as error:
        return str(error)


def drawn(results: Any, place: Place, name: str) -> Drawing:
    """A figure of a place as the run drew it; InputError for one that it did not draw."""
    from polysem.params.explain import nearest

    known = tables.drawn_figures(results, place)
    if name not in known:
        there = ", ".join(known) or "none"
        raise UnknownNameError(f"{place.path} has no figure {name!r}{nearest(name, list(known))}; there are: {there}")
    if known[name]:
        raise InputError(f"{name} was not drawn of {place.path}: {known[name]}")
    return Drawing(name, Path(results.bring(place.figure(name))))
