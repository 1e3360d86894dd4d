"""What the page of a feature shows beside texts that are tried: the content of its sheet, every neighbour a link."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from markupsafe import Markup

from polysem.explorer.explorer import Explorer
from polysem.explorer.pages.shown import UNSAID, Shown, ShownDictionary, dictionary_address, feature_address
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.notes import Note
from polysem.params.base import NEURONS
from polysem.report.contexts import Example
from polysem.report.sheet_content import Neighbour, SheetContents
from polysem.report.sheet_tables import NAMES, SheetTables
from polysem.report.write_sheets import POINTING, Pointing, shared_values


def page_values(explorer: Explorer, shown: Shown, dictionary: ShownDictionary, feature: int) -> dict[str, Any]:
    """The values of the template, for a feature that there is."""
    place, site = dictionary.place, dictionary.dictionary.site
    contexts = dictionary.contexts
    choice = site.recorded.sheet_choice(*place.names)
    said = dictionary.said.get(feature, UNSAID)
    target = dictionary.index.attributes("alignment").get("target")
    decoded_to = shown.study[place.model][target] if target else site

    def address(other_site: str, other: str, number: int) -> str:
        return feature_address(place.at(other_site, other), number)

    contents = SheetContents(
        SheetTables([feature], **dictionary.index.rows(feature, NAMES)),
        contexts,
        choice,
        dictionary.is_neurons,
        relations=shown.relations(place),
        address=address,
    )
    return shared_values(place, contexts) | {
        "page_ending": "",
        "list_ending": "",
        "copied": copied,
        "sheet": contents.of(0),
        "said": said,
        "own": own_note(said, explorer.author),
        "groups": [],
        "not_related": shown.not_related(place),
        "pages": range(dictionary.features),
        "neuron_pages": range(site.neurons),
        "aligned_pages": range(decoded_to.neurons),
        "aligned_folder": feature_address(decoded_to.place.of(NEURONS), 0).removesuffix("0"),
        "target": target,
        "pointing": list(_pointing(shown, dictionary, feature)) if dictionary.is_neurons else [],
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


def _pointing(shown: Shown, neurons: ShownDictionary, neuron: int) -> Iterator[Pointing]:
    """Of every SAE over these neurons with features whose strongest one this is: the most aligned of them."""
    place = neurons.place
    for name in neurons.dictionary.site:
        other = shown.dictionary(place.model, place.site, name)
        if other.is_neurons or "target" in other.index.attributes("alignment"):
            continue
        members = np.flatnonzero(other.index.column("alignment", "strongest_neuron") == neuron)
        power = other.index.column("alignment", "power_top1")
        ordered = members[np.argsort(-power[members], kind="stable")].tolist()
        if ordered:
            named = [Neighbour(feature, (f"{100 * power[feature]:.3g} %",)) for feature in ordered[:POINTING]]
            yield Pointing(name, quote(name), len(ordered), named, range(other.features))
