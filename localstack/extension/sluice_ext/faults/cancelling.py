"""Cancelled transactions of DynamoDB: the reasons that a fault names, one for each item.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from typing import Any

from localstack.aws.api.dynamodb import TransactionCanceledException

from sluice_ext.faults.rules import CANCELLATIONS

_LISTS = ("TransactItems", "TransactStatements")


def cancelled(codes: str, parameters: Any) -> TransactionCanceledException:
    """The error for codes with commas between them; items behind the last code have the reason None."""
    count = next((len(parameters[name]) for name in _LISTS if parameters.get(name)), 0)
    given = [*codes.split(","), *["None"] * count][:count]
    reasons = [{"Code": code} | ({"Message": CANCELLATIONS[code]} if CANCELLATIONS[code] else {}) for code in given]
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(given)}]"
    return TransactionCanceledException(message, CancellationReasons=reasons)
