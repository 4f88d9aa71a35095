"""Records of a table's changes. A table's log is in moto's stream shard, so that a saved state has it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
"""

import itertools
import time
import uuid
from typing import Any

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.values import Attributes

Record = dict[str, Any]
# Records are kept for 24 hours.
_KEPT_SECONDS = 24 * 3600
_TTL = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


def enabled(table: Any) -> bool:
    """Whether moto's table has a stream that records changes."""
    return bool(table.stream_shard is not None and (table.stream_specification or {}).get("StreamEnabled"))


def record(
    table: Any, key: Attributes, before: Attributes | None, after: Attributes | None, expired: bool = False
) -> None:
    """Append a change to the log of moto's table."""
    shard = table.stream_shard
    view = table.stream_specification["StreamViewType"]
    number = shard.__dict__["sluice_next"] = shard.__dict__.get("sluice_next", shard.starting_sequence_number) + 1
    change: Record = {"ApproximateCreationDateTime": float(int(time.time())), "Keys": key}
    if after is not None and view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        change["NewImage"] = after
    if before is not None and view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        change["OldImage"] = before
    images = (key, change.get("NewImage", {}), change.get("OldImage", {}))
    change |= {"SequenceNumber": str(number), "SizeBytes": sum(map(values.size_of, images)), "StreamViewType": view}
    made: Record = {
        "eventID": uuid.uuid4().hex,
        "eventName": "INSERT" if before is None else "REMOVE" if after is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": table.region_name,
        "dynamodb": change,
    }
    if expired:
        made["userIdentity"] = _TTL
    shard.items.append(made)
    oldest = time.time() - _KEPT_SECONDS
    if shard.items[0]["dynamodb"]["ApproximateCreationDateTime"] < oldest:
        shard.items = list(
            itertools.dropwhile(lambda one: one["dynamodb"]["ApproximateCreationDateTime"] < oldest, shard.items)
        )


def last_number(table: Any) -> int:
    """The newest record's sequence number, or the one before the first."""
    shard = table.stream_shard
    return int(shard.__dict__.get("sluice_next", shard.starting_sequence_number))


def after(table: Any, number: int, limit: int) -> list[Record]:
    """Records behind this sequence number."""
    items = table.stream_shard.items
    if not items:
        return []
    skipped = max(0, number - int(items[0]["dynamodb"]["SequenceNumber"]) + 1)
    return list(items[skipped : skipped + limit])
