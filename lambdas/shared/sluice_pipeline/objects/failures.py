"""Why an object, or one row of it, could not be ingested: the codes in ledger, quarantine and notices."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

UNSEEN_AT_MOST: Final = timedelta(minutes=15)
"""For as long, after versioning of a bucket was first enabled, NoSuchKey may be S3's answer to a version that is there.

One that is gone is NoSuchVersion: https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html
"""


class Reason(StrEnum):
    """Why one row is in quarantine."""

    MALFORMED_JSON = "malformed_json"
    MALFORMED_CSV = "malformed_csv"
    WRONG_TYPE = "wrong_type"
    MISSING_REQUIRED = "missing_required"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED = "not_allowed"
    WRONG_PATTERN = "wrong_pattern"
    WRONG_LENGTH = "wrong_length"
    NOT_A_MULTIPLE = "not_a_multiple"
    CHECK_FAILED = "check_failed"  # a condition on several fields
    NOT_UNIQUE = "not_unique"  # an earlier row of the object has the same values
    UNKNOWN_RECORD_TYPE = "unknown_record_type"
    UNNAMED_COLUMN = "unnamed_column"  # a value in a column that no field names; the contract says quarantine
    UNPARSEABLE = "unparseable"  # the reader itself failed at the row
    CONTROL_TOTALS = "control_totals"  # of a file's summary: its rows are not what it says


class Failure(StrEnum):
    """Why a whole object failed."""

    UNKNOWN_DATASET = "unknown_dataset"
    UNREADABLE = "unreadable"
    TRUNCATED_GZIP = "truncated_gzip"
    OVER_LIMIT = "over_limit"
    LINE_TOO_LONG = "line_too_long"
    SCHEMA_FROZEN = "schema_frozen"  # it has a column that no field names, and the contract says freeze
    ARCHIVED = "archived"  # in a storage class that S3 does not read from
    MISSING_VERSION = "missing_version"
    RETRIES_EXHAUSTED = "retries_exhausted"  # "gave_up" in ledgers of earlier versions


class ObjectFailed(Exception):
    """A permanent error: no retry can ingest the object as it is. Its message moves to a dead-letter queue."""

    def __init__(self, code: Failure, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class ObjectMissing(Exception):
    """The version that the event named was deleted before it could be read."""


class ObjectUnseen(Exception):
    """S3 does not show the version yet: versioning of its bucket was enabled minutes ago. A later try finds it."""
