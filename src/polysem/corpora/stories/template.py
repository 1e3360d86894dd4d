"""Templates: sentences with choices and slots, compiled once and written many times.

    {slot}        what the story's world holds under this name; {Slot} with a capital
    (a|b|)        one of the alternatives, which may nest and may be empty
    <macro>       a template that stands in `MACROS`
    [words:tag]   words with a tag of their own
    "..."         speech: the span with its quotation marks is tagged `dialogue`

Plain words get their tags from the lexicon.
"""

import re
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import NamedTuple

from polysem.corpora.stories.lexicon import MACROS, spans_of
from polysem.corpora.tagged import Span, Writer


class Phrase(NamedTuple):
    """Words with their spans."""

    text: str
    spans: tuple[Span, ...] = ()


class Slot(NamedTuple):
    """A place that the story's world fills."""

    name: str
    capital: bool


class Choice(NamedTuple):
    """Alternatives of equal weight."""

    options: tuple["Nodes", ...]


class Mark(NamedTuple):
    """Where a tagged span begins; without a tag, where it ends."""

    tag: str | None


Nodes = tuple[Phrase | Slot | Choice | Mark, ...]
World = Mapping[str, Phrase]
"""What the slots of a story hold; the same for all its sentences."""

TOKEN = re.compile(r"\{(\w+)\}|<(\w+)>|([()|\[\]\"])|([^{}<>()|\[\]\"]+)")


@cache
def plain(text: str) -> Phrase:
    """Words whose tags are those of the lexicon."""
    return Phrase(text, spans_of(text))


@cache
def tagged(text: str, *tags: str) -> Phrase:
    """Words that carry `tags` as a whole."""
    return Phrase(text, tuple((0, len(text), tag) for tag in tags))


@cache
def labelled(text: str, tag: str) -> Phrase:
    """Words that carry `tag` as a whole and the tags of the lexicon inside."""
    return Phrase(text, ((0, len(text), tag), *(span for span in spans_of(text) if span != (0, len(text), tag))))


def joined(*phrases: Phrase) -> Phrase:
    """Phrases one after another."""
    spans: list[Span] = []
    text = ""
    for phrase in phrases:
        spans += ((len(text) + start, len(text) + end, tag) for start, end, tag in phrase.spans)
        text += phrase.text
    return Phrase(text, tuple(spans))


@cache
def compiled(template: str) -> Nodes:
    """The nodes of a template; raises ValueError where brackets or quotation marks do not match."""
    reader = _Reader(template)
    nodes = reader.sequence(until="")
    if reader.speaking:
        raise ValueError(f"a quotation mark is not closed in: {template}")
    return nodes


class _Reader:
    """Recursive descent over the tokens of one template."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.tokens = list(TOKEN.finditer(template))
        if "".join(token.group() for token in self.tokens) != template:
            raise ValueError(f"brackets do not match in: {template}")
        self.next = 0
        self.speaking = False

    def sequence(self, until: str) -> Nodes:
        """Nodes up to one of the characters in `until`, which is left to the caller, or up to the end."""
        nodes: list[Phrase | Slot | Choice | Mark] = []
        while self.next < len(self.tokens):
            slot, macro, sign, words = self.tokens[self.next].groups()
            if sign and sign in until:
                return tuple(nodes)
            self.next += 1
            if slot:
                nodes.append(Slot(slot[0].lower() + slot[1:], slot[0].isupper()))
            elif macro:
                nodes += compiled(MACROS[macro])
            elif words:
                nodes.append(plain(words))
            elif sign == '"':
                nodes += self._quotation_mark()
            elif sign == "(":
                nodes.append(self._choice())
            elif sign == "[":
                nodes += self._marked()
            else:
                raise ValueError(f"unexpected {sign!r} in: {self.template}")
        if until:
            raise ValueError(f"none of {until!r} found at the end of: {self.template}")
        return tuple(nodes)

    def _quotation_mark(self) -> Nodes:
        self.speaking = not self.speaking
        mark = Phrase('"')
        return (Mark("dialogue"), mark) if self.speaking else (mark, Mark(None))

    def _choice(self) -> Choice:
        options = [self.sequence(until="|)")]
        while self.tokens[self.next].group() == "|":
            self.next += 1
            options.append(self.sequence(until="|)"))
        self.next += 1
        return Choice(tuple(options))

    def _marked(self) -> Nodes:
        inner = self.sequence(until="]")
        self.next += 1
        last = inner[-1] if inner else None
        if not isinstance(last, Phrase) or ":" not in last.text:
            raise ValueError(f"[words:tag] has no tag in: {self.template}")
        words, _, tag = last.text.partition(":")
        return (Mark(tag), *inner[:-1], plain(words), Mark(None))


def write(nodes: Nodes, world: World, random: Random, writer: Writer) -> None:
    """Append one reading of a template; raises KeyError for a slot that the world does not fill."""
    for node in nodes:
        if type(node) is Phrase:
            writer.add(node.text, node.spans)
        elif type(node) is Slot:
            text, spans = world[node.name]
            writer.add(text[0].upper() + text[1:] if node.capital else text, spans)
        elif type(node) is Choice:
            options = node.options
            write(options[int(random.random() * len(options))], world, random, writer)
        elif type(node) is Mark:
            if node.tag is None:
                writer.close()
            else:
                writer.open(node.tag)
