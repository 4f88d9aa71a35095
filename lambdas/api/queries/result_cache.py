"""Answers in DynamoDB, with a time to live, by the question and the state of the data."""

import hashlib
import json
import time
from typing import Any, Final

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from api.answers import Result
from sluice_pipeline.dynamo.table import Table

SK: Final = "answer"
_MAX_BYTES: Final = (
    350_000  # of 400 KB: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
)
logger = Logger(child=True)


def key_of(operation: str, parameters: dict[str, Any], version: str) -> str:
    """The same question about the same data has the same key, in whatever order its parameters came."""
    text = json.dumps([operation, parameters, version], sort_keys=True)
    return f"cache#{hashlib.sha256(text.encode()).hexdigest()}"


class ResultCache:
    """When the cache does not answer, the database is asked, and the log has a warning."""

    def __init__(self, table: Table, ttl_seconds: int) -> None:
        self._table = table
        self._ttl_seconds = ttl_seconds

    def get(self, key: str) -> Result | None:
        """The stored answer, if it has not expired: DynamoDB deletes expired items some time later."""
        if not self._ttl_seconds:
            return None
        try:
            item = self._table.get(key, SK)
        except (ClientError, BotoCoreError):
            logger.warning("the cache cannot be read", exc_info=True)
            return None
        if item is None or int(item["expires_at"]) <= time.time():
            return None
        return Result(item["data"], int(item["count"]), bool(item["truncated"]), cached=True)

    def put(self, key: str, result: Result) -> None:
        """Large results are not stored."""
        if not self._ttl_seconds or len(result.data) > _MAX_BYTES:
            return
        item = {"pk": key, "sk": SK, "data": result.data, "count": result.count, "truncated": result.truncated,
                "expires_at": int(time.time()) + self._ttl_seconds}  # fmt: skip
        try:
            self._table.put_all([item])
        except (ClientError, BotoCoreError):
            logger.warning("the cache cannot be written", exc_info=True)
