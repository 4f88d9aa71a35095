"""TransactWriteItems in time proportional to its items.

Replaces moto's `DynamoDBBackend.transact_write_items`, which copies every table it touches in full. All conditions are
checked first, so a cancelled transaction writes nothing; a write that fails is undone item by item. Callers hold the
provider's lock.
"""

import copy
from typing import Any

from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    MockValidationException,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend

from sluice_ext.patching import replace

_MAX_ITEMS = 100
_KINDS = {"ConditionCheck", "Put", "Delete", "Update"}
_Reason = tuple[str | None, str | None, dict[str, Any] | None]


def install() -> None:
    """Patch moto's backend class."""
    replace(DynamoDBBackend, "transact_write_items", transact_write_items, expect="(self, transact_items)")


def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
    """All or nothing. Raises TransactionCanceledException with a reason for each item, in order."""
    if len(transact_items) > _MAX_ITEMS:
        raise TooManyTransactionsException()
    operations = [_operation(self, item) for item in transact_items]
    targets = [(op["TableName"], repr(sorted(key.items(), key=lambda kv: kv[0]))) for _, op, key in operations]
    if len(set(targets)) < len(targets):
        raise MultipleTransactionsException()

    reasons = [_check(self, op, key) for _, op, key in operations]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)

    undo: list[Any] = []
    try:
        for position, (kind, op, key) in enumerate(operations):
            if kind == "ConditionCheck":
                continue
            undo.append(_snapshot(self.get_table(op["TableName"]), key))
            try:
                _write(self, kind, op, key)
            except MockValidationException:
                raise
            except Exception as error:
                reasons[position] = (type(error).__name__, str(error), None)
                raise TransactionCanceledException(reasons) from error
    except Exception:
        for restore in reversed(undo):
            restore()
        raise


def _operation(backend: Any, item: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if len(item) != 1:
        raise TransactWriteSingleOpException
    kind, op = next(iter(item.items()))
    if kind not in _KINDS:
        raise MockValidationException("Unsupported transaction operation")
    table = backend.get_table(op["TableName"])
    source = op["Item"] if kind == "Put" else op["Key"]
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name]
    if any(name not in source for name in names) or (kind != "Put" and len(source) != len(names)):
        raise MockValidationException("The provided key element does not match the schema")
    return kind, op, {name: source[name] for name in names}


def _check(backend: Any, op: dict[str, Any], key: dict[str, Any]) -> _Reason:
    condition = op.get("ConditionExpression")
    if condition is None:
        return None, None, None
    names, values = op.get("ExpressionAttributeNames"), op.get("ExpressionAttributeValues")
    current = backend.get_item(op["TableName"], key)
    if get_filter_expression(condition, names, values).expr(current):
        return None, None, None
    wanted = op.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    old = current.to_json()["Attributes"] if wanted and current else None
    return "ConditionalCheckFailed", "The conditional request failed", old


def _write(backend: Any, kind: str, op: dict[str, Any], key: dict[str, Any]) -> None:
    names, values = op.get("ExpressionAttributeNames"), op.get("ExpressionAttributeValues")
    expressions = {"expression_attribute_names": names, "expression_attribute_values": values}
    if kind == "Put":
        backend.put_item(op["TableName"], op["Item"], **expressions)
    elif kind == "Delete":
        backend.delete_item(op["TableName"], key, **expressions)
    else:
        # The condition was checked already; moto parses it again only to validate its names.
        condition = op.get("ConditionExpression")
        backend.update_item(
            op["TableName"],
            key,
            update_expression=op["UpdateExpression"],
            condition_expression=condition,
            **expressions,
        )


def _snapshot(table: Any, key: dict[str, Any]) -> Any:
    """A function that puts the item at ``key`` (and the table's stream) back as it is now."""
    from moto.dynamodb.models.dynamo_type import DynamoType

    hash_value = DynamoType(key[table.hash_key_attr])
    range_value = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
    before = copy.deepcopy(table.get_item(hash_value, range_value))
    shard = table.stream_shard
    length = len(shard.items) if shard is not None else 0

    def restore() -> None:
        if before is not None:
            if range_value is not None:
                table.items[hash_value][range_value] = before
            else:
                table.items[hash_value] = before
        elif range_value is not None:
            table.items.get(hash_value, {}).pop(range_value, None)
        else:
            table.items.pop(hash_value, None)
        if shard is not None:
            del shard.items[length:]

    return restore
