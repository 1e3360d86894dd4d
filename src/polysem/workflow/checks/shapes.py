"""Shapes and sites of models, as far as they are known before a model is there."""

import contextlib
import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.config_files import read_config
from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.models.model_config import LAYERS, NEURONS, RESIDUAL, VOCABULARY, read_sizes
from polysem.params.base import ModelSection
from polysem.params.models.classifier import ClassifierModel
from polysem.params.models.imported import ImportedModel
from polysem.params.models.language import BLOCK_HOOKS, SITE, block_sites
from polysem.params.models.shape import Shape
from polysem.params.models.trained import TrainedModel
from polysem.params.models.transformers import TransformersModel
from polysem.workflow.checks.local_configs import local_config
from polysem.workflow.provenance.records import read_record
from polysem.workflow.running.code import code_digest

GATED = ("silu", "swish", "swiglu", "gelu_pytorch_tanh")
"""Activation functions of the families whose MLPs have a gate; an estimate, as configs do not say it."""
OLD_NAMES = ("gpt2", "gpt_neo", "gptj", "gpt_neox")
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
    kept = OUTLINES / f"{_config_digest(config)}.json"
    answer = read_cache(kept)
    if answer is None:
        from polysem.models.outline import outline  # slow to import

        answer = outline(config)
        with contextlib.suppress(InputError):  # where nothing can be written, it is asked at every call
            write_cache(kept, answer)
    return None if "problem" in answer else _whole(answer)


def _config_digest(config: Path) -> str:
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


def known_shape(name: str, model: ModelSection) -> Shape | None:
    """The shape of a language model: from its own config if it is there, from a local copy, or from the params."""
    if isinstance(model, TrainedModel):
        ours = model.architecture
        return Shape(layers=ours.layers, d_model=ours.d_model, d_mlp=ours.d_mlp, vocabulary=ours.vocabulary)
    if not isinstance(model, ImportedModel):
        return None
    found = next((shape for path in _configs(name, model) if (shape := config_shape(path))), None)
    return found or model.shape


def _configs(name: str, model: ImportedModel) -> list[Path]:
    """Configs of an imported model that are there: of its local copy, and of what was imported of this repository."""
    imported = Path(Place(name).weights.file("config.json"))
    record = read_record(imported.as_posix()) if imported.is_file() else None
    is_ours = record is not None and record.params == {"source": model.form, "params": model.origin()}
    copy = [] if model.local_copy is None else [local_config(model.local_copy)]
    return [path for path in (*copy, *([imported] if is_ours else [])) if path.is_file()]


def config_shape(path: Path) -> Shape | None:
    """What a config of transformers or of TransformerLens says; None if it lacks any of it, InputError if it is no
    config."""
    config = read_sizes(path)
    layers, d_model = _first(config, LAYERS), _first(config, RESIDUAL)
    vocabulary = _first(config, VOCABULARY)
    if not (layers and d_model and vocabulary):
        return None
    gated = config.get("hidden_act") in GATED and config.get("model_type") not in OLD_NAMES
    d_mlp = _first(config, NEURONS) or 4 * d_model
    return Shape(layers=layers, d_model=d_model, d_mlp=d_mlp, vocabulary=vocabulary, gated=gated)


def known_outline(name: str, model: ModelSection) -> Outline | None:
    """The sites of a language model and their widths, as far as they are known: of models in our own form from their
    shapes, of transformers' ones from the config of a local copy or of the model that was imported."""
    if isinstance(model, TrainedModel):
        ours = model.architecture
        return native_outline(ours.layers, ours.d_model, ours.d_mlp, ours.d_model // ours.heads * ours.heads)
    if not isinstance(model, ImportedModel):
        return None
    config = next(iter(_configs(name, model)), None)
    if config is None:
        return None
    return config_outline(config) if isinstance(model, TransformersModel) else _converted_outline(config)


def _converted_outline(path: Path) -> Outline | None:
    """The sites of a model whose config has TransformerLens's own fields."""
    config = read_config(path)
    keys = ("n_layers", "d_model", "d_mlp", "n_heads", "d_head", "n_ctx")
    sizes = [size for key in keys if isinstance(size := config.get(key), int) and size > 0]
    if len(sizes) < len(keys):
        return None
    layers, d_model, d_mlp, heads, d_head, positions = sizes
    return native_outline(layers, d_model, d_mlp, heads * d_head, positions)


def width(name: str, model: ModelSection, site: str) -> int | None:
    """Neurons of a site; None if they are not known yet."""
    if isinstance(model, ClassifierModel):
        return model.hidden[model.available_sites().index(site)]
    outline = known_outline(name, model)
    if outline is not None and site in outline.widths:
        return outline.widths[site]
    shape, match = known_shape(name, model), SITE.fullmatch(site)
    if shape is None or match is None or match[2] == "attn.hook_z":
        return None
    return shape.d_mlp if match[2] in {"mlp.hook_pre", "mlp.hook_post"} else shape.d_model


def input_width(name: str, model: ModelSection, site: str, pixels: int) -> int:
    """What enters each neuron of a site, as far as it is known: 0 where its neurons have no input weights. `pixels` are
    those of an image."""
    if isinstance(model, ClassifierModel):
        return [pixels, *model.hidden][model.available_sites().index(site)]
    shape, match = known_shape(name, model), SITE.fullmatch(site)
    return shape.d_model if shape and match and match[2] in {"mlp.hook_pre", "mlp.hook_post"} else 0


def parameters(shape: Shape) -> int:
    """Weights of a model, without biases, with an embedding and an unembedding of its own."""
    return shape.layers * _block(shape) + 2 * shape.d_model * shape.vocabulary


def forward_flops(shape: Shape, context: int) -> float:
    """Floating-point operations of a forward pass per token: two per weight, and those of attention over the context.

    The embedding is looked up and costs nothing.
    """
    weights = shape.layers * _block(shape) + shape.d_model * shape.vocabulary
    return 2.0 * weights + 4.0 * shape.layers * context * shape.d_model


def flops_to(shape: Shape, context: int, site: str) -> float:
    """The same up to the block of a site, which is counted whole; the unembedding is left out."""
    match = SITE.fullmatch(site)
    blocks = int(match[1]) + 1 if match else shape.layers
    return blocks * (2.0 * _block(shape) + 4.0 * context * shape.d_model)


def _block(shape: Shape) -> int:
    """Weights of attention (four matrices) and MLP (two, or three with a gate)."""
    return 4 * shape.d_model**2 + (3 if shape.gated else 2) * shape.d_model * shape.d_mlp


def _first(config: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((config[key] for key in keys if isinstance(config.get(key), int) and config[key] > 0), None)
