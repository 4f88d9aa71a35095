"""A DynamoDB table with plain Python values and conditions that answer yes or no."""

import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

TRANSACTION_LIMIT: Final = 100  # actions in one TransactWriteItems
_BATCH_LIMIT: Final = 25  # items in one BatchWriteItem
_READ_LIMIT: Final = 100  # keys in one BatchGetItem
_TRANSACTION_BYTES: Final = 3_500_000  # of 4 MB
_CONFLICT_TRIES: Final = 8
CONDITION_FAILED: Final = "ConditionalCheckFailed"
# What passes by itself; the SDK does not retry a cancelled transaction.
_PASSING: Final = {"", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_to_dynamo = TypeSerializer().serialize
_from_dynamo = TypeDeserializer().deserialize


class TransactionRefused(RuntimeError):
    """DynamoDB cancelled a transaction again and again, or for a reason that no retry mends."""


class Table:
    """The calls that the ledger needs. ``False`` or ``None`` means that a condition did not hold.

    Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        answer = self._client.get_item(TableName=self.name, Key=_key(pk, sk), ConsistentRead=True)
        return plain(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Those of the items (pk, sk) that are there, in no order; what DynamoDB leaves out is asked for again."""
        for batch in batched(keys, _READ_LIMIT, strict=False):
            pending: dict[str, Any] = {self.name: {"Keys": [_key(pk, sk) for pk, sk in batch], "ConsistentRead": True}}
            attempt = 0
            while pending:
                answer = self._client.batch_get_item(RequestItems=pending)
                yield from map(plain, answer["Responses"].get(self.name, []))
                if pending := answer.get("UnprocessedKeys", {}):
                    attempt += 1
                    back_off(attempt)

    def query(self, pk: str, sk_prefix: str = "") -> Iterator[dict[str, Any]]:
        condition, values = "pk = :pk", {":pk": pk}
        if sk_prefix:
            condition, values = f"{condition} AND begins_with(sk, :prefix)", values | {":prefix": sk_prefix}
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            ConsistentRead=True,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=typed(values),
        )
        for page in pages:
            yield from map(plain, page["Items"])

    def put_all(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Puts items in batches, again and again until DynamoDB has taken every one."""
        for begin in range(0, len(items), _BATCH_LIMIT):
            batch = [{"PutRequest": {"Item": typed(item)}} for item in items[begin : begin + _BATCH_LIMIT]]
            pending: dict[str, Any] = {self.name: batch}
            attempt = 0
            while pending:
                pending = self._client.batch_write_item(RequestItems=pending).get("UnprocessedItems", {})
                if pending:
                    attempt += 1
                    back_off(attempt)

    def put_new(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Puts those items that are not there yet."""
        actions = [self.put_action(item, "attribute_not_exists(pk)") for item in items]
        for begin in range(0, len(actions), TRANSACTION_LIMIT):
            batch = actions[begin : begin + TRANSACTION_LIMIT]
            if not self.transact(batch):
                for action in batch:
                    self.transact([action])

    def update(self, pk: str, sk: str, update: str, condition: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Changes one item; its new attributes, or None when the condition did not hold."""
        try:
            answer = self._client.update_item(
                TableName=self.name,
                Key=_key(pk, sk),
                UpdateExpression=update,
                ExpressionAttributeValues=typed(values),
                ReturnValues="ALL_NEW",
                **({"ConditionExpression": condition} if condition else {}),
                **_names(update, condition),
            )
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                return None
            raise
        return plain(answer["Attributes"])

    def put_action(
        self, item: Mapping[str, Any], condition: str = "", values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        put: dict[str, Any] = {"TableName": self.name, "Item": typed(item)}
        if condition:
            put["ConditionExpression"] = condition
        if values:
            put["ExpressionAttributeValues"] = typed(values)
        return {"Put": put}

    def update_action(self, pk: str, sk: str, update: str, condition: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self.name,
                "Key": _key(pk, sk),
                "UpdateExpression": update,
                **({"ConditionExpression": condition} if condition else {}),
                "ExpressionAttributeValues": typed(values),
                **_names(update, condition),
            }
        }

    def delete_action(self, pk: str, sk: str, condition: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "Delete": {
                "TableName": self.name,
                "Key": _key(pk, sk),
                "ConditionExpression": condition,
                "ExpressionAttributeValues": typed(values),
                **_names(condition),
            }
        }

    def apply_each(self, actions: Sequence[dict[str, Any]]) -> list[bool]:
        """Carries out every action whose condition holds, whatever becomes of the others; which were.

        Goes in transactions, for a batch write knows no conditions; a transaction says which conditions did not hold,
        and goes again without them. No two actions may be about one item.
        """
        done = [False] * len(actions)
        for batch in _transactions(actions):
            left, attempt = batch, 0
            while left:
                reasons = self._try([actions[index] for index in left])
                if not any(reasons):
                    for index in left:
                        done[index] = True
                    break
                if CONDITION_FAILED in reasons:
                    left = [index for index, why in zip(left, reasons, strict=True) if why != CONDITION_FAILED]
                    continue
                attempt += 1
                if not set(reasons) <= _PASSING or attempt == _CONFLICT_TRIES:
                    raise TransactionRefused(f"DynamoDB refused {len(left)} writes to {self.name}: {set(reasons)}")
                back_off(attempt)
        return done

    def _try(self, actions: list[dict[str, Any]]) -> list[str]:
        """Why each action stood in the way of the transaction; '' for none."""
        try:
            self._client.transact_write_items(TransactItems=actions)
        except ClientError as error:
            if _code(error) != "TransactionCanceledException" or "CancellationReasons" not in error.response:
                raise
            codes = [str(reason.get("Code") or "None") for reason in error.response["CancellationReasons"]]
            return ["" if code == "None" else code for code in codes]
        return [""] * len(actions)

    def transact(self, actions: list[dict[str, Any]]) -> bool:
        """All or nothing; False when a condition did not hold.

        Two chunks of one object that end together conflict on the object's item. The SDK does not retry a cancelled
        transaction, so this does:
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
        """
        for attempt in range(1, _CONFLICT_TRIES + 1):
            try:
                self._client.transact_write_items(TransactItems=actions)
                return True
            except ClientError as error:
                if _code(error) != "TransactionCanceledException":
                    raise
                reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
                if CONDITION_FAILED in reasons:
                    return False
                if "TransactionConflict" not in reasons or attempt == _CONFLICT_TRIES:
                    raise
                back_off(attempt)
        raise AssertionError("unreachable")


def _transactions(actions: Sequence[dict[str, Any]]) -> Iterator[list[int]]:
    """Positions of the actions that fit into one transaction, together all of them."""
    batch: list[int] = []
    size = 0
    for index, action in enumerate(actions):
        length = len(json.dumps(action))
        if batch and (len(batch) == TRANSACTION_LIMIT or size + length > _TRANSACTION_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += length
    if batch:
        yield batch


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB's; members of a StrEnum count as the strings they are."""
    return {name: _to_dynamo(str(value) if isinstance(value, str) else value) for name, value in values.items()}


def back_off(attempt: int) -> None:
    """Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/"""
    time.sleep(random.uniform(0, 0.02 * 2**attempt))


def _names(*expressions: str) -> dict[str, Any]:
    """``#name`` placeholders stand for ``name``: words such as state and source are reserved in expressions."""
    found = {word.strip("(),=") for expression in expressions for word in expression.split() if "#" in word}
    names = {name: name[1:] for name in found}
    return {"ExpressionAttributeNames": names} if names else {}


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB's as plain values; numbers are Decimal."""
    return {name: _from_dynamo(value) for name, value in item.items()}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
