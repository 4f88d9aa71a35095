"""What Scheduler remembers: groups, schedules and invocations that have not ended, by account and region."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sluice_ext.regions import PerRegion
from sluice_ext.timeline import expressions

DEFAULT: Final = "default"
ENABLED: Final = "ENABLED"
_MAX_TOKENS: Final = 10_000
_JUST_BEFORE: Final = timedelta(microseconds=1)
Key = tuple[str, str, str, str]  # account, region, group, name


@dataclass
class Delivery:
    """One invocation of a target. ``began`` is when it was first tried, ``due`` when it is tried next."""

    id: str
    scheduled: datetime
    began: datetime
    due: datetime
    target: dict[str, Any]
    attempts: int = 0


@dataclass
class Schedule:
    """``given`` is what GetSchedule shows without ARN and times; a rate without a StartDate counts from ``anchor``."""

    account: str
    region: str
    given: dict[str, Any]
    created: datetime
    modified: datetime
    anchor: datetime
    fired: datetime | None = None  # the last time for which it fired
    done: bool = False  # a one-time schedule that has fired
    pending: dict[str, Delivery] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.account, self.region, self.given["GroupName"], self.given["Name"]

    @property
    def arn(self) -> str:
        return f"arn:aws:scheduler:{self.region}:{self.account}:schedule/{self.given['GroupName']}/{self.given['Name']}"

    @property
    def one_time(self) -> bool:
        return str(self.given["ScheduleExpression"]).startswith("at(")

    @property
    def enabled(self) -> bool:
        return bool(self.given["State"] == ENABLED) and not self.done

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than ``moment`` at which it is due. One-time schedules ignore StartDate and EndDate."""
        start, end = self.given.get("StartDate"), self.given.get("EndDate")
        expression = expressions.parse(
            self.given["ScheduleExpression"], start or self.anchor, self.given["ScheduleExpressionTimezone"]
        )
        if self.one_time:
            return expression.after(moment)
        found = expression.after(max(moment, start - _JUST_BEFORE) if start else moment)
        return found if found is not None and (end is None or found <= end) else None


@dataclass
class Group:
    """A schedule group."""

    name: str
    arn: str
    created: datetime
    modified: datetime
    state: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Store:
    """Of one account in one region."""

    groups: dict[str, Group] = field(default_factory=dict)
    schedules: dict[tuple[str, str], Schedule] = field(default_factory=dict)  # by group and name
    tokens: OrderedDict[str, tuple[str, dict[str, Any]]] = field(default_factory=OrderedDict)

    def remember(self, token: str, request: str, answer: dict[str, Any]) -> None:
        """What a request with a ClientToken was answered; the oldest are forgotten."""
        self.tokens[token] = request, answer
        while len(self.tokens) > _MAX_TOKENS:
            self.tokens.popitem(last=False)


STORES = PerRegion(Store)


def find(key: Key) -> Schedule | None:
    """The schedule, unless it has been deleted."""
    return STORES.of(key[0], key[1]).schedules.get((key[2], key[3]))
