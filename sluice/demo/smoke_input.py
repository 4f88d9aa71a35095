"""The few objects of a smoke test: rows of a deployed dataset, known in every field, and one that must be rejected."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.console import FAILED, fail
from sluice.pipeline.seed import Upload, bronze_key

FOLDER = "smoke"
DEFAULT = "shipments"
ROWS = 100  # of an object: one rejected row among them is worth no notice
TIME, DAY = "2013-01-01T00:00:00Z", "2013-01-01"

type Row = dict[str, Any]


@dataclass(frozen=True)
class Object:
    """An upload, its good rows, and how many rows of it must be rejected."""

    upload: Upload
    good: Sequence[Row]
    bad: int


def prefix_of(dataset: str) -> str:
    """Where the smoke tests of a dataset put their objects, and nothing else does."""
    return f"bronze/{dataset}/{FOLDER}/"


def make(name: str, dataset: Mapping[str, Any], run: str) -> list[Object]:
    """JSON Lines, CSV, and JSON Lines with one row that lacks a required field. dataset: as it is deployed.

    Raises SluiceError (code 1) when rows of the dataset cannot be made up.
    """
    whole = [_row(dataset, run, number) for number in range(3 * ROWS)]
    first, second, third = whole[:ROWS], whole[ROWS : 2 * ROWS], whole[2 * ROWS :]
    broken = {field: value for field, value in third[0].items() if field != dataset["partition_by"]}

    def key(file: str) -> str:
        return bronze_key(name, f"{FOLDER}/{run}", file)

    return [
        Object(Upload(key("rows.jsonl"), lambda: _lines(first), len(first)), first, 0),
        Object(Upload(key("rows.csv"), lambda: _csv(second), len(second)), second, 0),
        Object(Upload(key("mixed.jsonl"), lambda: _lines([broken, *third[1:]]), len(third)), third[1:], 1),
    ]


def _row(dataset: Mapping[str, Any], run: str, number: int) -> Row:
    named = {dataset["partition_by"], *dataset.get("key", [])}
    return {
        field: _value(field, spec, run, number)
        for field, spec in sorted(dataset["fields"].items())
        if spec.get("required") or field in named
    }


def _value(field: str, spec: Mapping[str, Any], run: str, number: int) -> Any:
    if spec.get("allowed"):
        return spec["allowed"][0]
    kind = str(spec["type"])
    if kind == "string":
        return f"smoke-{run}-{number}"
    if kind in ("int64", "float64") or kind.startswith("decimal"):
        return spec.get("min", min(spec.get("max", 1), 1))
    values = {"timestamp": TIME, "date": DAY, "bool": True}
    return values[kind] if kind in values else fail(f"{field}: no value of type {kind} can be made up", FAILED)


def _lines(rows: Sequence[Row]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
