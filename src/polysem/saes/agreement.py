"""Whether a published SAE was trained on the activations that it is to be studied on."""

from collections.abc import Mapping, Sequence
from typing import Any

from polysem.models.modules import module_place, sites_of
from polysem.params.models.language import BLOCK_HOOKS, SITE, known_hook
from polysem.saes.published import Published

PROCESSING = ("fold_ln", "center_writing_weights")
NORMALIZED = "ln2.hook_normalized"
"""What the norm of the MLP leaves, before its gain, which SAELens's transcoders read."""
_HOOKS = ", ".join(f"blocks.<layer>.{hook}" for hook in BLOCK_HOOKS)


def disagreement(
    published: Published,
    site: str,
    width: int | None,
    settings: Mapping[str, Any],
    modules: Mapping[str, Sequence[str]] | None = None,
    target: str | None = None,
    outputs: int | None = None,
) -> str | None:
    """The first difference between what an SAE says of its activations and the model entry, as a clause that names both
    values and the remedy; None if there is none.

    `settings` are those of the model's record, `width` the neurons of the site if they are known, `modules` the names
    in transformers of what stands at the hooks of a block, if they are; `target` is the site that the entry says it
    predicts, `outputs` the neurons of that one. What the files do not say cannot be checked;
    `unknown` lists it.
    """
    found = published.settings
    if problem := _of_target(published, target, outputs):
        return problem
    if found.hook_name is not None and not _is_hook(found.hook_name, site, settings):
        return f"it was trained at hook {found.hook_name}, and site is {site}; {_remedy(found.hook_name)}"
    if problem := _of_module(found.module, site, modules):
        return problem
    if width and published.inputs != width:
        return (
            f"it reads {published.inputs} neurons, and {site} of the model has {width}; "
            "take the model that it was trained on"
        )
    return _of_images(published, settings) if "bos_token" not in settings else _of_text(published, settings)


def _is_hook(hook: str, site: str, settings: Mapping[str, Any]) -> bool:
    """Whether a hook that an SAE names holds what stands at a site. Where the gains of norms are folded into the
    weights behind them, what they leave is what enters the MLP."""
    folded = bool(settings.get("processing", {}).get("fold_ln"))
    return hook == site or (folded and hook.replace(NORMALIZED, "mlp.hook_in") == site)


def _of_target(published: Published, target: str | None, outputs: int | None) -> str | None:
    """What is wrong with the site that a published dictionary predicts."""
    named = published.settings.hook_name_out
    if published.outputs is None:
        return (
            None if target is None else f"it is an SAE of the site that it reads, and target is {target}; remove target"
        )
    if target is None:
        return f"it is a transcoder, which predicts {named or 'another site'}; set target to that site"
    if named is not None and named != target:
        return f"it predicts hook {named}, and target is {target}; set target to {named}"
    if outputs and published.outputs != outputs:
        return (
            f"it predicts {published.outputs} neurons, and {target} of the model has {outputs}; "
            "take the model that it was trained on"
        )
    return None


def _remedy(hook: str) -> str:
    if hook.endswith(NORMALIZED):
        return (
            f"where norms are folded that is {hook.replace(NORMALIZED, 'mlp.hook_in')}: set site to it and processing: "
            "{fold_ln: true}"
        )
    try:
        return f"set site to {known_hook(hook)}"
    except ValueError:
        return f"polysem has no such site; it has {_HOOKS}"


def _of_module(module: str | None, site: str, modules: Mapping[str, Sequence[str]] | None) -> str | None:
    """What is wrong where an SAE names a module of transformers whose output it read."""
    if module is None:
        return None
    place, here = module_place(module), SITE.fullmatch(site)
    if place is None or here is None:
        return f"it was trained on the output of {module}, which is no site here; sites are {_HOOKS}"
    if modules:
        meant = sites_of(module, modules)
        if site in meant:
            return None
        if meant:
            return f"it was trained on the output of {module}, and site is {site}; set site to {' or '.join(meant)}"
        known = ", ".join(f"{name} ({hook})" for hook, names in modules.items() for name in names)
        return f"it was trained on the output of {module}, which stands at no site of the model; these do: {known}"
    if place[0] != int(here[1]):
        return (
            f"it was trained on the output of {module}, in layer {place[0]}, and site is {site}; "
            f"set site to a hook of blocks.{place[0]}"
        )
    return None


def _of_text(published: Published, settings: Mapping[str, Any]) -> str | None:
    found, token = published.settings, settings["bos_token"]
    if found.input_std is not None:
        return "it was trained on an image classifier, and the model reads text"
    if found.prepend_bos is True and token is None:
        return "it was trained with a BOS token in front (prepend_bos: true), and the model entry has bos_token: null"
    if found.prepend_bos is False and token is not None:
        return (
            f"it was trained without a BOS token (prepend_bos: false), and the model entry has bos_token: {token!r}; "
            "set bos_token: null"
        )
    length = settings["context_length"]
    if found.context_size is not None and found.context_size != length:
        return (
            f"it was trained on contexts of {found.context_size} tokens, and the model entry has context_length: "
            f"{length}; set context_length: {found.context_size}"
        )
    for key in PROCESSING:
        wanted, there = getattr(found, key), settings["processing"][key]
        if wanted is not None and wanted != there:
            return (
                f"it was trained with {key}: {str(wanted).lower()}, and the model entry has processing.{key}: "
                f"{str(there).lower()}; set processing: {{{key}: {str(wanted).lower()}}}"
            )
    return None


def _of_images(published: Published, settings: Mapping[str, Any]) -> str | None:
    found = published.settings
    if found.prepend_bos is not None or found.context_size is not None:
        return "it was trained on a language model, and the model is an image classifier"
    for key in ("input_mean", "input_std"):
        wanted, there = getattr(found, key), settings.get(key)
        if wanted is not None and wanted != there:
            return f"it was trained on pixels with {key}: {wanted}, and the model entry has {key}: {there}"
    return None


def unknown(
    published: Published, settings: Mapping[str, Any], modules: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Settings that the files of an SAE do not tell, so that nobody can say whether they agree. The name of the model
    is always one of them: names differ between collections."""
    images = "bos_token" not in settings
    asked = ("hook_name", *(("input_mean", "input_std") if images else ("prepend_bos", "context_size", *PROCESSING)))
    known = published.settings.known() | ({"hook_name": ""} if published.settings.module and modules else {})
    return ["model_name", *(key for key in asked if key not in known)]
