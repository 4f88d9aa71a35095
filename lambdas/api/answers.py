"""The API's answers: one shape for a success, another for an error, and the kinds of errors."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

JSON: Final = "application/json"


class ApiError(Exception):
    """An error answer; ``suggestions`` say what the caller can do."""

    def __init__(self, status: int, kind: str, message: str, suggestions: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.suggestions = list(suggestions)

    def body(self) -> str:
        return error_body(self.kind, self.message, self.suggestions)


def error_body(kind: str, message: str, suggestions: Iterable[str] = ()) -> str:
    """The shape of an error, which the gateway's own answers have too (infra/modules/api)."""
    return json.dumps({"success": False, "error": {"message": message, "type": kind}, "suggestions": list(suggestions)})


def refused(message: str, *suggestions: str) -> ApiError:
    """400: the request is wrong, so a retry cannot help."""
    return ApiError(400, "InvalidRequest", message, suggestions)


def query_refused(message: str, *suggestions: str) -> ApiError:
    """400: a custom query that is not allowed."""
    return ApiError(400, "QueryRefused", message, suggestions or ("send one SELECT over silver, canonical or control",))


def too_large(message: str) -> ApiError:
    return ApiError(400, "ResultTooLarge", message, ["lower the limit", "ask with POST /analytics/jobs and download"])


def database_unavailable() -> ApiError:
    """503; the answer does not say where the database is, or why it does not answer."""
    return ApiError(503, "DatabaseUnavailable", "the warehouse does not answer", ["try again in a minute"])


def timed_out(seconds: float) -> ApiError:
    return ApiError(
        504, "QueryTimeout", f"the query took longer than {seconds:g} s and was stopped",
        ["narrow it with since, until or limit", "ask with POST /analytics/jobs, which has more time"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """Rows as the text of a JSON array, so that they are encoded once, cached or not."""

    data: str
    count: int
    truncated: bool = False
    cached: bool = False
    version: str = field(default="", compare=False)


def success_body(operation: str, operation_id: str, milliseconds: float, result: Result) -> str:
    head = {
        "success": True,
        "operation": operation,
        "operationId": operation_id,
        "executionTime": round(milliseconds, 3),
    }
    metadata = {
        "resultCount": result.count,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "cacheHit": result.cached,
        "truncated": result.truncated,
    }
    return f'{json.dumps(head)[:-1]}, "data": {result.data}, "metadata": {json.dumps(metadata)}}}'


def plain_body(**values: Any) -> str:
    """A success without the envelope of an operation."""
    return json.dumps({"success": True} | values)
