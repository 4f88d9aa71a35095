"""Simple updates without moto's ten passes over a syntax tree.

Replaces moto's `DynamoDBBackend.update_item` for expressions that SET whole attributes (to a value, another attribute,
`if_not_exists` or a sum or difference of two of these), ADD numbers and REMOVE whole attributes of an item that exists.
Every other expression, and everything that could be an error, goes to moto as before: nothing is changed here until the
whole update is known to be valid. Callers hold the provider's lock.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from moto.dynamodb.comparisons import create_condition_expression_parser
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.utilities import bytesize
from moto.dynamodb.parsing import ast_nodes as nodes
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from sluice_ext.dynamodb.parsing import ITEM_BYTES
from sluice_ext.patching import replace

_CLAUSES = (nodes.UpdateExpressionSetClause, nodes.UpdateExpressionAddClause, nodes.UpdateExpressionRemoveClause)
_ACTIONS = (
    nodes.UpdateExpressionSetAction,
    nodes.UpdateExpressionAddAction,
    nodes.UpdateExpressionRemoveAction,
    nodes.UpdateExpressionDeleteAction,
)
_SIGNATURE = (
    "(self, table_name, key, update_expression, expression_attribute_names, expression_attribute_values, "
    "attribute_updates, expected, condition_expression, return_values_on_condition_check_failure)"
)


class _NotSimple(Exception):
    """The update is not simple: moto must do it."""


@dataclass(frozen=True)
class _Action:
    """One action. ``name``, ``left`` and ``right`` hold names and placeholders as the expression writes them."""

    kind: str  # SET, ADD or REMOVE
    name: str
    left: tuple[str, ...] = ()  # one operand, or the two operands of if_not_exists
    operator: str = ""
    right: tuple[str, ...] = ()


def install() -> None:
    """Patch moto's backend class."""

    def update_item(
        self: Any,
        table_name: str,
        key: dict[str, Any],
        update_expression: str,
        expression_attribute_names: Any,
        expression_attribute_values: Any,
        attribute_updates: Any = None,
        expected: Any = None,
        condition_expression: str | None = None,
        return_values_on_condition_check_failure: str | None = None,
    ) -> Any:
        if update_expression and not attribute_updates and not expected:
            names, values = expression_attribute_names or {}, expression_attribute_values or {}
            try:
                return _update(self.get_table(table_name), key, update_expression, condition_expression, names, values)
            except Exception:  # noqa: BLE001 - nothing has been changed; moto raises its own error
                pass
        return original(
            self,
            table_name,
            key,
            update_expression,
            expression_attribute_names,
            expression_attribute_values,
            attribute_updates,
            expected,
            condition_expression,
            return_values_on_condition_check_failure,
        )

    original = replace(DynamoDBBackend, "update_item", update_item, expect=_SIGNATURE)


def _update(table: Any, key: dict[str, Any], update: str, condition: str | None, names: Any, values: Any) -> Any:
    """The changed item. Raises any exception when moto must do the update."""
    actions = _actions(update)
    if table.stream_shard is not None or set(key) != set(table.table_key_attrs):
        raise _NotSimple
    hash_value = DynamoType(key[table.hash_key_attr])
    range_value = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
    item = table.get_item(hash_value, range_value)
    if item is None:
        raise _NotSimple
    if condition and not create_condition_expression_parser(condition, names, values).parse().expr(item):
        raise _NotSimple
    changes = _Changes(table, item.attrs, names, values)
    for action in actions:
        changes.add(action)
    changes.apply()
    return item


class _Changes:
    """The new values of an item's attributes."""

    def __init__(self, table: Any, attributes: Any, names: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._keys = table.table_key_attrs
        self._types = {defined["AttributeName"]: defined["AttributeType"] for defined in table.attr}
        self._attributes, self._names, self._values = attributes, names, values
        self._new: dict[str, Any] = {}

    def add(self, action: _Action) -> None:
        name = self._name(action.name)
        if name in self._new:
            raise _NotSimple
        if action.kind == "REMOVE":
            self._new[name] = None
            return
        value = self._operand(action.left)
        if action.kind == "ADD":
            if value.type != "N":
                raise _NotSimple
            value = self._attributes.get(name, DynamoType({"N": "0"})) + value
        elif action.operator:
            right = self._operand(action.right)
            value = value + right if action.operator == "+" else value - right
        if name in self._types and (value.type != self._types[name] or not value.value):
            raise _NotSimple
        self._new[name] = value

    def apply(self) -> None:
        """Change the item. Everything that could fail is checked before."""
        added = sum(bytesize(name) + value.size() for name, value in self._new.items() if value is not None)
        if added + sum(bytesize(name) + value.size() for name, value in self._attributes.items()) > ITEM_BYTES:
            raise _NotSimple
        for name, value in self._new.items():
            if value is None:
                self._attributes.pop(name, None)
            else:
                dict.__setitem__(self._attributes, name, value)

    def _name(self, written: str) -> str:
        name: str = self._names[written] if written[0] == "#" else written
        if name in self._keys or (written[0] != "#" and name.upper() in ReservedKeywords.get_reserved_keywords()):
            raise _NotSimple
        return name

    def _operand(self, operand: tuple[str, ...]) -> Any:
        """The value of an operand: of if_not_exists, the first that exists. Every name is looked up, as moto does."""
        if operand[-1][0] == ":":
            found = DynamoType(self._values[operand[-1]])
        else:
            found = self._attributes.get(self._name(operand[-1]))
        if len(operand) == 2:
            first = self._attributes.get(self._name(operand[0]))
            found = found if first is None else first
        if found is None:
            raise _NotSimple
        return copy.deepcopy(found)


@lru_cache(1024)
def _actions(expression: str) -> tuple[_Action, ...]:
    """Raises _NotSimple, or moto's own error, when the expression is not simple."""
    tree = UpdateExpressionParser.make(expression)
    for clause in _CLAUSES:
        if len(tree.find_clauses([clause])) > 1:
            raise _NotSimple
    return tuple(_action(node) for node in tree.find_clauses(list(_ACTIONS)))


def _action(node: Any) -> _Action:
    name = _path(node.children[0])
    if isinstance(node, nodes.UpdateExpressionRemoveAction):
        return _Action("REMOVE", name)
    if isinstance(node, nodes.UpdateExpressionAddAction):
        return _Action("ADD", name, _operand(node.children[1]))
    value = node.children[1]
    if not isinstance(node, nodes.UpdateExpressionSetAction) or not isinstance(value, nodes.UpdateExpressionValue):
        raise _NotSimple
    left = _operand(value.children[0])
    if len(value.children) == 1:
        return _Action("SET", name, left)
    operator, right = value.children[1], _operand(value.children[2])
    if len(value.children) != 3 or operator.get_operator() not in ("+", "-"):
        raise _NotSimple
    return _Action("SET", name, left, operator.get_operator(), right)


def _operand(node: Any) -> tuple[str, ...]:
    if isinstance(node, nodes.ExpressionAttributeValue):
        return (node.get_value_name(),)
    if isinstance(node, nodes.UpdateExpressionPath):
        return (_path(node),)
    if isinstance(node, nodes.UpdateExpressionFunction) and node.get_function_name() == "if_not_exists":
        first, second = _operand(node.get_nth_argument(1)), _operand(node.get_nth_argument(2))
        if len(node.children) == 3 and len(first) == len(second) == 1 and first[0][0] != ":":
            return first + second
    raise _NotSimple


def _path(node: Any) -> str:
    """The name of a whole attribute as the expression writes it."""
    if not isinstance(node, nodes.UpdateExpressionPath) or len(node.children) != 1:
        raise _NotSimple
    part = node.children[0]
    if not isinstance(part, nodes.ExpressionAttribute | nodes.ExpressionAttributeName):
        raise _NotSimple
    written: str = part.children[0]
    return written
