"""What all language models share, and the sites at which dictionaries are studied."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from polysem.params.base import Activations, ModelSection, Name, Section, Text

BLOCK_HOOKS = (
    "hook_resid_pre",
    "hook_resid_mid",
    "hook_resid_post",
    "hook_attn_out",
    "hook_mlp_out",
    "mlp.hook_in",
    "mlp.hook_pre",
    "mlp.hook_post",
    "attn.hook_z",
)
"""Hooks of a transformer block at which dictionaries are studied, as far as the architecture has them. `mlp.hook_in` is
what enters the MLP, behind its norm; `attn.hook_z` what attention's heads read, one head after the other."""
SITE = re.compile(r"blocks\.(0|[1-9][0-9]*)\.(.+)")


def known_hook(site: str) -> str:
    """The site itself if its hook is one of `BLOCK_HOOKS`; ValueError with the allowed ones otherwise."""
    match = SITE.fullmatch(site)
    if match is None or match[2] not in BLOCK_HOOKS:
        allowed = ", ".join(f"blocks.<layer>.{hook}" for hook in BLOCK_HOOKS)
        raise ValueError(f"unknown hook {site!r}; a site is one of {allowed}")
    return site


def layer_and_hook(site: str) -> tuple[int, str]:
    """`blocks.3.mlp.hook_post` is the hook `mlp.hook_post` of layer 3. ValueError for what is no site of a block."""
    match = SITE.fullmatch(site)
    if match is None:
        raise ValueError(f"{site!r} is no site of a block; one is called blocks.0.mlp.hook_post")
    return int(match[1]), match[2]


Site = Annotated[str, AfterValidator(known_hook)]


class Processing(Section):
    """Rewriting of weights on loading that leaves the predictions as they are, as TransformerLens does it."""

    fold_ln: bool = False
    """Fold the scales and biases of LayerNorms into the weights that follow."""
    center_writing_weights: bool = False
    """Centre the weights that write to the residual stream."""
    center_unembed: bool = False
    """Centre the unembedding."""


class LanguageModel(ModelSection):
    """What all language models share."""

    corpus: Name
    """Key under `corpora:` that the model reads."""
    sites: Annotated[list[Site], Field(min_length=1)]
    """TransformerLens hook names whose activations are studied: `blocks.<layer>.` and one of hook_resid_pre,
    hook_resid_mid, hook_resid_post, hook_attn_out, hook_mlp_out, mlp.hook_in, mlp.hook_pre, mlp.hook_post,
    attn.hook_z, as far as the architecture has them."""
    context_length: Annotated[int, Field(ge=2, le=1_048_576)] = 128
    """Tokens of a sequence, the BOS token included."""
    packing: Literal["documents", "concatenated"] = "concatenated"
    """`documents`: one document per sequence, cut and padded; `concatenated`: documents one after the other, cut into
    full sequences."""
    bos_token: Text | None = None
    """Token set before every document; null sets none."""
    mask_tokens: list[str] = []
    """Tokens whose positions are left out of stores and statistics, in addition to padding; usually the BOS token."""
    processing: Processing = Processing()
    activations: Activations = Activations()

    def tokenization(self) -> dict[str, Any]:
        """The keys that decide which sequences the model reads."""
        values = self.values()
        return {key: values[key] for key in ("context_length", "packing", "bos_token", "mask_tokens")}

    def settings(self) -> dict[str, Any]:
        """What the model is studied under: its sequences, and the processing of its weights."""
        return self.tokenization() | {"processing": self.processing.values()}

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.models.language"]

    def files(self) -> list[str]:
        """See `ModelSection`."""
        return ["config.json", "model.safetensors", "tokenizer.json"]

    @model_validator(mode="after")
    def sites_are_distinct(self) -> "LanguageModel":
        """Two equal sites would be one folder."""
        if len(set(self.sites)) < len(self.sites):
            raise ValueError(f"sites name the same hook twice: {', '.join(self.sites)}")
        return self


LanguageModelT = TypeVar("LanguageModelT", bound=LanguageModel)


def block_sites(layers: int) -> list[str]:
    """All sites of a transformer with so many layers."""
    return [f"blocks.{layer}.{hook}" for layer in range(layers) for hook in BLOCK_HOOKS]


def check_sites(sites: list[str], available: list[str]) -> None:
    """ValueError that lists the available sites if one of `sites` is not among them or occurs twice."""
    if not sites or len(set(sites)) < len(sites):
        raise ValueError(f"sites must name at least one site, and each once; found {sites}")
    if missing := [site for site in sites if site not in available]:
        raise ValueError(f"the model has no site {missing[0]!r}; it has {', '.join(available)}")


def check_layers(model: LanguageModelT, layers: int) -> LanguageModelT:
    """The model itself if all its sites lie within `layers`."""
    check_sites(list(model.sites), block_sites(layers))
    return model
