"""Speed of extraction against plain PyTorch up to the same hook, in one process.

Run as `python benchmarks/extraction.py`, on one thread, or with `--device cuda`. Printed are medians over rounds in
which the contestants take turns: tokens per second, and the speed of each relative to the plain forward pass. At least
0.75 of it is wanted on a CPU, 0.8 on a GPU. `--shape` chooses models: of one layer, or `gpt2-small` as transformers
makes it, with random weights, at its last layer. `--batches` of 4,096 tokens are run per round; a GPU takes eight of
them together.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import GPT2Config, GPT2LMHeadModel

from polysem.activations.extract_activations import RowWriter, write_activations
from polysem.activations.left_out import left_out_at
from polysem.activations.sequences import BATCH_TOKENS, batch_tokens
from polysem.io.stores import create_array, written_store
from polysem.models.batches import TokenStore
from polysem.models.language import LanguageSubject
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model
from polysem.models.record_model import record_model

CONTEXT = 128
ROUNDS = 5
SHAPES = {
    "stories-1l": {"d_model": 128, "n_heads": 4, "d_mlp": 512, "d_vocab": 1024, "act_fn": "relu"},
    "gelu-1l": {"d_model": 512, "n_heads": 8, "d_mlp": 2048, "d_vocab": 8192, "act_fn": "gelu"},
}
GPT2 = "gpt2-small"
Plain = Callable[[torch.Tensor], torch.Tensor]
"""From ids [sequence, position] to the activations of a site [sequence, position, neuron]."""


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


def one_layer(shape: dict[str, int | str], device: str) -> tuple[Plain, LanguageSubject, str]:
    """A model of one layer as plain PyTorch and as the workflow runs it, and its site."""
    config = {"n_layers": 1, "n_ctx": CONTEXT, "normalization_type": "LN", "seed": 0, **shape}
    config["d_head"] = config["d_model"] // config["n_heads"]
    plain = new_model(config).eval().to(device)

    @torch.inference_mode()
    def forward(ids: torch.Tensor) -> torch.Tensor:
        block, x = plain.layers[0], plain.tok_embed(ids) + plain.pos(torch.arange(CONTEXT, device=device))
        x = x + block.attn(block.ln1(x))[0]
        return block.mlp.act(block.mlp.fc_in(block.ln2(x)))

    return (
        forward,
        LanguageSubject(bridge_of(new_model(config)).to(torch.device(device)), device),
        "blocks.0.mlp.hook_post",
    )


def gpt2_small(folder: Path, device: str) -> tuple[Plain, LanguageSubject, str]:
    """GPT-2 small with random weights, as transformers runs it by default and as the workflow runs it."""
    torch.manual_seed(0)
    config = GPT2Config(bos_token_id=0, eos_token_id=0)
    plain = GPT2LMHeadModel(config).eval()
    plain.save_pretrained(folder)
    words = {str(number): number for number in range(config.vocab_size)}
    Tokenizer(WordLevel(words, unk_token="0")).save(str(folder / "tokenizer.json"))
    record_model(folder, "language", {"context_length": CONTEXT, "processing": {}}, {})
    plain.to(device)
    last, found = config.n_layer - 1, []
    plain.transformer.h[last].mlp.act.register_forward_hook(lambda module, inputs, output: found.append(output))

    @torch.inference_mode()
    def forward(ids: torch.Tensor) -> torch.Tensor:
        plain.transformer(ids, use_cache=False)
        return found.pop()

    return forward, load_subject(folder, device), f"blocks.{last}.mlp.hook_post"


def compare(name: str, device: str, count: int, folder: Path) -> None:
    """Print the speeds for a model."""
    plain, subject, site = gpt2_small(folder, device) if name == GPT2 else one_layer(SHAPES[name], device)
    store = token_store(folder, SHAPES.get(name, {"d_vocab": 50257})["d_vocab"], count)
    batches = list(store.batches(batch_tokens(subject.device) // CONTEXT))
    rows = sum(int(batch.counted.sum()) for batch in batches)
    left_out = left_out_at(subject, store, site, "massive")

    def write() -> None:
        writer = RowWriter(group, subject.width(site), "float16", rows)
        write_activations(subject, store, site, writer, left_out)

    torch.testing.assert_close(
        plain(batches[0].inputs.to(device)), subject.activations(batches[0], [site])[site], rtol=1e-3, atol=1e-3
    )
    times: dict[str, list[float]] = {"plain PyTorch": [], "LanguageSubject.activations": [], "with writing": []}
    for round_ in range(ROUNDS):
        times["plain PyTorch"].append(seconds(lambda: [plain(batch.inputs.to(device)) for batch in batches]))
        times["LanguageSubject.activations"].append(
            seconds(lambda: [subject.activations(batch, [site]) for batch in batches])
        )
        output = folder / f"{round_}.zarr"
        with written_store(output, attributes={}, params={}, code="", device=device) as group:
            times["with writing"].append(seconds(write))
    fastest = median(times["plain PyTorch"])
    for what, measured in times.items():
        speed = count * BATCH_TOKENS / median(measured)
        print(f"{name:12} {what:28} {speed:10,.0f} tokens/s   {fastest / median(measured):.2f} of plain PyTorch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", nargs="+", choices=[*SHAPES, GPT2], default=[*SHAPES])
    parser.add_argument("--batches", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.shape:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, arguments.device, arguments.batches, Path(folder))


if __name__ == "__main__":
    main()
