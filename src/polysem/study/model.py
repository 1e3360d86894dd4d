"""A model of a study, with its sites."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.study import tables
from polysem.study.dictionary import drawn
from polysem.study.figures import Drawing, draw
from polysem.study.made_from import about_table, require
from polysem.study.names import Named, UnknownNameError, as_number
from polysem.study.recorded import Recorded
from polysem.study.results import Results
from polysem.study.showing import table
from polysem.study.site import Site
from polysem.study.stores import as_split, opened

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from polysem.models.subject import Batch, Subject
    from polysem.study.study import Study


class Model(Named[Site]):
    """A model that was studied: a mapping from hook names to sites.

    >>> import polysem
    >>> model = polysem.open("results")["stories-1l"]
    >>> list(model)
    ['blocks.0.mlp.hook_post']
    >>> model.run("Once upon a time", sites=["blocks.0.mlp.hook_post"])["blocks.0.mlp.hook_post"].dims
    ('token', 'neuron')
    """

    _kind = "site"

    def __init__(self, study: "Study", name: str) -> None:
        super().__init__()
        self.study: Study = study
        """The study that it is of."""
        self.name: str = name
        """Its key under `models:`."""
        self.results: Results = study.results
        self.recorded: Recorded = study.recorded
        self.place: Place = self.results.place(name)
        """Where its files lie."""
        self._lock = Lock()
        self._subject: Subject | None = None

    @property
    def _names(self) -> list[str]:
        return list(self.recorded.names[self.name])

    @property
    def _where(self) -> str:
        return f"the model {self.name}"

    def _open(self, name: str) -> Site:
        return Site(self, name)

    @cached_property
    def record(self) -> dict[str, Any]:
        """The content of its `model.json`: `kind`, the `settings` it is studied under, `origin`, digests of `files`."""
        file = self.results.bring(self.place.record)
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file} is no record of a model ({error}); delete the folder and run again") from None
        return found

    @property
    def is_language_model(self) -> bool:
        """Whether it reads text; else it is a classifier of images."""
        return self.record.get("kind") == "language"

    @property
    def known_as(self) -> str:
        """What others call it: its repository, or its key here."""
        return str(self.record.get("origin", {}).get("repository", self.name))

    @property
    def subject(self) -> "Subject":
        """The model itself behind the interface of all models (`polysem.models.subject.Subject`), on the CPU; loaded at
        the first call. Calls from several threads wait for each other."""
        from polysem.models.load import load_subject

        with self._lock:
            if self._subject is None:
                self._subject = load_subject(self.results.bring(self.place.weights.path))
            return self._subject

    def run(
        self, text: "str | NDArray[np.floating[Any]]", sites: str | Sequence[str] | None = None
    ) -> "dict[str, xr.DataArray]":
        """Activations of a text, or of images, at some sites, by their names; at all sites of the study without any.

        Args:
            text: One text, at most as long as the model's context; for a classifier images, (image, pixel) in [0, 1].
            sites: Any sites that the model has, also those that the study does not study; a text is one site.

        Each is a DataArray (token, neuron), float32, with the coordinates `text` of each token and `counted`, which is
        false for tokens that no statistic counts, the BOS token in front among them; of images (image, neuron). Raises
        InputError for a text that is too long or empty, and for a site that the model lacks.
        """
        import xarray as xr

        wanted = list(self) if sites is None else [sites] if isinstance(sites, str) else list(sites)
        if isinstance(text, str) != self.is_language_model:
            raise InputError(f"{self.name} reads {'one text' if self.is_language_model else 'images (image, pixel)'}")
        if strange := [site for site in wanted if not isinstance(site, str)]:
            raise TypeError(f"found {strange[0]!r} as a site; sites are names: {', '.join(self.subject.sites)}")
        if not wanted:
            raise InputError(f"name a site of {self.name}; it has {', '.join(self.subject.sites)}")
        if isinstance(text, str):
            batch = self._text(text)
            words = [self.token_text(token) for token in batch.inputs[0].tolist()]
            axis, coordinates = "token", {"text": ("token", words), "counted": ("token", batch.counted[0].numpy())}
        else:
            batch = self._images(text)
            axis, coordinates = "image", {}
        found = self.subject.activations(batch, wanted)
        return {
            site: xr.DataArray(values.flatten(0, 1).float().cpu().numpy(), coordinates, (axis, "neuron"), name=site)
            for site, values in found.items()
        }

    def _text(self, text: str) -> "Batch":
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise InputError(
                f"the text cannot be read: its character {error.start}, {half!r}, is half of a surrogate pair and no "
                "character of Unicode; decode the text as what it is, UTF-8 or UTF-16"
            ) from None
        from polysem.models.text import text_batch
        from polysem.models.tokenize_corpus import Tokenization

        settings = self.record["settings"]
        params = Tokenization(**{key: settings[key] for key in Tokenization.model_fields})
        return text_batch(self.results.bring(self.place.tokenizer), text, params)

    def _images(self, pixels: "NDArray[np.floating[Any]]") -> "Batch":
        import numpy as np
        import torch

        from polysem.models.subject import Batch

        images = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
        weights = self.subject.input_weights(self.subject.sites[0])
        wanted = None if weights is None else weights.shape[1]
        if images.ndim != 2 or images.shape[1] != wanted or not len(images):
            raise InputError(
                f"found an array of shape {tuple(images.shape)}; {self.name} reads (image, {wanted} pixels)"
            )
        if not bool(((images >= 0) & (images <= 1)).all()):
            raise InputError(f"pixels must lie in [0, 1]; found {float(images.min()):g} to {float(images.max()):g}")
        everywhere = torch.ones(len(images), 1, dtype=torch.bool)
        return Batch(images, torch.zeros(len(images), 1, dtype=torch.long), everywhere, everywhere)

    @cached_property
    def token_text(self) -> Callable[[int], str]:
        """A function from the number of a token to its text; of a classifier, to the number of the class. It raises
        UnknownNameError for a class that there is not and for numbers below 0, TypeError for what is no integer."""
        from polysem.tables.parts.words import words

        text = words(self.results.bring(self.place.tokenizer) if self.is_language_model else None)
        kind, count = ("token", None) if self.is_language_model else ("class", self._classes)

        def token_text(number: int) -> str:
            found = as_number(number, kind, self.name)
            if found < 0 or (count is not None and found >= count):
                there = "they begin with 0" if count is None else f"it has 0 … {count - 1}"
                raise UnknownNameError(f"{self.name} has no {kind} {found}; {there}")
            return text(found)

        return token_text

    @property
    def _classes(self) -> int:
        file = self.results.bring(self.place.weights.file("config.json"))
        try:
            return int(json.loads(file.read_text(encoding="utf-8"))["widths"][-1])
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{file} is no config of a classifier ({error}); delete the folder and run again"
            ) from None

    def tokens(self, split: str = "eval") -> "xr.Dataset":
        """What the model reads, lazily: `ids` (sequence, position), `length`, `counted` and `tags` of a split of text;
        `pixels` (sequence, pixel) and `labels` of images. Raises InputError for a store that is not there."""
        return opened(self.results, self.place.tokens(as_split(split)))

    @cached_property
    def tables(self) -> list[str]:
        """Names of the tables about the model."""
        return tables.files_of_tables(self.results, self.place)

    def table(self, name: str) -> "xr.Dataset":
        """A table about the model, lazily. Raises UnknownNameError, with the nearest name, and InputError for a table
        that was made of other SAEs, tables or activations than there are now."""
        require(about_table(self.results, self.place, name) if name in self.tables else "")
        return tables.open_table(self.results, self.place, name, self.tables)

    @property
    def figures(self) -> dict[str, str]:
        """Figures of all its sites together: '' for those that the run drew, for others why they do not apply."""
        return tables.drawn_figures(self.results, self.place)

    def drawn(self, name: str) -> Drawing:
        """A figure of all its sites as the run drew it, an SVG."""
        return drawn(self.results, self.place, name)

    def draw(self, name: str, **analysis: Any) -> "Figure":
        """A figure of all its sites as a Matplotlib figure; see `Dictionary.draw`."""
        from polysem.figures.draw_model_figures import model_sources

        sources = model_sources(self.results.bring(self.place.tables))
        return draw(self.place, name, "of_model", sources, self.recorded.analysis(**analysis), list(analysis))

    def __repr__(self) -> str:
        return f"<polysem.Model {self.name}: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        rows = [(name, ", ".join(site)) for name, site in self.items()]
        return table(f"Model {self.name}", ("site", "dictionaries"), rows)
