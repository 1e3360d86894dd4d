"""What the page of a feature shows beside texts that are tried: the content of its sheet, every neighbour a link."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from polysem.explorer.explorer import Explorer
from polysem.explorer.pages.shown import (
    UNSAID,
    Shown,
    ShownDictionary,
    dictionary_address,
    feature_address,
    word_of,
)
from polysem.explorer.pages.twins import MOST
from polysem.io.columns import Columns
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.notes import Note
from polysem.params.base import NEURONS
from polysem.params.sheets import SheetChoice
from polysem.report.contexts import Example
from polysem.report.sheet_clusters import Like
from polysem.report.sheet_content import SheetContents
from polysem.report.sheet_tables import indexed_rows
from polysem.report.write_sheets import Pointing, of_this_site, pointing, shared_values

Importance = Mapping[tuple[int, int], Mapping[int, float]]
"""Of feature and cluster: by its offset from the key token, how much a token matters in the central example."""
Alike = Mapping[tuple[int, int], Sequence[Like]]
"""Of feature and cluster: clusters of other features that are like it."""
NOT_RELATED = (
    "Similar clusters are those of the neurons and of the first SAE of each recipe; the run held no clusters of this "
    "dictionary against others, and they are looked for together with the importance of tokens."
)
OF_ALIGNMENT = ("strongest_neuron", "power_top1", "features_strongest")


def page_values(
    explorer: Explorer,
    shown: Shown,
    dictionary: ShownDictionary,
    feature: int,
    importance: Importance,
    similar: Alike = MappingProxyType({}),
) -> dict[str, Any]:
    """The values of the template, for a feature that there is; `importance` is that of tokens in its clusters, and
    `similar` are clusters like them, where the run did not measure these."""
    place, site = dictionary.place, dictionary.dictionary.site
    contexts, index = dictionary.contexts, dictionary.index
    choice = site.recorded.sheet_choice(*place.names)
    said = dictionary.said.get(feature, UNSAID)
    target = index.attributes("alignment").get("target")
    decoded_to = shown.study[place.model][target] if target else site

    def address(other_site: str, other: str, number: int) -> str:
        return feature_address(place.at(other_site, other), number)

    contents = SheetContents(
        indexed_rows(index, feature),
        contexts,
        choice,
        dictionary.is_neurons,
        relations=dictionary.relations.measured(importance, similar),
        address=address,
    )
    return shared_values(place, contexts) | {
        "report_root": "",
        "page_ending": "",
        "list_ending": "",
        "copied": copied,
        "sheet": contents.of(0),
        "said": said,
        "own": own_note(said, explorer.author),
        "groups": [],
        "not_related": "" if dictionary.relations or similar else NOT_RELATED,
        "pages": range(dictionary.features),
        "neuron_pages": range(site.neurons),
        "aligned_pages": range(decoded_to.neurons),
        "aligned_folder": feature_address(decoded_to.place.of(NEURONS), 0).removesuffix("0"),
        "target": target,
        "pointing": _pointing(shown, dictionary, feature, choice) if dictionary.is_neurons else [],
        "twins": _linked_twins(shown, dictionary, feature),
        "more_twins": max(0, shown.twins_of(place.model).count(place, feature) - MOST),
        "before": feature - 1 if feature else None,
        "after": feature + 1 if feature + 1 < dictionary.features else None,
        "list_address": dictionary_address(place),
    }


def copied(example: Example) -> Markup:
    """The link beside an example by which its text gets into the box; nothing beside an image."""
    if not example.text:
        return Markup()
    return Markup('<a class="copy" href="?{}#try">copy</a>').format(urlencode({"text": example.text}))


def own_note(said: FeatureAnnotations, author: str) -> Note | None:
    """What the person at the keyboard said of the feature; None if that is nothing."""
    return next((note for note in said.notes if note.author == author), None)


def _linked_twins(shown: Shown, dictionary: ShownDictionary, feature: int) -> list[dict[str, Any]]:
    """The twins of a feature with their addresses, and their dictionaries where these are others."""
    place = dictionary.place
    return [
        {
            "word": word_of(twin.place),
            "feature": twin.feature,
            "address": feature_address(twin.place, twin.feature),
            "site": "" if twin.place.site == place.site else twin.place.site,
            "dictionary": "" if twin.place == place else twin.place.dictionary,
            "values": (twin.correlation, twin.shared_contexts),
        }
        for twin in shown.twins_of(place.model).of(place, feature)
    ]


def _pointing(shown: Shown, neurons: ShownDictionary, neuron: int, choice: SheetChoice) -> list[Pointing]:
    """The features whose strongest neuron this is, of the SAEs over these neurons; all of them have a page."""
    others = [shown.dictionary(*neurons.place.of(name).names) for name in neurons.dictionary.site if name != NEURONS]
    tables = {
        other.place.dictionary: Columns(
            {name: other.index.column("alignment", name) for name in OF_ALIGNMENT}, other.index.attributes("alignment")
        )
        for other in others
    }
    features = {other.place.dictionary: range(other.features) for other in others}
    return [one._replace(pages=features[one.name]) for one in pointing(neuron, of_this_site(tables), choice)]
