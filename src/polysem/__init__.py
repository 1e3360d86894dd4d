"""Polysemantic neurons and sparse autoencoders: every figure of five documents out of one DAG.

`polysem.open` opens the results of a run, `polysem.load_sae` an SAE of anyone; docs/python.md describes all names.
"""

import importlib

PUBLIC = {
    "open": ("polysem.study.study", "open_study"),
    "load_sae": ("polysem.study.sae", "load_sae"),
    "Study": ("polysem.study.study", "Study"),
    "Model": ("polysem.study.model", "Model"),
    "Site": ("polysem.study.site", "Site"),
    "Dictionary": ("polysem.study.dictionary", "Dictionary"),
    "Feature": ("polysem.study.feature", "Feature"),
    "Example": ("polysem.study.feature", "Example"),
    "SearchResults": ("polysem.study.search", "SearchResults"),
    "SearchResult": ("polysem.study.search", "SearchResult"),
    "Sae": ("polysem.study.sae", "Sae"),
    "InputError": ("polysem.io.errors", "InputError"),
    "UnknownNameError": ("polysem.study.names", "UnknownNameError"),
}
"""The stable names, with the modules that they are imported from when they are asked for. They are texts: a step of the
workflow depends on all that is imported here, and must not depend on the public face."""

__all__ = list(PUBLIC)


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module 'polysem' has no attribute {name!r}; it has {', '.join(PUBLIC)}")
    module, attribute = PUBLIC[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
