"""Runs queries of CloudWatch Logs Insights over moto's log groups.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sluice_ext.logs.query_language import Aggregate, Column, Command, Group, Row, number_of, parse, text_of

_MOST: Final = 10_000
_DEFAULT: Final = [Column("@timestamp", "@timestamp"), Column("@message", "@message")]
_REQUEST: Final = re.compile(r"RequestId: ([0-9a-f-]{36})")
_REPORT: Final = {
    "@duration": (re.compile(r"\tDuration: ([\d.]+) ms"), 1),
    "@billedDuration": (re.compile(r"\tBilled Duration: ([\d.]+) ms"), 1),
    "@initDuration": (re.compile(r"\tInit Duration: ([\d.]+) ms"), 1),
    "@memorySize": (re.compile(r"\tMemory Size: (\d+) MB"), 1_000_000),
    "@maxMemoryUsed": (re.compile(r"\tMax Memory Used: (\d+) MB"), 1_000_000),
}


def execute(log_groups: Sequence[Any], query: str, start_time: int, end_time: int) -> list[dict[str, str]]:
    """The rows of the answer, newest event first unless sorted. Times in seconds since 1970. Raises Malformed."""
    commands = parse(query)
    rows: list[Row] = sorted(
        (row for group in log_groups for row in _rows(group, start_time * 1000, end_time * 1000)),
        key=lambda row: row["@timestamp"],
        reverse=True,
    )
    columns, counted, limited = list[Column](), False, False
    for command in commands:
        rows, columns = _apply(command, rows, columns)
        counted, limited = counted or command.kind == "stats", limited or command.kind == "limit"
    if not limited:
        rows = rows[:_MOST]
    shown = columns or _DEFAULT
    return [_shown(row, shown, counted) for row in rows]


def _apply(command: Command, rows: list[Row], columns: list[Column]) -> tuple[list[Row], list[Column]]:
    match command.kind:
        case "filter" if command.condition:
            return [row for row in rows if command.condition(row) is True], columns
        case "limit":
            return rows[: command.limit], columns
        case "sort":
            for name, descending in reversed(command.order):
                rows = _sorted(rows, name, descending)
            return rows, columns
        case "stats":
            made = _statistics(command, rows)
            titles = [*(group.title for group in command.groups), *(one.title for one in command.aggregates)]
            return made, [Column(title, title) for title in titles]
        case kind:
            named = [{**row, **{one.title: row.get(one.name) for one in command.columns}} for row in rows]
            added = [Column(one.title, one.title) for one in command.columns]
            return list(named), added if kind == "display" else [*columns, *added]


def _sorted(rows: list[Row], name: str, descending: bool) -> list[Row]:
    """Numbers by value before texts; rows without the field are last."""

    def key(row: Row) -> tuple[int, Decimal, str]:
        number = number_of(row[name])
        return (0, number, "") if number is not None else (1, Decimal(0), text_of(row[name]))

    present = [row for row in rows if row.get(name) is not None]
    return [*sorted(present, key=key, reverse=descending), *(row for row in rows if row.get(name) is None)]


def _statistics(command: Command, rows: Iterable[Row]) -> list[Row]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(_key(group, row) for group in command.groups), []).append(row)
    return [
        {group.title: value for group, value in zip(command.groups, key, strict=True)}
        | {one.title: _aggregate(one, found) for one in command.aggregates}
        for key, found in groups.items()
    ]


def _key(group: Group, row: Row) -> Any:
    value = row.get(group.name)
    if group.seconds is None or value is None:
        return value
    return _Time(int(value) // (group.seconds * 1000) * group.seconds * 1000)


def _aggregate(one: Aggregate, rows: Sequence[Row]) -> Any:
    if one.name == "*":
        return Decimal(len(rows))
    values = [value for row in rows if (value := row.get(one.name)) is not None]
    numbers = [number for value in values if (number := number_of(value)) is not None]
    match one.function:
        case "count":
            return Decimal(len(values))
        case "count_distinct":
            return Decimal(len({text_of(value) for value in values}))
        case "sum":
            return sum(numbers, Decimal(0)) if numbers else None
        case "avg":
            return sum(numbers, Decimal(0)) / len(numbers) if numbers else None
    chosen = min if one.function == "min" else max
    if values and len(numbers) == len(values):
        return chosen(numbers)
    return chosen((text_of(value) for value in values), default=None)


class _Time(int):
    """Milliseconds since 1970 that are shown as a time."""


def _shown(row: Row, columns: Sequence[Column], counted: bool) -> dict[str, str]:
    shown = {one.title: _value(row[one.name]) for one in columns if row.get(one.name) is not None}
    return shown if counted else {**shown, "@ptr": str(row["@ptr"])}


def _value(value: Any) -> str:
    if isinstance(value, _Time):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{value % 1000:03d}"
    return text_of(value)


def _rows(group: Any, start: int, end: int) -> Iterator[Row]:
    """The events of a group with the fields that AWS finds in them."""
    for name, stream in list(group.streams.items()):
        for event in list(stream.events):
            if start <= event.timestamp <= end:
                yield {
                    **_found(event.message),
                    "@timestamp": _Time(event.timestamp),
                    "@ingestionTime": _Time(event.ingestion_time),
                    "@message": event.message,
                    "@logStream": name,
                    "@log": f"{group.account_id}:{group.name}",
                    "@ptr": event.event_id,
                }


def _found(message: str) -> dict[str, Any]:
    """The fields of a JSON event, by their paths, or those of a function's own lines."""
    if message.lstrip().startswith("{"):
        try:
            return dict(_flat("", json.loads(message, parse_float=Decimal)))
        except (ValueError, RecursionError):
            return {}
    found: dict[str, Any] = {}
    kind = message.split(" ", 1)[0]
    if kind in ("START", "END", "REPORT") and (request := _REQUEST.search(message)):
        found = {"@type": kind, "@requestId": request[1]}
        for name, (expression, factor) in _REPORT.items():
            if kind == "REPORT" and (number := expression.search(message)):
                found[name] = Decimal(number[1]) * factor
    return found


def _flat(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if below is None:
        if node is not None:
            # Booleans are 1 and 0 in answers.
            yield path, int(node) if isinstance(node, bool) else node
        return
    for name, value in below:
        yield from _flat(f"{path}.{name}" if path else str(name), value)
