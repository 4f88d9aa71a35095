"""The older parameters: Expected, AttributeUpdates, KeyConditions, QueryFilter, ScanFilter, as the same syntax trees.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/LegacyConditionalParameters.html
"""

from typing import Any

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.errors import invalid, invalid_values
from sluice_ext.dynamodb.expressions.nodes import Action, Attribute, Call, Comparison, Condition, Given, Logic

_COMPARED = {"EQ": "=", "NE": "<>", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">"}
_COUNTS = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2, "IN": None}
_OPERATORS = frozenset((*_COMPARED, *_COUNTS, "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH"))
_SCALAR = frozenset(("S", "N", "B"))
Given_ = dict[str, values.Value]


def conditions(found: dict[str, Any], operator: str, given: Given_) -> Condition | None:
    """The condition of a map from attribute to condition; adds the values it uses to ``given``."""
    trees = [_condition(name, one, given) for name, one in found.items()]
    tree = None
    for one in trees:
        tree = one if tree is None else Logic(operator, (tree, one))
    return tree


def _condition(name: str, one: dict[str, Any], given: Given_) -> Condition:
    operator = one.get("ComparisonOperator")
    listed = one.get("AttributeValueList")
    if operator is None:
        return _expected(name, one, given)
    if operator not in _OPERATORS:
        raise invalid(
            f"1 validation error detected: Value '{operator}' at 'comparisonOperator' failed to satisfy constraint: "
            "Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, "
            "BEGINS_WITH, GE, CONTAINS]"
        )
    if listed is None:
        listed = [one["Value"]] if "Value" in one else []
    wanted = _COUNTS.get(operator, 1)
    if (wanted is None and not listed) or (wanted is not None and len(listed) != wanted):
        raise invalid_values(f"Invalid number of argument(s) for the {operator} ComparisonOperator")
    arguments = []
    for value in listed:
        arguments.append(_add(value, given))
        kind = next(iter(given[arguments[-1].name]))
        if kind not in _SCALAR and operator in ("LE", "LT", "GE", "GT", "BETWEEN", "BEGINS_WITH", "IN"):
            raise invalid_values(f"ComparisonOperator {operator} is not valid for {kind} AttributeValue type")
    return _tree(operator, Attribute((name,)), arguments)


def _tree(operator: str, attribute: Attribute, arguments: list[Given]) -> Condition:
    if operator in _COMPARED:
        return Comparison(_COMPARED[operator], (attribute, *arguments))
    if operator in ("BETWEEN", "IN"):
        return Comparison(operator, (attribute, *arguments))
    if operator in ("NULL", "NOT_NULL"):
        return Call("attribute_not_exists" if operator == "NULL" else "attribute_exists", (attribute,))
    if operator == "BEGINS_WITH":
        return Call("begins_with", (attribute, *arguments))
    contains = Call("contains", (attribute, *arguments))
    return contains if operator == "CONTAINS" else Logic("NOT", (contains,))


def _expected(name: str, one: dict[str, Any], given: Given_) -> Condition:
    exists = one.get("Exists", True)
    if exists and "Value" not in one:
        raise invalid_values(f"Value must be provided when Exists is {str(exists).lower()} for Attribute: {name}")
    if not exists and "Value" in one:
        raise invalid_values(f"Value cannot be used when Exists is false for Attribute: {name}")
    if not exists:
        return Call("attribute_not_exists", (Attribute((name,)),))
    return Comparison("=", (Attribute((name,)), _add(one["Value"], given)))


def actions(found: dict[str, Any], given: Given_) -> tuple[Action, ...]:
    """The actions of AttributeUpdates; adds the values they use to ``given``."""
    return tuple(_action(name, one, given) for name, one in found.items())


def _action(name: str, one: dict[str, Any], given: Given_) -> Action:
    kind, value = one.get("Action") or "PUT", one.get("Value")
    if kind not in ("PUT", "ADD", "DELETE"):
        raise invalid(
            f"1 validation error detected: Value '{kind}' at 'attributeUpdates.{name}.member.action' failed to satisfy "
            "constraint: Member must satisfy enum value set: [ADD, PUT, DELETE]"
        )
    if value is None:
        if kind != "DELETE":
            raise invalid_values("Only DELETE action is allowed when no attribute value is specified")
        return Action("REMOVE", (name,))
    operand = _add(value, given)
    kind_of_value = next(iter(given[operand.name]))
    if kind == "PUT":
        return Action("SET", (name,), operand)
    if kind == "ADD" and kind_of_value == "L":
        empty = _add({"L": []}, given)
        current = Call("if_not_exists", (Attribute((name,)), empty))
        return Action("SET", (name,), Call("list_append", (current, operand)))
    allowed = ("N", "SS", "NS", "BS") if kind == "ADD" else ("SS", "NS", "BS")
    if kind_of_value not in allowed:
        raise invalid_values(f"{kind} action is not supported for the type {kind_of_value}")
    return Action(kind, (name,), operand)


def _add(value: Any, given: Given_) -> Given:
    name = f":legacy{len(given)}"
    given[name] = values.normal(value)
    return Given(name)
