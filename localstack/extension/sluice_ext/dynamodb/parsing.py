"""Faster moto: expressions are parsed once, not on every call, and items are copied without `copy`'s generic code.

Replaced in moto, with the same results and errors:

- `UpdateExpressionParser.make` reads one character at a time; here its syntax tree is cached. Code that
  changes a tree copies it.
- `ConditionExpressionParser.parse`: the tree is cached by text and names, each call inserts its values.
- `ReservedKeywords.KEYWORDS` is a list that is searched for every name; here it is a set.
- `Item.__init__` measures all attributes again for each attribute that it adds.
- `copy.deepcopy` of items and values.
- `method_names_from_class`, by which moto finds an operation's method.
"""

import copy
import sys
from functools import lru_cache
from typing import Any

from moto.core import responses
from moto.core.common_models import BaseModel
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from sluice_ext.patching import replace

# Limit of moto's `LimitedSizeDict` (bytes).
ITEM_BYTES = 405_000
_CACHED = 1024
_SHORT = 20
_PLAIN = (str, bytes, int, bool, type(None))


def install() -> None:
    """Patch moto's classes; once for each process."""
    original = replace(UpdateExpressionParser, "make", None, expect="(expression_str)")
    UpdateExpressionParser.make = staticmethod(lru_cache(_CACHED)(original))
    parser = ConditionExpressionParser
    replace(parser, "parse", _parse_with(parser.parse), expect="(self)")
    ReservedKeywords.get_reserved_keywords()
    replace(ReservedKeywords, "KEYWORDS", frozenset(ReservedKeywords.KEYWORDS))
    replace(Item, "__init__", _init_item, expect="(self, hash_key, range_key, attrs)")
    known = replace(responses, "method_names_from_class", None, expect="(clazz)")
    responses.method_names_from_class = lru_cache(None)(known)
    for owner, copying in ((DynamoType, _copy_value), (LimitedSizeDict, _copy_attributes), (Item, _copy_item)):
        owner.__deepcopy__ = copying


class _AnyValue(dict[str, dict[str, str]]):
    """Has every name; takes the place of a call's values while the tree is built."""

    def __missing__(self, name: str) -> dict[str, str]:
        return {"S": name}


def _parse_with(original: Any) -> Any:
    kind = ConditionExpressionParser.Kind.EXPRESSION_ATTRIBUTE_VALUE

    class Reader(ConditionExpressionParser):  # type: ignore[misc]
        """Returns the tree instead of turning it into an operation."""

        def _make_op_condition(self, node: Any) -> Any:
            return node

    @lru_cache(_CACHED)
    def tree(text: str, names: tuple[tuple[str, str], ...] | None) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
        reader = Reader(text, None if names is None else dict(names), _AnyValue())
        node = original(reader)
        return node, tuple(reader.expr_attr_names_found), tuple(reader.expr_attr_values_found)

    def bind(node: Any, values: Any) -> Any:
        if node.kind == kind:
            return node._replace(value=values[node.text])
        if not node.children:
            return node
        return node._replace(children=[bind(child, values) for child in node.children])

    def parse(self: Any) -> Any:
        if not self.condition_expression:
            return original(self)
        names, values = self.expression_attribute_names, self.expression_attribute_values
        try:
            cached = None if names is None else tuple(names.items())
            node, found_names, found_values = tree(self.condition_expression, cached)
            bound = bind(node, values) if found_values else node
        except Exception:  # noqa: BLE001 - moto parses again and raises its own error
            return original(self)
        self.expr_attr_names_found.extend(found_names)
        self.expr_attr_values_found.extend(found_values)
        return self._make_op_condition(bound)

    return parse


def _init_item(self: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
    self.hash_key, self.range_key = hash_key, range_key
    self.attrs = LimitedSizeDict()
    size = 0
    for name, raw in attrs.items():
        value = DynamoType(raw)
        size += bytesize(name) + value.size()
        if size > ITEM_BYTES:
            raise ItemSizeTooLarge
        # Each item's JSON has names, states and the like as texts of its own.
        if type(value.value) is str and len(value.value) <= _SHORT:
            value.value = sys.intern(value.value)
        dict.__setitem__(self.attrs, sys.intern(name), value)


def _copy_value(self: Any, memo: dict[int, Any]) -> Any:
    new = object.__new__(DynamoType)
    new.type, value = self.type, self.value
    new.value = value if isinstance(value, _PLAIN) else copy.deepcopy(value, memo)
    return new


def _copy_attributes(self: Any, memo: dict[int, Any]) -> Any:
    new = LimitedSizeDict()
    dict.update(new, {name: copy.deepcopy(value, memo) for name, value in self.items()})
    return new


def _copy_item(self: Any, memo: dict[int, Any]) -> Any:
    new = BaseModel.__new__(Item)
    new.hash_key, new.range_key = self.hash_key, self.range_key
    new.attrs = copy.deepcopy(self.attrs, memo)
    return new
