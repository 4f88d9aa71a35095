"""What the Glue jobs wrote last, each of its own attempt: a report is there when the job's work is."""

import json
from typing import Any

from taxi.month import attempt_of


class NoReport(RuntimeError):
    """The job ended without its report."""


def report_key(job: str, batch: str) -> str:
    """``reports/ingest/2024-09/2024-09-1.json``."""
    month, _ = attempt_of(batch)
    return f"reports/{job}/{month}/{batch}.json"


class Reports:
    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def read(self, job: str, batch: str) -> dict[str, Any]:
        """Raises NoReport."""
        key = report_key(job, batch)
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            raise NoReport(f"{key} is not there") from None
        found: dict[str, Any] = json.loads(body)
        return found
