"""Answers in DynamoDB, with a time to live, by the question and the state of the data."""

import hashlib
import json
import time
from collections import OrderedDict
from typing import Any, Final

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from api.answers import Result
from sluice_pipeline.dynamo.table import Table

SK: Final = "answer"
_MAX_BYTES: Final = (
    350_000  # of 400 KB: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
)
MEMORY_CHARACTERS: Final = 4_000_000
MEMORY_SECONDS: Final = 60.0
"""How long an environment answers without DynamoDB: an item that an operator has deleted is gone a minute later."""
logger = Logger(child=True)


def key_of(operation: str, parameters: dict[str, Any], version: str) -> str:
    """The same question about the same data has the same key, in whatever order its parameters came."""
    text = json.dumps([operation, parameters, version], sort_keys=True)
    return f"cache#{hashlib.sha256(text.encode()).hexdigest()}"


class Remembered:
    """Answers that this environment has read, for a while; the one that was used longest ago makes room.

    What an environment has in memory stays for its next invocations.
    https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html
    """

    def __init__(self, characters: int = MEMORY_CHARACTERS) -> None:
        self._most = characters
        self._characters = 0
        self._answers: OrderedDict[str, tuple[float, Result]] = OrderedDict()

    def get(self, key: str, now: float) -> Result | None:
        until, result = self._answers.get(key, (0.0, None))
        if result is None or until <= now:
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return result

    def put(self, key: str, result: Result, until: float) -> None:
        self._forget(key)
        self._answers[key] = until, result
        self._characters += len(result.data)
        while self._characters > self._most:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: str) -> None:
        if gone := self._answers.pop(key, None):
            self._characters -= len(gone[1].data)


class ResultCache:
    """When the cache does not answer, the database is asked, and the log has a warning."""

    def __init__(self, table: Table, ttl_seconds: int) -> None:
        self._table = table
        self._ttl_seconds = ttl_seconds
        self._remembered = Remembered()

    def get(self, key: str) -> Result | None:
        """The stored answer, if it has not expired: DynamoDB deletes expired items some time later."""
        if not self._ttl_seconds:
            return None
        now = time.time()
        if remembered := self._remembered.get(key, now):
            return remembered
        try:
            item = self._table.get(key, SK)
        except (ClientError, BotoCoreError):
            logger.warning("the cache cannot be read", exc_info=True)
            return None
        if item is None or int(item["expires_at"]) <= now:
            return None
        result = Result(item["data"], int(item["count"]), bool(item["truncated"]), cached=True)
        self._remembered.put(key, result, min(int(item["expires_at"]), now + MEMORY_SECONDS))
        return result

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
