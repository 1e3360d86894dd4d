"""All edits of a source that the operators make, and a sample of them."""

import ast
import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

from mutation.operators import OWN

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
NEAR = {
    f"ReplaceComparisonOperator_{one}_{other}"
    for one, other in (
        *(("Lt", "LtE"), ("LtE", "Lt"), ("Gt", "GtE"), ("GtE", "Gt"), ("Lt", "Gt"), ("Gt", "Lt"), ("LtE", "GtE")),
        *(("GtE", "LtE"), ("Eq", "NotEq"), ("NotEq", "Eq"), ("Is", "IsNot"), ("IsNot", "Is")),
    )
} | {
    f"ReplaceBinaryOperator_{one}_{other}"
    for one, other in (
        *(("Add", "Sub"), ("Sub", "Add"), ("Mul", "Div"), ("Div", "Mul"), ("FloorDiv", "Div"), ("Mod", "FloorDiv")),
        *(("Pow", "Mul"), ("BitAnd", "BitOr"), ("BitOr", "BitAnd"), ("BitXor", "BitAnd"), ("LShift", "RShift")),
    )
}
"""Of cosmic-ray's replacements those by a near one, which somebody might write; a sum for a shift nobody does."""
OTHERS = {
    *("ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_Invert"),
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
}
KINDS = {name: OperatorProvider()[name] for name in sorted(NEAR | OTHERS)} | {kind.__name__: kind for kind in OWN}

Place = tuple[int, int]
"""Line and column."""
Operators = list[tuple[str, int]]
"""Names, each with the number of the place among those that it changes."""


@dataclass(frozen=True)
class Edit:
    """One edit of one file: `before` and `after` are what changes of its lines, without indentation."""

    file: str
    line: int
    before: str
    after: str
    text: str
    """The whole source after the edit."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What the list of equivalent edits calls it: its content, which stays where lines move."""
        return self.file, self.before, self.after


def places(source: str) -> dict[Place, Operators]:
    """From places of a source to the operators that change it there."""
    found: dict[Place, Operators] = {}
    nodes, left_out = list(ast_nodes(get_ast(source))), list(_unchanged(ast.parse(source)))
    for name, kind in KINDS.items():
        operator = kind()
        positions = [position for node in nodes for position in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(positions):
            if not any(first <= start and end <= last for first, last in left_out):
                found.setdefault(start, []).append((name, occurrence))
    return found


def sample(root: Path, files: Sequence[str], count: int, seed: int) -> Iterator[Edit]:
    """Edits at up to `count` places of the files, drawn with a seed, one for each place."""
    sources = {file: (root / file).read_text() for file in files}
    drawn = random.Random(seed)
    every = [
        (file, place, kinds) for file, source in sources.items() for place, kinds in sorted(places(source).items())
    ]
    drawn.shuffle(every)
    yield from islice(_made(sources, every, drawn), count)


def _made(sources: dict[str, str], every: list[tuple[str, Place, Operators]], drawn: random.Random) -> Iterator[Edit]:
    """One edit at each of some places, but for those that change nothing or no longer compile."""
    for file, (line, _), kinds in every:
        name, occurrence = drawn.choice(kinds)
        text = mutate_code(sources[file], KINDS[name](), occurrence)
        if text is not None and text != sources[file] and _compiles(text):
            yield Edit(file, line, *_changed(sources[file], text), text)


def statement(source: str, line: int) -> tuple[int, int, bool]:
    """First and last line of the innermost statement at a line, without its body, and whether it is in a function."""
    found, inside, body = (line, line), False, ast.parse(source).body
    while body:
        at = next((node for node in body if _first(node) <= line <= _last(node)), None)
        if at is None:
            break
        below = [
            node for part in ("body", "handlers", "orelse", "finalbody", "cases") for node in getattr(at, part, [])
        ]
        header = below and line < min(_first(node) for node in below)
        found = (_first(at), (min(_first(node) for node in below) - 1) if header else _last(at))
        if header:
            break
        inside |= isinstance(at, ast.FunctionDef)
        body = below
    return *found, inside


def _first(node: ast.AST) -> int:
    if isinstance(node, ast.match_case):  # it has no lines of its own
        return node.pattern.lineno
    return min(part.lineno for part in [*getattr(node, "decorator_list", []), node])


def _last(node: ast.AST) -> int:
    return max(part.end_lineno or 0 for part in (node.body if isinstance(node, ast.match_case) else [node]))


def replaced(root: Path, file: str, before: str, after: str) -> Edit:
    """The edit that replaces the one line that reads `before`."""
    lines = (root / file).read_text().splitlines(keepends=True)
    (number,) = (number for number, line in enumerate(lines) if line.strip() == before)
    text = "".join([*lines[:number], lines[number].replace(before, after), *lines[number + 1 :]])
    return Edit(file, number + 1, before, after, text)


def equivalent(root: Path, listed: Path = EQUIVALENT) -> dict[tuple[str, str, str], str]:
    """Edits that change nothing that a test could see, with the reasons.

    Raises ValueError if a line of the list is no longer in the source: somebody has to look at it again.
    """
    found = {}
    for entry in tomllib.loads(listed.read_text()).get("equivalent", []):
        lines = {line.strip() for line in (root / entry["file"]).read_text().splitlines()}
        if not set(entry["before"].splitlines()) <= lines:
            raise ValueError(
                f"{listed.name} has {entry['before']!r} of {entry['file']}, where no such line is; look at what "
                "stands there now and change or remove the entry"
            )
        found[entry["file"], entry["before"], entry["after"]] = entry["reason"]
    return found


def _unchanged(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where edits say nothing about tests: annotations, decorators, `strict=True` and `if __name__ == "__main__"`."""
    for node in ast.walk(tree):
        parts = [getattr(node, name, None) for name in ("annotation", "returns")]
        parts += getattr(node, "decorator_list", [])
        if isinstance(node, ast.keyword) and node.arg == "strict":
            parts.append(node.value)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            parts.append(node)
        for part in parts:
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def _compiles(text: str) -> bool:
    try:
        compile(text, "edited", "exec")
    except SyntaxError:
        return False
    return True


def _changed(source: str, text: str) -> tuple[str, str]:
    """The lines in which two sources differ."""
    old, new = source.splitlines(), text.splitlines()
    first = next(place for place, (one, other) in enumerate(zip(old, new, strict=False)) if one != other)
    last = next(place for place, (one, other) in enumerate(zip(old[::-1], new[::-1], strict=False)) if one != other)
    last = min(last, len(old) - first - 1, len(new) - first - 1)
    before, after = old[first : len(old) - last], new[first : len(new) - last]
    return "\n".join(line.strip() for line in before), "\n".join(line.strip() for line in after)
