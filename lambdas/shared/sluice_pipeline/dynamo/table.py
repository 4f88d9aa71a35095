"""A DynamoDB table with plain Python values; a condition that fails is an answer, not an error."""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.retries import THROTTLES, Retries, TransactionRefused
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.runtime.errors import code_of

TRANSACTION_LIMIT: Final = 100  # actions in one TransactWriteItems
_BATCH_LIMIT: Final = 25  # items in one BatchWriteItem
_READ_LIMIT: Final = 100  # keys in one BatchGetItem
_TRANSACTION_BYTES: Final = 3_500_000  # of 4 MB
CONDITION_FAILED: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflict"


class Table:
    """The calls that functions need. ``False`` or ``None`` means that a condition failed.

    Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        answer = self._client.get_item(TableName=self.name, Key=_key(pk, sk), ConsistentRead=True)
        return plain(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[tuple[str, str]], fields: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """The items with these keys (pk, sk) that exist, in no order; no key may come twice.

        ``fields``: which attributes of them, without any all.
        """
        return self.read((_key(pk, sk) for pk, sk in keys), fields)

    def read(self, keys: Iterable[Mapping[str, Any]], fields: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """As get_many, by keys in DynamoDB's form, for tables that have others than pk and sk.

        Keys that DynamoDB leaves unprocessed are asked for again; raises Throttled when that goes on for too long.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        how: dict[str, Any] = {"ConsistentRead": True}
        if fields:
            expression = " , ".join(f"#{name}" for name in fields)
            how |= {"ProjectionExpression": expression, **_names(expression)}
        for batch in batched(keys, _READ_LIMIT, strict=False):
            pending: dict[str, Any] = {self.name: {"Keys": list(batch), **how}}
            retries = Retries(f"reading {self.name}")
            while pending:
                answer = retries.call(self._client.batch_get_item, RequestItems=pending)
                found = answer["Responses"].get(self.name, [])
                yield from map(plain, found)
                if found:
                    retries.progress()
                if pending := answer.get("UnprocessedKeys") or {}:
                    retries.throttled()

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
        """Puts items in batches, without conditions; raises Throttled when DynamoDB processes none for too long.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
        """
        self._write_all({"PutRequest": {"Item": typed(item)}} for item in items)

    def delete_all(self, keys: Iterable[tuple[str, str]]) -> None:
        """Deletes the items with these keys (pk, sk) in batches, as put_all."""
        self._write_all({"DeleteRequest": {"Key": _key(pk, sk)}} for pk, sk in keys)

    def _write_all(self, requests: Iterable[dict[str, Any]]) -> None:
        for batch in batched(requests, _BATCH_LIMIT, strict=False):
            left = list(batch)
            retries = Retries(f"writing {self.name}")
            while left:
                answer = retries.call(self._client.batch_write_item, RequestItems={self.name: left})
                before, left = len(left), answer.get("UnprocessedItems", {}).get(self.name, [])
                if len(left) < before:
                    retries.progress()
                if left:
                    retries.throttled()

    def put_new(self, items: Sequence[Mapping[str, Any]], replaced: str = "") -> None:
        """Puts the items that do not exist yet, and those in whose place ``replaced``, a condition, holds."""
        free = "attribute_not_exists(pk)" + (f" OR {replaced}" if replaced else "")
        actions = [self.put_action(item, free) for item in items]
        for begin in range(0, len(actions), TRANSACTION_LIMIT):
            batch = actions[begin : begin + TRANSACTION_LIMIT]
            if not self.transact(batch):
                for action in batch:
                    self.transact([action])

    def update(self, pk: str, sk: str, update: str, condition: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Changes one item; its new attributes, or None when the condition failed."""
        answer = self._update(pk, sk, update, condition, values, ReturnValues="ALL_NEW")
        return None if answer is None else plain(answer["Attributes"])

    def change(self, pk: str, sk: str, update: str, condition: str, values: Mapping[str, Any]) -> bool:
        """As update, True when the condition held. To send and read the attributes takes a quarter of a call."""
        return self._update(pk, sk, update, condition, values) is not None

    def _update(
        self, pk: str, sk: str, update: str, condition: str, values: Mapping[str, Any], **options: str
    ) -> Any | None:
        try:
            return self._client.update_item(
                TableName=self.name,
                Key=_key(pk, sk),
                UpdateExpression=update,
                **options,
                **({"ExpressionAttributeValues": typed(values)} if values else {}),
                **({"ConditionExpression": condition} if condition else {}),
                **_names(update, condition),
            )
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return None
            raise

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
        """Carries out every action whose condition holds; which were carried out.

        BatchWriteItem has no conditions, so these are transactions: a cancelled one says which conditions failed and is
        repeated without those actions. No two actions may be about one item.

        Raises:
            Throttled, TransactionRefused: as transact; the transactions before have been carried out.
        """
        done = [False] * len(actions)
        for batch in _transactions(actions):
            left, retries = batch, Retries(f"{len(batch)} writes to {self.name}")
            while left:
                failed = self._write([actions[index] for index in left], retries)
                if not any(failed):
                    for index in left:
                        done[index] = True
                    break
                left = [index for index, bad in zip(left, failed, strict=True) if not bad]
        return done

    def transact(self, actions: Sequence[dict[str, Any]]) -> bool:
        """All or nothing; False when a condition failed.

        Two chunks of one object that end together conflict on the object's item, and a busy table throttles; the SDK
        does not retry a cancelled transaction, so this does.

        Raises:
            Throttled: DynamoDB throttled it for longer than the time budget.
            TransactionRefused: conflicts went on, or the transaction was cancelled for a reason that no retry helps.
        """
        return not any(self._write(actions, Retries(f"{len(actions)} writes to {self.name}")))

    def _write(self, actions: Sequence[dict[str, Any]], retries: Retries) -> list[bool]:
        """For each action whether its condition failed; when one did, nothing is written, else everything is.

        A call that failed as a whole may have been carried out, so it is repeated under the same token:
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        token = uuid.uuid4().hex
        while True:
            try:
                self._client.transact_write_items(TransactItems=actions, ClientRequestToken=token)
            except ClientError as error:
                reasons = _cancellation_reasons(error)
                if CONDITION_FAILED in reasons:
                    return [reason == CONDITION_FAILED for reason in reasons]
                if THROTTLES & {*reasons, code_of(error)}:
                    retries.throttled(error)
                elif not reasons:
                    raise
                elif set(reasons) <= {"None", _CONFLICT}:
                    retries.conflict(error)
                else:
                    why = f"DynamoDB refused {len(actions)} writes to {self.name}: {sorted(set(reasons))}"
                    raise TransactionRefused(why) from error
                if reasons:  # cancelled, so a new request
                    token = uuid.uuid4().hex
            else:
                return [False] * len(actions)


def _cancellation_reasons(error: ClientError) -> list[str]:
    """DynamoDB's reason for each action ("None": it was no reason to cancel); [] for any other error.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    """
    if code_of(error) != "TransactionCanceledException":
        return []
    found: list[Any] = error.response.get("CancellationReasons") or []
    return [str(reason.get("Code") or "None") for reason in found]


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


def _names(*expressions: str) -> dict[str, Any]:
    """``#name`` placeholders stand for ``name``: words such as state and source are reserved in expressions."""
    found = {word.strip("(),=") for expression in expressions for word in expression.split() if "#" in word}
    names = {name: name[1:] for name in found}
    return {"ExpressionAttributeNames": names} if names else {}


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
