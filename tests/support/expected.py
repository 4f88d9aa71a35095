"""Random rows of a dataset with every type, and expectations of them, for the engines of the quality gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from quality.audit.rows import File, Rows
from sluice_pipeline.catalog.datasets import Dataset, parse_dataset

ARRIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = {
    "at": {"type": "timestamp", "required": True},
    "name": {"type": "string"},
    "stars": {"type": "int64"},
    "weight": {"type": "float64"},
    "price": {"type": "decimal(38,4)"},
    "paid": {"type": "bool"},
    "day": {"type": "date"},
    "more": {"type": "json"},
}
_TYPES = {
    "at": pa.timestamp("us", tz="UTC"),
    "name": pa.string(),
    "stars": pa.int64(),
    "weight": pa.float64(),
    "price": pa.decimal128(38, 4),
    "paid": pa.bool_(),
    "day": pa.date32(),
    "more": pa.string(),
}
LARGE = 2**53 + 1  # no float64 is equal to it

# Few values, so that they come again, and those at which engines part: signs of zero, digits of other scripts, blanks.
_VALUES: dict[str, Sequence[Any]] = {
    "at": [ARRIVED - timedelta(hours=h, microseconds=m) for h, m in ((0, 0), (24, 0), (24, 1), (23, 1), (48, 0))],
    "name": ["a", "b", "A", "", " ", "a\n", "ä", "a\u0308", "٣", "3", "é1", "null", "nan", "a,b", "<b>", "\0", "😀"],
    "stars": [0, 1, -1, 5, LARGE, LARGE - 1, 2**63 - 1, -(2**63)],
    "weight": [0.0, -0.0, 0.1, 0.30000000000000004, 1e308, -1.5, float("inf"), float("-inf"), float("nan")],
    "price": [Decimal(text) for text in ("0", "0.1", "0.1001", "-0.1", "9999999999999999999999999999999999.9999")],
    "paid": [True, False],
    "day": [date(2026, 3, 1), date(2026, 2, 28), date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31)],
    "more": ["{}", '{"a":1}', "null"],
}


def raw_dataset(expectations: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset of these fields that expects this, as its YAML has it."""
    raw: dict[str, Any] = {"dataset": "things", "partition_by": "at", "fields": FIELDS}
    return raw | {"quality": {"expectations": dict(expectations)}}


def dataset_of(expectations: Mapping[str, Any]) -> Dataset:
    """The same, read."""
    return parse_dataset(raw_dataset(expectations), "things.yaml")


@st.composite
def values_of(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of up to three files' worth, often with values that come again, and with none."""
    row = st.fixed_dictionaries(
        {
            name: st.sampled_from(values) if name == "at" else st.none() | st.sampled_from(values)
            for name, values in _VALUES.items()
        }
    )
    return draw(st.lists(row, max_size=25))


_PART = st.none() | st.sampled_from([0, 0.25, 1 / 3, 0.5, 2 / 3, 0.9, 1])


def _range(field: str, bounds: Sequence[Any]) -> st.SearchStrategy[dict[str, Any]]:
    low, high = st.none() | st.sampled_from(bounds), st.none() | st.sampled_from(bounds)
    found = st.fixed_dictionaries({"field": st.just(field), "min": low, "max": high})
    return found.filter(
        lambda one: (
            (one["min"] is not None or one["max"] is not None)
            and (one["min"] is None or one["max"] is None or one["min"] <= one["max"])
        )
    )


def _set(field: str) -> st.SearchStrategy[dict[str, Any]]:
    values = st.lists(st.sampled_from(_VALUES[field]), min_size=1, max_size=4)
    return st.fixed_dictionaries({"field": st.just(field), "allowed": values})


_PATTERNS = ["a|b", ".", "[a-z]+", r"\d", r"\w+", r"\s*", "(?i:a)", "", "a$", ".*", "(?=a).", r"(.)\1?", "[^a]"]
_CONDITIONS = [
    "stars >= 1", "day is null or stars > 0", "not (paid = true)", "name = 'a' and stars = 1",
    "at >= day", "price > stars", "weight > stars", "name < 'b'", "price is not null", "more is null",
    "day >= '2026-02-28'", f"stars = {LARGE}", "price = 0.1001", "weight != 0.1",
]  # fmt: skip


def _one() -> st.SearchStrategy[dict[str, Any]]:
    by_row = st.one_of(
        st.sampled_from(list(FIELDS)).map(lambda field: {"field": field, "not_null": True}),
        _range("stars", [0, 1, -5, LARGE, LARGE - 1, 2**63 - 1]),
        _range("weight", [0, 0.1, 0.3, 1e308, -1.5]),
        _range("price", [0, 0.1, 0.1001, 0.10005, 1e33, -0.1]),
        _set("name"),
        _set("stars"),
        st.sampled_from(_PATTERNS).map(lambda pattern: {"field": "name", "pattern": pattern}),
        st.sampled_from(_CONDITIONS).map(lambda text: {"condition": text}),
        st.lists(st.sampled_from(["at", "name", "stars", "price", "paid", "day"]), min_size=1, max_size=3, unique=True)
        .map(lambda fields: {"unique": fields}),
    )  # fmt: skip
    whole = st.one_of(
        st.sampled_from([{"min_rows": 1}, {"max_rows": 3}, {"min_rows": 2, "max_rows": 10}, {"max_rows": 0}]),
        st.builds(
            lambda field, hours: {"field": field, "within_hours": hours},
            st.sampled_from(["at", "day"]),
            st.sampled_from([0.5, 12, 24, 24.5, 36, 500_000]),
        ),
    )
    return st.one_of(st.builds(lambda one, part: one | {"mostly": part}, by_row, _PART), by_row, whole)


def expectations_of_rows(maximum: int = 12) -> st.SearchStrategy[dict[str, Any]]:
    """Expectations as the YAML has them."""
    named = st.lists(_one(), min_size=1, max_size=maximum)
    return st.builds(
        lambda found, hard: {
            f"e{number}": {name: value for name, value in one.items() if value is not None} | {"hard": hard}
            for number, one in enumerate(found)
        },
        named,
        st.booleans(),
    )


@dataclass(frozen=True)
class Silver:
    """Rows as files of silver in memory."""

    bodies: dict[str, bytes]
    rows: Rows


def table_of(values: Iterable[Mapping[str, Any]], begin: int = 0) -> pa.Table:
    """Rows as silver has them; their ids are ``row-<number>``."""
    found = list(values)
    columns = {name: pa.array([row[name] for row in found], kind) for name, kind in _TYPES.items()}
    ids = [f"row-{number}" for number in range(begin, begin + len(found))]
    return pa.table(columns | {"_record_id": pa.array(ids, pa.string())})


def silver_of_rows(dataset: Dataset, values: Sequence[Mapping[str, Any]], files: int = 1) -> Silver:
    """The rows in their order, in so many files."""
    bodies: dict[str, bytes] = {}
    found: list[File] = []
    size = max(1, -(-len(values) // files))
    for begin in range(0, len(values), size):
        part = values[begin : begin + size]
        sink = pa.BufferOutputStream()
        pq.write_table(table_of(part, begin), sink)
        file = File("staging-b", f"part-{begin:05d}.parquet", len(part))
        bodies[file.key] = sink.getvalue().to_pybytes()
        found.append(file)
    return Silver(bodies, Rows(dataset, found, ARRIVED, lambda file: bodies[file.key]))
