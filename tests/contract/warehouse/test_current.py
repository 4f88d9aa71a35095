"""``<dataset>_current``: PostgreSQL's view, DuckDB's and a plain Python model have the same rows, whatever came how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.transform.columns import arrow_type
from sluice.pipeline import query
from sluice.pipeline.current_views import CurrentViews
from sluice_pipeline.catalog.current import current_name
from sluice_pipeline.catalog.datasets import Catalog, Dataset, parse_dataset
from tests.support.postgres import own_server
from tests.support.thorough import examples
from warehouse.database import OBJECT_ID
from warehouse.migrate import locks, tables, views

MIGRATIONS = Path(__file__).parents[3] / "lambdas/warehouse/migrate/migrations"
FIELDS = {
    "at": {"type": "timestamp", "required": True},
    "id": {"type": "string", "required": True},
    "part": {"type": "float64", "required": True},
    "changed": {"type": "timestamp"},
    "version": {"type": "int64"},
    "price": {"type": "decimal(10,2)"},
    "ratio": {"type": "float64"},
}
ORDERS = ("", "changed", "version", "price", "ratio")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def dataset(name: str, **settings: Any) -> Dataset:
    raw = {"dataset": name, "partition_by": "at", "key": ["id", "part"], "fields": FIELDS} | settings
    return parse_dataset(raw, f"{name}.yaml")


DATASETS = {by: dataset(f"by_{by or 'arrival'}", **({"current_by": by} if by else {})) for by in ORDERS}


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[Any]]:
    """A warehouse: the migrations of its schemas and loads, each run twice, and a table and a view for each dataset."""
    with own_server() as dsn, psycopg.connect(f"{dsn} dbname=postgres", autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE ROLE sluice_loader LOGIN; CREATE ROLE sluice_reader LOGIN; CREATE SCHEMA control")
        for name in ("0001.schemas", "0002.loads", "0005.arrivals") * 2:
            connection.execute((MIGRATIONS / f"{name}.sql").read_bytes())
        ensure(connection, *DATASETS.values())
        yield connection


def ensure(connection: psycopg.Connection[Any], *datasets: Dataset) -> dict[str, str]:
    """Migrates to these datasets; what was done to views."""
    catalog = Catalog({one.name: one for one in datasets})
    tables.ensure(connection, catalog)
    return views.ensure(connection, catalog)


@dataclass(frozen=True)
class Row:
    """A row of silver and where it came from; ``arrived`` in seconds."""

    object_id: str
    offset: int
    values: dict[str, Any]


TEXTS = st.sampled_from(["", "a", "A", "ä", "a ", "é", "e\u0301", "null"])
MOMENTS = st.integers(0, 3).map(lambda n: BEGIN + timedelta(microseconds=n))
# Few different values, so that keys and orders are often equal. A key without a value is that of an older YAML.
VALUES = st.fixed_dictionaries(
    {
        "at": MOMENTS,
        "id": st.none() | TEXTS,
        "part": st.none() | st.sampled_from([0.0, -0.0, 1.5]),
        "changed": st.none() | MOMENTS,
        "version": st.none() | st.integers(-1, 1) | st.sampled_from([-(2**63), 2**63 - 1]),
        "price": st.none() | st.sampled_from([Decimal("-1.00"), Decimal("0.00"), Decimal("99999999.99")]),
        "ratio": st.none() | st.sampled_from([0.0, -0.0, 1e-300, -1e300]),
    }
)
OBJECTS = st.lists(
    st.tuples(st.uuids(), st.integers(0, 2), st.lists(VALUES, max_size=6)),
    max_size=5,
    unique_by=lambda entry: entry[0],
)


def model(dataset: Dataset, rows: list[Row], arrived: dict[str, str]) -> set[tuple[str, int]]:
    """The newest row of each key, said once more in Python."""
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in rows:
        by = row.values[dataset.current_by] if dataset.current_by else None
        place = ((by is not None, 0 if by is None else by), arrived[row.object_id], row.object_id, row.offset)
        key = tuple(row.values[name] for name in dataset.key)
        newest[key] = max(newest.get(key, place), place)
    return {(place[2], place[3]) for place in newest.values()}


def in_postgres(
    connection: psycopg.Connection[Any], dataset: Dataset, rows: list[Row], arrived: dict[str, str]
) -> set[tuple[str, int]]:
    columns = [*FIELDS, OBJECT_ID, "_source_offset"]
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        for object_id, moment in arrived.items():
            for run in (1, 2):  # of a replayed object both runs are recorded, and its rows are there once
                cursor.execute(
                    "INSERT INTO control.loads (object_id, run, batch_id, dataset, source_key, rows, rows_by_table, "
                    "rows_replaced, files, seconds, received_at) "
                    "VALUES (%s, %s, gen_random_uuid(), 'd', 'k', 0, '{}', 0, 0, 0, %s)",
                    (UUID(object_id), run, moment),
                )
        with cursor.copy(f"COPY silver.{dataset.name} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row([*(row.values[name] for name in FIELDS), row.object_id, row.offset])
        view = current_name(dataset.name)
        found = cursor.execute(f"SELECT {OBJECT_ID}, _source_offset FROM silver.{view}".encode()).fetchall()
        assert len(found) == len(set(found))
        return {(found_id.hex, offset) for found_id, offset in found}


def in_duckdb(dataset: Dataset, rows: list[Row], arrived: dict[str, str]) -> set[tuple[str, int]]:
    columns = {field.name: arrow_type(field) for field in dataset.fields}
    table = pa.table(
        {name: pa.array([row.values[name] for row in rows], kind) for name, kind in columns.items()}
        | {
            "_source_offset": pa.array([row.offset for row in rows], pa.int64()),
            "_record_id": pa.array([f"{row.object_id}-{row.offset}" for row in rows], pa.string()),
        }
    )
    current = CurrentViews({dataset.name: dataset}, arrived)
    found = query.run({dataset.name: table}, f"SELECT _record_id FROM {current_name(dataset.name)}", current=current)
    ids = [str(value).partition("-") for (value,) in found.rows]
    assert len(ids) == len(set(ids))
    return {(object_id, int(offset)) for object_id, _, offset in ids}


@settings(
    deadline=None,
    max_examples=examples(120),
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(objects=OBJECTS, by=st.sampled_from(ORDERS), backwards=st.booleans())
@pytest.mark.timeout(300)
def test_both_views_and_the_model_have_the_same_rows(
    database: psycopg.Connection[Any], objects: list[Any], by: str, backwards: bool
) -> None:
    arrived = {name.hex: f"2026-01-01T00:00:00.{moment:03d}Z" for name, moment, _ in objects}
    rows = [
        Row(name.hex, 10 * place, values) for name, _, all_values in objects for place, values in enumerate(all_values)
    ]
    if backwards:  # what is stored first does not matter
        rows.reverse()
    wanted = model(DATASETS[by], rows, arrived)
    assert in_duckdb(DATASETS[by], rows, arrived) == wanted
    assert in_postgres(database, DATASETS[by], rows, arrived) == wanted


def test_the_reader_may_select_the_view_and_the_loader_may_not_write_it(database: psycopg.Connection[Any]) -> None:
    with database.transaction(force_rollback=True):
        database.execute("SET LOCAL ROLE sluice_reader")
        assert database.execute("SELECT * FROM silver.by_arrival_current").fetchall() == []
    with database.transaction(force_rollback=True):
        database.execute("SET LOCAL ROLE sluice_loader")
        with pytest.raises(psycopg.Error):
            database.execute("DELETE FROM silver.by_arrival_current")


def test_a_view_follows_its_dataset(database: psycopg.Connection[Any]) -> None:
    """Made once, made again when key, order or columns change, dropped without a key; nothing else is touched."""

    def columns(view: str) -> list[str]:
        rows = database.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", (view,)
        )
        return [name for (name,) in rows]

    others = list(DATASETS.values())
    assert ensure(database, *others, dataset("moving")) == {"moving_current": "made"}
    assert ensure(database, *others, dataset("moving")) == {}
    before = columns("silver.moving_current")
    assert ensure(database, *others, dataset("moving", current_by="version")) == {"moving_current": "made"}
    assert ensure(database, *others, dataset("moving", key=["id"])) == {"moving_current": "made"}
    added = dataset("moving", key=["id"], fields={"new": {"type": "string"}} | FIELDS)
    assert ensure(database, *others, added) == {"moving_current": "made"}
    assert columns("silver.moving_current") == ["new", *before]
    database.execute("CREATE VIEW silver.by_hand AS SELECT 1 AS one")
    assert ensure(database, *others, dataset("moving", key=[])) == {"moving_current": "dropped"}
    assert database.execute("SELECT one FROM silver.by_hand").fetchall() == [(1,)]
    assert database.execute("SELECT count(*) FROM silver.moving").fetchall() == [(0,)]


def test_a_view_in_use_is_named_with_what_needs_it(database: psycopg.Connection[Any]) -> None:
    ensure(database, dataset("used"))
    database.execute("CREATE VIEW public.report AS SELECT id FROM silver.used_current")
    with pytest.raises(views.ViewInUse, match=r"silver\.used_current must change .* view (public\.)?report depends on"):
        ensure(database, dataset("used", current_by="version"))
    assert database.execute("SELECT * FROM public.report").fetchall() == []


def test_a_table_in_use_holds_a_migration_up_and_the_migration_does_not_hold_up_others(
    database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that waits is one that all later ones wait behind, also those that do not conflict with the holder's.

    https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT
    """
    tables.ensure(database, Catalog({"busy": dataset("busy", key=[])}))
    added = dataset("busy", key=[], fields={"new": {"type": "string"}} | FIELDS)
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", "50ms")
    info = database.info
    own = f"host={info.host} port={info.port} user={info.user} dbname={info.dbname}"
    loads = psycopg.connect(own, password=info.password)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        loads.execute("SELECT count(*) FROM silver.busy")  # the migration has given the table free
        if len(pauses) == 2:
            loads.commit()

    monkeypatch.setattr("time.sleep", pause)
    with loads:
        loads.execute("SELECT count(*) FROM silver.busy")
        locks.limit_waits(database)
        try:
            assert locks.patiently(lambda: tables.ensure(database, Catalog({"busy": added})))
        finally:
            database.execute("SET lock_timeout = 0")
    assert len(pauses) == 2
