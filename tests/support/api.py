"""The analytics API as a test sees it: answers and errors in the shapes that every caller relies on."""

from __future__ import annotations

from typing import Any

from fixtures import formats, shipping
from sluice.branches.api.client import Answer
from tests.support.pipeline import Pipeline, Put
from tests.support.warehouse import Warehouse


def data_of(answer: Answer) -> list[dict[str, Any]]:
    """The rows of a success."""
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.body
    assert set(body) == {"success", "operation", "operationId", "executionTime", "data", "metadata"}
    assert body["success"] is True
    assert set(body["metadata"]) == {"resultCount", "timestamp", "cacheHit", "truncated"}
    assert body["metadata"]["resultCount"] == len(body["data"])
    found: list[dict[str, Any]] = body["data"]
    return found


def error_of(answer: Answer, status: int, kind: str) -> str:
    """What was said; the shape of every error."""
    assert (answer.status, answer.body["error"]["type"]) == (status, kind), answer.body
    assert set(answer.body) == {"success", "error", "suggestions"}
    assert answer.body["success"] is False
    assert set(answer.body["error"]) == {"message", "type"}
    assert answer.body["suggestions"]
    assert answer.headers["Content-Type"] == "application/json"
    message = str(answer.body["error"]["message"])
    assert "Traceback" not in message
    return message


def own_year(pipe: Pipeline) -> int:
    """A year whose rows are this test's alone."""
    return 3000 + int(pipe.run, 16) % 5000


def invoice_lines(run: str, count: int, year: int) -> list[dict[str, Any]]:
    """Lines in the first three months of the year, three to an invoice."""
    lines = shipping.records("invoice_lines", int(run[:6], 16), count)
    return [
        line | {"event_time": f"{year}-0{n % 3 + 1}-15T10:00:00Z", "invoice_id": f"{run}-{n // 3}"}
        for n, line in enumerate(lines)
    ]


def loaded(pipe: Pipeline, warehouse: Warehouse, dataset: str, rows: list[dict[str, Any]], name: str = "a") -> Put:
    """An object with these rows, in the warehouse."""
    put = pipe.put(dataset, formats.jsonl(rows), f"{name}.jsonl")
    warehouse.loaded(put)
    return put
