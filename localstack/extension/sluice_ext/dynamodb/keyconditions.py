"""What a query asks of the keys: one value of the hash key, and perhaps one condition on the range key.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.KeyConditionExpressions.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice_ext.dynamodb import legacy, values
from sluice_ext.dynamodb.errors import invalid, invalid_values
from sluice_ext.dynamodb.expressions.nodes import Attribute, Call, Comparison, Condition, Given, Logic, Operand
from sluice_ext.dynamodb.tables import Table
from sluice_ext.dynamodb.values import Value

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


@dataclass
class Wanted:
    """Names and values; ``range_operator`` is =, <, <=, >, >=, BETWEEN or begins_with."""

    hash_name: str
    hash_value: Value
    range_name: str | None = None
    range_operator: str | None = None
    range_values: list[Value] = field(default_factory=list)


def of_expression(tree: Condition, given: Mapping[str, Value], hash_name: str, range_name: str | None) -> Wanted:
    """From KeyConditionExpression. Raises ValidationException."""
    found: dict[str, tuple[str, list[Value]]] = {}
    for one in _parts(tree):
        name, operator, operands = _single(one, given)
        if name in found:
            raise _wrong("KeyConditionExpressions must only contain one condition per key")
        found[name] = (operator, operands)
    return _wanted(found, hash_name, range_name)


def of_legacy(found: dict[str, Any], hash_name: str, range_name: str | None) -> Wanted:
    """From KeyConditions. Raises ValidationException."""
    given: dict[str, Value] = {}
    result = {}
    for name, one in found.items():
        tree = legacy.conditions({name: one}, "AND", given)
        assert tree is not None
        _, operator, operands = _single(tree, given)
        result[name] = (operator, operands)
    return _wanted(result, hash_name, range_name)


def check(table: Table, wanted: Wanted) -> None:
    """Raises ValidationException when a value does not have its key's type, or is empty."""
    named = [(wanted.hash_name, [wanted.hash_value]), (wanted.range_name, wanted.range_values)]
    for name, given in named:
        for value in given:
            ((kind, content),) = value.items()
            if name and table.schema.types.get(name, kind) != kind:
                raise invalid_values("Condition parameter type does not match schema type")
            if content == "" and name:
                raise invalid(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain "
                    f"an empty {'string' if kind == 'S' else 'binary'} value. Key: {name}"
                )


def _wanted(found: dict[str, tuple[str, list[Value]]], hash_name: str, range_name: str | None) -> Wanted:
    if hash_name not in found:
        raise invalid(f"Query condition missed key schema element: {hash_name}")
    operator, operands = found.pop(hash_name)
    if operator != "=":
        raise invalid("Query key condition not supported")
    wanted = Wanted(hash_name, operands[0])
    if not found:
        return wanted
    if len(found) > 1:
        raise invalid("Conditions can be of length 1 or 2 only")
    if range_name is None or range_name not in found:
        if range_name is None:
            raise invalid("Query key condition not supported")
        raise invalid(f"Query condition missed key schema element: {range_name}")
    wanted.range_name = range_name
    wanted.range_operator, wanted.range_values = found[range_name]
    return wanted


def _parts(tree: Condition) -> list[Condition]:
    if not isinstance(tree, Logic):
        return [tree]
    if tree.operator != "AND":
        raise _wrong(f"Invalid operator used in KeyConditionExpression: {tree.operator}")
    return [one for part in tree.conditions for one in _parts(part)]


def _single(tree: Condition, given: Mapping[str, Value]) -> tuple[str, str, list[Value]]:
    if isinstance(tree, Call):
        if tree.function != "begins_with":
            raise _wrong(f"Invalid operator used in KeyConditionExpression: {tree.function}")
        return _name(tree.arguments[0]), "begins_with", [_value(tree.arguments[1], given)]
    assert isinstance(tree, Comparison)
    operator, operands = tree.operator, tree.operands
    if operator in ("<>", "IN"):
        raise _wrong(f"Invalid operator used in KeyConditionExpression: {operator}")
    if isinstance(operands[0], Given) and isinstance(operands[1], Attribute) and operator in _FLIPPED:
        operator, operands = _FLIPPED[operator], (operands[1], operands[0])
    return _name(operands[0]), operator, [_value(one, given) for one in operands[1:]]


def _name(operand: Operand) -> str:
    if not isinstance(operand, Attribute):
        raise _wrong("The attribute in a key condition must be a key")
    if len(operand.path) != 1:
        raise _wrong("KeyConditionExpressions cannot have conditions on nested attributes")
    return str(operand.path[0])


def _value(operand: Operand, given: Mapping[str, Value]) -> values.Value:
    if not isinstance(operand, Given):
        raise _wrong("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
    return given[operand.name]


def _wrong(message: str) -> Exception:
    return invalid(message if message.startswith("KeyCondition") else f"Invalid KeyConditionExpression: {message}")
