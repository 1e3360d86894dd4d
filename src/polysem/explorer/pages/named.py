"""The second kind of result: features whose labels or top tokens say a word, whatever the model makes of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from polysem.explorer.pages.form import Form
from polysem.explorer.pages.shown import UNSAID, Shown, ShownDictionary, feature_address
from polysem.index.token_search import find
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place

FEW = 3
"""Words up to which a text is looked for as a whole; of a longer one, the chosen tokens are."""
MOST = 10
"""Features that are shown."""
LOOKED_THROUGH = 1000
"""Features that are found before filters leave some out."""


@dataclass(frozen=True)
class Named:
    """A feature that was found by words."""

    place: Place
    feature: int
    word: str
    address: str
    said: FeatureAnnotations
    tokens: Markup


def words_of(form: Form, chosen: list[str]) -> str:
    """What to look for: a short text, else the tokens by which somebody sorts; '' for nothing."""
    if chosen:
        return " ".join(chosen).strip()
    return form.text.strip() if len(form.text.split()) <= FEW else ""


def found_by_words(shown: Shown, form: Form, words: str) -> list[Named]:
    """Those with a label that says it, then those with it among their top tokens, among what the form is about."""
    if not words:
        return []
    wanted = [each for each in shown.all_dictionaries() if each.place.model == form.model and _is_wanted(each, form)]
    by_path = {(each.place.site, each.place.dictionary): each for each in wanted}
    found = dict.fromkeys((each, feature) for each in wanted for feature in _labelled(each, words))
    results, place = shown.study.results, wanted[0].place if wanted else None
    if place is not None and results.has(place.token_search):
        for one in find(Path(results.bring(place.token_search)), words, LOOKED_THROUGH):
            if (dictionary := by_path.get((one.site, one.dictionary))) is not None:
                found[dictionary, one.feature] = None
    return [_named(dictionary, feature) for dictionary, feature in list(found)[:MOST]]


def _is_wanted(dictionary: ShownDictionary, form: Form) -> bool:
    place = dictionary.place
    return (
        (not form.sites or place.site in form.sites)
        and (not form.dictionaries or place.dictionary in form.dictionaries)
        and form.kind in ("all", "neurons" if dictionary.is_neurons else "features")
    )


def _labelled(dictionary: ShownDictionary, words: str) -> Iterator[int]:
    parts = words.casefold().split()
    for feature, said in dictionary.said.items():
        label = said.label.casefold()
        if said.labels and all(part in label for part in parts):
            yield feature


def _named(dictionary: ShownDictionary, feature: int) -> Named:
    return Named(
        place=dictionary.place,
        feature=feature,
        word=dictionary.word,
        address=feature_address(dictionary.place, feature),
        said=dictionary.said.get(feature, UNSAID),
        tokens=dictionary.top_tokens(feature),
    )
