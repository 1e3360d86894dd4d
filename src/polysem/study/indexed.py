"""The index of a dictionary's features, as long as it is of the tables that there are."""

from pathlib import Path
from typing import TYPE_CHECKING

from polysem.layout.place import Place
from polysem.study.made_from import date_of
from polysem.study.results import NotAtHandError, Results

if TYPE_CHECKING:
    from polysem.index.feature_index import FeatureIndex


class Indexed:
    """The index of one dictionary, which is opened when it is first asked for and kept while its files are the same."""

    def __init__(self, results: Results, place: Place) -> None:
        self._results, self._place = results, place
        self._known: tuple[object, FeatureIndex | None] | None = None

    @property
    def now(self) -> "FeatureIndex | None":
        """The index; None where there is none, or one of other tables than there are now, or of another version: what
        it holds is then read from the tables. InputError for one that is damaged."""
        dates = date_of(self._place.index.receipt), date_of(self._place.tables_receipt)
        if self._known is None or self._known[0] != dates:
            self._known = dates, self._opened()
        return self._known[1]

    def _opened(self) -> "FeatureIndex | None":
        from polysem.index.feature_index import FeatureIndex
        from polysem.index.stored_rows import OtherVersionError

        if not self._is_there():
            return None
        try:
            found = FeatureIndex(self._results.bring(self._place.feature_index))
        except OtherVersionError:
            return None
        return found if found.is_of(self._results.bring(Path(self._place.tables_receipt))) else None

    def _is_there(self) -> bool:
        """Whether there is an index and tables; not, as far as one can tell, where a revision does not list any."""
        wanted = (self._place.index.receipt, self._place.feature_index, self._place.tables_receipt)
        try:
            return all(self._results.has(path) for path in wanted)
        except NotAtHandError:
            return False
