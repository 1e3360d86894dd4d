"""Tokens as bytes of text: all tokens of a text together are the text."""

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from polysem.models.vocabulary import Vocabulary

TEXT = "Once upon a time, Lily said: été, שלום 😀\n\tend."


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["Once upon a time Lily said"] * 3, trainer)
    return tokenizer


def sentence_piece():
    """As Llama's: blanks are ▁, characters that are not in the vocabulary are bytes."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁OncepiLysad:,tm", "▁up", "on", "▁upon"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("▁up", "on")], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
def test_the_pieces_of_a_text_put_together_are_the_text(make):
    tokenizer = make()
    vocabulary = Vocabulary(tokenizer)
    ids = tokenizer.encode(TEXT, add_special_tokens=False).ids
    pieces = [vocabulary.piece(token) for token in ids]
    assert b"".join(pieces).decode() == TEXT == tokenizer.decode(ids)
    assert any(piece == b"\xd7" for piece in pieces)  # half of a Hebrew letter


def test_pieces_of_words_stand_with_or_without_a_blank():
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "play": 1, "##ing": 2, "a": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    vocabulary = Vocabulary(tokenizer)
    assert [vocabulary.text(token) for token in tokenizer.encode("a playing").ids] == [" a", " play", "ing"]


def test_marks_are_told_from_words_that_were_added():
    tokenizer = byte_level()
    tokenizer.add_special_tokens([AddedToken("<|bos|>")])
    tokenizer.add_tokens(["    "])
    vocabulary = Vocabulary(tokenizer)
    mark, blanks = tokenizer.token_to_id("<|bos|>"), tokenizer.token_to_id("    ")
    assert vocabulary.is_special(mark) and not vocabulary.is_special(blanks) and not vocabulary.is_special(0)
    assert (vocabulary.text(mark), vocabulary.text(blanks)) == ("<|bos|>", "    ")


@pytest.mark.parametrize("replaces", [True, False])
def test_added_runs_of_blanks_are_read_as_the_library_decodes_them(replaces):
    tokenizer = sentence_piece()
    if not replaces:
        tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("▁▁", "▁▁▁▁", "</tag▁▁>")])
    tokenizer.add_special_tokens(["<mark▁>"])
    vocabulary, letter = Vocabulary(tokenizer), tokenizer.token_to_id("y")
    for text, shown in (("▁▁", "  "), ("▁▁▁▁", "    "), ("</tag▁▁>", "</tag  >")):
        token = tokenizer.token_to_id(text)
        assert vocabulary.text(token) == shown
        assert tokenizer.decode([letter, token, letter]) == f"y{shown}y"
    assert vocabulary.text(tokenizer.token_to_id("<mark▁>")) == "<mark▁>"


def test_an_id_that_the_tokenizer_lacks_is_shown_as_such():
    assert Vocabulary(byte_level()).text(50_300) == "[50300]"
