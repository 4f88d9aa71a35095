"""A ledger of many objects: filled with copies of one that the ledger's own code has written, and what it then costs.

A copy differs from the first object in its key, what follows from that (its ids and its shards, by the ledger's code)
and its times. So 100,000 objects take some thousand BatchWriteItem calls and not 300,000 updates;
`tests/unit/host/test_bench_grown.py` compares a copy with what the ledger writes for the same key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, Final

from sluice.bench.stage import Stage
from sluice.console import fail
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import with_numbers
from sluice_pipeline.ledger import contents, shards
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.items import OBJECT_SK, Output, State, chunk_sk, object_pk
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.runtime import clock

DATASET: Final = "tracking_events"
SIZE, ROWS = 3_000, 20  # of each object: bytes, rows
PROBED: Final = 300
"""Objects whose three changes (planned, counted, committed) are measured at each size."""
_ETAG, _VERSION = "9b2cf535f27731c974343645a3985328", "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH"
_TIMES = ("received_at", "updated_at", "committed_at", "done_at")
_RULES = RulesVersion("0" * 64, _VERSION)
_AT_ONCE, _BATCH = 2, 25
_STEP = timedelta(milliseconds=500)


@dataclass(frozen=True)
class Name:
    """One object of the bench, by its number in a run."""

    bucket: str
    run: str
    number: int

    @property
    def ref(self) -> ObjectRef:
        key = f"bronze/{DATASET}/bench-{self.run}/part-{self.number:07d}.jsonl"
        return ObjectRef(self.bucket, key, _VERSION, _ETAG, SIZE)

    @property
    def object_id(self) -> str:
        return self.ref.as_origin().object_id

    @property
    def content_id(self) -> str:
        return self.ref.as_origin().content_id("sha256", SIZE)

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Of its items: its own, its chunk's and its content's."""
        own = object_pk(self.object_id)
        return [(own, OBJECT_SK), (own, chunk_sk(0)), (contents.content_pk(self.content_id), contents.CONTENT_SK)]


def commit(ledger: Ledger, name: Name) -> None:
    """What ingest and transform change in the ledger for an object of one chunk. Raises SluiceError if it is known."""
    ref, chunk = name.ref, Chunk(0, 0, SIZE, 1)
    planned = ledger.create_plan(ref, ref.as_origin(), DATASET, [chunk], _RULES, name.content_id)
    file = f"silver/{DATASET}/dt=2026-11-27/{name.object_id}-00000.parquet"
    output = Output(key=file, dataset=DATASET, dt="2026-11-27", rows=ROWS, bytes=SIZE)
    counted = planned and ledger.complete_chunk(name.object_id, chunk, 1, ChunkResult(ROWS, [output], []))
    if not counted or not ledger.commit(name.object_id, 1):
        fail(f"the ledger knows {ref.uri} already", 1)


def written(client: Any, table: str, name: Name) -> list[dict[str, Any]]:
    """The items of an object, as the ledger's table has them."""
    return [with_numbers(item) for item in Table(client, table).get_many(name.keys)]


def copy_of(items: Iterable[Mapping[str, Any]], first: Name, name: Name, shard_count: int, at: str) -> list[Any]:
    """The items of a committed object as those of another one, with ``at`` as each of its times."""
    text = json.dumps(list(items))
    for old, new in ((first.ref.key, name.ref.key), (first.object_id, name.object_id)):
        text = text.replace(old, new)
    copies = json.loads(text.replace(first.content_id, name.content_id))
    shard = shards.shard_of(name.object_id, shard_count)
    for item in copies:
        item |= {time: at for time in _TIMES if time in item}
        if item["sk"] == OBJECT_SK and "state" in item:
            item |= shards.keys(State(item["state"]), shard) | shards.received_key(item["dataset"], shard)
    return list(copies)


class Filler:
    """Fills a stack's ledger up to a number of objects, and measures what one more costs there."""

    def __init__(self, own: Stage, run: str) -> None:
        self._own, self._run = own, run
        self._client, self._table = own.stack.client("dynamodb"), own.stack["ledger_table"]
        function = own.stack.client("lambda").get_function_configuration(FunctionName=own.stack["ingest_function"])
        self._shards = int(function["Environment"]["Variables"].get("LEDGER_SHARDS", "1"))
        self._ledger = Ledger(self._client, self._table, self._shards)
        self._next = 0
        self._begin = datetime.now(UTC) - timedelta(days=1)

    def _name(self) -> Name:
        name = Name(self._own.stack["bronze_bucket"], self._run, self._next)
        self._next += 1
        return name

    def up_to(self, objects: int) -> None:
        """Adds copies until the ledger has so many objects of this run."""
        first = self._name()
        commit(self._ledger, first)
        items = written(self._client, self._table, first)
        table = Table(self._client, self._table)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while self._next < objects:
                names = [self._name() for _ in range(min(5_000, objects - self._next))]
                copies = (item for name in names for item in copy_of(items, first, name, self._shards, self._at(name)))
                list(pool.map(table.put_all, batched(copies, _BATCH, strict=False)))

    def _at(self, name: Name) -> str:
        return clock.written(self._begin + name.number * _STEP)

    def cost(self) -> float:
        """Milliseconds of processor time in the engine for one object that enters and is committed."""
        self._own.settle()
        before = self._own.usage()
        for _ in range(PROBED):
            commit(self._ledger, self._name())
        return self._own.usage().per(before, PROBED).engine
