"""Edits that cosmic-ray has not: a number ten times as large, a call, an operand or a statement that is left out."""

from collections.abc import Iterator

import parso
from cosmic_ray.operators.number_replacer import NumberReplacer
from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Number, PythonNode
from parso.tree import NodeOrLeaf

Position = tuple[tuple[int, int], tuple[int, int]]


class _Once(Operator):
    """An operator that changes a node in at most one way."""

    def applies(self, node: NodeOrLeaf) -> bool:
        raise NotImplementedError

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        if self.applies(node):
            yield node.start_pos, node.end_pos


def _is_float(number: Number) -> bool:
    return not number.value.startswith("0x") and not number.value.replace("_", "").isdigit()


class ReplaceInteger(NumberReplacer):
    """1 → 2, 1 → 0; cosmic-ray's, for integers alone."""

    def mutation_positions(self, node):
        return iter(()) if isinstance(node, Number) and _is_float(node) else super().mutation_positions(node)

    @classmethod
    def examples(cls):
        return (Example("x = 1", "x = 2"), Example("x = 1", "x = 0", occurrence=1))


class ScaleFloat(_Once):
    """1e-9 → 1e-8; a float one larger or smaller, as cosmic-ray makes it, is far from what anybody mistakes."""

    def applies(self, node):
        return isinstance(node, Number) and _is_float(node) and float(node.value) != 0

    def mutate(self, node, index):
        return Number(f"{float(node.value) * 10:g}", node.start_pos, node.prefix)

    @classmethod
    def examples(cls):
        return (Example("x = 1e-9", "x = 1e-08"), Example("x = 0.2", "x = 2"))


class DropCall(_Once):
    """x.clamp(min=0) → x, F.normalize(x, dim=1) → x: the value as it was before the last call."""

    PLACES = (".contiguous", ".cpu", ".detach", ".item", ".numpy")
    """Calls that change where a value lies or what holds it, and not what it is."""
    MODULES = {"F", "math", "np", "special", "stats", "torch", "xr"}

    def applies(self, node):
        if node.type not in ("atom_expr", "power") or node.children[-1].type != "trailer" or len(node.children) < 3:
            return False
        name, call = node.children[-2:]
        if not (name.get_code().startswith(".") and call.children[0].value == "("):
            return False
        if name.get_code() in self.PLACES or (name.get_code() == ".to" and "device" in call.get_code()):
            return False
        return node.children[0].get_code().strip() not in self.MODULES or (
            len(node.children) == 3 and self._first(call) is not None
        )

    def mutate(self, node, index):
        if node.children[0].get_code().strip() in self.MODULES:
            kept = self._first(node.children[-1]).get_code().strip()
        else:
            kept = "".join(child.get_code() for child in node.children[:-2]).strip()
        return parso.parse(node.get_first_leaf().prefix + kept)

    @staticmethod
    def _first(call):
        """The first argument of a call if it is a positional one."""
        inner = call.children[1]
        first = inner.children[0] if inner.type == "arglist" else inner
        return None if first.type in ("argument", "operator") else first

    @classmethod
    def examples(cls):
        return (
            Example("y = x.square().sum(0)", "y = x.square()"),
            Example("y = F.normalize(x, dim=1)", "y = x"),
        )


class DropOperand(_Once):
    """x − mean → x, a * b → a, x ** 2 → x: the last operand is left out."""

    def applies(self, node):
        if node.type == "power":
            return getattr(node.children[-2], "value", "") == "**"
        return node.type in ("arith_expr", "term")

    def mutate(self, node, index):
        kept = node.children[:-2]
        return kept[0] if len(kept) == 1 else PythonNode(node.type, kept)

    @classmethod
    def examples(cls):
        return (Example("y = x - x.mean(0)", "y = x"), Example("y = a * b / c", "y = a * b"), Example("x**2", "x"))


class DropStatement(_Once):
    """A call for its effect, or an assignment with an operator or to an item, becomes `pass`."""

    def applies(self, node):
        if node.parent is None or node.parent.type != "simple_stmt" or node.type not in ("expr_stmt", "atom_expr"):
            return False
        if node.type == "atom_expr":
            return node.children[-1].children[0].value == "("
        operator, target = node.children[1], node.children[0]
        return operator.type == "operator" and (operator.value != "=" or target.get_code().rstrip().endswith("]"))

    def mutate(self, node, index):
        return parso.parse(node.get_first_leaf().prefix + "pass")

    @classmethod
    def examples(cls):
        return (Example("x += 1\n", "pass\n"), Example("x[dead] = 0\n", "pass\n"), Example("f(x)\n", "pass\n"))


OWN = (ReplaceInteger, ScaleFloat, DropCall, DropOperand, DropStatement)
