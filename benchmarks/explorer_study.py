"""A study to search in, without a run: a model and SAEs of random weights in the places of the layout.

SAEs are written as files of their size whose decoders are holes: a search reads none of them.
"""

import json
import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from polysem.layout.place import Place
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.study.study import open_study

MODEL, BOS = "random", "<|bos|>"
SITES = {"neurons": "blocks.{layer}.mlp.hook_post", "residual": "blocks.{layer}.hook_resid_post"}
PROCESSING = {"fold_ln": False, "center_writing_weights": False}
DRAWN = 256
"""Features whose weights are drawn at once."""


def study(
    folder: Path,
    layers: int,
    features: int,
    kind: str = "neurons",
    architecture: str = "standard",
    d_model: int = 768,
    active: float = 0.002,
) -> Path:
    """A results folder with a model of some layers and an SAE at each, of MLP neurons (4 d_model) or of the residual
    stream. `active` is the share of features that are active, about."""
    results = folder / "results"
    weights = Path(Place(MODEL, root=str(results)).weights.path)
    weights.mkdir(parents=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate([*alphabet, BOS])}, []))
    tokenizer.add_special_tokens([BOS])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(weights / "tokenizer.json"))
    config = {
        "d_model": d_model,
        "d_head": 64,
        "n_heads": d_model // 64,
        "n_layers": layers,
        "n_ctx": 1024,
        "d_vocab": len(alphabet) + 1,
        "d_mlp": 4 * d_model,
        "act_fn": "gelu",
        "normalization_type": "LN",
        "seed": 0,
    }
    save_native(bridge_of(new_model(config)), config, weights)
    tokenization = {"context_length": 1024, "packing": "documents", "bos_token": BOS, "mask_tokens": [BOS]}
    record_model(weights, "language", {**tokenization, "processing": PROCESSING}, {})
    sites = [SITES[kind].format(layer=layer) for layer in range(layers)]
    for site in sites:
        for dictionary in ("neurons", architecture):
            Path(Place(MODEL, site, dictionary, root=str(results)).tables).mkdir(parents=True)
    (results / "metrics.json").write_text(
        json.dumps({MODEL: {"model": {}} | {site: {"neurons": {}, architecture: {}} for site in sites}})
    )
    found = open_study(results)[MODEL].run("The quick brown fox jumps over it.", sites)
    for number, site in enumerate(sites):
        x = torch.from_numpy(found[site].values[1:])
        _write_sae(Place(MODEL, site, architecture, root=str(results)), x, features, architecture, active, number)
    return results


def _write_sae(place: Place, x: torch.Tensor, features: int, architecture: str, active: float, seed: int) -> None:
    """An SAE whose features are active on about as many of some tokens as is asked for."""
    folder, neurons = Path(place.sae.path), x.shape[1]
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    W_enc = torch.empty(neurons, features)
    for start in range(0, features, DRAWN):
        columns = torch.randn(neurons, min(DRAWN, features - start), generator=generator)
        W_enc[:, start : start + DRAWN] = columns / columns.norm(dim=0)
    bias = -float(np.quantile((x @ W_enc[:, :4096]).numpy(), 1 - active))
    settings = {"architecture": architecture} | ({"k": 32} if architecture == "topk" else {})
    written = {
        "W_enc": W_enc.numpy(),
        "b_enc": np.full(features, bias if architecture == "standard" else 0.0, np.float32),
        "b_dec": np.zeros(neurons, np.float32),
    }
    header, end = {}, 0
    for name, values in written.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [end, end + values.nbytes]}
        end += values.nbytes
    hole = [end, end + 4 * features * neurons]
    header["W_dec"] = {"dtype": "F32", "shape": [features, neurons], "data_offsets": hole}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "sae_weights.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in written.values():
            file.write(values.tobytes())
        file.truncate(8 + len(text) + hole[1])
    config = settings | {"d_in": neurons, "d_sae": features, "metadata": {}}
    (folder / "cfg.json").write_text(json.dumps(config))
