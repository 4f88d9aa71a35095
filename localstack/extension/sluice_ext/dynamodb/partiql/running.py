"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExecuteStatement.html
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

from sluice_ext.dynamodb import pages, tables, transactions, values, writes
from sluice_ext.dynamodb.errors import DynamoError, condition_failed, invalid, reason
from sluice_ext.dynamodb.expressions.conditions import holds
from sluice_ext.dynamodb.expressions.nodes import Attribute, Comparison, Condition, Given, Logic
from sluice_ext.dynamodb.expressions.paths import find
from sluice_ext.dynamodb.items import decode, part
from sluice_ext.dynamodb.partiql.statements import Statement, parse
from sluice_ext.dynamodb.requests import Body, check, constraint, violated
from sluice_ext.dynamodb.tables import Table
from sluice_ext.dynamodb.values import Attributes

_BATCH, _TRANSACTION = 25, 100
_NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"


def execute_statement(backend: Any, body: Body) -> dict[str, Any]:
    """ExecuteStatement; a page of a SELECT goes on where NextToken says."""
    check(body, "Statement")
    if body.get("Parameters") == []:
        raise violated([constraint("[]", "parameters", "have length greater than or equal to 1")])
    statement = parse(body["Statement"], body.get("Parameters") or ())
    if statement.kind == "SELECT":
        return _select(backend, statement, body)
    items = _write(backend, statement)
    return {"Items": items}


def batch_execute_statement(backend: Any, body: Body) -> dict[str, Any]:
    """BatchExecuteStatement: each statement on its own; a failed one has an Error in its place."""
    listed = _listed(body, "Statements", _BATCH)
    responses = []
    for one in listed:
        try:
            statement = parse(one["Statement"], one.get("Parameters") or ())
            if statement.kind == "SELECT":
                items = _one_item(backend, statement)
            else:
                items = _write(backend, statement)
            answer: dict[str, Any] = {"TableName": statement.table}
            responses.append(answer | ({"Item": items[0]} if items else {}))
        except DynamoError as error:
            found = reason(error)
            responses.append({"Error": {"Code": found["Code"], "Message": found["Message"]}})
    return {"Responses": responses}


def execute_transaction(backend: Any, body: Body) -> dict[str, Any]:
    """ExecuteTransaction: only reads or only writes, all or nothing."""
    listed = _listed(body, "TransactStatements", _TRANSACTION)
    statements = [parse(one["Statement"], one.get("Parameters") or ()) for one in listed]
    reading = {statement.kind == "SELECT" for statement in statements}
    if len(reading) > 1:
        raise invalid("Transaction must contain only read or only write statements")
    if reading == {True}:
        found = [_one_item(backend, statement) for statement in statements]
        return {"Responses": [{"Item": items[0]} if items else {} for items in found]}
    changes = [_change(backend, statement) for statement in statements]
    transactions.commit(changes, [{} for _ in changes])
    return {"Responses": []}  # a write has none


def _listed(body: Body, name: str, limit: int) -> list[Body]:
    listed = body.get(name)
    where = name[0].lower() + name[1:]
    if listed is None:
        raise violated([constraint(None, where, "not be null")])
    if not listed:
        raise violated([constraint("[]", where, "have length greater than or equal to 1")])
    if len(listed) > limit:
        raise violated([constraint("[...]", where, f"have length less than or equal to {limit}")])
    return list(listed)


def _select(backend: Any, statement: Statement, body: Body) -> dict[str, Any]:
    table = tables.find(backend, statement.table)
    pages.check_index(table, {"IndexName": statement.index, "ConsistentRead": body.get("ConsistentRead")})
    limit = body.get("Limit")
    if limit is not None and limit < 1:
        raise violated([constraint(limit, "limit", "have value greater than or equal to 1")])
    after = _token(body.get("NextToken"))
    items: list[Attributes] = []
    read = 0
    for item in _candidates(table, statement):
        place = table.key_attributes(item)
        if after is not None:
            after = None if place == after else after
            continue
        if limit is not None and read == limit:
            break
        read += 1
        last = place
        if statement.where is None or holds(statement.where, item, statement.given):
            items.append(_shown(table, statement, item))
    else:
        return {"Items": items}
    return {"Items": items, "NextToken": base64.b64encode(json.dumps(last).encode()).decode()}


def _token(text: str | None) -> Attributes | None:
    if text is None:
        return None
    try:
        found: Attributes = json.loads(base64.b64decode(text))
    except ValueError:
        raise invalid("Given NextToken is invalid") from None
    return found


def _candidates(table: Table, statement: Statement) -> Iterator[Attributes]:
    """The items to test, in order: those with the hash key that the statement asks for, or all."""
    schema, items, index = table.schema, table.items, statement.index
    hash_name = schema.index_keys(index)[0] if index else schema.hash_name
    partitions = items.index(index, *schema.index_keys(index)).partitions if index else items.partitions
    wanted = _equalities(statement).get(hash_name)
    order = partitions.ordered() if wanted is None else [part(wanted)] if _keyed(table, hash_name, wanted) else []
    for hash_part in order:
        partition = partitions.get(hash_part, {})
        entries = partition.ordered() if len(partition) > 1 else list(partition)
        for entry in reversed(entries) if statement.descending else entries:
            stored = items.get(partition[entry]) if index else partition[entry]
            if stored is not None:
                yield decode(stored)


def _keyed(table: Table, name: str, value: values.Value) -> bool:
    return table.schema.types.get(name) in value


def _shown(table: Table, statement: Statement, item: Attributes) -> Attributes:
    if statement.index:
        item = table.projected(statement.index, item)
    if statement.paths is None:
        return item
    found = {}
    for path in statement.paths:
        value = find(item, path)
        if value is not None:
            name = next((one for one in reversed(path) if isinstance(one, str)), "")
            found[name] = value
    return found


def _equalities(statement: Statement) -> dict[str, values.Value]:
    """Attributes that the statement wants to be equal to a value."""
    found = {}
    for one in _parts(statement.where):
        if isinstance(one, Comparison) and one.operator == "=":
            left, right = one.operands
            if isinstance(left, Attribute) and isinstance(right, Given) and len(left.path) == 1:
                found[str(left.path[0])] = statement.given[right.name]
    return found


def _parts(tree: Condition | None) -> list[Condition]:
    if isinstance(tree, Logic) and tree.operator == "AND":
        return [one for part in tree.conditions for one in _parts(part)]
    return [] if tree is None else [tree]


def _one_item(backend: Any, statement: Statement) -> list[Attributes]:
    """The item that a SELECT names by its whole key."""
    table = tables.find(backend, statement.table)
    if any(name not in _equalities(statement) for name in table.schema.names):
        raise invalid(
            "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
        )
    found = (item for item in _candidates(table, statement) if holds(statement.where, item, statement.given))  # type: ignore[arg-type]
    return [_shown(table, statement, item) for item in found]


def _change(backend: Any, statement: Statement) -> writes.Change:
    table = tables.find(backend, statement.table)
    if statement.kind == "INSERT":
        return _insertion(table, statement)
    equal = _equalities(statement)
    if any(name not in equal for name in table.schema.names):
        raise invalid(_NO_KEY)
    key = {name: equal[name] for name in table.schema.names}
    change = writes.Change(table, table.key(key), key, statement.where, statement.given, lambda _current: None)
    if statement.kind == "UPDATE":
        change.actions = tuple(statement.actions)
        writes.check_keys_unchanged(table, change.actions)
        change.after = writes.updated(change)
    return change


def _insertion(table: Table, statement: Statement) -> writes.Change:
    if statement.item is None or "M" not in statement.item:
        raise invalid("Statement wasn't well formed, can't be processed: INSERT needs a tuple as its value")
    item: Attributes = statement.item["M"]

    def after(current: Attributes | None) -> Attributes:
        if current is not None:
            raise DynamoError("DuplicateItemException", "Duplicate primary key exists in table")
        return item

    place = table.key_of_item(item)
    return writes.Change(table, place, {name: item[name] for name in table.schema.names}, None, {}, after)


def _write(backend: Any, statement: Statement) -> list[Attributes]:
    """Carry out an INSERT, UPDATE or DELETE; what RETURNING asks for."""
    change = _change(backend, statement)
    before = change.current()
    if before is None and statement.kind == "DELETE":
        return []
    if not change.allowed(before):
        raise condition_failed()
    assert change.after is not None
    after = change.after(before)
    change.write(before, after, None if after is None else writes.stored_form(after, bool(change.actions)))
    if statement.returning is None:
        return []
    found = writes.returned(statement.returning, change.actions, before, after)
    return [found] if found else []
