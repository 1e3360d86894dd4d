"""A study on a disk that has no room for it: the first of the cases of `benchmarks/campaigns/full_disk.py`."""

import os

import pytest
from campaigns import full_disk

pytestmark = pytest.mark.workflow


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_run_on_a_full_disk_says_so_and_leaves_nothing_torn(tmp_path):
    found = list(full_disk.cases(tmp_path, smoke=True))
    assert len(found) == 3
    assert {case.problem for case in found} == {""}
