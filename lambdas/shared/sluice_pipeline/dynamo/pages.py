"""Reading items page by page: one Query a page, and a cursor that says where the next one begins.

A cursor is opaque to the caller, and untrusted: it is a position within the partition that is asked for, and any other
position is refused. So is a cursor that is older than its lifetime, where it has one.
"""

import base64
import binascii
import json
import time
from dataclasses import dataclass
from typing import Any, Final

from sluice_pipeline.dynamo.values import plain, typed

MOST: Final = 1000  # items of a page
_ENDS: Final = "~ends"  # in a cursor: when it expires, in epoch seconds; no attribute has such a name


class InvalidQuery(ValueError):
    """A limit, a time or a cursor is wrong; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where items are looked up: the table itself (``index`` empty) or an index, and the names of its keys."""

    table: str
    partition: str = "pk"
    order: str = "sk"
    index: str = ""

    @property
    def keys(self) -> set[str]:
        return {"pk", "sk", self.partition, self.order}


@dataclass(frozen=True, slots=True)
class Page:
    """``cursor`` is empty on the last page."""

    items: list[dict[str, Any]]
    cursor: str


def page(client: Any, place: Place, value: str, *, since: str = "", until: str = "", limit: int = 100,
         cursor: str = "", newest_first: bool = False, lifetime: int = 0) -> Page:  # fmt: skip
    """Items of one partition with ``since`` <= order < ``until``, in that order.

    A cursor can be followed for ``lifetime`` seconds, with 0 for ever.

    Raises:
        InvalidQuery: the limit is not 1 to 1000, or the cursor is none of this query or has expired.
    """
    if not 1 <= limit <= MOST:
        raise InvalidQuery(f"limit must lie between 1 and {MOST}")
    condition, values = f"{place.partition} = :value", {":value": value}
    if since or until:
        # "~" sorts after every digit and letter; a key at the time `until` itself is longer, so it is left out
        condition += f" AND {place.order} BETWEEN :since AND :until"
        values |= {":since": since or " ", ":until": until or "~"}
    request: dict[str, Any] = {"IndexName": place.index} if place.index else {"ConsistentRead": True}
    if cursor:
        request["ExclusiveStartKey"] = typed(_position(cursor, place, value, since, until, lifetime))
    answer = client.query(
        TableName=place.table,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=typed(values),
        Limit=limit,
        ScanIndexForward=not newest_first,
        **request,
    )
    last = answer.get("LastEvaluatedKey")
    return Page([plain(item) for item in answer["Items"]], _cursor(plain(last), lifetime) if last else "")


def _cursor(position: dict[str, Any], lifetime: int) -> str:
    if lifetime:
        position = position | {_ENDS: str(int(time.time()) + lifetime)}
    text = json.dumps(position, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str, place: Place, value: str, since: str, until: str, lifetime: int) -> dict[str, str]:
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidQuery("the cursor is none") from error
    keys = isinstance(found, dict) and set(found) == place.keys | ({_ENDS} if lifetime else set())
    if (
        not keys
        or not all(isinstance(part, str) and part for part in found.values())
        or found[place.partition] != value
    ):
        raise InvalidQuery("the cursor is none of this query")
    if lifetime and not _lives(found.pop(_ENDS), lifetime):
        raise InvalidQuery("the cursor has expired: begin again without one")
    if not (since or " ") <= found[place.order] <= (until or "~"):
        raise InvalidQuery("the cursor is outside of the times asked for")
    return {str(name): str(part) for name, part in found.items()}


def _lives(ends: str, lifetime: int) -> bool:
    return ends.isascii() and ends.isdigit() and len(ends) < 16 and 0 <= int(ends) - time.time() <= lifetime
