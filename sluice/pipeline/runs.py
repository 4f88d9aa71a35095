"""Looking up objects in the ledger: the last that changed, or one by its id."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, cast

from sluice.console import fail
from sluice.names import require, unknown
from sluice.pipeline.ledger import Entry, Item, LedgerView
from sluice.pipeline.source import known_datasets
from sluice.pipeline.unmanaged import is_of_no_dataset
from sluice_pipeline.catalog.datasets import MIXED
from sluice_pipeline.ledger.items import FINAL, State

if TYPE_CHECKING:
    from sluice_pipeline.ledger.items import ObjectItem

_AGE = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
REPLACED = "replaced"
OBJECT_ID = re.compile(r"[0-9a-f]{4,32}")
PAGE = 100  # objects that are read at a time
_NEAR = 10_000  # file names among which the nearest to a wrong one is looked for


def recent(
    ledger: LedgerView,
    *,
    dataset: str | None = None,
    state: str | None = None,
    since: str | None = None,
    limit: int = 20,
) -> list[Item]:
    """Up to ``limit`` object items, the last changed first. Both filters together are one index and a look."""
    if state is not None and state not in list(State):
        fail(f"--state {state!r}: states are {', '.join(State)}")
    if limit < 1:
        fail("--limit must be at least 1")
    if dataset is not None and state is None:
        found = ledger.recent(dataset=dataset, since=since, page=min(limit, PAGE))
    else:
        states = [state] if state else list(State)
        page = min(limit, PAGE) if dataset is None else PAGE
        streams = [ledger.recent(state=name, since=since, page=page) for name in states]
        found = merge(*streams, key=lambda item: str(item["updated_at"]), reverse=True)
        if dataset is not None:
            found = (item for item in found if item["dataset"] == dataset)
    return list(islice(found, limit))


def find(ledger: LedgerView, name: str, progress: Callable[[int], None] | None = None) -> list[Entry]:
    """The objects that a name means, the last changed first: an object id or its beginning, a key, or a part of keys.

    An exact key wins over keys of which it is a part; several objects have one key when it was uploaded again with
    another content. Ends with code 2 when there is none, naming the nearest key.
    ``progress`` gets how many objects were looked at.
    """
    text = re.sub(r"^s3://[^/]+/", "", name)
    if OBJECT_ID.fullmatch(name.lower()) and (entry := ledger.one(name.lower())):
        return [entry]
    matches: list[list[Item]] = [[], [], []]
    others: set[str] = set()
    for number, item in enumerate(ledger.everything_received(), 1):
        if progress and number % PAGE == 0:
            progress(number)
        keys = _keys(item)
        if OBJECT_ID.fullmatch(name.lower()) and _id(item).startswith(name.lower()):
            matches[0].append(item)
        elif text in keys:
            matches[1].append(item)
        elif text and any(text in key for key in keys):
            matches[2].append(item)
        elif len(others) < _NEAR:
            others |= {key.rsplit("/", 1)[-1] for key in keys}
    chosen = next((found for found in matches if found), [])
    if not chosen:
        fail(unknown("object", name, others))
    if len(chosen) == 1 and (entry := ledger.one(_id(chosen[0]))):
        return [entry]
    present = ledger.objects(_id(item) for item in chosen).values()
    return [Entry(item) for item in sorted(present, key=_updated, reverse=True)]


def require_dataset(ledger: LedgerView, name: str) -> None:
    """Ends with code 2 when neither the checkout nor the ledger has a dataset of this name; names what there is."""
    require("dataset", name, {*known_datasets(), MIXED, *datasets(ledger)})


def datasets(ledger: LedgerView) -> set[str]:
    """The datasets of which the ledger has objects."""
    stray = {_id(item) for item in ledger.changed(State.FAILED) if is_of_no_dataset(item | {"state": State.FAILED})}
    return {str(item["dataset"]) for item in ledger.everything_received() if _id(item) not in stray}


def _id(item: Item) -> str:
    return str(item["object_id"])


def _updated(item: Item) -> str:
    return str(item["updated_at"])


def _keys(item: Item) -> set[str]:
    """Keys that an object is known by: the one that first carried its rows, and that of its present version."""
    return {str(item["origin"]["key"]), str(item["key"])}


def one(ledger: LedgerView, name: str) -> Entry:
    """The object with this id, or the only one whose id begins so. Ends with one line when there is none."""
    text = name.lower()
    if not OBJECT_ID.fullmatch(text):
        fail(f"{name!r} is not an object id: give 4 to 32 hexadecimal digits, as `sluice runs` shows them")
    if len(text) < 32:
        matches = [item for item in ledger.everything_received() if _id(item).startswith(text)]
        if len(matches) > 1:
            fail(f"{name!r} is the beginning of {len(matches)} object ids: give more digits")
        text = str(matches[0]["object_id"]) if matches else text
    entry = ledger.one(text)
    if entry is None:
        fail(f"the ledger has no object {name!r}: `sluice runs` lists its objects", 1)
    return entry


def parse_since(text: str, now: datetime | None = None) -> str:
    """``30m``, ``2h``, ``1d`` ago, or a date or time in ISO 8601, as the ledger writes times."""
    if match := _AGE.fullmatch(text):
        moment = (now or datetime.now(UTC)) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            fail(f"--since {text!r}: write 30m, 2h, 1d or a time such as 2025-03-01T12:00:00Z")
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def history(item: Item) -> list[Item]:
    """An object's runs, the newest first: the present one and the former ones that the ledger has.

    The state of one that a newer run has replaced before it ended is ``replaced``.
    """
    from sluice_pipeline.ledger.items import present_run

    present = dict(present_run(cast("ObjectItem", item)))
    former = (
        run if run.get("state") in FINAL else run | {"state": REPLACED} for run in reversed(item.get("former_runs", []))
    )
    return [present, *former]


def seconds_taken(item: Item) -> float | None:
    """Seconds from the begin of the present run (of the first one, the event) to its commit, None while it is open."""
    if not item.get("committed_at"):
        return None
    return seconds_between(item.get("began_at") or item["received_at"], item["committed_at"])


def seconds_between(begin: object, end: object) -> float:
    """Of two times as the ledger writes them."""
    return (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(begin))).total_seconds()
