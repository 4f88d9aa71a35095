"""A DynamoDB table with plain Python values and conditions that answer yes or no."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

TRANSACTION_LIMIT: Final = 100  # actions in one TransactWriteItems
_BATCH_LIMIT: Final = 25  # items in one BatchWriteItem
_CONFLICT_TRIES: Final = 8
_to_dynamo = TypeSerializer().serialize
_from_dynamo = TypeDeserializer().deserialize


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

    def query(self, pk: str, sk_prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues=typed({":pk": pk, ":prefix": sk_prefix}),
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
                ConditionExpression=condition,
                ExpressionAttributeValues=typed(values),
                ReturnValues="ALL_NEW",
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
                "ConditionExpression": condition,
                "ExpressionAttributeValues": typed(values),
                **_names(update, condition),
            }
        }

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
                if "ConditionalCheckFailed" in reasons:
                    return False
                if "TransactionConflict" not in reasons or attempt == _CONFLICT_TRIES:
                    raise
                back_off(attempt)
        raise AssertionError("unreachable")


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
