"""S0.F4: the sheet of any one feature, whether or not it is among those that the study writes."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from polysem.index.feature_index import FeatureIndex
from polysem.io.columns import Columns, read_columns
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.params.sheets import SheetChoice
from polysem.report.sheet_content import Contexts, SheetContents
from polysem.report.sheet_tables import indexed_rows, read_rows
from polysem.report.write_sheets import SHEET, contexts_of, of_this_site, pointing, shared_values, sheet_environment

KEPT = 8
"""Models whose tokens or images stay in memory."""


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
    indexes: Mapping[str, FeatureIndex] = MappingProxyType({}),
) -> str:
    """The page of one feature as HTML. It links to no other page, as none need be there, but for `home`, if that is
    given, the page that its title leads to.

    `place` is the dictionary, `tables` the folder with its tables; `said` is what people said of the feature; `saes`
    are the SAEs of the site whose features a neuron's sheet names. `tokenizer` and `images` are those of
    `write_sheets`. `indexes` are those of dictionaries of the site, by name, that are of the tables that there are:
    what they hold is read from them, which is faster and gives the same page. Raises InputError for tables that cannot
    be read.
    """
    is_neuron = place.dictionary == NEURONS
    contexts = shown_with(tokenizer, images)
    index = indexes.get(place.dictionary)
    rows = read_rows(tables, [feature]) if index is None else indexed_rows(index, feature)
    others = of_this_site({name: _alignment(tables, name, indexes) for name in saes}) if is_neuron else {}
    return (
        sheet_environment()
        .get_template(SHEET)
        .render(
            **shared_values(place, contexts) | {"home": home, "report_root": "", "report_page": "", "sheets_index": ""},
            target=rows.alignment.attributes.get("target"),
            sheet=SheetContents(rows, contexts, params, is_neuron).of(0),
            said=said,
            groups=[],
            pages=set(),
            neuron_pages=set(),
            pointing=[sae._replace(address="", pages=set()) for sae in pointing(feature, others, params)],
            before=None,
            after=None,
        )
    )


def shown_with(tokenizer: Path | None, images: Path | None) -> Contexts:
    """As `write_sheets.contexts_of`; what was read before is kept until the file or store is another one."""
    file = tokenizer or images
    status = None if file is None or not file.exists() else file.stat()
    return _kept(tokenizer, images, status and (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=KEPT)
def _kept(tokenizer: Path | None, images: Path | None, state: object) -> Contexts:
    return contexts_of(tokenizer, images)


def _alignment(tables: Path, name: str, indexes: Mapping[str, FeatureIndex]) -> Columns:
    """The table `alignment` of a dictionary of the site."""
    if (index := indexes.get(name)) is None:
        return read_columns(tables.parent / name / "alignment.nc")
    wanted = ("strongest_neuron", "power_top1", "features_strongest")
    return Columns({key: index.column("alignment", key) for key in wanted}, index.attributes("alignment"))
