"""Checks of what other packages add, before anything looks at it: the groups of entry points, and their modules."""

from importlib.metadata import EntryPoint
from importlib.util import find_spec

from polysem.io.errors import InputError
from polysem.params.addons import PACKAGE, entries, modules_of
from polysem.params.explain import nearest
from polysem.workflow.running.code import code_digest, source_file

GROUPS = (
    "polysem.corpora.sources",
    "polysem.exporters",
    "polysem.figures.of_dictionary",
    "polysem.figures.of_model",
    "polysem.figures.of_site",
    "polysem.figures.of_toy",
    "polysem.params.explainers",
    "polysem.params.models",
    "polysem.saes.activation_functions",
    "polysem.saes.architectures",
    "polysem.saes.formats",
    "polysem.tables.of_dictionary",
    "polysem.tables.of_model",
    "polysem.tables.of_site",
)
"""The packages whose modules are found by name."""


def check() -> None:
    """InputError for a group that nothing reads, two modules of one name, and an entry point whose module is not there
    or is no Python. Nothing is imported."""
    for added in entries():
        if added.group not in GROUPS:
            raise InputError(
                f"{_named(added)} is in the group {added.group!r}{nearest(added.group, list(GROUPS))}, which nothing "
                f"reads; groups are {', '.join(GROUPS)}"
            )
        if added.pattern.fullmatch(added.value) is None:
            raise InputError(f"{_named(added)} is {added.value!r}; write the name of a module, as my_package.my_module")
    for added in entries():
        modules_of(added.group)
        _check_module(added)


def _check_module(added: EntryPoint) -> None:
    top = added.module.partition(".")[0]
    if top == PACKAGE:
        raise InputError(
            f"{_named(added)} names {added.module}, a module of {PACKAGE} itself; name one of its own package"
        )
    if find_spec(top) is None:
        raise InputError(
            f"{_named(added)} names {added.module}, and there is no package {top}; install it again, or remove it"
        )
    if source_file(added.module) is None:
        raise InputError(
            f"{_named(added)} names {added.module}, and there is no such module with a source; mend the entry point, "
            "and install its package again"
        )
    code_digest(added.module)


def _named(added: EntryPoint) -> str:
    """What an entry point is called, and who has it."""
    owner = f" of {added.dist.name}" if added.dist is not None else ""
    return f"the entry point {added.name!r}{owner}"
