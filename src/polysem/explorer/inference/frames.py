"""How the two processes talk: frames of bytes over the pipes of the child, each with its length in front."""

import struct
from typing import BinaryIO, Final

HEADER: Final = struct.Struct(">IQB")
"""Bytes that follow, the number of the job, and what the frame says."""
DONE, REFUSED, UNKNOWN, BROKEN, READY = range(5)
"""An answer; a sentence for the user; one about a name that there is not; a traceback for whoever looks after the
server; the process has begun."""
LONGEST = 1 << 28
"""Bytes of a frame, at most."""


def frame(number: int, kind: int, content: bytes) -> bytes:
    """A frame."""
    return HEADER.pack(len(content), number, kind) + content


def read_frame(stream: BinaryIO) -> tuple[int, int, bytes] | None:
    """The next frame: number, kind and content; None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    length, number, kind = HEADER.unpack(header)
    content = stream.read(length)
    return (number, kind, content) if len(content) == length else None
