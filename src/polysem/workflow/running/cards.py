"""Which of several cards of one machine a step gets: the first that no other step of this user has.

Snakemake counts how many jobs may use a card at the same time (`profiles/gpus`), and does not say which.
"""

import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import IO

CARDS = "POLYSEM_CARDS"
"""Set by the workflow to how many cards its jobs share."""
VISIBLE = "CUDA_VISIBLE_DEVICES"


def take_card(folder: Path | None = None) -> IO[bytes] | None:
    """Have this process and its children see one card only, and hold it as long as one of them lives.

    The cards are those that `CUDA_VISIBLE_DEVICES` names, or the first ones. Waits until one is free. None, and nothing
    is changed, where jobs do not share several.
    """
    count = int(os.environ.get(CARDS, 1))
    if count < 2:
        return None
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    cards = (named or [str(number) for number in range(count)])[:count]
    place = folder or Path(tempfile.gettempdir()) / f"polysem-cards-{os.getuid()}"
    place.mkdir(exist_ok=True)
    while True:
        for card in cards:
            held = (place / card.replace("/", "_")).open("wb")
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.close()
                continue
            os.environ[VISIBLE] = card
            return held
        time.sleep(0.5)
