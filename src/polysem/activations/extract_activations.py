"""Step: keep the activations of one site on the tokens of a store, and make the stores of other sites on the way."""

import sys
from pathlib import Path
from typing import Literal

from polysem.activations.extraction import Extraction
from polysem.activations.handed_over import (
    Waiting,
    drop,
    hand_over,
    is_handed_over,
    place_of,
    take_begun,
    take_over,
    turn,
)
from polysem.io.errors import InputError
from polysem.io.shards import SHARD_BYTES
from polysem.io.stores import remove_store
from polysem.numerics.determinism import torch_is_needed
from polysem.numerics.devices import Device, resolved
from polysem.params.base import LeaveOut


def extract_activations(
    model: Path,
    tokens: Path,
    site: str,
    output: Path,
    limit: int,
    dtype: Literal["float16", "float32"],
    code: str,
    device: Device = "cpu",
    inputs: bool = False,
    leave_out: LeaveOut = "massive",
    train_tokens: Path | None = None,
    waiting: Path | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write the activation store of one site and its receipt, or take over the one that another job made.

    Arrays: `activations` [token, neuron]; `sequence` and `position` int32 [token], where the token stands in the token
    store; with `inputs`, where the neurons of the site have input weights, also `inputs` [token, input], what these
    weights multiply. All are uncompressed chunks of 1024 rows in shards of up to `shard_bytes` of the widest. Whole
    shards that an ended job of the same store left stay, and the pass begins behind them. Masked positions have no
    row, nor has what `leave_out` names (`activations.left_out`); at most `limit` tokens are kept. `train_tokens` is the
    token store that says which norms are massive; None: `tokens` is it. The receipt records the rule under `left_out`,
    with how many `tokens` before the last row are left out and how many are `massive`, left out or not.

    `waiting` lists the stores of the same model and tokens that jobs of this run have still to make: the pass of the
    model makes these, too, and hands them over (`activations.handed_over`). Without it the pass is for this store.

    Raises InputError if the model lacks the site, the disk the space, a number does not fit into the number format, or
    all tokens are left out.
    """
    here = resolved(device)
    extraction = Extraction(
        model, tokens, train_tokens or tokens, limit, dtype, code, here, inputs, leave_out, shard_bytes
    )
    with turn(waiting) as others:
        said = take_over(output, extraction.determines(site))
        try:
            if said is None:
                said = _made(extraction, site, output, others)
        finally:
            others.settle(site)
    print(said, file=sys.stderr)


def _made(extraction: Extraction, site: str, output: Path, waiting: Waiting) -> str:
    """Run the model for a site and for all that wait; what there is to say of the store of the site."""
    torch_is_needed()
    from polysem.activations.one_pass import made_in_one_pass

    stores: dict[str, Path] = {}
    for other, store in waiting.stores.items():
        if other != site and not is_handed_over(store, extraction.determines(other)):
            drop(store)
            remove_store(store)  # as Snakemake does when its job begins: the disk need not have room for both
            stores[other] = store
    said: str | None = None
    refusal: InputError | None = None
    places = {other: place_of(store) for other, store in stores.items()} | {site: output}
    for other, place in places.items():
        take_begun(stores.get(other, output), place)
    for made in made_in_one_pass(extraction, places):
        if made.site == site:
            said, refusal = made.said, made.refusal
        elif made.refusal is None:
            hand_over(stores[made.site], extraction.determines(made.site), made.said)
        else:
            print(f"not made for the job of {made.site}: {made.refusal}", file=sys.stderr)
            waiting.settle(made.site)
    if refusal:
        raise refusal
    assert said is not None
    return said
