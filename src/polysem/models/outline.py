"""What a config of transformers tells of the sites of its model, before the weights are there.

A model of two layers with random weights and a small vocabulary, every other width as the config has it, is asked as
the real one will be.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from polysem.io.config_files import read_config
from polysem.models.anatomy import anatomy_of
from polysem.models.filling import quiet

LAYERS, VOCABULARY = 2, 64
WEIGHTS = 500_000_000
"""At most so many are made up: 2 GB."""
ALIKE = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers that have the same sites."""
UNLIKE = ("mlp_only_layers", "first_k_dense_replace", "interleave_moe_layer_step", "layers_block_type", "moe_layers")
"""Keys of configs whose layers differ in their sites, so that two of them tell nothing of the others."""


def outline(path: Path) -> dict[str, Any]:
    """`layers`, their number; `sites` of the first two by name, with the width of each; `modules`, by hook: names in
    transformers of what stands there; `positions` of a sequence. Or `problem`, why nothing can be said: the model is
    asked when it is there.
    """
    quiet()
    values = read_config(path)
    try:
        config = AutoConfig.for_model(values.pop("model_type"), **values)
        layers = int(config.num_hidden_layers)
        if _layers_differ(config):
            return {"problem": "its layers differ"}
        small = _small(config, layers)
        with torch.device("meta"):
            weights = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(small).parameters())
        if weights > WEIGHTS:
            return {"problem": f"two of its layers have {weights:,} weights, too many to try them out"}
        with torch.random.fork_rng(devices=[]):
            bridge = _bridge(small)
            anatomy = anatomy_of(bridge)
    except Exception as error:  # configs that the libraries half know fail anywhere
        return {"problem": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    modules: dict[str, list[str]] = {}
    for site, names in anatomy.modules.items():
        modules.setdefault(site.split(".", 2)[2], []).extend(names)
    return {
        "layers": layers,
        "sites": {site: place.width for site, place in anatomy.places.items()},
        "modules": {hook: sorted(set(names)) for hook, names in modules.items() if names},
        "positions": int(bridge.cfg.n_ctx),
    }


def _layers_differ(config: Any) -> bool:
    """Whether two layers may tell nothing of the others."""
    kinds = set(getattr(config, "layer_types", None) or ())
    return not kinds <= ALIKE or any(getattr(config, key, None) for key in UNLIKE)


def _bridge(config: Any) -> TransformerBridge:
    """A model with random weights, biases and gains."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(parameter + 0.3 * noise if parameter.ndim == 1 else noise / parameter.shape[-1] ** 0.5)
    model.config.architectures = [type(model).__name__]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"0": 0}, unk_token="0")))
    bridge = TransformerBridge.boot_transformers("outline", hf_model=model, device="cpu", tokenizer=tokenizer)
    return bridge.eval()


def _small(config: Any, layers: int) -> Any:
    """The config with fewer layers, and lists of one entry per layer as short; with a small vocabulary."""
    for name, value in config.to_dict().items():
        if isinstance(value, list) and len(value) == layers > LAYERS:
            setattr(config, name, value[:LAYERS])
        if name.endswith("_token_id") and value is not None:
            setattr(config, name, 0)
    config.num_hidden_layers = min(layers, LAYERS)
    config.vocab_size = min(int(config.vocab_size), VOCABULARY)
    config.tie_word_embeddings = False
    return config
