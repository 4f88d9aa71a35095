"""Metric math on the values of several metrics in one period.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html

Arithmetic, comparisons, AND, OR, and the functions IF, FILL, ABS, CEIL, FLOOR, MIN, MAX, SUM and AVG. Other
expressions are refused when the alarm or query is created: an unknown expression must not look like missing data.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Value = float | None  # None: no data in this period

_BINARY: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.AST], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ONE: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_MANY: dict[str, Callable[[list[float]], float]] = {
    "MIN": min,
    "MAX": max,
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
}


class UnsupportedExpression(ValueError):
    """The expression is not valid, or uses a function that this engine does not have."""


class Expression:
    """A parsed expression; ``names`` are the ids of metrics and expressions that it uses."""

    def __init__(self, text: str) -> None:
        # AND, && and OR, || are Python's and, or; everything else is the same in Python.
        python = re.sub(r"\bAND\b|&&", " and ", re.sub(r"\bOR\b|\|\|", " or ", text))
        try:
            self._tree = ast.parse(python.strip(), mode="eval").body
        except SyntaxError as error:
            raise UnsupportedExpression(f"{text!r} is no metric math expression") from error
        self.text = text
        self.names: set[str] = set()
        self._check(self._tree)

    def value(self, values: Mapping[str, Value]) -> Value:
        """The result in one period; None when a value that it needs is missing, or it divides by zero."""
        try:
            found = self._value(self._tree, values)
        except (ZeroDivisionError, OverflowError):
            return None
        return None if found is None else float(found)

    def _check(self, node: ast.AST) -> None:
        match node:
            case ast.Name():
                self.names.add(node.id)
                return
            case ast.Constant(value=int() | float()) | ast.List():
                pass
            case ast.BinOp() if type(node.op) in _BINARY:
                pass
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()) | ast.BoolOp():
                pass
            case ast.Compare() if len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
                pass
            case ast.Call(func=ast.Name(id=name)) if name in ("IF", "FILL", *_ONE, *_MANY) and not node.keywords:
                wanted = {"IF": (2, 3), "FILL": (2, 2), **dict.fromkeys(_ONE, (1, 1))}.get(name, (1, 100))
                if not wanted[0] <= len(node.args) <= wanted[1]:
                    raise UnsupportedExpression(f"{self.text!r}: {name} takes {wanted[0]} to {wanted[1]} arguments")
                for argument in node.args:
                    self._check(argument)
                return
            case _:
                raise UnsupportedExpression(f"{self.text!r}: {ast.unparse(node)!r} is not supported by this engine")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and not isinstance(child, ast.Load):
                self._check(child)

    def _value(self, node: Any, values: Mapping[str, Value]) -> Value:
        match node:
            case ast.Name():
                return values.get(node.id)
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.UnaryOp():
                found = self._value(node.operand, values)
                return None if found is None else (-found if isinstance(node.op, ast.USub) else found)
            case ast.BinOp():
                left, right = self._value(node.left, values), self._value(node.right, values)
                return None if left is None or right is None else _BINARY[type(node.op)](left, right)
            case ast.Compare():
                left, right = self._value(node.left, values), self._value(node.comparators[0], values)
                return None if left is None or right is None else float(_COMPARE[type(node.ops[0])](left, right))
            case ast.BoolOp():
                parts = [self._value(part, values) for part in node.values]
                every = all if isinstance(node.op, ast.And) else any
                return None if None in parts else float(every(parts))
            case _:
                return self._call(node.func.id, node.args, values)

    def _call(self, name: str, arguments: list[ast.expr], values: Mapping[str, Value]) -> Value:
        if name in _MANY:
            listed = [item for a in arguments for item in (a.elts if isinstance(a, ast.List) else [a])]
            present = [found for item in listed if (found := self._value(item, values)) is not None]
            return _MANY[name](present) if present else None
        first = self._value(arguments[0], values)
        if name == "IF":
            if first is None:
                return None
            if first:
                return self._value(arguments[1], values)
            return self._value(arguments[2], values) if len(arguments) == 3 else None
        if name == "FILL":
            return self._value(arguments[1], values) if first is None else first
        return None if first is None else _ONE[name](first)
