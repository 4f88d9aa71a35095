"""Every call that ingest and transform make is broken in four ways; no row is lost, doubled or left behind."""

from __future__ import annotations

import io
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fixtures import formats, shipping
from sluice_pipeline.catalog.sights import Sight
from sluice_pipeline.ledger.sights import sight_sk
from tests.support.changes import changed_code, environment, quick_redelivery, wide_mapping
from tests.support.pipeline import Pipeline, Put, idempotency_hash, until
from tests.support.sweep import (
    BASELINE,
    DATASETS,
    Call,
    Outcome,
    Point,
    RecordProperty,
    Scenario,
    Sweep,
    sent_before_it_is_recorded,
)

pytestmark = pytest.mark.sweep

CHUNK = 64 * 1024  # the smallest that the stack allows: an object of several chunks stays small
BAD = [b'{"record_type":"shipments",', b'{"record_type":"shipments","weight_kg":-1}', b"no json"]
COUNTS = ("chunk_count", "chunks_done", "rows_in", "rows_silver", "rows_quarantined", "silver_files")


def _body() -> tuple[bytes, int]:
    """Shipments of two days over three chunks, each with bad rows in it; the number of rows."""
    lines = formats.jsonl(shipping.records("shipments", 77, 900, days=2)).splitlines()
    for place, bad in zip((0, 100, 400, 450, 700, len(lines)), BAD * 2, strict=True):
        lines.insert(place, bad)
    return b"\n".join(lines), len(lines)


BODY, ROWS = _body()


class Core(Scenario):
    """An object of three chunks through ingest and transform; all copies have the same rows."""

    branch = "core"
    functions = ("ingest", "transform")
    once = frozenset({"transform"})
    # Sent again by the next worker when the first died after sending and before recording it.
    repeats = sent_before_it_is_recorded("events", "PutEvents")

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.puts: dict[str, Put] = {}

    def body(self, name: str) -> bytes:
        del name
        return BODY

    def about(self, name: str) -> list[str]:
        """Its key, its object id, and, in the idempotency table, Powertools' hash of its uri."""
        key = self.pipe.key("shipments", name)
        origin = self.pipe.origin_of(key, self.body(name))
        return [key, origin.object_id, idempotency_hash(origin)]

    def start(self, name: str) -> None:
        self.puts[name] = self.pipe.put("shipments", self.body(name), name)

    def wait(self, names: Collection[str]) -> None:
        puts = [self.puts[name] for name in names]
        self.pipe.wait(*puts, deadline=500)
        for put in puts:
            until("object.committed", lambda put=put: self.pipe.mail.committed(put.object_id))

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        listed = {kind: self.pipe.keys(kind) for kind in ("silver", "quarantine")}
        return [self.outcome(self.puts[name], listed) for name in names]

    def outcome(self, put: Put, listed: dict[str, list[str]] | None = None) -> Outcome:
        """Its files with their names and rows, the counts in the ledger, its events and notices."""
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
        rejected = {plain(key): plain(body.decode()) for key, body in bad.items()}
        entry = self.pipe.entry(put)
        state: dict[str, Any] = {"state": entry.state, "silver": silver, "quarantine": rejected}
        sent = Counter({"object.committed": len(self.pipe.mail.committed(put.object_id))})
        sent.update(str(notice["kind"]) for notice in self.pipe.mail.notices(object_id=put.object_id))
        return Outcome(state | {name: entry.number(name) for name in COUNTS}, sent)

    def chunks_done(self, put: Put) -> bool:
        return all(chunk["chunk_state"] == "done" for chunk in self.pipe.entry(put).chunks)


class Unnamed(Core):
    """An object of one chunk whose last row has a column that no field names; each copy has a column of its own."""

    branch = "core, unnamed column"
    functions = ("transform",)
    # The calls about what was seen; the notice is sent again when the first worker died before it recorded that.
    operations = frozenset({("dynamodb", "Query"), ("dynamodb", "TransactWriteItems"), ("sns", "Publish")})
    repeats = Core.repeats | {
        ("sns", "Publish", "kill-after"),
        ("sns", "Publish", "hang"),
        ("dynamodb", "TransactWriteItems", "kill-before"),
        ("dynamodb", "TransactWriteItems", "throttle"),
        ("dynamodb", "TransactWriteItems", "hang"),
    }

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self._run = uuid.uuid4().hex[:12]

    def column(self, name: str) -> str:
        return f"seen_{self._run}_{name}"

    def body(self, name: str) -> bytes:
        records = list(shipping.records("shipments", 77, 20))
        return formats.jsonl([*records[:-1], records[-1] | {self.column(name): 7}])

    def about(self, name: str) -> list[str]:
        """Also the key of the ledger's item of its column."""
        return [*super().about(name), sight_sk(Sight(self.column(name), "int64"))]


@pytest.fixture
def core(breakable: Pipeline) -> Iterator[Core]:
    """Small chunks: an object of three is small."""
    pipe = breakable
    with (
        environment(pipe, "ingest", CHUNK_BYTES=str(CHUNK)),
        wide_mapping(pipe, "ingest"),
        wide_mapping(pipe, "transform"),
        quick_redelivery(pipe, ingest_queue_url="ingest", chunk_queue_url="transform"),
    ):
        yield Core(pipe)
        pipe.clear_faults()


def test_no_call_that_dies_loses_or_doubles_a_row(core: Core, record_property: RecordProperty) -> None:
    pipe, sweep = core.pipe, Sweep(core)
    state = sweep.baseline().state
    assert (state["chunk_count"], len(state["silver"]), len(state["quarantine"])) == (3, 6, 3)
    assert (state["rows_in"], state["rows_quarantined"]) == (ROWS, 2 * len(BAD))
    assert sweep.calls.unnamed == {(function, *DATASETS): 1 for function in core.functions}
    result = sweep.run(sweep.plan())
    record_property("figure", result.summary)
    assert result.lost == []
    pipe.verified(pipe.key("shipments", ""))
    assert pipe.depth("ingest_queue_url") == pipe.depth("ingest_dlq_url") == 0
    assert pipe.depth() == pipe.depth("chunk_dlq_url") == 0


def test_a_column_that_no_field_names_is_seen_once_whatever_dies(core: Core, record_property: RecordProperty) -> None:
    scenario = Unnamed(core.pipe)
    sweep = Sweep(scenario)
    expected = sweep.baseline()
    assert expected.sent == {"object.committed": 1, "schema.drift": 1}
    calls = [(*call[1:], count) for call, count in sorted(sweep.calls.named.items()) if call[1:] in scenario.operations]
    assert calls == [("dynamodb", "TransactWriteItems", 3), ("sns", "Publish", 1)]
    # a message that another test left may be put off beside it
    unnamed = {call: count for call, count in sweep.calls.unnamed.items() if call[1] != "sqs"}
    assert unnamed == {("transform", *DATASETS): 1, ("transform", "dynamodb", "Query"): 2}
    result = sweep.run(sweep.plan())
    record_property("figure", result.summary)
    assert result.lost == []


SPLIT = "two writes instead of one transaction"
MUTATIONS = {
    "a random name instead of the deterministic one": (
        "sluice_pipeline/objects/keys.py",
        "{object_id}-{chunk:05d}.parquet",
        "{object_id}-{chunk:05d}{__import__('uuid').uuid4().hex}.parquet",
        Point(Call("transform", "s3", "PutObject", 2), "kill-after"),
    ),
    SPLIT: (
        "sluice_pipeline/ledger/counting.py",
        "return self._table.transact([chunk_update, object_update])",
        "return self._table.transact([object_update]) and self._table.transact([chunk_update])",
        Point(Call("transform", "dynamodb", "TransactWriteItems", 1), "kill-after"),
    ),
}


def test_the_sweep_fails_when_the_code_is_wrong(core: Core) -> None:
    pipe, sweep = core.pipe, Sweep(core)
    expected = sweep.baseline()
    unsound: dict[str, Put] = {}
    try:
        for number, (what, (file, right, wrong, point)) in enumerate(MUTATIONS.items()):
            name = f"mutant-{number}"
            with changed_code(pipe, "transform", file, right, wrong):
                sweep.break_copy(name, point)
                until(f"the crash: {what}", lambda: pipe.unmet_faults() == [])
            unsound[what] = core.puts[name]  # the retry runs the right code again: what the wrong code left must show
            pipe.clear_faults()
        # not on the ledger: what wrong code counted may never add up
        until("their chunks", lambda: all(map(core.chunks_done, unsound.values())) and pipe.depth() == 0, 120)
        for what, put in unsound.items():
            assert core.outcome(put).difference(expected, more=1), f"the sweep does not see {what}"
        # Split, the transaction counts the killed chunk without its files. So another worker takes the object for
        # finished before that chunk comes back, cannot announce files that are not there, and has its retries
        # exhausted, if the chunk is late.
        assert set(pipe.receive_messages_about(*unsound.values())) <= {unsound[SPLIT]}
    finally:
        for put in unsound.values():
            _remove(pipe, put)


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


def test_rows_compare_as_tables(core: Core) -> None:
    """The comparison itself: a table that differs in one value is another outcome."""
    core.start(BASELINE)
    core.wait([BASELINE])
    put, pipe = core.puts[BASELINE], core.pipe
    key, body = next(iter(pipe.files(put).items()))
    before = core.outcome(put)
    table = pq.read_table(io.BytesIO(body))
    sink = pa.BufferOutputStream()
    pq.write_table(table.slice(1), sink)
    bucket = pipe.stack["silver_bucket"]
    pipe.s3.put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())
    try:
        assert core.outcome(put).difference(before).startswith("silver: ")
    finally:
        pipe.s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert core.outcome(put) == before
