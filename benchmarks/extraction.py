"""Speed of extraction against plain PyTorch up to the same hook, in one process on one thread.

Run as `python benchmarks/extraction.py`. Printed are medians over rounds in which the contestants take turns: tokens
per second, and the speed of each relative to the plain forward pass. At least 0.75 of it is wanted.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from polysem.activations.extract_activations import BATCH_TOKENS, RowWriter, write_activations
from polysem.io.stores import create_array, written_store
from polysem.models.batches import TokenStore
from polysem.models.language import LanguageSubject
from polysem.models.native import bridge_of, new_model

SITE = "blocks.0.mlp.hook_post"
CONTEXT = 128
BATCHES = 8
ROUNDS = 5
SHAPES = {
    "stories-1l": {"d_model": 128, "n_heads": 4, "d_mlp": 512, "d_vocab": 1024, "act_fn": "relu"},
    "gelu-1l": {"d_model": 512, "n_heads": 8, "d_mlp": 2048, "d_vocab": 8192, "act_fn": "gelu"},
}


def token_store(folder: Path, vocabulary: int) -> TokenStore:
    """Random sequences whose first position does not count, as after a BOS token."""
    count = BATCHES * BATCH_TOKENS // CONTEXT
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
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def compare(name: str, shape: dict[str, int | str], folder: Path) -> None:
    """Print the speeds for a model of one layer."""
    config = {"n_layers": 1, "n_ctx": CONTEXT, "normalization_type": "LN", "seed": 0, **shape}
    config["d_head"] = config["d_model"] // config["n_heads"]
    plain = new_model(config).eval()
    subject = LanguageSubject(bridge_of(new_model(config)).eval(), "cpu")
    store = token_store(folder, config["d_vocab"])
    batches = list(store.batches(BATCH_TOKENS // CONTEXT))
    rows = sum(int(batch.counted.sum()) for batch in batches)

    @torch.inference_mode()
    def plain_forward(ids: torch.Tensor) -> torch.Tensor:
        block, x = plain.layers[0], plain.tok_embed(ids) + plain.pos(torch.arange(CONTEXT))
        x = x + block.attn(block.ln1(x))[0]
        return block.mlp.act(block.mlp.fc_in(block.ln2(x)))

    def write() -> None:
        writer = RowWriter(group, subject.width(SITE), "float16", rows)
        write_activations(subject, store, SITE, writer)

    torch.testing.assert_close(plain_forward(batches[0].inputs), subject.activations(batches[0], [SITE])[SITE])
    times: dict[str, list[float]] = {"plain PyTorch": [], "LanguageSubject.activations": [], "with writing": []}
    for round_ in range(ROUNDS):
        times["plain PyTorch"].append(seconds(lambda: [plain_forward(batch.inputs) for batch in batches]))
        times["LanguageSubject.activations"].append(
            seconds(lambda: [subject.activations(batch, [SITE]) for batch in batches])
        )
        output = folder / f"{round_}.zarr"
        with written_store(output, attributes={}, params={}, code="", device="cpu") as group:
            times["with writing"].append(seconds(write))
    fastest = median(times["plain PyTorch"])
    for what, measured in times.items():
        speed = BATCHES * BATCH_TOKENS / median(measured)
        print(f"{name:12} {what:28} {speed:10,.0f} tokens/s   {fastest / median(measured):.2f} of plain PyTorch")


def main() -> None:
    torch.set_num_threads(1)
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            compare(name, shape, Path(folder))


if __name__ == "__main__":
    main()
