"""Time as the ledger writes it."""

from datetime import UTC, datetime


def present() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, so that strings sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """The present time, written."""
    return written(present())
