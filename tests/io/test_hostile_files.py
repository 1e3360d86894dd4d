"""Files of strangers, as `benchmarks/campaigns/hostile_files.py` makes them: one sentence each, and nothing is run."""

import pytest
from campaigns import hostile_files

CASES = [(kind, title) for kind, (_, makers, _) in hostile_files.READERS.items() for title in makers]


@pytest.mark.parametrize(("kind", "title"), CASES, ids=[f"{kind}, {title}" for kind, title in CASES])
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, about the protocol of a pickle
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about quantized tensors and TorchScript
def test_a_hostile_file_is_one_sentence_and_nothing_of_it_is_run(tmp_path, kind, title):
    name, makers, read = hostile_files.READERS[kind]
    hostile_files.refused(tmp_path / name, makers[title], read)


def test_the_files_of_this_test_are_not_harmless(tmp_path):
    import torch

    hostile_files.PICKLES["code beside tensors"](tmp_path / "ae.pt", tmp_path / "ran")
    torch.load(tmp_path / "ae.pt", weights_only=False)
    assert (tmp_path / "ran").exists()
