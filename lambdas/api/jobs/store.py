"""Jobs: questions that take longer than a request may. A job's item is in the analytics table, its result in S3.

Item: ``pk`` = ``job#<id>``, ``sk`` = ``job``; ``kind`` + ``created_key`` (index ``by_created``) list them.
A job's id is the name of its execution (Step Functions), so a request that comes twice starts one execution.
"""

import base64
import binascii
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.answers import ApiError, refused
from sluice_pipeline.dynamo import pages as row_pages
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.runtime.clock import now

SK: Final = "job"
KIND: Final = "job"
INDEX: Final = "by_created"
QUEUED, RUNNING, SUCCEEDED, FAILED = "queued", "running", "succeeded", "failed"
RESULTS: Final = "analytics/"  # prefix of results in the bucket
CURSOR_SECONDS: Final = 3600
_ERROR_CHARACTERS: Final = 1000


def job_pk(job_id: str) -> str:
    return f"job#{job_id}"


def result_key(job_id: str) -> str:
    return f"{RESULTS}{job_id}.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result in S3: rows, and bytes of the file."""

    rows: int
    size: int
    truncated: bool


def new_id(owner: str, idempotency_key: str | None) -> str:
    """The same key of the same owner is the same job."""
    if idempotency_key is None:
        return uuid.uuid4().hex
    return hashlib.sha256(json.dumps([owner, idempotency_key]).encode()).hexdigest()[:32]


class Jobs:
    """``keep_seconds``: until DynamoDB deletes a job."""

    def __init__(self, client: Any, table: str, keep_seconds: int) -> None:
        self._client = client
        self._table = Table(client, table)
        self._keep_seconds = keep_seconds

    def get(self, job_id: str) -> dict[str, Any] | None:
        return self._table.get(job_pk(job_id), SK)

    def add(self, job_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Creates a job unless it exists; the item.

        Raises:
            ApiError: 409 when the job of this id asks something else.
        """
        text = json.dumps(request, sort_keys=True)
        self._table.put_new([self._item(job_id, text)])
        item = self.get(job_id) or {}
        if item.get("request") != text:
            raise ApiError(409, "IdempotencyConflict", "this key was used for another question", ["use another key"])
        return item

    def begin(self, job_id: str, request: Mapping[str, Any]) -> bool:
        """Marks a job as running, and creates one that a schedule started. False when it has succeeded before.

        A failed job whose execution is retried runs again.
        """
        if self.get(job_id) is None:
            self._table.put_new([self._item(job_id, json.dumps(request, sort_keys=True))])
        began = self._table.update(
            job_pk(job_id),
            SK,
            "SET #state = :running , started_at = :now ADD attempts :one",
            "#state <> :succeeded",
            {":running": RUNNING, ":now": now(), ":one": 1, ":succeeded": SUCCEEDED},
        )
        return began is not None

    def succeed(self, job_id: str, outcome: Outcome) -> None:
        self._table.update(
            job_pk(job_id),
            SK,
            "SET #state = :state , finished_at = :now , result_rows = :rows , result_bytes = :size , "
            "result_truncated = :truncated REMOVE error_type , error_cause",
            "#state = :running",  # unless it was stopped meanwhile
            {":state": SUCCEEDED, ":running": RUNNING, ":now": now(), ":rows": outcome.rows, ":size": outcome.size,
             ":truncated": outcome.truncated},
        )  # fmt: skip

    def fail(self, job_id: str, kind: str, cause: str) -> None:
        """For an execution that was stopped; any other failure is recorded by the workflow itself."""
        self._table.update(
            job_pk(job_id),
            SK,
            "SET #state = :state , finished_at = :now , error_type = :kind , error_cause = :cause",
            "attribute_exists(pk) AND #state <> :succeeded",
            {":state": FAILED, ":now": now(), ":kind": kind, ":cause": cause, ":succeeded": SUCCEEDED},
        )

    def page(self, limit: int, cursor: str) -> row_pages.Page:
        """Newest first. Raises ApiError (400) for an invalid cursor, or one older than an hour."""
        place = row_pages.Place(self._table.name, "kind", "created_key", INDEX)
        try:
            found = row_pages.page(
                self._client, place, KIND, limit=limit, cursor=_opened(cursor) if cursor else "", newest_first=True
            )
        except row_pages.InvalidQuery as error:
            raise refused(str(error), "begin again without a cursor") from error
        return row_pages.Page(found.items, _closed(found.cursor) if found.cursor else "")

    def _item(self, job_id: str, request: str) -> dict[str, Any]:
        created = now()
        return {
            "pk": job_pk(job_id),
            "sk": SK,
            "kind": KIND,
            "created_key": f"{created}#{job_id}",
            "job_id": job_id,
            "state": QUEUED,
            "request": request,
            "created_at": created,
            "expires_at": int(time.time()) + self._keep_seconds,
        }


def described(item: Mapping[str, Any]) -> dict[str, Any]:
    """A job as the caller sees it."""
    request = json.loads(item.get("request", "{}"))
    found = {
        "id": item["job_id"],
        "state": item["state"],
        "operation": request.get("operation"),
        "parameters": request.get("parameters"),
        "createdAt": item["created_at"],
        "startedAt": item.get("started_at"),
        "finishedAt": item.get("finished_at"),
    }
    if item["state"] == SUCCEEDED:
        found |= {
            "resultCount": int(item["result_rows"]),
            "bytes": int(item["result_bytes"]),
            "truncated": bool(item["result_truncated"]),
        }
    if item["state"] == FAILED:
        found["error"] = {"type": item["error_type"], "message": _message(item["error_cause"])}
    return found


def _message(cause: str) -> str:
    """Lambda's errors come as JSON, others as text: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    try:
        return str(json.loads(cause)["errorMessage"])[:_ERROR_CHARACTERS]
    except (ValueError, KeyError, TypeError):
        return cause[:_ERROR_CHARACTERS]


def _closed(cursor: str) -> str:
    """A cursor with the time at which it was returned, so that it expires."""
    return base64.urlsafe_b64encode(f"{int(time.time())}.{cursor}".encode()).decode().rstrip("=")


def _opened(cursor: str) -> str:
    """Raises ApiError (400)."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        given, _, inner = text.partition(".")
        age = time.time() - int(given)
    except (ValueError, binascii.Error) as error:
        raise refused("the cursor is none", "begin again without a cursor") from error
    if not -60 <= age <= CURSOR_SECONDS or not inner:
        raise refused("the cursor has expired", "begin again without a cursor")
    return inner
