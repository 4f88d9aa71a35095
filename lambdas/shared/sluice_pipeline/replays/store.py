"""What a replay stores between its steps, as JSON objects under ``replays/<name>/`` of one bucket.

A workflow's state holds 256 KB and a plan may be larger, so the plan is here and the workflow passes batch numbers:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

import json
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.runtime.errors import code_of

PREFIX: Final = "replays/"
SUMMARY: Final = "plan"  # the request, how many objects and batches
RESULT: Final = "result"  # the reconciliation


def plan_part(batch: int) -> str:
    """Entries of the objects in a batch."""
    return f"plan/{batch:05d}"


def gone_part(batch: int) -> str:
    """Which objects of a batch could not be requeued, by id with the reason."""
    return f"gone/{batch:05d}"


class ReplayStore:
    def __init__(self, client: Any, bucket: str, name: str) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name

    def write(self, part: str, value: Any) -> None:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        self._client.put_object(Bucket=self._bucket, Key=self._key(part), Body=body, ContentType="application/json")

    def read(self, part: str) -> Any:
        """What was written; raises ClientError (NoSuchKey) when nothing was."""
        return json.loads(self._client.get_object(Bucket=self._bucket, Key=self._key(part))["Body"].read())

    def find(self, part: str) -> Any | None:
        """What was written, None when nothing was."""
        try:
            return self.read(part)
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            return None

    def _key(self, part: str) -> str:
        return f"{PREFIX}{self._name}/{part}.json"
