"""S1.F11: the step that writes the case studies of a model, a page each."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from polysem.io.columns import Columns, read_columns
from polysem.io.folders import written_folder
from polysem.layout.annotations import Annotations, FeatureAnnotations
from polysem.layout.place import Place
from polysem.models.tokenizer import load_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.params.base import NEURONS
from polysem.params.sheets import SheetChoice
from polysem.report.case_content import CaseStudy, case_study, places_of
from polysem.report.contexts import TextContexts
from polysem.report.sheet_content import SheetContents
from polysem.report.sheet_tables import read_rows
from polysem.report.write_sheets import FILES, TEMPLATES, shared_values, sheet_environment

REPORT = "../../"
"""From a case study to the root of the report."""
IN_REPORT = {"home": f"{REPORT}index.html", "report_root": REPORT}
NOTHING_CHOSEN: dict[str, Any] = {
    "polysemantic": 0,
    "random": 0,
    "seed": 0,
    "shown": False,
    "annotated": False,
    "all": False,
    "listed": [],
    "listed_neurons": [],
}
"""Which features have sheets decides nothing here."""
NO_PAGES: dict[str, Any] = IN_REPORT | {"groups": [], "pages": (), "neuron_pages": (), "pointing": []}
COMPARISON = "comparison"
"""The table of a site that says which features of dictionaries of growing size descend from each other."""
PAGE, INDEX = "case.html.j2", "cases_index.html.j2"


def write_case_studies(
    place: Place,
    tokenizer: Path,
    output: Path,
    rare_frequency: float,
    ultra_low_frequency: float,
    tables: list[str],
    annotations: dict[str, Annotations],
    root: str,
) -> None:
    """Write a folder with a page for each case study of a language model and `index.html`, and a receipt beside it.

    Args:
        place: The model.
        tokenizer: Its `tokenizer.json`.
        output: Folder to write, whole or not at all.
        rare_frequency: Share of tokens below which a feature is rare.
        ultra_low_frequency: Share of tokens below which its frequency is ultra-low.
        tables: Tables of the model that are read.
        annotations: What people said of features, by `model/site/dictionary`, of those dictionaries that have any.
        root: The folder of all artifacts.

    Raises InputError for tables that cannot be read.
    """
    place = Place(place.model, root=root)
    of_model = {name: read_columns(Path(place.table(name))) for name in tables}
    choice = SheetChoice(**NOTHING_CHOSEN, rare_frequency=rare_frequency, ultra_low_frequency=ultra_low_frequency)
    contexts = TextContexts(Vocabulary(load_tokenizer(tokenizer)))
    table = of_model["case_studies"]
    places = places_of(table, place)
    studied = {one: _Studied(one, table, places, choice, contexts) for one in dict.fromkeys(places)}
    sites = dict.fromkeys(one.at(one.site) for one in places)
    compared = {site: read_columns(Path(site.table(COMPARISON))) for site in sites}
    cases = [
        case_study(of_model, number, one, studied[one].tags, compared[one.at(one.site)], contexts)
        for number, one in enumerate(places)
    ]
    environment = sheet_environment()
    page = environment.get_template(PAGE)
    with written_folder(output) as (folder, receipt):
        for name in FILES:
            shutil.copyfile(TEMPLATES / name, folder / name)
        for number, case in enumerate(cases):
            text = page.render(
                **(shared_values(case.place, contexts) | studied[case.place].values(case.feature)),
                case=case,
                said=_said(annotations, case),
                before=cases[number - 1] if number else None,
                after=cases[number + 1] if number + 1 < len(cases) else None,
            )
            (folder / case.address).write_text(text, encoding="utf-8", newline="\n")
        text = environment.get_template(INDEX).render(
            model=place.model,
            **IN_REPORT,
            report_page=f"{REPORT}pages/models/{quote(place.model)}/index.html",
            cases=cases,
            reason=table.attributes.get("not_applicable", ""),
            unknown=table.attributes.get("unknown_tags", ""),
        )
        (folder / "index.html").write_text(text, encoding="utf-8", newline="\n")
        receipt["cases"] = [
            {
                "id": f"{case.place.path}/{case.feature}",
                "tag": case.tag,
                "is_neuron": case.is_neuron,
                "page": case.address,
            }
            for case in cases
        ]


def _said(annotations: dict[str, Annotations], case: CaseStudy) -> FeatureAnnotations:
    known = annotations.get(case.place.path)
    if known is None:
        return FeatureAnnotations()
    return known.about(Path(case.place.tables_receipt)).get(case.feature, FeatureAnnotations())


class _Studied:
    """The sheets of all case studies of one dictionary, of which no other feature has a page here."""

    def __init__(
        self, place: Place, cases: Columns, places: Sequence[Place], choice: SheetChoice, contexts: TextContexts
    ) -> None:
        """`places` are the dictionaries of all `cases`."""
        mine = {int(feature) for feature, of in zip(cases["feature"], places, strict=True) if of == place}
        self._features = sorted(mine)
        self._rows = read_rows(Path(place.tables), self._features)
        self._contents = SheetContents(self._rows, contexts, choice, place.dictionary == NEURONS)
        self._report_page = f"{REPORT}pages/models/{quote(place.path)}.html"

    @property
    def tags(self) -> Columns:
        """The table of tags; what is over tags is whole."""
        return self._rows.tags

    def values(self, feature: int) -> dict[str, Any]:
        """What the sheet's template needs beside what all sheets share."""
        return {
            **NO_PAGES,
            "report_page": self._report_page,
            "sheet": self._contents.of(self._features.index(feature)),
            "target": self._rows.alignment.attributes.get("target"),
        }
