"""What a replay is asked for, which objects it takes, and whether its result is reconciled. No AWS calls in here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, TypedDict

from sluice_pipeline.catalog.rules import RulesVersion, is_version_text
from sluice_pipeline.ledger.items import FINAL, ObjectItem, State
from sluice_pipeline.ledger.listing import ANY, Window
from sluice_pipeline.objects.keys import BRONZE, dataset_of
from sluice_pipeline.requests import InvalidRequest, NamedRequest, digest, object_id_of

_RELATIVE: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Request(NamedRequest):
    """Which objects to reprocess: those for which everything that is given holds.

    ``since`` and ``until`` are times in UTC, or an age such as 2h, counted back from the start of the execution.
    ``id`` tells apart two requests for the same objects. ``rules`` is the version that was in service when it
    was made (``RulesVersion.text``): after a deployment of other rules, or of former ones again, the request is another
    one. A schedule gives none.
    """

    dataset: str = ANY
    prefix: str = ""
    since: str = ""
    until: str = ""
    object_id: str = ""
    id: str = ""
    rules: str = ""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Checks a request and brings it into its one canonical form.

        Raises:
            InvalidRequest: a field is unknown, of a wrong form, contradicts another, or nothing is chosen.
        """
        given = {name: value.strip() for name, value in cls.given(raw).items()}
        dataset, prefix, object_id = given.get("dataset") or ANY, given.get("prefix", ""), given.get("object_id", "")
        since, until = (_bound(name, given.get(name, "")) for name in ("since", "until"))
        if prefix and not prefix.startswith(BRONZE):
            raise InvalidRequest(f"prefix {prefix!r} does not begin with {BRONZE}")
        if object_id:
            object_id_of(object_id)
        if object_id and (prefix or since or until):
            raise InvalidRequest("object_id names one object: leave out prefix, since and until")
        named = dataset_of(prefix)
        if named and dataset not in (ANY, named):
            raise InvalidRequest(f"no object of dataset {dataset} is under {prefix}")
        if not (prefix or object_id or since or until) and dataset == ANY:
            raise InvalidRequest(f"nothing is chosen: give a dataset, a prefix ({BRONZE} is everything) or a time")
        if since and until and not (_is_age(since) or _is_age(until)) and since >= until:
            raise InvalidRequest(f"since {since} is not before until {until}")
        rules = given.get("rules", "")
        if rules and not is_version_text(rules):
            raise InvalidRequest(f"rules {rules!r} is not a version of the rules, <sha256>/<version id>")
        return cls(named or dataset, prefix, since, until, object_id, given.get("id", ""), rules)

    @property
    def name(self) -> str:
        """The execution's name, so that a request which comes twice starts one execution."""
        return f"replay-{digest(self.canonical, 32)}"

    def check_rules(self, current: RulesVersion) -> None:
        """Raises InvalidRequest when the rules in service are no longer those that the request was made under."""
        if self.rules and self.rules.partition("/")[0] != current.sha256:
            raise InvalidRequest("the rules changed after the request was made: make it again")

    def window(self, started: datetime) -> Window:
        """The times that are meant by an execution which started then."""
        return Window(*(_moment(text, started) for text in (self.since, self.until)))

    def takes(self, item: ObjectItem, window: Window) -> bool:
        return (
            self.dataset in (ANY, item["dataset"])
            and self.object_id in ("", item["object_id"])
            and item["origin"]["key"].startswith(self.prefix)
            and window.holds(item["received_at"])
        )


def _is_age(text: str) -> bool:
    return bool(_RELATIVE.fullmatch(text))


def _bound(name: str, text: str) -> str:
    if not text or _is_age(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest(f"{name} {text!r}: write 30m, 2h, 1d or a time such as 2025-03-01T12:00:00Z") from error
    return _written(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)


def _moment(text: str, started: datetime) -> str:
    if match := _RELATIVE.fullmatch(text):
        return _written(started - timedelta(**{_UNITS[match[2]]: int(match[1])}))
    return text


def _written(moment: datetime) -> str:
    """Without the Z that ends the ledger's times: so a bound sorts before every time it begins."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")


# -- the plan --------------------------------------------------------------------------------------------------------


class Entry(TypedDict):
    """One object of a plan as it was when the plan was made; ``reason`` says why an object is left out."""

    object_id: str
    key: str
    dataset: str
    state: str
    run: int
    size: int
    rows_in: int
    rows_silver: int
    rows_quarantined: int
    reason: str


ENTRY_FIELDS: Final = (
    "origin", "dataset", "state", "failed_reason", "chunk_count", "run", "size", "rows_in", "rows_silver",
    "rows_quarantined",
)  # fmt: skip
"""What `entry_of` needs of an object's item beside its id."""


def entry_of(item: ObjectItem) -> Entry:
    """An object that was never cut into chunks has none to send: to redrive its dead-letter message ingests it."""
    left_out = ""
    if not int(item["chunk_count"]):
        left_out = f"never planned ({item.get('failed_reason') or item['state']}): redrive its dead-letter message"
    return Entry(
        object_id=item["object_id"],
        key=item["origin"]["key"],
        dataset=item["dataset"],
        state=item["state"],
        run=int(item["run"]),
        size=int(item["size"]),
        rows_in=int(item["rows_in"]),
        rows_silver=int(item["rows_silver"]),
        rows_quarantined=int(item["rows_quarantined"]),
        reason=left_out,
    )


# -- the end ---------------------------------------------------------------------------------------------------------


def finished(entry: Entry, item: ObjectItem | None) -> bool:
    """Whether the replay's run of an object, or a newer one, has come to an end."""
    return item is None or (int(item["run"]) > entry["run"] and item["state"] in FINAL)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``committed`` and ``left out`` are fine, all others need the operator."""

    kind: str
    reason: str = ""

    @property
    def fine(self) -> bool:
        return self.kind in ("committed", "left out")


def outcome_of(entry: Entry, item: ObjectItem | None, gone: str | None) -> Outcome:
    """What became of an object; ``gone`` says which version could not be read, None when it was there."""
    if entry["reason"]:
        return Outcome("left out", entry["reason"])
    if item is None:
        return Outcome("lost", "the ledger no longer knows it: it has expired, or was removed")
    if gone is not None:
        return Outcome("missing", gone)
    if int(item["run"]) <= entry["run"]:
        return Outcome("unfinished", f"run {entry['run'] + 1} was not opened")
    if item["state"] in (State.FAILED, State.MISSING, State.WITHHELD):
        return Outcome(str(item["state"]), f"{item.get('failed_reason', '')}: {item.get('error', '')}")
    if item["state"] != State.COMMITTED:
        done = f"{int(item['chunks_done'])} of {int(item['chunk_count'])} chunks are done"
        return Outcome("unfinished", f"{item['state']} in run {int(item['run'])}, {done}")
    rows_in, silver, rejected = (int(item[n]) for n in ("rows_in", "rows_silver", "rows_quarantined"))
    if rows_in != silver + rejected:
        return Outcome("uneven", f"{rows_in} rows in, {silver} in silver, {rejected} in quarantine")
    return Outcome("committed")
