"""The verdict of an audit as a file, and as a page for people; publish and the operator's tool read the file."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from quality.audit.page import page_of
from quality.audit.rows import RECORD_ID, Outcome, Rows
from quality.verdict import page_key, verdict_key
from sluice_pipeline.catalog.expectations import Expectation
from sluice_pipeline.dynamo.values import text_of

_SHOWN: Final = 200  # characters of a value
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"


class Verdicts:
    """The bucket of verdicts."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def write(self, verdict: Mapping[str, Any]) -> None:
        """The page first, so that a verdict has a page."""
        name = verdict["object_id"], verdict["run"]
        self._put(page_key(verdict["dataset"], *name), page_of(verdict).encode(), HTML)
        body = json.dumps(verdict, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        self._put(verdict_key(*name), body.encode(), JSON)

    def _put(self, key: str, body: bytes, kind: str) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=kind)


def described(rows: Rows, expectations: Sequence[Expectation], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A dataset's part of the verdict."""
    broken = [(one, of) for one, of in zip(expectations, outcomes, strict=True) if of.first]
    numbers = [number for _, of in broken for number in of.first]
    samples = rows.pick(numbers, [name for one, _ in broken for name in one.fields])
    return {
        "rows": rows.count,
        "expectations": [
            _entry(one, of, [_sample(samples[number], one.fields) for number in of.first])
            for one, of in zip(expectations, outcomes, strict=True)
        ],
    }


def _entry(expectation: Expectation, outcome: Outcome, samples: list[dict[str, Any]]) -> dict[str, Any]:
    fields = expectation.fields
    return {
        "name": expectation.name,
        "expectation": str(expectation.kind),
        "expected": expected(expectation),
        "field": (fields[0] if len(fields) == 1 else list(fields)) if fields else "",
        "hard": expectation.hard,
        "mostly": expectation.mostly,
        "passed": outcome.passed,
        "rows": outcome.judged,
        "failed": outcome.failed,
        "observed": outcome.observed,
        "samples": samples,
    }


def expected(expectation: Expectation) -> str:
    """What is expected, in words."""
    one = expectation
    what = ", ".join(one.fields)
    if one.condition:
        return one.condition.text
    if one.hours:
        return f"newest {what} at most {one.hours:g} hours older than the object's arrival"
    if one.allowed:
        return f"{what} is one of {', '.join(map(str, one.allowed))}"[:_SHOWN]
    if one.pattern:
        return f"{what} matches {one.pattern}"[:_SHOWN]
    if one.minimum is not None or one.maximum is not None:
        low, high = ("" if bound is None else _number(bound) for bound in (one.minimum, one.maximum))
        between = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
        return f"{what} is {between}" if what else f"{between} {'row' if between.endswith(' 1') else 'rows'}"
    return (
        f"no two rows share {what}"
        if one.kind.startswith("expect_c") and "unique" in one.kind
        else f"{what} has a value"
    )


def _sample(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """A failed row: its id, and what the expectation reads of it, as text; null for no value."""
    if len(fields) == 1:
        value = shown(row[fields[0]])
    else:
        value = ", ".join(f"{name}={'null' if row[name] is None else shown(row[name])}" for name in fields)
    return {"record_id": row[RECORD_ID], "value": value}


def shown(value: Any) -> str | None:
    """A value as short text."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return text_of(value) if isinstance(value, datetime | date) else str(value)[:_SHOWN]


def _number(bound: float | Decimal) -> str:
    """A bound as a person writes it: 90 and not 90.0."""
    return (
        str(int(bound)) if isinstance(bound, float) and bound.is_integer() and abs(bound) < 1e15 else f"{shown(bound)}"
    )
