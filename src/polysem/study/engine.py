"""What answers searches: a model with all dictionaries of its sites, each loaded once, when it is first needed.

An answer has the same bits whatever other texts are asked about at the same time: the model reads batches of fixed
shapes (`polysem.models.fixed_batches`), and what features do is scored by inner products of their own
(`polysem.saes.encoders`). One thread calls it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polysem.activations.left_out import NOTHING, LeftOut, recorded_left_out
from polysem.io.errors import InputError
from polysem.models.fixed_batches import SLOTS, FixedBatches
from polysem.models.text import TextTokens
from polysem.models.tokenize_corpus import Tokenization
from polysem.params.explain import nearest
from polysem.saes.encoders import Reading
from polysem.saes.ranking import scaled, strongest
from polysem.study.heard import Heard, OfStudy, is_neurons
from polysem.study.names import UnknownNameError
from polysem.study.results import NotAtHandError
from polysem.study.search import Query, SearchResult, SearchResults, TextActivations

if TYPE_CHECKING:
    from polysem.study.model import Model

SMALL = 64 * 2**20
"""Bytes of weights up to which several texts are read at once; each text of a larger model fills the machine."""
DIGITS = 7
"""Significant digits of the numbers in an answer: those that float32 has."""
NEARLY = 1e-5
"""Relative difference of scaled activations that rounding may make."""

Rows = Int[Tensor, " token"]


@dataclass(frozen=True)
class Asked:
    """A query whose text is tokenized and whose names are looked up."""

    query: Query
    ids: Int[np.ndarray, " token"]
    counted: Bool[np.ndarray, " token"]
    """Tokens on which the largest activation is looked for."""
    wanted: Bool[np.ndarray, " dictionary"]
    notes: list[str]


class Engine:
    """A language model of a study with its dictionaries, and with others that a user adds.

    Raises InputError for a model that reads no text.
    """

    def __init__(self, model: "Model", added: Sequence[Heard] = ()) -> None:
        if not model.is_language_model:
            raise InputError(f"{model.name} reads images; a search asks a model that reads text")
        self.model = model
        self.heard: list[Heard] = [*(OfStudy(one) for site in model.values() for one in site.values()), *added]
        """All dictionaries, in the order of the study."""
        self._ends = np.cumsum([one.features for one in self.heard])
        settings = model.record["settings"]
        params = Tokenization(**{key: settings[key] for key in Tokenization.model_fields})
        self._tokens = TextTokens(model.results.bring(model.place.tokenizer), params)
        self._left_out: Callable[[str], LeftOut] = cache(self._recorded)

    @cached_property
    def batches(self) -> FixedBatches:
        """The model itself."""
        weights = Path(self.model.place.weights.path).glob("*.safetensors")
        slots = SLOTS if sum(file.stat().st_size for file in weights) <= SMALL else 1
        return FixedBatches(self.model.subject, self._tokens.context, self._tokens.vocabulary, slots)

    @torch.inference_mode()
    def search(self, queries: Sequence[Query]) -> list[SearchResults | InputError]:
        """The answer to each query, or what is wrong with it."""
        asked = [self._caught(query) for query in queries]
        good = [one for one in asked if isinstance(one, Asked)]
        answers = iter(self._answers(good))
        return [next(answers) if isinstance(one, Asked) else one for one in asked]

    @torch.inference_mode()
    def activations(
        self, site: str, dictionary: str, features: Sequence[int], texts: Sequence[str]
    ) -> list[TextActivations]:
        """Activations of some features of a dictionary on each of some texts. Raises InputError for a text that cannot
        be read, UnknownNameError for a dictionary or a feature that there is not."""
        number = self._number(site, dictionary)
        heard = self.heard[number]
        for feature in features:
            if not 0 <= feature < heard.features:
                raise UnknownNameError(f"{site}/{dictionary} has no feature {feature}; it has 0 … {heard.features - 1}")
        tokens = [self._tokens.within_context(text) for text in texts]
        read = self.batches.read([ids for ids, _ in tokens], [site])
        found = []
        for (ids, masked), values in zip(tokens, read, strict=True):
            counted = masked & self._kept(site, values[site])
            reading, rows = heard.encoder.read(values[site]), torch.arange(len(ids))
            activations = reading.activations(rows, torch.tensor(features)).T.numpy()
            found.append(
                TextActivations(ids.tolist(), self._words(ids), counted.tolist(), rounded(activations).tolist())
            )
        return found

    def _caught(self, query: Query) -> Asked | InputError:
        try:
            return self._asked(query)
        except InputError as error:
            return error

    def _asked(self, query: Query) -> Asked:
        ids, counted = self._tokens.within_context(query.text)
        if query.tokens is not None:
            if beyond := [place for place in query.tokens if not 0 <= place < len(ids)]:
                raise InputError(f"the text has no token {beyond[0]}; its tokens are 0 … {len(ids) - 1}")
            counted = np.isin(np.arange(len(ids)), query.tokens)
        elif query.bos:
            counted = np.ones_like(counted)
        if not counted.any():
            raise InputError("no token of the text counts; choose some of them, or let BOS and masked tokens count")
        wanted, notes = self._wanted(query), []
        if query.scale != "raw":
            for number in np.flatnonzero(wanted):
                if lacking := self.heard[number].distributed.lacking:
                    wanted[number] = False
                    notes.append(f"{self._path(self.heard[number])} is left out: {lacking}")
            if not wanted.any():
                raise InputError(f"nothing can be ranked by {query.scale}; {notes[0]}")
        return Asked(query, ids, counted, wanted, notes)

    def _wanted(self, query: Query) -> Bool[np.ndarray, " dictionary"]:
        """Which dictionaries a query is about. UnknownNameError, with the nearest name, for a name that there is not,
        InputError where none is left."""
        named = {"site": (query.sites, [one.site for one in self.heard])}
        named["dictionary"] = (query.dictionaries, [one.name for one in self.heard])
        wanted = np.ones(len(self.heard), dtype=bool)
        for kind, (names, there) in named.items():
            for name in names or ():
                if name not in there:
                    known = list(dict.fromkeys(there))
                    raise UnknownNameError(
                        f"the model {self.model.name} has no {kind} {name!r}{nearest(name, known)}; there are: "
                        f"{', '.join(known)}"
                    )
            if names is not None:
                wanted &= np.isin(there, names)
        if query.kind != "all":
            wanted &= np.array([is_neurons(one) == (query.kind == "neurons") for one in self.heard])
        if not wanted.any():
            raise InputError(
                f"no dictionary of {self.model.name} is of the kind {query.kind!r}, and of the names that were given; "
                "leave out one of them"
            )
        return wanted

    def _answers(self, asked: Sequence[Asked]) -> Iterator[SearchResults]:
        if not asked:
            return
        numbers = np.flatnonzero(np.any([one.wanted for one in asked], axis=0)).tolist()
        sites = list(dict.fromkeys(self.heard[number].site for number in numbers))
        read = self.batches.read([one.ids for one in asked], sites)
        ends = np.cumsum([len(one.ids) for one in asked])
        rows = [torch.arange(end - len(one.ids), end) for one, end in zip(asked, ends.tolist(), strict=True)]
        x = {site: torch.cat([values[site] for values in read]) for site in sites}
        readings = {number: self.heard[number].encoder.read(x[self.heard[number].site]) for number in numbers}
        kept = [
            {site: self._kept(site, values[site]) | (one.query.bos or one.query.tokens is not None) for site in sites}
            for one, values in zip(asked, read, strict=True)
        ]
        least, most = self._bounds(asked, rows, readings, kept)
        for text, one in enumerate(asked):
            candidates = self._candidates(one, least[text], most[text])
            yield self._answer(one, rows[text], candidates, readings, kept[text])

    def _recorded(self, site: str) -> LeftOut:
        """The rule of a site; that which leaves out nothing where the activations, with their receipt, are not kept."""
        store = self.model[site].place.activations("eval")
        try:
            self.model.results.bring(store.receipt)
        except NotAtHandError:
            return NOTHING
        return recorded_left_out(Path(store.store))

    def _kept(self, site: str, x: Float[Tensor, "token neuron"]) -> Bool[np.ndarray, " token"]:
        """Which tokens of a text are not left out at a site."""
        out: Bool[np.ndarray, " token"] = self._left_out(site).at(x, torch.arange(len(x))).cpu().numpy()
        return ~out

    def _bounds(
        self,
        asked: Sequence[Asked],
        rows: Sequence[Rows],
        readings: dict[int, Reading],
        kept: Sequence[dict[str, Bool[np.ndarray, " token"]]],
    ) -> tuple[Float[np.ndarray, "text feature"], Float[np.ndarray, "text feature"]]:
        """What the largest activation of each feature of all dictionaries is at least, and at most; 0 of those that are
        not wanted."""
        least, most = (np.zeros((len(asked), int(self._ends[-1])), np.float32) for _ in range(2))
        for number, reading in readings.items():
            site = self.heard[number].site
            counted = [
                own[torch.from_numpy(one.counted & of[site])] for own, one, of in zip(rows, asked, kept, strict=True)
            ]
            texts = [text for text, one in enumerate(asked) if one.wanted[number] and len(counted[text])]
            if not texts:
                continue
            low, high = reading.largest([counted[text] for text in texts])
            least[texts, self._part(number)], most[texts, self._part(number)] = low.numpy(), high.numpy()
        return least, most

    def _candidates(
        self, asked: Asked, least: Float[np.ndarray, " feature"], most: Float[np.ndarray, " feature"]
    ) -> Int[np.ndarray, " candidate"]:
        """Features of all dictionaries that can be among the strongest, in ascending order: at least `top` others are
        stronger than each feature that is missing."""
        shown = np.flatnonzero((most > 0) & ~(self._frequency > asked.query.density))
        top, scale = asked.query.top, asked.query.scale
        if len(shown) <= top:
            return shown
        lower, upper = self._scaled(shown, least[shown], scale), self._scaled(shown, most[shown], scale)
        bound = np.partition(lower, -top)[-top]
        candidates: Int[np.ndarray, " candidate"] = shown[upper >= bound - NEARLY * abs(bound)]
        return candidates

    def _answer(
        self,
        asked: Asked,
        rows: Rows,
        candidates: Int[np.ndarray, " candidate"],
        readings: dict[int, Reading],
        kept: dict[str, Bool[np.ndarray, " token"]],
    ) -> SearchResults:
        """The strongest of some features; on tokens that are left out at their site none is active."""
        values = np.zeros((len(rows), len(candidates)), np.float32)
        for number, places in self._by_dictionary(candidates):
            features = torch.from_numpy(candidates[places] - self._part(number).start)
            found = readings[number].activations(rows, features).numpy()
            values[:, places] = np.where(kept[self.heard[number].site][:, None], found, 0)
        token, place = np.nonzero((values > 0) & asked.counted[:, None])
        value, feature = values[token, place], candidates[place]
        on_scale = self._scaled(feature, value, asked.query.scale)
        chosen = strongest(feature, value, on_scale, asked.query.top)
        shown, numbers = rounded(values[:, place[chosen]]).T.tolist(), rounded(value[chosen]).tolist()
        words, scale = self._words(asked.ids), rounded(on_scale[chosen]).tolist()
        results = [
            self._result(int(feature[entry]), numbers[rank], scale[rank], words, int(token[entry]), shown[rank])
            for rank, entry in enumerate(chosen)
        ]
        return SearchResults(
            self.model.name, asked.query.text, asked.ids.tolist(), words, asked.counted.tolist(), results, asked.notes
        )

    def _result(
        self, feature: int, value: float, scaled: float, words: list[str], position: int, activations: list[float]
    ) -> SearchResult:
        number = int(np.searchsorted(self._ends, feature, side="right"))
        heard, own = self.heard[number], feature - self._part(number).start
        frequency = heard.distributed.frequency
        return SearchResult(
            model=self.model.name,
            site=heard.site,
            dictionary=heard.name,
            feature=own,
            label=None,
            value=value,
            scaled=scaled,
            token=words[position],
            position=position,
            activations=activations,
            frequency=None if frequency is None else float(rounded(frequency[own])),
        )

    def _scaled(
        self, feature: Int[np.ndarray, " entry"], value: Float[np.ndarray, " entry"], scale: str
    ) -> Float[np.ndarray, " entry"]:
        """Activations of features of all dictionaries on a scale."""
        if scale == "raw":
            return value
        found = np.zeros(len(value), np.float32)
        for number, places in self._by_dictionary(feature):
            scales = self.heard[number].distributed.scales
            assert scales is not None, "dictionaries without scales are not wanted"
            found[places] = scaled(value[places], feature[places] - self._part(number).start, scales, scale)
        return found

    @cached_property
    def _frequency(self) -> Float[np.ndarray, " feature"]:
        """Of all features; 0 where it was not measured."""
        known = [(one.distributed.frequency, one.features) for one in self.heard]
        return np.concatenate([np.zeros(count, np.float32) if found is None else found for found, count in known])

    def _by_dictionary(self, feature: Int[np.ndarray, " entry"]) -> Iterator[tuple[int, Int[np.ndarray, " place"]]]:
        """The dictionaries that some features are of, each with the places of its own."""
        owner = np.searchsorted(self._ends, feature, side="right")
        return ((int(number), np.flatnonzero(owner == number)) for number in np.unique(owner))

    def _part(self, number: int) -> slice:
        """The features of a dictionary among those of all."""
        return slice(int(self._ends[number]) - self.heard[number].features, int(self._ends[number]))

    def _number(self, site: str, dictionary: str) -> int:
        there = [(one.site, one.name) for one in self.heard]
        if (site, dictionary) not in there:
            known = [self._path(one) for one in self.heard]
            path = f"{self.model.name}/{site}/{dictionary}"
            raise UnknownNameError(f"there is no {path!r}{nearest(path, known)}; there are: {', '.join(known)}")
        return there.index((site, dictionary))

    def _path(self, heard: Heard) -> str:
        return f"{self.model.name}/{heard.site}/{heard.name}"

    def _words(self, ids: Int[np.ndarray, " token"]) -> list[str]:
        return [self.model.token_text(token) for token in ids.tolist()]


def rounded(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Numbers as decimals of `DIGITS` significant digits, in float64: JSON writes these and no more."""
    exact = np.asarray(values, np.float64)
    size = np.floor(np.log10(np.abs(exact), out=np.zeros_like(exact), where=exact != 0))
    factor = 10.0 ** (DIGITS - 1 - size)
    return np.asarray(np.round(exact * factor) / factor)
