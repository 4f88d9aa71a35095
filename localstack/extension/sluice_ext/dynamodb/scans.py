"""Scan: all items of a table or index, in pages and segments.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from sluice_ext.dynamodb import tables
from sluice_ext.dynamodb.errors import invalid
from sluice_ext.dynamodb.items import KeyPart, part
from sluice_ext.dynamodb.pages import Entry, Page, check_index, check_select, start_of
from sluice_ext.dynamodb.requests import Body, Expressions, check
from sluice_ext.dynamodb.tables import Table
from sluice_ext.dynamodb.values import Attributes

_LEGACY = ("AttributesToGet", "ScanFilter", "ConditionalOperator")


def scan(backend: Any, body: Body) -> str:
    """Scan; the answer's JSON."""
    check(body, "TableName")
    segment, segments = body.get("Segment"), body.get("TotalSegments")
    if segment is not None and segments is None:
        raise invalid(
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present"
        )
    if segments is not None and segment is None:
        raise invalid(
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present"
        )
    if segment is not None and segments is not None and segment >= segments:
        raise invalid(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {segments}"
        )
    expressions = Expressions(body, ("FilterExpression", "ProjectionExpression"), _LEGACY)
    page = Page(body, expressions, "ScanFilter")
    expressions.finish()
    table = tables.find(backend, body["TableName"])
    check_index(table, body)
    check_select(table, body)
    start = start_of(table, body)
    return page.answer(table, _entries(table, body.get("IndexName"), start, (segment or 0, segments or 1)))


def _entries(table: Table, index: str | None, start: Attributes | None, segment: tuple[int, int]) -> Iterator[Entry]:
    """The items of a segment behind the start; those with one hash key are together."""
    schema, items = table.schema, table.items
    found = items.index(index, *schema.index_keys(index)) if index else None
    partitions = found.partitions if found else items.partitions
    order, begin = partitions.ordered(), 0
    position: Any = None
    hash_part: KeyPart | None = None
    if start is not None:
        key = part(start[schema.hash_name]), part(start[schema.range_name]) if schema.range_name else None
        placed = found.place(key, start) if found else key
        if placed is None:
            raise invalid("The provided starting key is invalid")
        hash_part, position = placed
        begin = bisect_left(order, hash_part)
    for at in range(begin, len(order)):
        if segment[1] > 1 and _segment(order[at], segment[1]) != segment[0]:
            continue
        partition = partitions[order[at]]
        if len(partition) == 1 and order[at] != hash_part:
            entries = list(partition)
        elif not found and not schema.range_name:
            continue  # the start itself
        else:
            entries = partition.ordered()
            if order[at] == hash_part:
                entries = entries[bisect_right(entries, position) :]
        for entry in entries:
            stored = items.get(partition[entry]) if found else partition[entry]
            if stored is not None:
                yield (partition[entry] if found else None), stored


def _segment(hash_part: KeyPart, segments: int) -> int:
    return zlib.crc32(hash_part if isinstance(hash_part, bytes) else str(hash_part).encode()) % segments
