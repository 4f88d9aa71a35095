"""Values between Python and DynamoDB: the only place that knows both forms.

An item travels as ``{"name": {"S": "text"}}``; here it is ``{"name": "text"}``. DynamoDB's numbers are Decimal.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any


@cache
def _boto3() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """boto3's serializer and deserializer; imported late, for the host tool also needs what does without them."""
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

    return TypeSerializer().serialize, TypeDeserializer().deserialize


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB's; members of a StrEnum count as the strings they are."""
    to_dynamo, _ = _boto3()
    return {name: to_dynamo(str(value) if isinstance(value, str) else value) for name, value in values.items()}


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB's item as plain values; numbers are Decimal."""
    _, from_dynamo = _boto3()
    return {name: from_dynamo(value) for name, value in item.items()}


def with_numbers(value: Any) -> Any:
    """A plain value with int and float in place of Decimal, at any depth."""
    if isinstance(value, Decimal):
        return as_number(value)
    if isinstance(value, list):
        return [with_numbers(part) for part in value]
    if isinstance(value, dict):
        return {name: with_numbers(part) for name, part in value.items()}
    return value


def as_number(value: Decimal) -> int | float:
    """A whole number as int, any other as float."""
    return int(value) if value == value.to_integral_value() else float(value)


def storable(value: Any) -> Any:
    """A value of a silver row as DynamoDB can hold it: times as text, numbers as Decimal of at most 38 digits."""
    if isinstance(value, datetime | date):
        return text_of(value)
    if isinstance(value, float | Decimal):
        from boto3.dynamodb.types import DYNAMODB_CONTEXT

        try:
            return DYNAMODB_CONTEXT.create_decimal(Decimal(str(value)))
        except ArithmeticError:  # outside of DynamoDB's numbers, such as 1e300
            return str(value)
    return value


def text_of(value: Any) -> str:
    """A value of a row as a string; times in UTC with microseconds, so that they sort."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
