"""load: several objects in one transaction have the rows and the counts that each would have alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from fixtures import formats, shipping
from sluice.pipeline import queues
from sluice.pipeline.requeue import requeue
from sluice_pipeline.events.committed import Committed
from sluice_pipeline.ledger.ledger import Ledger
from tests.support.changes import paused, wide_mapping
from tests.support.pipeline import Pipeline, Put, until
from tests.support.warehouse import Warehouse
from warehouse.load.loader import Loader


class Failing:
    """A client or a ledger that raises for calls that name this text."""

    def __init__(self, real: Any, named: str, error: Exception) -> None:
        self._real, self._named, self._error = real, named, error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not name.startswith(("get_object", "note_loaded")):
            return found

        def call(*values: Any, **named: Any) -> Any:
            if self._named in f"{values} {named}":
                raise self._error
            return found(*values, **named)

        return call


class Bench:
    """Objects whose announcements wait in the queue, and loaders in this process."""

    def __init__(self, pipe: Pipeline, warehouse: Warehouse) -> None:
        self.pipe, self.warehouse = pipe, warehouse
        self.ledger = Ledger(pipe.stack.client("dynamodb"), pipe.stack["ledger_table"])

    def put(self, count: int) -> list[Put]:
        rows = [formats.jsonl(shipping.records("shipments", seed, 5 + seed, days=2)) for seed in range(count - 1)]
        mixed = [record for name in shipping.DATASETS for record in shipping.records(name, 5, 4)]
        puts = [self.pipe.put("shipments", body, f"{n}.jsonl") for n, body in enumerate(rows)]
        puts.append(self.pipe.put("mixed", formats.jsonl(mixed), "mixed.jsonl"))
        for put in puts:
            self.pipe.wait_for_run(put, 1)  # its load waits
        return puts

    def loader(self, connection: Any, s3: Any = None, ledger: Any = None) -> Loader:
        class Connected:
            def connection(self) -> Any:
                if isinstance(connection, Exception):
                    raise connection
                return connection

        login: Any = Connected()
        return Loader(s3 or self.pipe.s3, self.pipe.stack["silver_bucket"], ledger or self.ledger, login)

    def committed(self, put: Put, run: int = 1) -> Committed:
        item = self.pipe.entry(put).item
        return Committed(put.object_id, run, str(item["dataset"]), put.ref.key, None)

    def are_as_silver(self, *puts: Put) -> None:
        for put in puts:
            for name in shipping.DATASETS if put.ref.key.endswith("mixed.jsonl") else ["shipments"]:
                silver = sorted(self.pipe.table(put, name).to_pylist(), key=lambda row: int(row["_source_offset"]))
                self.warehouse.same_as_silver(put, silver, name)

    def transactions(self, puts: list[Put]) -> int:
        found = self.warehouse.ask(
            "SELECT count(DISTINCT xmin::text) AS n, count(*) AS loads FROM control.loads WHERE object_id = ANY(%s)",
            ([UUID(put.object_id) for put in puts],),
        )
        assert found[0]["loads"] == len(puts)
        return int(found[0]["n"])


@pytest.fixture
def bench(pipe: Pipeline, warehouse: Warehouse) -> Iterator[Bench]:
    with paused(pipe, "load"):
        yield Bench(pipe, warehouse)
    warehouse.idle()


def test_what_waits_is_loaded_by_the_function_in_fewer_transactions_than_objects(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    with wide_mapping(pipe, "load", concurrency=2, batch=10):
        with paused(pipe, "load"):
            bench = Bench(pipe, warehouse)
            puts = bench.put(8)
            url = pipe.stack["load_queue_url"]
            until("the announcements", lambda: queues.depth(pipe.sqs, url).total >= len(puts))
        for put in puts:
            warehouse.loaded(put)
        warehouse.idle()
    bench.are_as_silver(*puts)
    assert bench.transactions(puts) < len(puts)
    for put in puts:
        [load] = warehouse.loads(put)
        item = pipe.entry(put).item
        assert (item["loaded_run"], item["loaded_rows"], item["loaded_batch"]) == (
            1, load["rows"], str(load["batch_id"]),
        )  # fmt: skip


def test_a_file_that_is_gone_and_a_count_not_recorded_concern_their_own_objects_only(bench: Bench) -> None:
    puts = bench.put(5)
    gone, unrecorded = puts[1], puts[3]
    no_key = bench.pipe.s3.exceptions.NoSuchKey({"Error": {"Code": "NoSuchKey"}}, "GetObject")
    s3 = Failing(bench.pipe.s3, gone.object_id, no_key)
    ledger = Failing(bench.ledger, unrecorded.object_id, ConnectionError("away"))
    batch = [bench.committed(put) for put in puts]
    with bench.warehouse.connect("loader") as connection:
        found = bench.loader(connection, s3, ledger).load_together([*reversed(batch), batch[0]])
        assert found.keys() == {*batch} - {batch[1]}
        assert isinstance(found[batch[3]], ConnectionError)
        good = [put for put in puts if put is not gone]
        assert bench.transactions(good) == 1
        bench.are_as_silver(*good)
        assert bench.warehouse.loads(gone) == []
        # They come again: what died between the commit and the ledger is found loaded, and is recorded.
        again = bench.loader(connection).load_together(batch)
        assert [again[one].fresh for one in batch] == [False, True, False, False, False]  # type: ignore[union-attr]
    bench.are_as_silver(*puts)
    for put in puts:
        [load] = bench.warehouse.loads(put)
        assert (bench.pipe.entry(put).item["loaded_run"], load["rows_replaced"]) == (1, 0)


def test_what_postgresql_refuses_of_one_object_does_not_keep_the_others_out(bench: Bench) -> None:
    puts = bench.put(4)
    batch = [bench.committed(put) for put in puts]
    with bench.warehouse.administrator() as administrator, bench.warehouse.connect("loader") as connection:
        administrator.execute(
            "ALTER TABLE silver.shipments ADD CONSTRAINT refused "  # type: ignore[arg-type]
            f"CHECK (_object_id <> '{UUID(puts[1].object_id)}') NOT VALID"
        )
        try:
            loader = bench.loader(connection)
            assert loader.load_together(batch) == {}
            assert [bench.warehouse.loads(put) for put in puts] == [[]] * 4
            with pytest.raises(psycopg.errors.CheckViolation):
                loader.load(batch[1])
            for one in (batch[0], *batch[2:]):
                assert loader.load(one).fresh  # type: ignore[union-attr]
        finally:
            administrator.execute("ALTER TABLE silver.shipments DROP CONSTRAINT refused")
    bench.are_as_silver(puts[0], *puts[2:])
    assert bench.warehouse.rows(puts[1], "shipments") == []


def test_a_fault_of_the_connection_is_the_outcome_of_all(bench: Bench) -> None:
    puts = bench.put(3)
    batch = [bench.committed(put) for put in puts]
    fault = psycopg.OperationalError("the server does not answer")
    assert bench.loader(fault).load_together(batch) == dict.fromkeys(batch, fault)
    with bench.warehouse.connect("loader") as connection:
        connection.close()
        found = bench.loader(connection).load_together(batch)
    assert [type(found[one]) for one in batch] == [psycopg.OperationalError] * 3
    assert [bench.warehouse.loads(put) for put in puts] == [[]] * 3


@pytest.mark.thorough(
    "tests/e2e/warehouse/test_load.py::test_a_replay_exchanges_the_rows_and_a_late_older_run_does_not_bring_them_back",
    why="the same with one object, and by the deployed function",
)
def test_a_newer_run_replaces_the_rows_and_an_older_one_does_not_bring_them_back(bench: Bench) -> None:
    puts = bench.put(3)
    first = [bench.committed(put) for put in puts]
    with bench.warehouse.connect("loader") as connection:
        loader = bench.loader(connection)
        assert len(loader.load_together(first)) == 3
        for put in puts[1:]:
            requeue(bench.pipe.stack, put.object_id)
            bench.pipe.wait_for_run(put, 2)
        second = [bench.committed(put, 2) for put in puts[1:]]
        found = loader.load_together([*first, *second])
    assert found.keys() == {first[0], *second}, "of the runs of an object the newest"
    assert [found[one].replaced for one in second] == [found[one].rows for one in second]  # type: ignore[union-attr]
    bench.are_as_silver(*puts)
    assert [[load["run"] for load in bench.warehouse.loads(put)] for put in puts] == [[1], [1, 2], [1, 2]]


def test_two_groups_with_the_same_objects_wait_for_each_other_and_load_each_once(bench: Bench) -> None:
    puts = bench.put(6)
    batch = [bench.committed(put) for put in puts]
    together = threading.Barrier(2)

    def load(order: list[Committed]) -> dict[Committed, Any]:
        with bench.warehouse.connect("loader") as connection:
            loader = bench.loader(connection)
            together.wait(30)
            return loader.load_together(order)

    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(load, [batch, batch[::-1]])
    assert {(one[each].fresh, two[each].fresh) for each in batch} in ({(True, False)}, {(False, True)})
    bench.are_as_silver(*puts)
    assert bench.transactions(puts) == 1
