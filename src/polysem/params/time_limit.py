"""A limit on the processor time of what has no limit of its own, such as a regular expression."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError once the block has taken so many seconds of the process's own processor time: a machine that is busy
    with other things takes longer by the clock, and has the same limit.

    Python's regular expressions look for signals while they search, so that they can be interrupted. Signals go to the
    main thread: in another one there is no limit. Blocks do not nest.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _late(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeoutError("the limit of processor time is reached")
