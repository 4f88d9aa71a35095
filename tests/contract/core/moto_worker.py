"""Runs in the engine's interpreter: updates and queries with moto as it is or, given `ours`, as we change it.

One JSON line in, one out: {"item", "update", "condition", "names", "values", "transact"} to the result or error and the
item afterwards; {"items", "query"} to the pages of a query over these items, or the error.
"""

import json
import sys
from typing import Any

from moto.dynamodb.models import DynamoDBBackend

from sluice_ext.dynamodb import parsing, queries, transactions, updates

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
NAMES = ("pk", "sk", "state")


def backend() -> Any:
    """With a table as the ledger's: two keys, an index on `state`."""
    made = DynamoDBBackend("us-east-1", "000000000000")
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    index = {
        "IndexName": "by_state",
        "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    made.create_table(
        "t",
        schema=keys,
        throughput=None,
        attr=[{"AttributeName": name, "AttributeType": "S"} for name in NAMES],
        global_indexes=[index],
        indexes=[],
        streams=None,
        billing_mode="PAY_PER_REQUEST",
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )
    return made


def run(db: Any, case: dict[str, Any]) -> dict[str, Any]:
    """The answer to one case."""
    table = db.get_table("t")
    table.items.clear()
    try:
        if case["item"] is not None:
            db.put_item("t", case["item"] | KEY)
        if case["transact"]:
            given = {"ExpressionAttributeNames": case["names"], "ExpressionAttributeValues": case["values"]}
            update = {"TableName": "t", "Key": KEY, "UpdateExpression": case["update"], **given}
            if case["condition"]:
                update["ConditionExpression"] = case["condition"]
            answer: Any = db.transact_write_items([{"Update": update}])
        else:
            answer = db.update_item(
                "t", KEY, case["update"], case["names"], case["values"], condition_expression=case["condition"]
            ).to_json()
    except Exception as error:  # noqa: BLE001 - the error is the answer
        answer = [type(error).__name__, str(error)]
    after = db.get_item("t", KEY)
    return {"answer": answer, "after": after and after.to_json()}


def query(db: Any, case: dict[str, Any]) -> list[Any]:
    """The pages of a query: keys of the items, the count and where the next page begins."""
    table = db.get_table("t")
    table.items.clear()
    for item in case["items"]:
        db.put_item("t", item)
    found: list[Any] = []
    start = None
    try:
        while len(found) < 50:
            items, count, start = db.query("t", **case["query"], exclusive_start_key=start)
            found.append([[item.to_json() for item in items], count, start])
            if not start:
                break
    except Exception as error:  # noqa: BLE001 - the error is the answer
        found.append([type(error).__name__, str(error)])
    return found


def plain(value: Any) -> Any:
    """For what is no JSON: moto's values."""
    return value.to_json() if hasattr(value, "to_json") else repr(value)


def main() -> None:
    """Until the input ends."""
    transactions.install()
    if sys.argv[1:] == ["ours"]:
        parsing.install()
        updates.install()
        queries.install()
    db = backend()
    for line in sys.stdin:
        case = json.loads(line)
        answer = query(db, case) if "query" in case else run(db, case)
        print(json.dumps(answer, default=plain, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
