"""Attribute values: their checks, normal form, sizes and order.

A value is DynamoDB's own JSON, for example {"N": "1"}. In normal form numbers are written one way, and sets are sorted,
so two values are equal when their JSON is.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

import base64
import binascii
from decimal import Decimal
from typing import Any

from sluice_ext.dynamodb import numeric
from sluice_ext.dynamodb.errors import DynamoError, invalid, invalid_values, not_serializable

Value = dict[str, Any]
Attributes = dict[str, Value]

# Levels that lists and maps may have: Constraints.html#limits-attributes
_LEVELS = 32
ITEM_BYTES = 400 * 1024
_SETS = {"SS": "S", "NS": "N", "BS": "B"}


def normal_attributes(attributes: Any) -> Attributes:
    """The attributes of an item or key in normal form. Raises DynamoError."""
    if type(attributes) is not dict:
        raise not_serializable("Start of structure or map expected")
    return {name: normal(value) for name, value in attributes.items()}


def normal(value: Any, level: int = 0) -> Value:
    """The value in normal form. Raises DynamoError: ValidationException or SerializationException."""
    if type(value) is not dict or len(value) != 1:
        raise _not_one(value)
    ((kind, content),) = value.items()
    if kind == "S":
        if type(content) is not str:
            raise _wrong_shape(content)
        return value
    if kind == "N":
        if type(content) is not str:
            raise _wrong_shape(content)
        return {"N": numeric.normal(content)}
    return _normal_other(kind, content, level)


def _normal_other(kind: str, content: Any, level: int) -> Value:
    if kind == "B":
        return {"B": _binary(content)}
    if kind == "BOOL":
        if type(content) is not bool:
            raise _wrong_shape(content)
        return {"BOOL": content}
    if kind == "NULL":
        if content is not True:
            raise invalid_values("Null attribute value types must have the value of true")
        return {"NULL": True}
    if kind in _SETS:
        return {kind: _normal_set(kind, content)}
    if level + 1 > _LEVELS:
        raise invalid("Nesting Levels have exceeded supported limits: Attributes values have more than 32 levels")
    if kind == "L" and type(content) is list:
        return {"L": [normal(one, level + 1) for one in content]}
    if kind == "M" and type(content) is dict:
        return {"M": {name: normal(one, level + 1) for name, one in content.items()}}
    raise _wrong_shape(content) if kind in ("L", "M") else _not_one({})


def _normal_set(kind: str, content: Any) -> list[str]:
    if type(content) is not list or any(type(one) is not str for one in content):
        raise _wrong_shape(content)
    if not content:
        empty = {"SS": "An string set  may not be empty", "NS": "An number set  may not be empty"}
        raise invalid_values(empty.get(kind, "Binary sets should not be empty"))
    found = [normal({_SETS[kind]: one})[_SETS[kind]] for one in content]
    if len(set(found)) < len(found):
        if kind == "NS":
            raise invalid("Input collection contains duplicates")
        what = "of type BS contains" if kind == "BS" else " contains"
        raise invalid_values(f"Input collection [{', '.join(content)}]{what} duplicates.")
    return sorted_set(kind, found)


def sorted_set(kind: str, members: Any) -> list[str]:
    """The members of a set in their order."""
    one = _SETS[kind]
    return sorted(members, key=lambda member: order({one: member}))


def _binary(content: Any) -> str:
    if type(content) is not str:
        raise _wrong_shape(content)
    try:
        return base64.b64encode(base64.b64decode(content, validate=True)).decode()
    except (binascii.Error, ValueError):
        raise not_serializable("Invalid Base64 character in the input") from None


def _not_one(value: Any) -> DynamoError:
    if type(value) is not dict:
        return _wrong_shape(value)
    if len(value) > 1:
        return invalid(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )
    return invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")


def _wrong_shape(content: Any) -> DynamoError:
    if isinstance(content, bool):
        return not_serializable(f"{str(content).upper()}_VALUE cannot be converted to String")
    if isinstance(content, int | float):
        return not_serializable("NUMBER_VALUE cannot be converted to String")
    if isinstance(content, dict):
        return not_serializable("Start of structure or map found where not expected")
    if isinstance(content, list):
        return not_serializable("Start of list found where not expected")
    return not_serializable("Unexpected value type in payload")


def order(value: Value) -> Any:
    """What a string, number or binary value is ordered by (of one type): text by code points is text by UTF-8 bytes."""
    ((kind, content),) = value.items()
    if kind == "N":
        return Decimal(content)
    return base64.b64decode(content) if kind == "B" else content


def size(value: Value) -> int:
    """Bytes of a value as DynamoDB counts them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return numeric.size(content)
    if kind == "B":
        return len(base64.b64decode(content))
    if kind in _SETS:
        return sum(size({_SETS[kind]: one}) for one in content)
    if kind == "L":
        return 3 + sum(1 + size(one) for one in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + size(one) for name, one in content.items())
    return 1


def size_of(attributes: Attributes) -> int:
    """Bytes of an item, with the names of its attributes."""
    return sum(len(name.encode()) + size(value) for name, value in attributes.items())
