"""Explorers as processes of their own, on studies that are real."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from explorer_server import Served
from explorer_study import study as random_study
from finished_run import finished, shared

__all__ = ["finished", "shared"]


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Path:
    """Results with two layers of random weights and an SAE at each. Not to be changed."""
    return random_study(tmp_path_factory.mktemp("random"), 2, 500, d_model=64, active=0.05)


@pytest.fixture(scope="session")
def served(many) -> Iterator[Served]:
    """An explorer of these. Not to be ended."""
    with Served(many) as found:
        found.ready()
        yield found
