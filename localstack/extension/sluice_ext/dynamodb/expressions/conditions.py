"""Conditions: parsing and evaluation.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.errors import invalid
from sluice_ext.dynamodb.expressions.nodes import (
    Attribute,
    Call,
    Comparison,
    Condition,
    Given,
    Logic,
    Operand,
    Parsed,
    written,
)
from sluice_ext.dynamodb.expressions.paths import find
from sluice_ext.dynamodb.expressions.reader import Reader

_COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))
_FUNCTIONS = {"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2}
_KNOWN = frozenset(("size", "if_not_exists", "list_append", *_FUNCTIONS))
_ORDERED = frozenset(("S", "N", "B"))
_OPTIONS = 100


@lru_cache(2048)
def parse(kind: str, text: str, names: tuple[tuple[str, str], ...]) -> Parsed[Condition]:
    """The condition's tree. ``kind`` is the parameter's name, for messages. Raises DynamoError."""
    reader = _Conditions(kind, text, dict(names))
    tree = reader.either()
    reader.finish()
    return Parsed(tree, frozenset(reader.used_names), frozenset(reader.used_values), tuple(reader.typed))


class _Conditions(Reader):
    def either(self) -> Condition:
        left = self._both()
        while self.accept("OR"):
            left = Logic("OR", (left, self._both()))
        return left

    def _both(self) -> Condition:
        left = self._negated()
        while self.accept("AND"):
            left = Logic("AND", (left, self._negated()))
        return left

    def _negated(self) -> Condition:
        if self.accept("NOT"):
            return Logic("NOT", (self._negated(),))
        if self.peek() != "(":
            return self._single()
        self.take()
        doubled = self.peek() == "("
        before = self._at
        inner = self.either()
        self.expect(")")
        if doubled and self._closes(before) == self._at - 2:
            self.fault("The expression has redundant parentheses;")
        return inner

    def _closes(self, opened: int) -> int:
        """Index of the token that closes the parenthesis at ``opened``."""
        depth = 0
        for index in range(opened, len(self._tokens)):
            text = self._tokens[index].text
            depth += (text == "(") - (text == ")")
            if depth == 0:
                return index
        return -1

    def _single(self) -> Condition:
        left = self._operand(alone=True)
        operator = self.word()
        if operator in _COMPARATORS:
            self.take()
            return self._compared(operator, (left, self._operand()))
        if operator == "BETWEEN":
            self.take()
            low = self._operand()
            self.expect("AND")
            return self._compared(operator, (left, low, self._operand()))
        if operator == "IN":
            self.take()
            return self._compared(operator, (left, *self._arguments(self._operand)))
        if isinstance(left, Call) and left.function != "size":
            return left
        if isinstance(left, Call):
            self.fault("The function is not allowed to be used this way in an expression; function: size")
            return left
        raise self.syntax_error()

    def _operand(self, alone: bool = False) -> Operand:
        if self.peek(1) != "(" or not self.at_name() or self.word() in ("AND", "OR", "IN", "BETWEEN", "NOT"):
            return self.leaf()
        function = self.take()
        arguments = self._arguments(self._operand)
        if function not in _KNOWN:
            self.fault(f"Invalid function name; function: {function}")
        elif function in ("if_not_exists", "list_append") or (function in _FUNCTIONS and not alone):
            self.fault(f"The function is not allowed to be used this way in an expression; function: {function}")
        else:
            self._check_call(function, arguments)
        return Call(function, arguments)

    def _arguments(self, one: Any) -> tuple[Operand, ...]:
        self.expect("(")
        found = [one()]
        while self.accept(","):
            found.append(one())
        self.expect(")")
        return tuple(found)

    def _check_call(self, function: str, arguments: tuple[Operand, ...]) -> None:
        about = f"operator or function: {function}"
        if len(arguments) != _FUNCTIONS.get(function, 1):
            self.fault(
                f"Incorrect number of operands for operator or function; {about}, number of operands: {len(arguments)}"
            )
        elif function in ("attribute_exists", "attribute_not_exists") and not isinstance(arguments[0], Attribute):
            self.fault(f"Operator or function requires a document path; {about}")
        elif arguments[0] in arguments[1:]:
            self._repeated(function, arguments[0])
        elif any(isinstance(one, Given) for one in arguments):
            self.typed.append((function, arguments))

    def _repeated(self, operator: str, first: Operand) -> None:
        shown = written(first.path) if isinstance(first, Attribute) else f"[{getattr(first, 'name', operator)}]"
        self.fault(
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {operator}, first operand: {shown}"
        )

    def _compared(self, operator: str, operands: tuple[Operand, ...]) -> Comparison:
        if len(operands) > _OPTIONS + 1:
            self.fault(
                "Incorrect number of operands for operator or function; "
                f"operator or function: IN, number of operands: {len(operands)}"
            )
        if operands[0] in operands[1:] and isinstance(operands[0], Attribute):
            self._repeated(operator, operands[0])
        if operator not in ("=", "<>", "IN"):
            self.typed.append((operator, operands))
        return Comparison(operator, operands)


def check_types(kind: str, parsed: Parsed[Any], given: Mapping[str, values.Value]) -> None:
    """Raises ValidationException when a value's type does not suit its operator."""
    for operator, operands in parsed.typed:
        types = [next(iter(given[one.name])) for one in operands if isinstance(one, Given)]
        if operator == "attribute_type":
            _check_type_name(kind, operands[1], given)
            continue
        allowed = {"begins_with": frozenset("SB"), "size": frozenset(("S", "B", "SS", "NS", "BS", "L", "M"))}
        wrong = next((one for one in types if one not in allowed.get(operator, _ORDERED)), None)
        if wrong and operator != "contains":
            raise invalid(
                f"Invalid {kind}: Incorrect operand type for operator or function; "
                f"operator or function: {operator}, operand type: {wrong}"
            )
        if operator == "BETWEEN" and isinstance(operands[1], Given) and isinstance(operands[2], Given):
            _check_bounds(kind, given[operands[1].name], given[operands[2].name])


def _check_type_name(kind: str, operand: Operand, given: Mapping[str, values.Value]) -> None:
    value = given[operand.name] if isinstance(operand, Given) else {"S": "S"}
    if "S" not in value:
        raise invalid(
            f"Invalid {kind}: Incorrect operand type for operator or function; "
            f"operator or function: attribute_type, operand type: {next(iter(value))}"
        )
    if value["S"] not in ("B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"):
        raise invalid(
            f"Invalid {kind}: Invalid attribute type name found; type: {value['S']}, "
            "valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
        )


def _check_bounds(kind: str, low: values.Value, high: values.Value) -> None:
    ((low_type, low_text),) = low.items()
    ((high_type, high_text),) = high.items()
    shown = (
        f"lower bound operand: AttributeValue: {{{low_type}:{low_text}}}, "
        f"upper bound operand: AttributeValue: {{{high_type}:{high_text}}}"
    )
    if low_type != high_type:
        raise invalid(
            f"Invalid {kind}: The BETWEEN operator requires same data type for lower and upper bounds; {shown}"
        )
    if values.order(low) > values.order(high):
        raise invalid(
            f"Invalid {kind}: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            f"{shown}"
        )


def holds(condition: Condition, item: values.Attributes, given: Mapping[str, values.Value]) -> bool:
    """Whether the condition holds for the item ({} for one that does not exist)."""
    if isinstance(condition, Logic):
        if condition.operator == "NOT":
            return not holds(condition.conditions[0], item, given)
        together = all if condition.operator == "AND" else any
        return together(holds(one, item, given) for one in condition.conditions)
    if isinstance(condition, Call):
        return _call(condition, item, given)
    operands = [_value(one, item, given) for one in condition.operands]
    return compare(condition.operator, operands)


def compare(operator: str, operands: list[values.Value | None]) -> bool:
    """Whether the comparison holds; None stands for an attribute that does not exist."""
    first = operands[0]
    if operator == "<>":
        # What does not exist differs from everything.
        return first is None or first != operands[1]
    if first is None:
        return False
    if operator == "IN":
        return any(first == one for one in operands[1:])
    if operator == "=":
        return first == operands[1]
    kind = next(iter(first))
    if kind not in _ORDERED or any(one is None or kind not in one for one in operands[1:]):
        return False
    left, right = values.order(first), values.order(operands[1] or {})
    if operator == "BETWEEN":
        return bool(right <= left <= values.order(operands[2] or {}))
    found = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return bool(found[operator])


def _value(operand: Operand, item: values.Attributes, given: Mapping[str, values.Value]) -> values.Value | None:
    if isinstance(operand, Given):
        return given[operand.name]
    if isinstance(operand, Attribute):
        return find(item, operand.path)
    assert isinstance(operand, Call)
    return _length(_value(operand.arguments[0], item, given))


def _length(value: values.Value | None) -> values.Value | None:
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind in ("N", "BOOL", "NULL"):
        return None
    return {"N": str(values.size(value) if kind in ("S", "B") else len(content))}


def _call(call: Call, item: values.Attributes, given: Mapping[str, values.Value]) -> bool:
    found = [_value(one, item, given) for one in call.arguments]
    first = found[0]
    if call.function == "attribute_exists":
        return first is not None
    if call.function == "attribute_not_exists":
        return first is None
    second = found[1]
    if first is None or second is None:
        return False
    if call.function == "attribute_type":
        return second.get("S") in first
    return begins_with(first, second) if call.function == "begins_with" else contains(first, second)


def begins_with(value: values.Value, prefix: values.Value) -> bool:
    """Of two strings or two binary values."""
    if "S" in value and "S" in prefix:
        return bool(value["S"].startswith(prefix["S"]))
    if "B" in value and "B" in prefix:
        return base64.b64decode(value["B"]).startswith(base64.b64decode(prefix["B"]))
    return False


def contains(value: values.Value, part: values.Value) -> bool:
    """Whether a string or binary value has the part in it, or a set or list has it as a member."""
    ((kind, content),) = value.items()
    if kind == "L":
        return part in content
    if kind == "B" and "B" in part:
        return base64.b64decode(part["B"]) in base64.b64decode(content)
    if kind in ("S", "SS", "NS", "BS") and kind[0] in part:
        return part[kind[0]] in content
    return False
