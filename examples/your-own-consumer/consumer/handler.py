"""Counts the rows of every committed object, once for each run that is newer than the stored one."""

import json
import os
from typing import Any

import boto3
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """An SQS batch of object.committed events; answers with the messages that failed, and only they come again.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    failed = []
    for record in event["Records"]:
        try:
            store(json.loads(record["body"])["detail"])
        except Exception as error:  # noqa: BLE001 - whatever it is, only this message stays on the queue
            print(f"message {record['messageId']} failed: {error!r}")
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def store(detail: dict[str, Any]) -> None:
    """One item for each object. The condition makes redelivery, and an older run that comes late, change nothing."""
    rows = {f"{part['dataset']}/{part['dt']}": part["rows"] for part in detail["partitions"]}
    try:
        table.put_item(
            Item={"object_id": detail["object_id"], "run": detail["run"], "rows": rows, "key": detail["origin"]["key"]},
            ConditionExpression="attribute_not_exists(object_id) OR #run < :run",
            ExpressionAttributeNames={"#run": "run"},
            ExpressionAttributeValues={":run": detail["run"]},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
