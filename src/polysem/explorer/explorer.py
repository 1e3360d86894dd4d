"""What the server shows: an opened study, the process that runs its models, and who is at the keyboard."""

import secrets
from dataclasses import dataclass, field

from polysem.explorer.inference.client import Inference
from polysem.study.study import Study


@dataclass(frozen=True)
class Explorer:
    """Everything that routes need; handlers get it as `request.app.state.explorer`."""

    study: Study
    """The results, opened; reading names, tables and labels needs no torch."""
    inference: Inference
    """The process that owns models and dictionaries, behind `await explorer.inference.search(…)`."""
    author: str = ""
    """Who writes the notes; '' where nobody said, and then nothing can be written."""
    hosts: frozenset[str] = frozenset({"localhost"})
    """Names that the server is called by, beside loopback addresses."""
    is_open: bool = False
    """Whether others than this machine can reach it."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """What a page sends with every write, in the header `X-Polysem-Token`; it is another one at every start."""
