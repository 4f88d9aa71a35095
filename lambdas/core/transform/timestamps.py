"""Instants and dates: RFC 3339, and what a field's ``unit`` and ``format`` allow beside it.

Results are whole numbers: microseconds or days from 1970-01-01 UTC. A fraction of a second beyond microseconds is cut
off, so an instant never becomes a later one. https://www.rfc-editor.org/rfc/rfc3339
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Final

from sluice_pipeline.catalog.fields import RFC_3339

UNITS: Final = {"s": Fraction(1_000_000), "ms": Fraction(1_000), "us": Fraction(1), "ns": Fraction(1, 1_000)}
MIN_DAY: Final = -719_162  # 0001-01-01
MAX_DAY: Final = 2_932_896  # 9999-12-31
DAY: Final = 86_400_000_000  # microseconds
MIN_INSTANT: Final = MIN_DAY * DAY
MAX_INSTANT: Final = (MAX_DAY + 1) * DAY - 1
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Beside RFC 3339: a blank for the T, no zone (then UTC), a zone without minutes or colon, a date alone (midnight UTC).
_INSTANT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?", re.ASCII
)
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)


class BadTime(ValueError):
    """The text is no instant or date."""


class OutOfRange(ValueError):
    """It is one outside of 0001-01-01 to 9999-12-31 UTC."""


def instant(text: str) -> int:
    """Microseconds of a text in RFC 3339; raises BadTime or OutOfRange."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise BadTime("is none")
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = match.groups()
    total = _day(int(year), int(month), int(day)) * DAY
    if hour:
        if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
            raise BadTime("has no such time of day")
        micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
        total += ((int(hour) * 60 + int(minute)) * 60 + int(second)) * 1_000_000 + micros
    if sign:
        if int(zone_hour) > 23 or int(zone_minute or 0) > 59:
            raise BadTime("has no such zone")
        offset = (int(zone_hour) * 60 + int(zone_minute or 0)) * 60_000_000
        total += offset if sign == "-" else -offset
    return in_range(total)


def day(text: str) -> int:
    """Days of a text YYYY-MM-DD; raises BadTime or OutOfRange."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise BadTime("is none")
    found = _day(*(int(part) for part in match.groups()))
    if not MIN_DAY <= found <= MAX_DAY:
        raise OutOfRange("is outside of the years 1 to 9999")
    return found


def epoch(number: str, unit: str) -> int:
    """Microseconds of a number (its text) of units since 1970; raises OutOfRange."""
    value = Decimal(number)
    if value and value.adjusted() > 30:
        raise OutOfRange("is outside of the years 1 to 9999, UTC")
    if value.adjusted() < -30:
        return -1 if value < 0 else 0
    return in_range(floor(Fraction(value) * UNITS[unit]))


def formatted(text: str, formats: tuple[str, ...]) -> int:
    """Microseconds of a text in the first of these formats (Python's strptime) that it has; without a zone it is UTC.

    Raises BadTime or OutOfRange.
    """
    for format_ in formats:
        try:
            if format_ == RFC_3339:
                return instant(text)
            found = datetime.strptime(text, format_)
        except OutOfRange:
            raise
        except (ValueError, re.error, OverflowError):
            continue
        offset = found.utcoffset() or timedelta()
        return in_range((found.replace(tzinfo=UTC) - _EPOCH - offset) // timedelta(microseconds=1))
    raise BadTime(f"has none of the formats {', '.join(formats)}")


def in_range(micros: int) -> int:
    """The instant itself; raises OutOfRange when no date of the years 1 to 9999 (UTC) has it."""
    if not MIN_INSTANT <= micros <= MAX_INSTANT:
        raise OutOfRange("is outside of the years 1 to 9999, UTC")
    return micros


def _day(year: int, month: int, day_: int) -> int:
    """Days since 1970, also of year 0: the calendar repeats after 400 years, or 146,097 days."""
    shift = year == 0
    try:
        ordinal = date(year + 400 * shift, month, day_).toordinal()
    except ValueError as error:
        raise BadTime("has no such day") from error
    return ordinal - 146_097 * shift - _EPOCH_ORDINAL
