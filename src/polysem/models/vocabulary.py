"""What each token of a vocabulary stands for in a text, byte for byte."""

import json
import re
from functools import cache
from typing import Any

from tokenizers import Tokenizer

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
META_SPACE = "▁"
CONTINUED = "##"


class Vocabulary:
    """The tokens of a tokenizer as bytes of text.

    A decoder would do for whole texts only: a token of a byte-level tokenizer may be a part of a character, of which a
    decoder leaves nothing but a replacement character.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._added = tokenizer.get_added_tokens_decoder()
        self._bytes = _reader(json.loads(tokenizer.to_str()))
        self._known: dict[int, bytes] = {}

    def is_special(self, token: int) -> bool:
        """Whether the token is a mark like BOS and no piece of text."""
        added = self._added.get(token)
        return added is not None and added.special

    def piece(self, token: int) -> bytes:
        """The UTF-8 of the token, or a part of a character; `[50300]` for an id that the vocabulary lacks."""
        if token not in self._known:
            self._known[token] = self._looked_up(token)
        return self._known[token]

    def text(self, token: int) -> str:
        """The token as text, with a replacement character for each part of one."""
        return self.piece(token).decode("utf-8", errors="replace")

    def _looked_up(self, token: int) -> bytes:
        if token in self._added:
            added = self._added[token]
            whole = added.special or self._bytes is not _sentence_piece
            return added.content.encode() if whole else _sentence_piece(added.content)
        piece = self._tokenizer.id_to_token(token)
        return f"[{token}]".encode() if piece is None else self._bytes(piece)


def _reader(tokenizer: dict[str, Any]) -> Any:
    """How the pieces of this kind of tokenizer are read: a function from a piece to bytes."""
    parts = [part for key in ("pre_tokenizer", "decoder") for part in _parts(tokenizer.get(key))]
    kinds = {part["type"] for part in parts}
    if "ByteLevel" in kinds:
        return _byte_level
    if "WordPiece" in kinds:
        return _word_piece
    replaces = any(part["type"] == "Replace" and META_SPACE in str(part.get("pattern")) for part in parts)
    if replaces or "Metaspace" in kinds or "ByteFallback" in kinds:
        return _sentence_piece
    return str.encode


def _parts(component: dict[str, Any] | None) -> list[dict[str, Any]]:
    if component is None:
        return []
    inner = component.get("pretokenizers") or component.get("decoders") or []
    return [component, *(part for each in inner for part in _parts(each))]


def _byte_level(piece: str) -> bytes:
    known = _byte_of_letter()
    if all(letter in known for letter in piece):
        return bytes(known[letter] for letter in piece)
    return piece.encode()


def _sentence_piece(piece: str) -> bytes:
    if found := BYTE_TOKEN.fullmatch(piece):
        return bytes([int(found[1], 16)])
    return piece.replace(META_SPACE, " ").encode()


def _word_piece(piece: str) -> bytes:
    return piece.removeprefix(CONTINUED).encode() if piece.startswith(CONTINUED) else f" {piece}".encode()


@cache
def _byte_of_letter() -> dict[str, int]:
    """The alphabet of byte-level tokenizers (GPT-2's): printable bytes are their own letters, others come after 255."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
