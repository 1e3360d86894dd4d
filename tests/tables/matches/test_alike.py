"""Which tokens count as the same, by hand."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from polysem.tables.passes.matches.alike import Alike


@pytest.fixture
def alike(tokenizer) -> Alike:
    return Alike(Tokenizer.from_file(str(tokenizer)))


def together(alike, one, other):
    """Whether two lists of tokens are alike in their places: exactly, and by stem."""
    exact, stem = (alike.groups(np.array(one)) == alike.groups(np.array(other))).tolist()
    return exact, stem


def test_white_space_in_front_and_case_make_no_other_token(alike, ids):
    assert together(alike, ids(" red| red| cat"), ids(" red|Red| blue")) == ([True, True, False], [True, True, False])


def test_words_of_one_stem_match_by_stem_alone(alike, ids):
    assert together(alike, ids(" red| cats"), ids(" reds| cat")) == ([False, False], [True, True])


def test_white_space_is_like_itself_alone_and_no_token_is_like_none(alike, ids):
    assert together(alike, ids("\n|\n"), ids("\n|?")) == ([True, False], [True, False])
    assert alike.groups(np.array([-1])).tolist() == [[-1], [-1]]


def byte_level(*pieces):
    """A byte-level tokenizer with these tokens."""
    made = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return made


def test_parts_of_characters_are_no_text_that_others_could_share():
    """`Ã` and `Ċ` are the bytes C3 and 0A, `Ġ` a blank; a decoder shows both halves of a character alike."""
    alike = Alike(byte_level("Ã", "Â", "ĠÃ", "Ġ", "Ċ", "Ġinsights", "insight", "naÃ¯ve", "Na", "ĠNAÃ¯VE"))
    exact, stem = alike.groups(np.arange(10)).tolist()
    assert len(set(exact[:5])) == 5 and len(set(stem[:5])) == 5
    assert exact[5] != exact[6] and stem[5] == stem[6]
    assert exact[7] == exact[9] != exact[8]


def test_other_scripts_have_no_stem_but_themselves():
    alike = Alike(byte_level("Ð´Ð¾Ð¼Ð°", "ĠÐ´Ð¾Ð¼Ð°", "Ð´Ð¾Ð¼", "co-ops", "co-op"))
    exact, stem = alike.groups(np.arange(5)).tolist()
    assert exact[0] == exact[1] and stem[0] == stem[1] != stem[2]
    assert stem[3] != stem[4], "signs are no letters"
