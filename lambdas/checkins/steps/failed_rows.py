"""Rows of silver that fail a test: `test` writes them down, `load` leaves them out."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from checkins.request import failed_rows_key


class FailedRows:
    """One object a run, in the quarantine bucket: JSON lines as those of quarantined rows, in no order."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def write(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Writes the object also when no row failed: `load` fails for a run that was not tested."""
        body = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        self._s3.put_object(
            Bucket=self._bucket, Key=failed_rows_key(name), Body=body.encode(), ContentType="application/x-ndjson"
        )

    def offsets(self, name: str) -> set[int]:
        """Where in the source they stand; raises ClientError (NoSuchKey) when the run was not tested."""
        return {int(row["offset"]) for row in self._read(name)}

    def _read(self, name: str) -> Iterator[dict[str, Any]]:
        body = self._s3.get_object(Bucket=self._bucket, Key=failed_rows_key(name))["Body"]
        yield from map(json.loads, body.iter_lines())


def entry(dataset: str, row: dict[str, Any], tests: list[str], hard: bool) -> dict[str, Any]:
    """What is written of a silver row: its place, the tests that it fails, and its columns."""
    return {
        "record_id": row["_record_id"],
        "object_id": row["_record_id"].rpartition("-")[0],
        "dataset": dataset,
        "source_key": row["_source_key"],
        "source_version": row["_source_version"],
        "offset": row["_source_offset"],
        "tests": tests,
        "hard": hard,
        "row": {name: value for name, value in row.items() if not name.startswith("_")},
    }
