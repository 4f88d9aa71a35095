"""A run of the check-in workflow: what it is asked for, and the names of its execution and its objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Final, Self

from sluice_pipeline.requests import InvalidRequest, NamedRequest, digest, object_id_of

FAILED_ROWS: Final = "checks/"  # not below quarantine/, where the ledger knows every file


@dataclass(frozen=True, slots=True)
class Request(NamedRequest):
    """One file of one day. ``hard_testing``: 'true' makes every test hard, 'false' every one soft, '' leaves each as
    it is. ``id`` tells apart runs of one file.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ("day", "dataset", "key", "object_id")

    day: str
    dataset: str
    key: str
    object_id: str
    hard_testing: str = ""
    id: str = ""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Checks the input of an execution.

        Raises:
            InvalidRequest: a field is unknown, missing or of a wrong form.
        """
        given = cls.given(raw)
        object_id_of(given["object_id"])
        hard_of(given.get("hard_testing", ""))
        return cls(**given | {"day": day_of(given["day"])})

    @property
    def name(self) -> str:
        """The execution's name, at most 80 characters: the same file of the same day runs once."""
        other = f"-{digest(self.id, 12)}" if self.id else ""
        return f"checkin-{self.day}-{self.object_id}{other}"


def day_of(text: str) -> str:
    """A date in the one form YYYY-MM-DD; raises InvalidRequest."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InvalidRequest(f"day {text!r} is not a date such as 2026-03-01") from error


def hard_of(text: str) -> bool | None:
    """``HARD_TESTING``: whether all tests are hard or soft, None when each says for itself; raises InvalidRequest."""
    if text not in ("", "true", "false"):
        raise InvalidRequest(f"hard_testing {text!r} is neither true, false nor empty")
    return text == "true" if text else None


def prefix_of(dataset: str, day: str) -> str:
    """Where a dataset's files of a day are in bronze."""
    return f"bronze/{dataset}/dt={day}/"


def failed_rows_key(name: str) -> str:
    """A run's rows that failed a test, as JSON lines in the quarantine bucket."""
    return f"{FAILED_ROWS}{name}.jsonl"
