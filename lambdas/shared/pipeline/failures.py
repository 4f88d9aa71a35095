"""Why an object, or one row of it, could not be taken in: the codes that ledger, quarantine and notices share."""

from enum import StrEnum


class Reason(StrEnum):
    """Why one row is in quarantine."""

    MALFORMED_JSON = "malformed_json"
    MALFORMED_CSV = "malformed_csv"
    WRONG_TYPE = "wrong_type"
    MISSING_REQUIRED = "missing_required"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN_RECORD_TYPE = "unknown_record_type"
    CONTROL_TOTALS = "control_totals"  # of a file's summary: its rows are not what it says


class Failure(StrEnum):
    """Why a whole object failed."""

    UNKNOWN_DATASET = "unknown_dataset"
    UNREADABLE = "unreadable"
    TRUNCATED_GZIP = "truncated_gzip"
    OVER_LIMIT = "over_limit"
    LINE_TOO_LONG = "line_too_long"
    MISSING_VERSION = "missing_version"
    GAVE_UP = "gave_up"


class ObjectFailed(Exception):
    """No retry can take this object in as it is; it goes to a dead-letter queue with its reason."""

    def __init__(self, code: Failure, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class ObjectMissing(Exception):
    """The version that the event named was deleted before it could be read."""
