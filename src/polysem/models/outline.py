"""What a config of transformers tells of the sites of its model, before the weights are there.

`python -m polysem.models.outline config.json` builds a model of two layers with random weights and a small vocabulary,
every other width as the config has it, asks it as a real one is asked, and prints the answer as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

LAYERS, VOCABULARY = 2, 64
ALIKE = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers that have the same sites."""
UNLIKE = ("mlp_only_layers", "first_k_dense_replace", "interleave_moe_layer_step", "layers_block_type", "moe_layers")
"""Keys of configs whose layers differ in their sites, so that two of them tell nothing of the others."""


def outline(config: Path) -> dict[str, Any]:
    """`layers`, their number; `sites` of the first two by name, with the width of each; `modules`, by hook: names in
    transformers of what stands there. Or `problem`, why nothing can be said.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from polysem.models.anatomy import anatomy_of

    torch.set_num_threads(1)
    values = json.loads(config.read_text(encoding="utf-8"))
    whole = AutoConfig.for_model(values.pop("model_type"), **values)
    layers = int(whole.num_hidden_layers)
    if any(getattr(whole, key, None) for key in UNLIKE) or not set(getattr(whole, "layer_types", None) or ()) <= ALIKE:
        return {"problem": "its layers differ"}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(_small(whole, layers), attn_implementation="eager").float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(parameter + 0.3 * noise if parameter.ndim == 1 else noise / parameter.shape[-1] ** 0.5)
    anatomy = anatomy_of(_bridge(model))
    modules: dict[str, list[str]] = {}
    for site, names in anatomy.modules.items():
        modules.setdefault(site.split(".", 2)[2], []).extend(names)
    return {
        "layers": layers,
        "sites": {site: place.width for site, place in anatomy.places.items()},
        "modules": {hook: sorted(set(names)) for hook, names in modules.items() if names},
    }


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


def _bridge(model: Any) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

    model.config.architectures = [type(model).__name__]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"0": 0}, unk_token="0")))
    return TransformerBridge.boot_transformers("outline", hf_model=model, device="cpu", tokenizer=tokenizer).eval()


if __name__ == "__main__":
    try:
        print(json.dumps(outline(Path(sys.argv[1]))))
    except Exception as error:  # whatever a config that somebody else wrote makes two libraries do
        print(json.dumps({"problem": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}))
