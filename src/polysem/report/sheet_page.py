"""S0.F4: the sheet of any one feature, whether or not it is among those that the study writes."""

from collections.abc import Sequence
from pathlib import Path

from polysem.io.tables import read_table
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.params.sheets import SheetChoice
from polysem.report.sheet_content import SheetContents
from polysem.report.sheet_tables import read_rows
from polysem.report.write_sheets import SHEET, contexts_of, decoding_here, pointing, shared_values, sheet_environment


def sheet_page(
    place: Place,
    tables: Path,
    feature: int,
    said: FeatureAnnotations,
    params: SheetChoice,
    saes: Sequence[str] = (),
    tokenizer: Path | None = None,
    images: Path | None = None,
    home: str = "",
) -> str:
    """The page of one feature as HTML. It links to no other page, as none need be there, but for `home`, if that is
    given, the page that its title leads to.

    `place` is the dictionary, `tables` the folder with its tables; `said` is what people said of the feature; `saes`
    are the SAEs of the site whose features a neuron's sheet names. `tokenizer` and `images` are those of
    `write_sheets`. Raises InputError for tables that cannot be read.
    """
    is_neuron = place.dictionary == NEURONS
    contexts = contexts_of(tokenizer, images)
    contents = SheetContents(read_rows(tables, [feature]), contexts, params, is_neuron)
    others = decoding_here(tables, saes) if is_neuron else {}
    return (
        sheet_environment()
        .get_template(SHEET)
        .render(
            **shared_values(place, contexts) | {"home": home, "report_page": "", "sheets_index": ""},
            target=read_table(tables / "alignment.nc").attrs.get("target"),
            sheet=contents.of(0),
            said=said,
            groups=[],
            pages=set(),
            neuron_pages=set(),
            pointing=list(pointing(feature, others, params)),
            before=None,
            after=None,
        )
    )
