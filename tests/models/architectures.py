"""Tiny random models of many architectures, as transformers itself builds them, and where their parts are."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from polysem.models.record_model import record_model

VOCABULARY = 67
SIZES = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
LLAMA = SIZES | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
PLAIN_HEADS = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
GPT = SIZES | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
GEMMA = LLAMA | {"head_dim": 16}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", GPT | {"n_inner": 80}),
    "gpt-neo": (
        "gpt_neo",
        SIZES
        | {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 4,
            "intermediate_size": 80,
            "max_position_embeddings": 64,
        },
    ),
    "gpt-bigcode": ("gpt_bigcode", GPT | {"n_inner": 80}),
    "gpt-j": ("gptj", GPT | {"rotary_dim": 4, "n_inner": 80}),
    "pythia": ("gpt_neox", PLAIN_HEADS | {"rotary_pct": 0.5}),
    "gpt-neox-sequential": ("gpt_neox", PLAIN_HEADS | {"use_parallel_residual": False}),
    "opt": ("opt", PLAIN_HEADS | {"ffn_dim": 72, "word_embed_proj_dim": 32}),
    "bloom": ("bloom", SIZES | {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "mpt": ("mpt", SIZES | {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 3, "max_seq_len": 64}),
    "falcon": ("falcon", PLAIN_HEADS | {"ffn_hidden_size": 72, "multi_query": True, "parallel_attn": True}),
    "falcon-sequential": (
        "falcon",
        PLAIN_HEADS | {"ffn_hidden_size": 72, "multi_query": False, "parallel_attn": False, "alibi": True},
    ),
    "llama": ("llama", LLAMA),
    "llama-wide-heads": ("llama", LLAMA | {"head_dim": 12, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("mistral", LLAMA | {"sliding_window": 4}),
    "qwen2": ("qwen2", LLAMA),
    "qwen3": ("qwen3", LLAMA | {"head_dim": 16}),
    "gemma": ("gemma", GEMMA),
    "gemma-2": (
        "gemma2",
        GEMMA | {"sliding_window": 4, "query_pre_attn_scalar": 16, "final_logit_softcapping": 3.0},
    ),
    "gemma-3": ("gemma3_text", GEMMA | {"sliding_window": 4, "query_pre_attn_scalar": 16}),
    "phi": ("phi", LLAMA | {"partial_rotary_factor": 0.5}),
    "phi-3": ("phi3", LLAMA | {"sliding_window": 4}),
    "stablelm": ("stablelm", LLAMA | {"use_qkv_bias": True}),
    "stablelm-parallel": ("stablelm", LLAMA | {"use_parallel_residual": True}),
    "olmo": ("olmo", LLAMA | {"clip_qkv": 2.0}),
    "olmo-2": ("olmo2", LLAMA),
    "olmo-3": ("olmo3", LLAMA | {"sliding_window": 4}),
    "cohere": ("cohere", LLAMA | {"logit_scale": 0.25}),
    "cohere-2": ("cohere2", LLAMA | {"logit_scale": 0.25, "sliding_window": 4}),
    "granite": (
        "granite",
        LLAMA
        | {
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.4,
            "logits_scaling": 2.5,
            "attention_multiplier": 0.3,
        },
    ),
    "smollm3": ("smollm3", LLAMA | {"no_rope_layers": [1, 0]}),
    "starcoder2": ("starcoder2", LLAMA),
    "nemotron": ("nemotron", LLAMA),
    "glm": ("glm", LLAMA | {"head_dim": 8}),
    "glm-4": ("glm4", LLAMA | {"head_dim": 8}),
    "codegen": ("codegen", GPT | {"rotary_dim": 4}),
    "xglm": ("xglm", SIZES | {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 72}),
    "arcee": ("arcee", LLAMA),
    "exaone-4": ("exaone4", LLAMA | {"sliding_window": 4}),
    "apertus": ("apertus", LLAMA),
}
"""Models whose sites are all studied."""
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("mixtral", LLAMA | {"num_local_experts": 2, "num_experts_per_tok": 1}),
    "openai-gpt": ("openai-gpt", GPT),
    "falcon-new-decoder": (
        "falcon",
        PLAIN_HEADS | {"ffn_hidden_size": 72, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "helium": ("helium", LLAMA | {"head_dim": 8}),
    "gpt2-unscaled": ("gpt2", GPT | {"scale_attn_weights": False}),
    "starcoder2-small-number": ("starcoder2", LLAMA | {"norm_epsilon": 0.3}),
    "bloom-exact": (
        "bloom",
        ARCHITECTURES["bloom"][1] | {"pretraining_tp": 2, "slow_but_exact": True},
    ),
}
"""Models of which a part is no site, or that TransformerLens cannot load or gets wrong."""


ATTENTION_OUT = (
    "attn.c_proj",
    "attn.attention.out_proj",
    "attn.out_proj",
    "attention.dense",
    "self_attn.out_proj",
    "self_attention.dense",
    "self_attn.o_proj",
    "self_attn.dense",
)
MLP_IN = (
    "mlp.gate_proj",
    "mlp.gate_up_proj",
    "mlp.c_fc",
    "mlp.fc_in",
    "mlp.dense_h_to_4h",
    "fc1",
    "ffn.up_proj",
    "mlp.up_proj",
    "mlp.fc1",
)
MLP_OUT = ("mlp.c_proj", "mlp.fc_out", "mlp.dense_4h_to_h", "fc2", "ffn.down_proj", "mlp.down_proj", "mlp.fc2")
GEMMA_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
NORMS_BEHIND = {
    **dict.fromkeys(("gemma-2", "gemma-3", "olmo-2", "olmo-3", "exaone-4"), GEMMA_NORMS),
    "glm-4": ("post_self_attn_layernorm", "post_mlp_layernorm"),
}
"""Norms behind attention and MLP, before the residual stream."""
PARALLEL = ("gpt-j", "pythia", "falcon", "phi", "stablelm-parallel", "cohere", "cohere-2", "codegen")
FINAL_NORMS = ("ln_f", "final_layer_norm", "norm_f", "norm", "final_layernorm", "layer_norm")
SETTINGS = {
    "context_length": 9,
    "bos_token": None,
    "packing": "documents",
    "mask_tokens": [],
    "processing": {"fold_ln": False, "center_writing_weights": False, "center_unembed": False},
}


def plain_model(name: str, seed: int = 0) -> PreTrainedModel:
    """A model of transformers, in float32, with gains and biases that are neither one nor zero."""
    kind, values = (ARCHITECTURES | OTHERS)[name]
    config = AutoConfig.for_model(kind, **values)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:
                parameter += 0.3 * noise
            else:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)
    return model


def save(model: PreTrainedModel, folder: Path, **processing: bool) -> Path:
    """A model folder, as the workflow makes it."""
    model.save_pretrained(folder)
    words = {str(token): token for token in range(VOCABULARY)}
    Tokenizer(WordLevel(words, unk_token="0")).save(str(folder / "tokenizer.json"))
    settings = SETTINGS | {"processing": SETTINGS["processing"] | processing}
    record_model(folder, "language", settings, {})
    return folder


class Plain:
    """The parts of a plain model of transformers that stand at the sites, by their names in transformers."""

    def __init__(self, name: str) -> None:
        self.name, self.model = name, plain_model(name)
        lists = [part for part in self.model.modules() if isinstance(part, torch.nn.ModuleList)]
        self.layers = next(part for part in lists if len(part) == 2)
        self.multiplier = getattr(self.model.config, "residual_multiplier", 1.0)

    def part(self, layer: int, names: tuple[str, ...]) -> torch.nn.Module:
        """The one of these modules that the layer has."""
        there = dict(self.layers[layer].named_modules())
        return next(there[name] for name in names if name in there)

    def attention_out(self, layer: int) -> torch.nn.Module:
        return self.part(layer, ATTENTION_OUT)

    def mlp_in(self, layer: int) -> torch.nn.Module:
        return self.part(layer, MLP_IN)

    def mlp(self, layer: int) -> torch.nn.Module:
        """What reads the input of the MLP: the MLP where it is a module, else its first layer."""
        return dict(self.layers[layer].named_modules()).get("mlp") or self.mlp_in(layer)

    def mlp_out(self, layer: int) -> torch.nn.Module:
        return self.part(layer, MLP_OUT)

    def last(self, layer: int, hook: str) -> torch.nn.Module:
        """What gives the last result of attention or of the MLP, before it is added."""
        norms = NORMS_BEHIND.get(self.name)
        attention = hook == "hook_attn_out"
        if norms is not None:
            return self.part(layer, (norms[0 if attention else 1],))
        return self.attention_out(layer) if attention else self.mlp_out(layer)

    def final_norm(self) -> torch.nn.Module:
        """The norm before the unembedding."""
        holder = next(part for part in self.model.modules() if any(child is self.layers for child in part.children()))
        return next(getattr(holder, name) for name in FINAL_NORMS if hasattr(holder, name))

    def sites(self) -> list[str]:
        """The sites that the architecture has."""
        hooks = ["hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out"]
        hooks += ["mlp.hook_in", "mlp.hook_pre", "mlp.hook_post", "attn.hook_z"]
        if self.name in PARALLEL:
            hooks.remove("hook_resid_mid")
        return [f"blocks.{layer}.{hook}" for layer in (0, 1) for hook in hooks]
