"""Errors as DynamoDB answers them.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

from typing import Any

_SERVICE = "com.amazonaws.dynamodb.v20120810"
_NAMESPACES = {
    "ValidationException": "com.amazon.coral.validate",
    "SerializationException": "com.amazon.coral.service",
    "InternalServerError": _SERVICE,
}
_CONDITION = "The conditional request failed"
_CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons"


class DynamoError(Exception):
    """An error answer: its code, its message and the members it has besides."""

    def __init__(self, code: str, message: str, members: dict[str, Any] | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.members, self.status = code, message, members or {}, status

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        named = f"{_NAMESPACES.get(self.code, _SERVICE)}#{self.code}"
        member = "Message" if self.code == "TransactionCanceledException" else "message"
        return {"__type": named, member: self.message, **self.members}


class ItemError(DynamoError):
    """A ValidationException that a transaction reports as the reason of its item."""


def invalid(message: str) -> DynamoError:
    """ValidationException."""
    return DynamoError("ValidationException", message)


def invalid_values(message: str) -> DynamoError:
    """ValidationException about parameter values."""
    return DynamoError("ValidationException", f"One or more parameter values were invalid: {message}")


def invalid_item(message: str) -> ItemError:
    """ValidationException about one item of a request."""
    return ItemError("ValidationException", message)


def not_found(message: str = "Requested resource not found") -> DynamoError:
    """ResourceNotFoundException."""
    return DynamoError("ResourceNotFoundException", message)


def not_serializable(message: str) -> DynamoError:
    """SerializationException: the request's JSON does not have the shape of the operation's input."""
    return DynamoError("SerializationException", message)


def condition_failed(item: dict[str, Any] | None = None) -> DynamoError:
    """ConditionalCheckFailedException, with the item when the caller asked for it."""
    return DynamoError("ConditionalCheckFailedException", _CONDITION, {"Item": item} if item is not None else None)


def cancelled(reasons: list[dict[str, Any]]) -> DynamoError:
    """TransactionCanceledException; a reason for each item, in order, with `Code` "None" for those without a fault."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return DynamoError("TransactionCanceledException", f"{_CANCELLED} [{codes}]", {"CancellationReasons": reasons})


def reason(error: DynamoError | None) -> dict[str, Any]:
    """An entry of CancellationReasons."""
    if error is None:
        return {"Code": "None"}
    code = {"ConditionalCheckFailedException": "ConditionalCheckFailed", "ValidationException": "ValidationError"}
    return {
        "Code": code.get(error.code, error.code.removesuffix("Exception")),
        "Message": error.message,
    } | error.members
