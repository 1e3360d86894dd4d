"""Speed of extraction against plain PyTorch up to the same hook, in one process.

Run as `python benchmarks/extraction.py`, on one thread, or with `--device cuda`. Printed are medians over rounds in
which the contestants take turns: tokens per second, and the speed of each relative to the plain forward pass up to the
last site. Writing includes the digest of each store. `--shape` chooses models with random weights: of one layer, made
here, or GPT-2 as transformers makes it, at the neurons of all its layers. `--batches` of 4,096 tokens are run per
round; a GPU takes eight of them together. At least 0.85 of the plain pass is wanted of one pass with writing.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import GPT2Config, GPT2LMHeadModel

from polysem.activations.extraction import Extraction
from polysem.activations.left_out import LeftOut, left_out_at
from polysem.activations.one_pass import StoreInMaking, make_together
from polysem.activations.sequences import BATCH_TOKENS, batch_tokens
from polysem.io.stores import create_array, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.models.subject import Subject

CONTEXT = 128
ROUNDS = 5
SHAPES = {
    "stories-1l": {"d_model": 128, "n_heads": 4, "d_mlp": 512, "d_vocab": 1024, "act_fn": "relu"},
    "gelu-1l": {"d_model": 512, "n_heads": 8, "d_mlp": 2048, "d_vocab": 8192, "act_fn": "gelu"},
}
GPT2 = {
    "gpt2-6l": {"n_layer": 6, "n_embd": 576, "n_head": 9, "n_inner": 1536},
    "gpt2-small": {"n_layer": 12, "n_embd": 768, "n_head": 12, "n_inner": 3072},
}
Plain = Callable[[torch.Tensor], torch.Tensor]
"""From ids [sequence, position] to the activations of the last site [sequence, position, neuron]."""


def token_store(folder: Path, vocabulary: int, batches: int) -> TokenStore:
    """Random sequences whose first position does not count, as after a BOS token."""
    count = batches * BATCH_TOKENS // CONTEXT
    ids = np.random.default_rng(0).integers(0, vocabulary, (count, CONTEXT), dtype=np.int32)
    arrays = {
        "ids": ids,
        "length": np.full(count, CONTEXT, np.int32),
        "counted": np.broadcast_to(np.arange(CONTEXT) > 0, ids.shape),
    }
    attributes = {"kind": "text", "context_length": CONTEXT}
    with written_store(folder / "tokens.zarr", attributes=attributes, params={}, code="", device="cpu") as group:
        for name, values in arrays.items():
            dimensions = ("sequence", "position")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
    return TokenStore(folder / "tokens.zarr")


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def one_layer(shape: dict[str, int | str], folder: Path, device: str) -> Plain:
    """A model of one layer as plain PyTorch, and in a folder."""
    config = {"n_layers": 1, "n_ctx": CONTEXT, "normalization_type": "LN", "seed": 0, **shape}
    config["d_head"] = config["d_model"] // config["n_heads"]
    save_native(bridge_of(new_model(config)), config, folder)
    plain = new_model(config).eval().to(device)

    @torch.inference_mode()
    def forward(ids: torch.Tensor) -> torch.Tensor:
        block, x = plain.layers[0], plain.tok_embed(ids) + plain.pos(torch.arange(CONTEXT, device=device))
        x = x + block.attn(block.ln1(x))[0]
        return block.mlp.act(block.mlp.fc_in(block.ln2(x)))

    return forward


def gpt2(shape: dict[str, int], folder: Path, device: str) -> Plain:
    """A GPT-2 with random weights, as transformers runs it by default, and in a folder."""
    torch.manual_seed(0)
    config = GPT2Config(bos_token_id=0, eos_token_id=0, **shape)
    plain = GPT2LMHeadModel(config).eval()
    plain.save_pretrained(folder)
    words = {str(number): number for number in range(config.vocab_size)}
    Tokenizer(WordLevel(words, unk_token="0")).save(str(folder / "tokenizer.json"))
    plain.to(device)
    found = []
    plain.transformer.h[-1].mlp.act.register_forward_hook(lambda module, inputs, output: found.append(output))

    @torch.inference_mode()
    def forward(ids: torch.Tensor) -> torch.Tensor:
        plain.transformer(ids, use_cache=False)
        return found.pop()

    return forward


def written(
    subject: Subject, extraction: Extraction, rules: dict[str, LeftOut], sites: Sequence[str], folder: Path, rows: int
) -> None:
    """Make the stores of some sites in one pass."""
    stores = {
        site: StoreInMaking(
            extraction, subject, site, folder / f"{site}.zarr", rules[site], rows, subject.width(site), 0
        )
        for site in sites
    }
    for made in make_together(subject, TokenStore(extraction.tokens), stores, inputs=False):
        assert made.refusal is None, made.refusal


def compare(name: str, device: str, count: int, folder: Path) -> None:
    """Print the speeds for a model."""
    model = folder / "model"
    model.mkdir()
    plain = gpt2(GPT2[name], model, device) if name in GPT2 else one_layer(SHAPES[name], model, device)
    record_model(model, "language", {"context_length": CONTEXT, "processing": {}}, {})
    subject = load_subject(model, device)
    sites = [site for site in subject.sites if site.endswith("mlp.hook_post")]
    store = token_store(folder, SHAPES.get(name, {"d_vocab": 50257})["d_vocab"], count)
    batches = list(store.batches(batch_tokens(subject.device) // CONTEXT))
    rows = sum(int(batch.counted.sum()) for batch in batches)
    rules = left_out_at(subject, store, sites, "massive")
    tokens = folder / "tokens.zarr"
    extraction = Extraction(model, tokens, tokens, rows, "float16", "", device, False, "massive")
    torch.testing.assert_close(
        plain(batches[0].inputs.to(device)),
        subject.activations(batches[0], sites[-1:])[sites[-1]],
        rtol=1e-3,
        atol=1e-3,
    )

    def ours() -> None:
        for batch in batches:
            subject.visit(batch, sites, lambda *_: None)

    contestants: dict[str, Callable[[], object]] = {
        "plain PyTorch": lambda: [plain(batch.inputs.to(device)) for batch in batches],
        "one pass": ours,
        "one pass with writing": lambda: written(subject, extraction, rules, sites, folder / "one", rows),
    }
    if len(sites) > 1:
        contestants["a pass for each site, with writing"] = lambda: [
            written(subject, extraction, rules, [site], folder / "each", rows) for site in sites
        ]
    times: dict[str, list[float]] = {what: [] for what in contestants}
    for _ in range(ROUNDS):
        for what, work in contestants.items():
            times[what].append(seconds(work))
    fastest = median(times["plain PyTorch"])
    print(f"{name}, {len(sites)} sites, {count} batches, medians of {ROUNDS} rounds")
    for what, measured in times.items():
        speed = count * BATCH_TOKENS / median(measured)
        print(f"  {what:36} {speed:10,.0f} tokens/s   {fastest / median(measured):.2f} of plain PyTorch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", nargs="+", choices=[*SHAPES, *GPT2], default=[*SHAPES])
    parser.add_argument("--batches", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.shape:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, arguments.device, arguments.batches, Path(folder))


if __name__ == "__main__":
    main()
