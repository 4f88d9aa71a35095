"""Runs in the engine's interpreter: updates an item with moto as it is or, with the argument `ours`, as we change it.

One JSON line in, one out: {"item", "update", "condition", "names", "values", "transact"} to the result or error and the
item afterwards.
"""

import json
import sys
from typing import Any

from moto.dynamodb.models import DynamoDBBackend

from sluice_ext.dynamodb import parsing, transactions, updates

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


def plain(value: Any) -> Any:
    """For what is no JSON: moto's values."""
    return value.to_json() if hasattr(value, "to_json") else repr(value)


def main() -> None:
    """Until the input ends."""
    transactions.install()
    if sys.argv[1:] == ["ours"]:
        parsing.install()
        updates.install()
    db = backend()
    for line in sys.stdin:
        print(json.dumps(run(db, json.loads(line)), default=plain, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
