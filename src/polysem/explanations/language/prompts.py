"""What a language model is asked, and what its answers say.

The words are after Bills et al. 2023 and Paulo et al. 2024, short enough for small models. Texts of a corpus are data:
whatever an answer or a text says, it is shown to people and never obeyed.
"""

import json
import re
from collections.abc import Sequence

from polysem.explanations.language.asking import Messages

LONGEST = 400
"""Characters of an explanation that are kept."""
LEVELS = 10
"""What the strongest activation is called."""
EXPLAIN = (
    "You study what a unit of a language model reacts to. In each example, the tokens on which it is active stand "
    "between << and >>, and their activations, from 1 to 10, behind it. Say in one short sentence what these tokens, "
    "or the texts before them, have in common. Answer with the sentence alone."
)
DETECT = (
    "You are told what a unit of a language model reacts to. For each numbered text say whether the unit is active "
    "anywhere in it. Answer with a list of 1 for yes and 0 for no, one number for each text, and nothing else, as "
    "[1, 0]."
)
FUZZ = (
    "You are told what a unit of a language model reacts to. In each numbered text one token stands between << and >>. "
    "Say whether the unit is active on that token. Answer with a list of 1 for yes and 0 for no, one number for each "
    "text, and nothing else, as [1, 0]."
)
SIMULATE = (
    "You are told what a unit of a language model reacts to, and a text as a list of tokens. Say how active the unit "
    "is on each token, from 0 (not at all) to 10. Answer with a list of whole numbers, one for each token, and nothing "
    "else, as [0, 0, 7]."
)


def explain(examples: Sequence[tuple[str, Sequence[tuple[str, int]]]]) -> Messages:
    """Ask for an explanation; examples are a text with its marks, and active tokens with their levels."""
    lines = []
    for number, (text, levels) in enumerate(examples, 1):
        said = ", ".join(f"{json.dumps(token, ensure_ascii=False)}: {level}" for token, level in levels)
        lines += [f"Example {number}: {text}", f"Activations: {said}"]
    return _messages(EXPLAIN, "\n".join(lines))


def judge(score: str, explanation: str, texts: Sequence[str]) -> Messages:
    """Ask in which of some texts, or on which of the tokens marked in them, a feature is active."""
    numbered = "\n".join(f"Text {number}: {text}" for number, text in enumerate(texts, 1))
    return _messages(DETECT if score == "detection" else FUZZ, f"The unit reacts to: {explanation}\n{numbered}")


def simulate(explanation: str, tokens: Sequence[str]) -> Messages:
    """Ask for the activation on every token of a text."""
    listed = json.dumps(list(tokens), ensure_ascii=False)
    return _messages(SIMULATE, f"The unit reacts to: {explanation}\n{len(tokens)} tokens: {listed}")


def _messages(system: str, user: str) -> Messages:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def read_explanation(answer: str) -> str:
    """The first line of an answer that says anything, in one line and not too long; '' for none."""
    for line in answer.splitlines():
        words = " ".join(line.split())
        if words:
            return words[:LONGEST]
    return ""


def read_numbers(answer: str, count: int, largest: int) -> list[int] | None:
    """The list of whole numbers from 0 to `largest` in an answer; None unless there is exactly one of this length."""
    lists = re.findall(r"\[([^\[\]]{0,20000})\]", answer)
    if len(lists) != 1:
        return None
    parts = [part.strip() for part in lists[0].split(",")]
    if len(parts) != count or not all(re.fullmatch(r"[0-9]{1,4}", part, re.ASCII) for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return numbers if max(numbers, default=0) <= largest else None
