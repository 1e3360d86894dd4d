"""What modules declare, read without importing them."""

import subprocess
import sys
from importlib import import_module

import pytest

from polysem.workflow.declarations import declared, modules_of


@pytest.mark.parametrize("package", ["polysem.figures.of_dictionary", "polysem.figures.of_site"])
def test_what_is_read_from_the_source_is_what_the_module_holds(package):
    for module in modules_of(package).values():
        loaded = import_module(module)
        found = declared(module)
        assert {"CATALOGUE", "TITLE"} <= found.keys()
        assert all(getattr(loaded, name) == value for name, value in found.items())


def test_reading_imports_nothing_heavy():
    code = (
        "import sys; from polysem.workflow.declarations import declared, modules_of; "
        "[declared(module) for module in modules_of('polysem.figures.of_dictionary').values()]; "
        "print({'torch', 'xarray', 'matplotlib', 'numpy'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_module_without_a_source_is_no_module():
    with pytest.raises(ModuleNotFoundError, match=r"polysem\.figures\.of_site\.nothing has no source"):
        declared("polysem.figures.of_site.nothing")
