"""Conditions on whole columns: of which rows one is true. Only functions with PyArrow import this."""

from collections.abc import Callable
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sluice_pipeline.catalog.conditions import Comparison, IsNull, Joined, Node, Not, Operand

_WIDE: Final = pa.decimal256(76, 38)  # holds every decimal field and every int64
_KINDS: Final = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "decimal": _WIDE,
    "string": pa.string(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_COMPARE: Final = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
Column = Callable[[str], pa.Array]
"""The typed column of a field, by its name."""


def truth(node: Node, column: Column) -> pa.BooleanArray:
    """Whether rows fulfil a condition; null is neither (SQL's three-valued logic)."""
    match node:
        case IsNull(name):
            return pc.is_null(column(name))
        case Not(inner):
            return pc.invert(truth(inner, column))
        case Joined(word, parts):
            join = pc.or_kleene if word == "or" else pc.and_kleene
            return reduce(join, (truth(part, column) for part in parts))
        case Comparison(left, operator, right, kind):
            return _COMPARE[operator](*_alike(_side(left, column), _side(right, column), kind))


def _side(operand: Operand, column: Column) -> Any:
    return column(operand.field) if operand.field else operand.value


def _alike(left: Any, right: Any, kind: str) -> tuple[Any, Any]:
    """Both sides as the kind; columns of one type are compared as they are."""
    if isinstance(left, pa.Array) and isinstance(right, pa.Array) and left.type == right.type:
        return left, right
    return _as_kind(left, kind), _as_kind(right, kind)


def _as_kind(side: Any, kind: str) -> Any:
    type_ = _KINDS[kind]
    if isinstance(side, pa.Array):
        return side if side.type == type_ else side.cast(type_, safe=kind != "float64")
    if kind in ("date", "timestamp"):
        return pa.scalar(side, pa.int32() if kind == "date" else pa.int64()).cast(type_)
    return pa.scalar(side, type_)
