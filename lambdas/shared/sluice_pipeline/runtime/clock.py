"""Time as the ledger writes it."""

from datetime import UTC, datetime


def now() -> str:
    """UTC, ISO 8601 with milliseconds, so that strings sort as times do."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
