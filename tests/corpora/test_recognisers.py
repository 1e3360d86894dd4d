"""Recognisers of tags, by hand and against the generator's own truth."""

from random import Random

import pytest

from polysem.corpora.recognisers import recognisers
from polysem.corpora.sources.generated.make import write_document
from polysem.params.proxies import DEFAULT_PROXIES


def test_words_decide_where_words_can():
    known = recognisers(["colour", "name", "object", "dialogue", "action", "spot"], {})
    text = 'Lily saw a red toy car under the bed. "Stop running!" said'

    def found(tag: str) -> list[str]:
        return [text[start:stop] for start, stop, _ in known[tag](text)]

    assert found("colour") == ["red"] and found("name") == ["Lily"] and found("action") == ["running"]
    assert (
        "toy car" in found("object") and found("spot") == ["under the bed"] and found("dialogue") == ['"Stop running!"']
    )
    assert known["dialogue"]('he said "come')[0][:2] == (8, 13), "a text may end in speech"
    assert not known["name"]("lily-white"), "names have capitals"


def test_kinds_and_proxies_are_their_expressions_and_other_tags_have_none():
    known = recognisers(
        ["kind:hebrew", "proxy:vowels", "proxy:gone", "plot:race", "kind:story"], {"vowels": "[aeiou]+"}
    )
    assert set(known) == {"kind:hebrew", "proxy:vowels"}
    assert known["kind:hebrew"]("a שלום עולם b") == [(2, 11, "kind:hebrew")]
    assert known["proxy:vowels"]("queen") == [(1, 4, "proxy:vowels")]


@pytest.mark.parametrize("kind", ["story", *DEFAULT_PROXIES])
def test_they_agree_with_the_generator(kind):
    """By characters, over some documents; what the generator never tags so must not be found often."""
    tags = ["colour", "feeling", "name", "pronoun:she", "time", "action"] if kind == "story" else [f"kind:{kind}"]
    known = recognisers(tags, {})
    counts = {tag: [0, 0, 0] for tag in tags}
    for number in range(12):
        document = write_document(kind, Random(number))
        for tag, one in known.items():
            true = {at for start, stop, own in document.spans if own == tag for at in range(start, stop)}
            found = {at for start, stop, _ in one(document.text) for at in range(start, stop)}
            counts[tag] = [
                sum(pair) for pair in zip(counts[tag], (len(true & found), len(true), len(found)), strict=True)
            ]
    for tag, (both, true, found) in counts.items():
        assert 2 * both / (true + found) > 0.8, tag
