"""Results of jobs: written row by row to a file, stored in S3, returned inline or as a URL."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import boto3
from botocore.config import Config

from api.answers import JSON, too_large
from api.jobs.store import Outcome, result_key
from api.queries.reading import as_json

MAX_BYTES: Final = 400_000_000  # of the 512 MB that /tmp has
URL_SECONDS: Final = 900


class Results:
    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def write(self, job_id: str, rows: Iterator[dict[str, Any]], limit: int) -> Outcome:
        """A JSON array under the job's own key, so that a job done twice writes the same object.

        Raises:
            ApiError: it is more than 400 MB.
        """
        count = 0
        truncated = False
        with NamedTemporaryFile("w", encoding="ascii", suffix=".json") as file:
            file.write("[")
            for row in rows:
                if count == limit:
                    truncated = True
                    break
                file.write(f"{',' if count else ''}\n{as_json(row)}")
                count += 1
                if file.tell() > MAX_BYTES:
                    raise too_large(f"the result is more than {MAX_BYTES:,} bytes")
            file.write("\n]\n")
            file.flush()
            size = Path(file.name).stat().st_size
            with Path(file.name).open("rb") as body:
                self._s3.put_object(Bucket=self._bucket, Key=result_key(job_id), Body=body, ContentType=JSON)
        return Outcome(count, size, truncated)

    def read(self, job_id: str) -> str:
        answer = self._s3.get_object(Bucket=self._bucket, Key=result_key(job_id))
        return str(answer["Body"].read().decode("ascii"))

    def url(self, job_id: str) -> tuple[str, datetime]:
        """A URL that opens the result without a key, and until when."""
        parameters = {"Bucket": self._bucket, "Key": result_key(job_id)}
        url = self._s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=URL_SECONDS)
        return str(url), datetime.now(UTC) + timedelta(seconds=URL_SECONDS)


def s3_client() -> Any:
    """Signs with version 4 and the bucket's region, without which S3 does not return objects under a KMS key:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"""
    region = os.environ.get("AWS_REGION")
    config = Config(signature_version="s3v4", connect_timeout=3, read_timeout=20, region_name=region)
    return boto3.client("s3", config=config)
