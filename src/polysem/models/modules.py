"""Names of modules of transformers, as some libraries call the places that their SAEs read."""

import re
from collections.abc import Mapping, Sequence

LAYER = re.compile(r"((?:[a-z_][a-z0-9_]*\.)*(?:h|layers|blocks))\.(0|[1-9][0-9]*)((?:\.[a-z_][a-z0-9_]*)*)")


def module_place(name: str) -> tuple[int, str] | None:
    """The layer of a module, and its name with `*` for the number; None for modules outside of the layers, and for
    hooks of TransformerLens."""
    match = LAYER.fullmatch(name)
    if match is None or "hook_" in name:
        return None
    return int(match[2]), f"{match[1]}.*{match[3]}"


def sites_of(module: str, modules: Mapping[str, Sequence[str]]) -> list[str]:
    """The sites at which the output of a module stands. `modules` names, by hook of a block, modules with `*` for the
    number of the layer; the start of a name may be left out, as in `layers.3.mlp`."""
    place = module_place(module)
    if place is None:
        return []
    layer, name = place
    return [
        f"blocks.{layer}.{hook}"
        for hook, names in modules.items()
        if any(known == name or known.endswith(f".{name}") for known in names)
    ]
