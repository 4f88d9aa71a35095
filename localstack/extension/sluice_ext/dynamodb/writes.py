"""PutItem, DeleteItem, UpdateItem, and the same as parts of a transaction.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sluice_ext.dynamodb import capacity, legacy, tables, values
from sluice_ext.dynamodb.errors import condition_failed, invalid, invalid_item, invalid_values
from sluice_ext.dynamodb.expressions import conditions, updates
from sluice_ext.dynamodb.expressions.nodes import Action, Condition
from sluice_ext.dynamodb.expressions.paths import project
from sluice_ext.dynamodb.items import Key, decode, encode
from sluice_ext.dynamodb.requests import Body, Expressions, check
from sluice_ext.dynamodb.streams import records
from sluice_ext.dynamodb.tables import Table
from sluice_ext.dynamodb.values import ITEM_BYTES, Attributes

_OLD_OR_NONE = ("ALL_OLD", "NONE", None)


@dataclass(slots=True)
class Change:
    """A change of one item: checked against its table, not yet made.

    ``key`` are the attributes of the key; ``after`` is None for one that changes nothing (ConditionCheck).
    """

    table: Table
    place: Key
    key: Attributes
    condition: Condition | None
    given: dict[str, values.Value]
    after: Callable[[Attributes | None], Attributes | None] | None
    actions: tuple[Action, ...] = ()

    def current(self) -> Attributes | None:
        """The item as it is."""
        stored = self.table.items.get(self.place)
        return None if stored is None else decode(stored)

    def allowed(self, current: Attributes | None) -> bool:
        """Whether the condition holds."""
        return self.condition is None or conditions.holds(self.condition, current or {}, self.given)

    def write(
        self, before: Attributes | None, after: Attributes | None, stored: bytes | None = None, expired: bool = False
    ) -> None:
        """Store the item, or remove it; a stream records it."""
        if after is None:
            self.table.items.remove(self.place)
        else:
            self.table.items.put(self.place, after, stored)
        if self.table.moto.stream_shard is not None and before != after and records.enabled(self.table.moto):
            records.record(self.table.moto, self.key, before, after, expired)


def put(backend: Any, op: Body, legacy_parameters: tuple[str, ...] = ()) -> Change:
    """The change of a PutItem."""
    expressions = Expressions(op, ("ConditionExpression",), legacy_parameters)
    item = values.normal_attributes(op["Item"])
    condition = _condition(op, expressions)
    table = tables.find(backend, op["TableName"])
    place = table.key_of_item(item)
    key = {name: item[name] for name in table.schema.names}
    return Change(table, place, key, condition, expressions.values, lambda _current: item)


def delete(backend: Any, op: Body, legacy_parameters: tuple[str, ...] = ()) -> Change:
    """The change of a DeleteItem."""
    expressions = Expressions(op, ("ConditionExpression",), legacy_parameters)
    key = values.normal_attributes(op["Key"])
    condition = _condition(op, expressions)
    table = tables.find(backend, op["TableName"])
    return Change(table, table.key(key), key, condition, expressions.values, lambda _current: None)


def condition_check(backend: Any, op: Body) -> Change:
    """The check of a ConditionCheck."""
    change = delete(backend, op)
    change.after = None
    return change


def update(backend: Any, op: Body, legacy_parameters: tuple[str, ...] = ()) -> Change:
    """The change of an UpdateItem."""
    expressions = Expressions(op, ("UpdateExpression", "ConditionExpression"), legacy_parameters)
    key = values.normal_attributes(op["Key"])
    actions = expressions.update()
    condition = _condition(op, expressions)
    if actions is None:
        actions = legacy.actions(op.get("AttributeUpdates") or {}, expressions.values)
    table = tables.find(backend, op["TableName"])
    place = table.key(key)
    check_keys_unchanged(table, actions)
    change = Change(table, place, key, condition, expressions.values, None, actions)
    change.after = updated(change, only_deletes=op.get("UpdateExpression") is None)
    return change


def check_keys_unchanged(table: Table, actions: tuple[Action, ...]) -> None:
    """Raises ValidationException when an action changes a key of the table."""
    for action in actions:
        if action.path[0] in table.schema.names:
            raise invalid_item(
                "One or more parameter values were invalid: "
                f"Cannot update attribute {action.path[0]}. This attribute is part of the key"
            )


def updated(change: Change, only_deletes: bool = False) -> Callable[[Attributes | None], Attributes | None]:
    """What makes the new item of an update's old one.

    An AttributeUpdates with nothing but deletions (``only_deletes``) makes no item where there is none.
    """
    actions, table = change.actions, change.table
    only_deletes = only_deletes and bool(actions) and all(one.clause in ("REMOVE", "DELETE") for one in actions)

    def after(current: Attributes | None) -> Attributes | None:
        if current is None and only_deletes:
            return None
        new = updates.apply(actions, change.key if current is None else current, change.given)
        if table.schema.index_of:
            table.check_index_keys(new)
        return new

    return after


def _condition(op: Body, expressions: Expressions) -> Condition | None:
    condition = expressions.condition("ConditionExpression")
    expressions.finish()
    if op.get("Expected"):
        condition = legacy.conditions(op["Expected"], op.get("ConditionalOperator") or "AND", expressions.values)
    elif op.get("ConditionalOperator"):
        raise invalid_values("ConditionalOperator cannot be used without Filter or Expected")
    return condition


def stored_form(item: Attributes, updating: bool = False) -> bytes:
    """The item's JSON. Raises ValidationException when the item is too large."""
    stored = encode(item).encode()
    # The JSON is larger than what DynamoDB counts.
    if len(stored) > ITEM_BYTES and values.size_of(item) > ITEM_BYTES:
        raise invalid(f"Item size {'to update ' * updating}has exceeded the maximum allowed size")
    return stored


def put_item(backend: Any, body: Body) -> dict[str, Any]:
    """PutItem."""
    check(body, "TableName", "Item")
    _check_old_only(body)
    return _carry_out(put(backend, body, ("Expected", "ConditionalOperator")), body)


def delete_item(backend: Any, body: Body) -> dict[str, Any]:
    """DeleteItem."""
    check(body, "TableName", "Key")
    _check_old_only(body)
    return _carry_out(delete(backend, body, ("Expected", "ConditionalOperator")), body)


def update_item(backend: Any, body: Body) -> dict[str, Any]:
    """UpdateItem."""
    check(body, "TableName", "Key")
    return _carry_out(update(backend, body, ("AttributeUpdates", "Expected", "ConditionalOperator")), body, True)


def _check_old_only(body: Body) -> None:
    if body.get("ReturnValues") not in _OLD_OR_NONE:
        raise invalid("Return values set to invalid value")


def _carry_out(change: Change, body: Body, updating: bool = False) -> dict[str, Any]:
    before = change.current()
    if not change.allowed(before):
        wanted = body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        raise condition_failed(before if wanted else None)
    assert change.after is not None
    after = change.after(before)
    change.write(before, after, None if after is None else stored_form(after, updating))
    answer: dict[str, Any] = {}
    wanted_values = body.get("ReturnValues")
    if wanted_values and wanted_values != "NONE":
        attributes = returned(wanted_values, change.actions, before, after)
        if attributes:
            answer["Attributes"] = attributes
    mode = body.get("ReturnConsumedCapacity")
    if mode and mode != "NONE":
        units = capacity.write_units(before, after)
        answer["ConsumedCapacity"] = capacity.consumed(
            change.table, mode, units, capacity.index_units(change.table, before, after)
        )
    if body.get("ReturnItemCollectionMetrics") == "SIZE":
        metrics = capacity.collection(change.table, change.key)
        if metrics:
            answer["ItemCollectionMetrics"] = metrics
    return answer


def returned(
    wanted: str, actions: tuple[Action, ...], before: Attributes | None, after: Attributes | None
) -> Attributes | None:
    """The attributes that a value of ReturnValues other than NONE asks for."""
    item = before if wanted.endswith("_OLD") else after
    if item is None or wanted.startswith("ALL_"):
        return item
    return project(item, [action.path for action in actions])
