"""The service dynamodbstreams: the tables' logs, a stream of one shard for each table.

A stream is gone with its table (on AWS it can be read for another 24 hours).
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service

from sluice_ext.dynamodb.errors import DynamoError, invalid, not_found
from sluice_ext.dynamodb.locking import answering
from sluice_ext.dynamodb.requests import Body, check, constraint, violated
from sluice_ext.dynamodb.streams import records

_RECORDS, _STREAMS = 1000, 100
_KINDS = ("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")


def create_service() -> Service:
    """The service for LocalStack's service manager."""
    operations = {
        "DescribeStream": describe_stream,
        "GetRecords": get_records,
        "GetShardIterator": get_shard_iterator,
        "ListStreams": list_streams,
    }
    table = {name: answering(operation) for name, operation in operations.items()}
    return Service(name="dynamodbstreams", skeleton=Skeleton(load_service("dynamodbstreams"), table))


def list_streams(backend: Any, body: Body) -> dict[str, Any]:
    """ListStreams."""
    check(body)
    name, limit = body.get("TableName"), body.get("Limit") or _STREAMS
    found = [table for table in _with_streams(backend) if name in (None, table.name, table.table_arn)]
    start = body.get("ExclusiveStartStreamArn")
    arns = [_arn(table) for table in found]
    first = arns.index(start) + 1 if start in arns else 0
    page = found[first : first + limit]
    answer: dict[str, Any] = {
        "Streams": [
            {"StreamArn": _arn(table), "TableName": table.name, "StreamLabel": table.latest_stream_label}
            for table in page
        ]
    }
    if first + limit < len(found):
        answer["LastEvaluatedStreamArn"] = _arn(page[-1])
    return answer


def describe_stream(backend: Any, body: Body) -> dict[str, Any]:
    """DescribeStream."""
    check(body, "StreamArn")
    table = _table(backend, body["StreamArn"])
    shard = table.stream_shard
    on = records.enabled(table)
    numbers = {"StartingSequenceNumber": str(shard.starting_sequence_number)}
    if not on:
        numbers["EndingSequenceNumber"] = str(records.last_number(table))
    shown = (
        [] if body.get("ExclusiveStartShardId") == shard.id else [{"ShardId": shard.id, "SequenceNumberRange": numbers}]
    )
    described = {
        "StreamArn": _arn(table),
        "StreamLabel": table.latest_stream_label,
        "StreamStatus": "ENABLED" if on else "DISABLED",
        "CreationRequestDateTime": shard.created_on.timestamp(),
        "TableName": table.name,
        "KeySchema": table.schema,
        "Shards": shown,
    }
    view = (table.stream_specification or {}).get("StreamViewType")
    return {"StreamDescription": described | ({"StreamViewType": view} if view else {})}


def get_shard_iterator(backend: Any, body: Body) -> dict[str, Any]:
    """GetShardIterator."""
    check(body, "StreamArn", "ShardId", "ShardIteratorType")
    kind = body["ShardIteratorType"]
    if kind not in _KINDS:
        raise violated([constraint(kind, "shardIteratorType", f"satisfy enum value set: [{', '.join(_KINDS)}]")])
    table = _table(backend, body["StreamArn"])
    if body["ShardId"] != table.stream_shard.id:
        raise not_found("Requested resource not found: Shard does not exist")
    if kind == "TRIM_HORIZON":
        number = 0
    elif kind == "LATEST":
        number = records.last_number(table)
    else:
        given = body.get("SequenceNumber") or ""
        if not given.isdigit():
            raise invalid("SequenceNumber is required for this ShardIteratorType")
        number = int(given) - (kind == "AT_SEQUENCE_NUMBER")
    return {"ShardIterator": _iterator(body["StreamArn"], number)}


def get_records(backend: Any, body: Body) -> dict[str, Any]:
    """GetRecords: up to 1,000; the next iterator is missing at the end of a disabled stream."""
    check(body, "ShardIterator")
    limit = body.get("Limit") or _RECORDS
    if limit > _RECORDS:
        raise violated([constraint(limit, "limit", f"have value less than or equal to {_RECORDS}")])
    try:
        arn, number = json.loads(base64.b64decode(body["ShardIterator"].rsplit("|", 1)[-1]))
    except ValueError:
        raise invalid("Invalid ShardIterator") from None
    table = _table(backend, arn)
    found = records.after(table, number, limit)
    answer: dict[str, Any] = {"Records": found}
    if found:
        number = int(found[-1]["dynamodb"]["SequenceNumber"])
    if records.enabled(table) or number < records.last_number(table):
        answer["NextShardIterator"] = _iterator(arn, number)
    return answer


def _iterator(arn: str, number: int) -> str:
    return f"{arn}|1|{base64.b64encode(json.dumps([arn, number]).encode()).decode()}"


def _arn(table: Any) -> str:
    return f"{table.table_arn}/stream/{table.latest_stream_label}"


def _with_streams(backend: Any) -> Iterator[Any]:
    return (table for table in backend.tables.values() if table.stream_shard is not None)


def _table(backend: Any, arn: str) -> Any:
    found = next((table for table in _with_streams(backend) if _arn(table) == arn), None)
    if found is None:
        raise DynamoError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
    return found
