"""Every call that ingest and transform make is broken once; nothing is lost, doubled or left behind.

One object runs undisturbed and its calls are recorded. Then, for every call, a twin of it (the same rows under another
key) runs with the function killed before that call, killed after it, with the call throttled, and with the call hanging
until the function's time is up. All twins run side by side: a fault is about one object only.
"""

from __future__ import annotations

import io
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fixtures import formats, shipping
from tests.e2e.call_record import calls_about
from tests.e2e.conftest import TEST_VARS
from tests.e2e.support import Pipeline, Put, idempotency_hash, until

CHUNK = 64 * 1024  # the smallest that the stack allows: an object of several chunks stays small
THROTTLE = {"dynamodb": "ProvisionedThroughputExceededException", "s3": "SlowDown"}
SDK_TRIES = 4  # a throttle that goes away within the SDK's own tries is no test
HANG_MS = (TEST_VARS["transform_timeout_seconds"] + 1) * 1000
RETURN = ("lambda", "Return")
# Sent again by whoever takes over when the function died after sending and before noting it.
TWICE = {
    ("events", "PutEvents", "kill-after"),
    ("events", "PutEvents", "hang"),
    ("dynamodb", "UpdateItem", "kill-before"),
    ("dynamodb", "UpdateItem", "throttle"),
}

type RecordProperty = Callable[[str, object], None]


@dataclass(frozen=True)
class Point:
    """The nth call of an operation by a function, and what happens to it."""

    function: str
    service: str
    operation: str
    nth: int
    mode: str

    def fault(self, about: list[str]) -> dict[str, Any]:
        action = {
            "throttle": f"error:{THROTTLE.get(self.service, 'ThrottlingException')}",
            "hang": f"delay:{HANG_MS}",
        }.get(self.mode, self.mode)
        times = SDK_TRIES if self.mode == "throttle" else 1
        fault = {"service": self.service, "operation": self.operation, "nth": self.nth, "times": times}
        return fault | {"action": action, "about": about}

    def __str__(self) -> str:
        return f"{self.mode} at {self.function}'s {self.operation} #{self.nth}"


BAD = [b'{"record_type":"shipments",', b'{"record_type":"shipments","weight_kg":-1}', b"no json"]


def _body() -> tuple[bytes, int]:
    """Shipments of two days over three chunks, each with bad rows in it; the number of rows."""
    lines = formats.jsonl(shipping.records("shipments", 77, 900, days=2)).splitlines()
    for place, bad in zip((0, 100, 400, 450, 700, len(lines)), BAD * 2, strict=True):
        lines.insert(place, bad)
    return b"\n".join(lines), len(lines)


BODY, ROWS = _body()


class Sweep:
    """Twins of one object, each with a fault of its own."""

    def __init__(self, pipe: Pipeline) -> None:
        self.pipe = pipe

    def put(self, name: str) -> Put:
        return self.pipe.put("shipments", BODY, name)

    def about(self, name: str) -> list[str]:
        """What occurs in the parameters of every call about a twin, before it is uploaded.

        That is its key, its object id, or, in the idempotency table, Powertools' hash of its uri.
        """
        key = self.pipe.key("shipments", name)
        origin = self.pipe.origin_of(key, BODY)
        return [key, origin.object_id, idempotency_hash(origin)]

    def calls_of_calm_run(self) -> tuple[Put, Counter[tuple[str, str, str]]]:
        """The undisturbed run, and how often each function called each operation for it."""
        with calls_about(self.pipe, self.about("calm"), "ingest", "transform") as calls:
            calm = self.put("calm")
            self.pipe.wait(calm)
            until("object.committed", lambda: self.pipe.mail.committed(calm.object_id))
        chunks = self.pipe.entry(calm).number("chunk_count")
        calls["ingest", *RETURN] = 1
        calls["transform", *RETURN] = chunks
        return calm, calls

    def run(self, points: list[Point], names: str = "twin") -> dict[Point, Put]:
        """Sets the fault of every point and brings in its twin."""
        twins: dict[Point, Put] = {}
        for number, point in enumerate(points):
            name = f"{names}-{number:04d}"
            fault = point.fault(self.about(name)) | {"function": self.pipe.stack[f"{point.function}_function"]}
            self.pipe.set_fault(fault)
            twins[point] = self.put(name)
        return twins

    def outcomes(self, puts: Iterable[Put]) -> list[dict[str, Any]]:
        """The outcome of each, from one look into the buckets."""
        listed = {kind: self.pipe.keys(kind) for kind in ("silver", "quarantine")}
        return [self.outcome(put, listed) for put in puts]

    def outcome(self, put: Put, listed: dict[str, list[str]] | None = None) -> dict[str, Any]:
        """Everything that must be the same for all twins: their files with their names and rows, and their counts."""
        listed = listed or {kind: self.pipe.keys(kind) for kind in ("silver", "quarantine")}

        def plain(text: str) -> str:
            return text.replace(put.object_id, "ID").replace(put.ref.key, "KEY").replace(put.ref.version_id, "VERSION")

        silver = {}
        for key, body in self.pipe.files(put, "silver", listed["silver"]).items():
            table = pq.read_table(io.BytesIO(body))
            rows = table.drop_columns(["_source_key", "_source_version", "_record_id"]).to_pylist()
            ids = [plain(value) for value in table.column("_record_id").to_pylist()]
            silver[plain(key)] = (rows, ids)
        bad = self.pipe.files(put, "quarantine", listed["quarantine"])
        refused = {plain(key): plain(body.decode()) for key, body in bad.items()}
        entry = self.pipe.entry(put)
        names = ("chunk_count", "chunks_done", "rows_in", "rows_silver", "rows_quarantined", "silver_files")
        return {"state": entry.state, "silver": silver, "quarantine": refused} | {n: entry.number(n) for n in names}

    def chunks_done(self, put: Put) -> bool:
        return all(chunk["chunk_state"] == "done" for chunk in self.pipe.entry(put).chunks)


@pytest.fixture
def sweep(breakable: Pipeline) -> Iterator[Sweep]:
    """Small chunks and one message a batch while the sweep runs: a kill must not count against a neighbour's five."""
    pipe = breakable
    ingest, mapping = pipe.stack["ingest_function"], pipe.stack["event_source_mapping_uuid"]
    variables = pipe.lambda_.get_function_configuration(FunctionName=ingest)["Environment"]["Variables"]
    batch = pipe.lambda_.get_event_source_mapping(UUID=mapping)["BatchSize"]

    def change(environment: dict[str, str], batch_size: int) -> None:
        pipe.lambda_.update_function_configuration(FunctionName=ingest, Environment={"Variables": environment})
        pipe.lambda_.get_waiter("function_updated_v2").wait(FunctionName=ingest)
        pipe.lambda_.update_event_source_mapping(UUID=mapping, BatchSize=batch_size)
        until("the mapping", lambda: pipe.lambda_.get_event_source_mapping(UUID=mapping)["State"] == "Enabled")

    change(variables | {"CHUNK_BYTES": str(CHUNK)}, 1)
    try:
        yield Sweep(pipe)
    finally:
        pipe.clear_faults()
        change(variables, batch)


@pytest.mark.timeout(900)
def test_no_call_that_dies_loses_or_doubles_a_row(sweep: Sweep, record_property: RecordProperty) -> None:
    pipe = sweep.pipe
    calm, calls = sweep.calls_of_calm_run()
    expected = sweep.outcome(calm)
    assert (expected["chunk_count"], len(expected["silver"]), len(expected["quarantine"])) == (3, 6, 3)
    assert (expected["rows_in"], expected["rows_quarantined"]) == (ROWS, 2 * len(BAD))
    points = [
        Point(function, service, operation, nth, mode)
        for (function, service, operation), count in sorted(calls.items())
        for nth in range(1, count + 1)
        for mode in ("kill-before", "kill-after", "throttle", "hang")
        if (service, operation) != RETURN or mode == "kill-after"
    ]
    twins = sweep.run(points)
    pipe.wait(*twins.values(), deadline=500)
    assert pipe.unmet_faults() == [], "a fault met no call, so its point was not tried"
    found = sweep.outcomes(twins.values())
    lost = [str(point) for point, outcome in zip(twins, found, strict=True) if outcome != expected]
    record_property("figure", f"crash sweep: {len(points)} points, {len(points) - len(lost)} survived")
    assert lost == []
    for point, put in twins.items():
        events = len(pipe.mail.committed(put.object_id))
        twice = (point.service, point.operation, point.mode) in TWICE
        assert events == 1 or (twice and events == 2), f"{events} events after {point}"
    pipe.verified(pipe.key("shipments", ""))
    assert pipe.depth() == pipe.depth("chunk_dlq_url") == pipe.depth("ingest_dlq_url") == 0


SPLIT = "two writes instead of one transaction"
MUTATIONS = {
    "a random name instead of the deterministic one": (
        "pipeline/keys.py",
        "{object_id}-{chunk:05d}.parquet",
        "{object_id}-{chunk:05d}{__import__('uuid').uuid4().hex}.parquet",
        Point("transform", "s3", "PutObject", 2, "kill-after"),
    ),
    SPLIT: (
        "pipeline/ledger.py",
        "return self._table.transact([chunk_update, object_update])",
        "return self._table.transact([object_update]) and self._table.transact([chunk_update])",
        Point("transform", "dynamodb", "TransactWriteItems", 1, "kill-after"),
    ),
}


def test_the_sweep_fails_when_the_code_is_wrong(sweep: Sweep) -> None:
    pipe = sweep.pipe
    calm, _ = sweep.calls_of_calm_run()
    expected = sweep.outcome(calm)
    unsound: dict[str, Put] = {}
    try:
        for number, (what, (file, right, wrong, point)) in enumerate(MUTATIONS.items()):
            with _changed(pipe, file, right, wrong):
                [(_, put)] = sweep.run([point], f"mutant-{number}").items()
                until(f"the crash: {what}", lambda: pipe.unmet_faults() == [])
            unsound[what] = put  # the retry runs the right code again: what the wrong code left behind must show
            pipe.clear_faults()
        # not on the ledger: what wrong code counted may never add up
        until("their chunks", lambda: all(map(sweep.chunks_done, unsound.values())) and pipe.depth() == 0, 120)
        for what, put in unsound.items():
            assert sweep.outcome(put) != expected, f"the sweep does not see {what}"
        # Split, the transaction counts the killed chunk without its files. So a neighbour takes the object for finished
        # before that chunk comes back, cannot announce files that are not there, and gives up, if the chunk is late.
        assert set(pipe.take_letters(*unsound.values())) <= {unsound[SPLIT]}
    finally:
        for put in unsound.values():
            _remove(pipe, put)


@contextmanager
def _changed(pipe: Pipeline, file: str, right: str, wrong: str) -> Iterator[None]:
    """transform's code with one line changed, then as it was."""
    name = pipe.stack["transform_function"]
    code = pipe.lambda_.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(code, timeout=30) as answer:
        original: bytes = answer.read()
    with zipfile.ZipFile(io.BytesIO(original)) as archive:
        contents = {entry: archive.read(entry) for entry in archive.namelist()}
    text = contents[file].decode()
    assert text.count(right) == 1, f"{file} has no such line any more: adapt the mutation"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry, body in (contents | {file: text.replace(right, wrong).encode()}).items():
            archive.writestr(entry, body)
    _deploy(pipe, name, buffer.getvalue())
    try:
        yield
    finally:
        _deploy(pipe, name, original)


def _deploy(pipe: Pipeline, name: str, archive: bytes) -> None:
    pipe.lambda_.update_function_code(FunctionName=name, ZipFile=archive)
    pipe.lambda_.get_waiter("function_updated_v2").wait(FunctionName=name)


def _remove(pipe: Pipeline, put: Put) -> None:
    """Takes an object that wrong code has spoilt out of everything that later tests reconcile."""
    for kind in ("silver", "quarantine"):
        for key in pipe.files(put, kind):
            pipe.s3.delete_object(Bucket=pipe.stack[f"{kind}_bucket"], Key=key)
    pipe.s3.delete_object(Bucket=put.ref.bucket, Key=put.ref.key, VersionId=put.ref.version_id)
    table = pipe.stack["ledger_table"]
    entry = pipe.entry(put)
    for sk in ("object", *(chunk["sk"] for chunk in entry.chunks)):
        pipe.dynamodb.delete_item(TableName=table, Key={"pk": {"S": f"object#{put.object_id}"}, "sk": {"S": sk}})


def test_rows_compare_as_tables(sweep: Sweep) -> None:
    """The comparison itself: a table that differs in one value is another outcome."""
    calm = sweep.put("calm")
    sweep.pipe.wait(calm)
    key, body = next(iter(sweep.pipe.files(calm).items()))
    before = sweep.outcome(calm)
    table = pq.read_table(io.BytesIO(body))
    sink = pa.BufferOutputStream()
    pq.write_table(table.slice(1), sink)
    bucket = sweep.pipe.stack["silver_bucket"]
    sweep.pipe.s3.put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())
    try:
        assert sweep.outcome(calm) != before
    finally:
        sweep.pipe.s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert sweep.outcome(calm) == before
