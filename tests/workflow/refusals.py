"""What a check before the run says of what it refuses."""

from collections.abc import Callable

import pytest

from polysem.io.errors import InputError


def refusal_of(check: Callable[[], object]) -> str:
    """The one line with which a check refuses."""
    with pytest.raises(InputError) as found:
        check()
    assert "\n" not in str(found.value)
    return str(found.value)
