import sys

import pytest
import torch
from pretended_card import pretended_card

from polysem.io.errors import InputError
from polysem.numerics.devices import precision, resolved


@pytest.mark.parametrize(("asked", "found"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_auto_is_a_card_where_there_is_one(asked, found):
    with pretended_card():
        assert resolved(asked) == found


@pytest.mark.parametrize(("platform", "said"), [("linux", ""), ("darwin", "Apple's GPU is not used")])
def test_auto_is_the_cpu_elsewhere_and_a_mac_is_told(platform, said, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "platform", platform)
    assert resolved("auto") == "cpu"
    told = capsys.readouterr().err
    assert said in told if said else told == ""


def test_a_card_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"asks for a GPU, and torch .* finds none here; set device .* to cpu or auto"):
        resolved("cuda")


def test_receipts_of_a_cpu_say_what_they_always_said():
    assert precision("cpu", "bfloat16") == {}
    assert precision("cuda", "bfloat16") == {"device": "cuda", "precision": "bfloat16"}
