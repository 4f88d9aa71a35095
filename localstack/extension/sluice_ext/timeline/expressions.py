"""cron(...), rate(...) and at(...): when a schedule is due. Pure; moments are in UTC.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from sluice_ext.timeline.cron import Cron, Malformed
from sluice_ext.timeline.cron import parse as parse_cron

_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}


class Expression(Protocol):
    """When something is due."""

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than ``moment``; None when there is none."""
        ...


@dataclass(frozen=True)
class Rate:
    """Every so many seconds, one of these times being ``start``. A day has 24 hours, whatever a zone does to it."""

    seconds: int
    start: datetime

    def after(self, moment: datetime) -> datetime | None:
        try:
            step = timedelta(seconds=self.seconds)
            return self.start + ((moment - self.start) // step + 1) * step
        except OverflowError:
            return None


@dataclass(frozen=True)
class Once:
    """At one time."""

    moment: datetime | None

    def after(self, moment: datetime) -> datetime | None:
        return self.moment if self.moment is not None and self.moment > moment else None


@dataclass(frozen=True)
class Recurring:
    """A cron expression on the clocks of a zone.

    A time that the clocks leave out in spring is skipped; one that they show twice in autumn counts the first time.
    """

    cron: Cron
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        wall = moment.astimezone(self.zone).replace(tzinfo=None, fold=0)
        while found := self.cron.after(wall):
            at = instant(found, self.zone)
            if at is not None and at > moment:
                return at
            wall = found
        return None


def instant(wall: datetime, zone: tzinfo) -> datetime | None:
    """The moment when clocks first show ``wall``; None when they leave it out."""
    try:
        found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        return found if found.astimezone(zone).replace(tzinfo=None) == wall else None
    except OverflowError:  # the last hours of the year 9999
        return None


def zone_of(name: str) -> tzinfo:
    """Raises Malformed when the machine knows no such zone; UTC needs no files of zones."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Malformed(f"{name!r} is no time zone") from error


def parse(text: str, start: datetime, zone: str = "UTC") -> Expression:
    """The meaning of an expression; rates count from ``start``. Raises Malformed."""
    match = re.fullmatch(r"(cron|rate|at)\((.*)\)", text)
    if match is None:
        raise Malformed(f"{text!r} is none of cron(...), rate(...), at(...)")
    kind, content = match.groups()
    if kind == "cron":
        return Recurring(parse_cron(content), zone_of(zone))
    if kind == "rate":
        return Rate(_seconds(content), start)
    try:
        wall = datetime.strptime(content, "%Y-%m-%dT%H:%M:%S")
    except ValueError as error:
        raise Malformed(f"{content!r} is not yyyy-mm-ddThh:mm:ss") from error
    return Once(instant(wall, zone_of(zone)))


def _seconds(content: str) -> int:
    match = re.fullmatch(r"([1-9]\d{0,9}) (minute|hour|day)s?", content, re.ASCII)
    if match is None:
        raise Malformed(f"{content!r} is not a number and one of minutes, hours and days")
    return int(match[1]) * _UNITS[match[2]]
