"""S0.F4: the sheet of any one feature, whether or not it is among those that the study writes."""

from collections.abc import Sequence
from pathlib import Path

from polysem.io.tables import read_table
from polysem.layout.feature_labels import Label
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
    labels: Sequence[Label],
    label_file: str,
    params: SheetChoice,
    saes: Sequence[str] = (),
    tokenizer: Path | None = None,
    images: Path | None = None,
) -> str:
    """The page of one feature as HTML. It links to no other page, as none need be there.

    `place` is the dictionary, `tables` the folder with its tables; `saes` are the SAEs of the site
    whose features a neuron's sheet names. `tokenizer` and `images` are those of `write_sheets`. Raises InputError for
    tables that cannot be read.
    """
    is_neuron = place.dictionary == NEURONS
    contexts = contexts_of(tokenizer, images)
    contents = SheetContents(read_rows(tables, [feature]), contexts, params, is_neuron)
    others = decoding_here(tables, saes) if is_neuron else {}
    return (
        sheet_environment()
        .get_template(SHEET)
        .render(
            **shared_values(place, contexts),
            target=read_table(tables / "alignment.nc").attrs.get("target"),
            sheet=contents.of(0),
            labels=list(labels),
            label_file=label_file,
            groups=[],
            pages=set(),
            neuron_pages=set(),
            pointing=list(pointing(feature, others, params)),
            before=None,
            after=None,
        )
    )
