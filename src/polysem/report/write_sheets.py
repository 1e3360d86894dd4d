"""S0.F4: the step that writes the feature sheets of one dictionary."""

import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from polysem.io.columns import Columns, read_columns, table_file
from polysem.io.errors import InputError
from polysem.io.folders import from_tables, receipt_of, written_folder
from polysem.layout.annotations import Annotations, FeatureAnnotations
from polysem.layout.place import Place
from polysem.models.tokenizer import load_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.params.base import NEURONS
from polysem.params.sheets import SheetChoice
from polysem.report.contexts import ImageContexts, TextContexts
from polysem.report.numbers import in_words
from polysem.report.sheet_choice import (
    Group,
    annotated,
    feature_groups,
    most_polysemantic,
    neuron_groups,
    neurons_with_sheets,
    shown_in_figures,
)
from polysem.report.sheet_clusters import Relations
from polysem.report.sheet_content import Contexts, Neighbour, Sheet, SheetContents
from polysem.report.sheet_tables import read_rows
from polysem.report.visible import visible

TEMPLATES = Path(__file__).parent
FILES = ("sheet.css", "sheet.js")
SHEET = "sheet.html.j2"
REPORT = "../../../../"
"""From a sheet to the root of the report, whose front page its title leads to, and whose search box it has."""
POINTING = 5
"""Features per SAE that a neuron's sheet names."""


class Pointing(NamedTuple):
    """Features of an SAE whose strongest neuron this is: how many, the most aligned ones, which of them have sheets."""

    name: str
    address: str
    total: int
    features: list[Neighbour]
    pages: Container[int]


def write_sheets(
    place: Place,
    tables: Path,
    annotations: Annotations,
    output: Path,
    params: SheetChoice,
    saes: list[str],
    tokenizer: Path | None = None,
    images: Path | None = None,
    relations: Path | None = None,
) -> None:
    """Write a folder with a static page per chosen feature and `index.html`, and a receipt that lists them.

    Args:
        place: The dictionary.
        tables: Folder with the dictionary's tables.
        annotations: What people said of its features.
        output: Folder to write, whole or not at all. Its receipt, which comes to lie beside it, says of every sheet
            what a search has to know.
        params: Which features get a sheet, and what is rare.
        saes: The SAEs of the site that have sheets; their tables stand beside this dictionary's. Read for the neurons
            only.
        tokenizer: `tokenizer.json` of a language model.
        images: Token store of a classifier, in its place.
        relations: Table of the clusters of all dictionaries of the model, with those that are most like each, and with
            the importance of tokens.

    Raises InputError for unreadable tables, and for notes and listed features that there are not.
    """
    frequency, alignment = read_columns(tables / "frequency.nc"), read_columns(tables / "alignment.nc")
    features = len(frequency["frequency"])
    said = annotations.about(receipt_of(tables), features)
    is_neuron = place.dictionary == NEURONS
    target = alignment.attributes.get("target")
    others = decoding_here(tables, saes) if is_neuron else {}
    groups = neuron_groups(params, features, others) if is_neuron else feature_groups(params, frequency, alignment)
    with table_file(tables / "clusters.nc") as clusters:
        shown = clusters.read("shown_feature").tolist() if "shown_feature" in clusters.dimensions else []
    groups += shown_in_figures(params, shown)
    groups += annotated(params, [feature for feature, own in said.items() if own.is_there])
    chosen = sorted({feature for group in groups for feature in group.features})
    contexts = contexts_of(tokenizer, images)
    pages = set(chosen)
    neuron_pages = pages if is_neuron else set() if target else neurons_with_sheets(params, alignment)

    def address(other_site: str, other: str, feature: int) -> str | None:
        """Which sheets there are is known of this dictionary and of the neurons of its site, or where all have one."""
        here = {place.dictionary: pages, NEURONS: neuron_pages}.get(other, set()) if other_site == place.site else set()
        known = params.all or feature in here
        return quote(f"../../{other_site}/{other}/{feature}.html") if known else None

    contents = SheetContents(
        read_rows(tables, chosen),
        contexts,
        params,
        is_neuron,
        relations=None if relations is None else Relations(read_columns(relations), place),
        address=address,
    )
    environment = sheet_environment()
    page = environment.get_template(SHEET)
    shared = shared_values(place, contexts) | {"target": target}
    reasons = _reasons(groups)
    lines: dict[int, dict[str, Any]] = {}
    with written_folder(output) as (folder, receipt):
        for name in FILES:
            shutil.copyfile(TEMPLATES / name, folder / name)
        for row, feature in enumerate(chosen):
            sheet = contents.of(row)
            own = said.get(feature, FeatureAnnotations())
            text = page.render(
                **shared,
                sheet=sheet,
                said=own,
                groups=reasons[feature],
                pages=pages,
                neuron_pages=neuron_pages,
                pointing=list(pointing(feature, others, params)),
                before=chosen[row - 1] if row else None,
                after=chosen[row + 1] if row + 1 < len(chosen) else None,
            )
            _write(folder / f"{feature}.html", text)
            lines[feature] = _line(sheet, own)
        index = environment.get_template("sheets_index.html.j2")
        text = index.render(**shared, groups=groups, lines=lines, count=len(chosen), others=others_in(said))
        _write(folder / "index.html", text)
        receipt |= _receipt(place.path, features, groups, lines) | {"made_from": from_tables(tables)}


def decoding_here(tables: Path, saes: Sequence[str]) -> dict[str, Columns]:
    """The table `alignment` of those SAEs beside a dictionary whose decoder rows are over the neurons of this site: a
    transcoder's are over those of another one."""
    return of_this_site({name: read_columns(tables.parent / name / "alignment.nc") for name in saes})


def of_this_site(alignments: Mapping[str, Columns]) -> dict[str, Columns]:
    """Those of some tables `alignment` that are over the neurons of their own site."""
    return {name: table for name, table in alignments.items() if "target" not in table.attributes}


def shared_values(place: Place, contexts: Contexts) -> dict[str, Any]:
    """What the template says on all sheets of a dictionary."""
    is_neuron = place.dictionary == NEURONS
    return {
        **place.values(),
        "label_file": place.labels,
        "home": f"{REPORT}index.html",
        "report_root": REPORT,
        "report_page": f"{REPORT}pages/models/{quote(place.path)}.html",
        "sheets_index": "index.html",
        "is_neuron": is_neuron,
        "word": "neuron" if is_neuron else "feature",
        "words": "neurons" if is_neuron else "features",
        "images": isinstance(contexts, ImageContexts),
        "unit": contexts.unit,
        "page_ending": ".html",
        "list_ending": "/index.html",
        "copied": None,
    }


def contexts_of(tokenizer: Path | None, images: Path | None) -> Contexts:
    """How examples are shown: as text, or as images of a token store. InputError if neither is given."""
    if tokenizer is not None:
        return TextContexts(Vocabulary(load_tokenizer(tokenizer)))
    if images is not None:
        return ImageContexts(images)
    raise InputError("give --tokenizer for a language model, or --images for a classifier")


@cache
def sheet_environment() -> Environment:
    """The templates of sheets; text in them is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.globals["Markup"] = Markup
    return environment


def _reasons(groups: list[Group]) -> dict[int, list[Group]]:
    reasons: dict[int, list[Group]] = {}
    for group in groups:
        for feature in group.features:
            reasons.setdefault(feature, []).append(group)
    return reasons


def pointing(neuron: int, saes: Mapping[str, Columns], choice: SheetChoice) -> Iterator[Pointing]:
    """Of every SAE with features whose strongest neuron this is: the most aligned of them."""
    for name, alignment in saes.items():
        members = np.flatnonzero(alignment["strongest_neuron"] == neuron)
        power = alignment["power_top1"]
        ordered = members[np.argsort(-power[members], kind="stable")].tolist()
        leads = neuron == most_polysemantic(alignment["features_strongest"])
        pages = set(ordered if choice.all else ordered[: choice.polysemantic] if leads else [])
        if ordered:
            named = [Neighbour(feature, (f"{100 * power[feature]:.3g} %",)) for feature in ordered[:POINTING]]
            yield Pointing(name, quote(name), len(ordered), named, pages)


def others_in(said: Mapping[int, FeatureAnnotations]) -> int:
    """How many notes are about another training."""
    return sum(len(own.others) for own in said.values())


def _line(sheet: Sheet, said: FeatureAnnotations) -> dict[str, Any]:
    """A sheet's line in the index, and in the receipt."""
    return {
        "said": said,
        "subjects": sheet.examples.subjects,
        "largest": in_words(sheet.largest),
        "power": sheet.power,
        "frequency": f"{sheet.frequency:.3g}",
        "share": sheet.frequency,
        "flag": sheet.flag,
    }


def _receipt(dictionary: str, features: int, groups: list[Group], lines: dict[int, dict[str, Any]]) -> dict[str, Any]:
    return {
        "dictionary": dictionary,
        "features": features,
        "groups": [{"key": group.key, "title": group.title, "features": group.features} for group in groups],
        "sheets": [
            {
                "id": f"{dictionary}/{feature}",
                "feature": feature,
                "page": f"{feature}.html",
                "tokens": line["subjects"].strings,
                "frequency": line["share"],
                "flag": line["flag"],
            }
            for feature, line in lines.items()
        ],
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
