"""Sentences with a slot, as a params file spells them."""

import pytest

from polysem.io.errors import InputError
from polysem.params.analysis import Analysis
from polysem.params.probes import DEFAULT_PROBES, Probe, parsed
from polysem.params.study import load_study

STUDY = """
corpora: {digits: {source: images, images: digits}}
models: {digits: {source: classifier, corpus: digits, hidden: [8]}}
"""


def test_a_probe_is_the_text_around_a_slot_and_the_words_in_it():
    probe = parsed("My favorite color is [ red |dark crimson| blue].")
    assert probe == Probe("My favorite color is ", ("red", "dark crimson", "blue"), ".")
    assert probe.sentence("red") == "My favorite color is red."


def test_the_default_is_that_of_document_s4_and_words_of_the_stories():
    words = [parsed(text).words for text in DEFAULT_PROBES]
    assert words[0] == ("red", "crimson", "blue") and words[1] == ("love", "hate", "like")
    assert words[2] == ("insight", "insightful", "intuition", "absurd")
    assert Analysis().values()["probes"] == DEFAULT_PROBES and len(words) > 3


@pytest.mark.parametrize(
    ("probes", "problem"),
    [
        ("[My favorite color is red]", "analysis.probes.0: 'My favorite color is red' has no slot, or more than one"),
        ("['a [b|c] [d|e]']", "has no slot, or more than one"),
        ("['a [b|[c|d]]']", "has no slot, or more than one"),
        ("['a [b|c']", "has no slot, or more than one"),
        ("['a [b]']", "lacks words in its slot; a base word and its replacements stand there"),
        ("['a [b||c]']", "lacks words in its slot"),
        ("['a [ |c]']", "lacks words in its slot"),
        ("['a [b|c|b]']", "has 'b' twice in its slot"),
        (f"['a [{'|'.join(map(str, range(21)))}]']", "has 21 words in its slot; there may be 20"),
        (f"['{'a' * 800} [b|c]']", "has 806 characters; a probe has at most 800"),
        ("a [b|c]", "analysis.probes: found 'a [b|c]', allowed is a list"),
        ("[3]", "analysis.probes.0: found 3"),
        ("{a: b}", "analysis.probes: found"),
    ],
)
def test_a_text_that_spells_no_probe_is_refused_in_one_sentence(tmp_path, probes, problem):
    file = tmp_path / "params.yaml"
    file.write_text(f"{STUDY}analysis:\n  probes: {probes}\n")
    with pytest.raises(InputError) as refused:
        load_study(file)
    assert problem in str(refused.value) and "\n" not in str(refused.value)


def test_no_probes_may_be_asked_for(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(f"{STUDY}analysis:\n  probes: []\n")
    assert load_study(file).analysis.probes == []
