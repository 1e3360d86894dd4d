"""What this process loaded of the package and of those that add to it: the text of each module as it was imported.

Python takes compiled code for up to date if size and time of the source fit, to the second; here compiled code fits its
source by content. A step compares the texts with the digest that its rule names (`running.command`), so a source that
is edited and put back while it is imported cannot slip in.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from itertools import accumulate
from types import CodeType, ModuleType
from zlib import crc32

from polysem.params.addons import PACKAGE, is_ours

TEXTS: dict[str, bytes] = {}
"""By the name of the module."""
KEPT = {__name__, *accumulate(__name__.split("."), "{}.{}".format)}
"""This module and the packages around it, which hold nothing else."""
WATCHERS: list[Callable[[str, bytes], None]] = []
"""Called with name and text of every module before it is run; what they raise stops the import."""


class Loader(SourceFileLoader):
    """Reads a source once, keeps its text, and takes no compiled code but that of the same text."""

    def get_code(self, fullname: str) -> CodeType | None:
        """See `importlib.abc.InspectLoader`."""
        TEXTS[self.name] = text = super().get_data(self.path)
        for watcher in WATCHERS:
            watcher(self.name, text)
        return super().get_code(fullname)

    def get_data(self, path: str) -> bytes:
        """The text that was read before, or the bytes of any other file."""
        return TEXTS[self.name] if path == self.path and self.name in TEXTS else super().get_data(path)

    def path_stats(self, path: str) -> dict[str, int]:
        """A number that follows from the text stands where compiled code keeps the time of its source."""
        text = self.get_data(path)
        return {"mtime": crc32(text), "size": len(text)}


class Finder(MetaPathFinder):
    """Finds modules of the package where Python would."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if not is_ours(fullname) or fullname == PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Load the modules of the package, and of packages that add to it, this way from now on; what was imported before
    is imported again."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, Finder())
    for name in [name for name in sys.modules if is_ours(name) and name not in KEPT]:
        del sys.modules[name]
