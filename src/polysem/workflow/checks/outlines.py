"""Sites and positions of models that are not there yet, as far as their configs tell."""

import contextlib
import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.errors import InputError
from polysem.params.models.language import BLOCK_HOOKS, block_sites
from polysem.workflow.running.code import code_digest

OUTLINES = FOLDER / "outlines"


@dataclass(frozen=True)
class Outline:
    """Sites of a model with their widths, and by hook the names that transformers has for what stands there."""

    widths: dict[str, int]
    modules: dict[str, list[str]] = field(default_factory=dict)
    positions: int | None = None
    """Tokens that a sequence may have, where that is known."""


def native_outline(layers: int, d_model: int, d_mlp: int, d_heads: int, positions: int | None = None) -> Outline:
    """Models that are trained here, or converted to the same form, have all sites."""
    widths = {"mlp.hook_pre": d_mlp, "mlp.hook_post": d_mlp, "attn.hook_z": d_heads}
    sites = {site: widths.get(site.split(".", 2)[2], d_model) for site in block_sites(layers)}
    return Outline(sites, positions=positions)


def config_outline(config: Path) -> Outline | None:
    """What a config of transformers tells; None where it tells nothing: the model is asked when it is there.

    Asking imports transformers, which is slow, so the answer is kept by the content of the config.
    """
    kept = OUTLINES / f"{_digest(config)}.json"
    answer = read_cache(kept)
    if answer is None:
        from polysem.models.outline import outline  # slow to import

        answer = outline(config)
        with contextlib.suppress(InputError):  # where nothing can be written, it is asked at every call
            write_cache(kept, answer)
    return None if "problem" in answer else _whole(answer)


def _digest(config: Path) -> str:
    """Of the config and of everything that the answer depends on."""
    digest = hashlib.sha256(config.read_bytes())
    digest.update(f"{version('transformers')} {version('transformer_lens')} {version('torch')}".encode())
    digest.update(code_digest("polysem.models.outline").encode())
    return digest.hexdigest()[:32]


def _whole(answer: dict[str, Any]) -> Outline:
    """The sites of all layers; those behind the first two have what these have."""
    first: dict[str, int] = answer["sites"]
    hooks = {site.split(".", 2)[2]: width for site, width in first.items()}
    widths = dict(first)
    for layer in range(2, answer["layers"]):
        widths |= {f"blocks.{layer}.{hook}": hooks[hook] for hook in BLOCK_HOOKS if hook in hooks}
    return Outline(widths, answer["modules"], answer["positions"])
