"""The ledger on DynamoDB: a chunk whose files do not fit into one item, through runs that follow one another."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice.pipeline.ledger import LedgerView
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.ledger import files
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.items import OBJECT_SK, Output, State, chunk_sk, object_pk
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.planning import FORMER_RUNS, BeingPublished
from sluice_pipeline.ledger.reading import PagesMissing
from sluice_pipeline.ledger.staged import StagedRuns
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.engine_harness import Engine

REF = ObjectRef("b", "bronze/shipments/a.jsonl", "v1", "e1", 100)
ID = REF.as_origin().object_id
RULES = RulesVersion("0" * 64, "v1")
ITEM_BYTES = 400 * 1024
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""


@pytest.fixture
def table(engine: Engine) -> Iterator[Table]:
    db, name = engine.client("dynamodb"), f"ledger-{uuid.uuid4().hex[:8]}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    attributes = [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")]
    db.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=keys, AttributeDefinitions=attributes)
    yield Table(db, name)
    db.delete_table(TableName=name)


@pytest.fixture
def db(engine: Engine) -> Any:
    return engine.client("dynamodb")


@pytest.fixture
def ledger(db: Any, table: Table) -> Ledger:
    return Ledger(db, table.name)


def result(count: int, run: int = 1) -> ChunkResult:
    outputs = [
        Output(key=f"silver/shipments/dt={n:010d}/{ID}-{run:05d}.parquet", dataset="shipments", dt=f"{n:010d}", rows=1,
               bytes=9_000)
        for n in range(count)
    ]  # fmt: skip
    return ChunkResult(count, outputs, [])


def planned(ledger: Ledger, chunks: int = 1) -> list[Chunk]:
    parts = [Chunk(n, n * 100 // chunks, (n + 1) * 100 // chunks, chunks) for n in range(chunks)]
    assert ledger.create_plan(REF, REF.as_origin(), "shipments", parts, RULES)
    return parts


def pages(table: Table) -> list[str]:
    return [item["sk"] for item in table.query(object_pk(ID), files.PAGES)]


def keys(chunk: Any) -> list[str]:
    return [output["key"] for output in chunk["outputs"]]


@pytest.mark.parametrize("way", ["put", "update", "transaction", "batch"])
def test_an_item_of_400_kb_is_the_largest(db: Any, table: Table, way: str) -> None:
    """Names and values count: pk + "a", sk + "b", and "text" with its value.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items
    """
    fits = ITEM_BYTES - len("pka") - len("skb") - len("text")
    key = {"pk": {"S": "a"}, "sk": {"S": "b"}}

    def write(length: int) -> None:
        text = {":t": {"S": "x" * length}}
        item = key | {"text": text[":t"]}
        names = {"ExpressionAttributeNames": {"#t": "text"}}
        update = {"TableName": table.name, "Key": key, "UpdateExpression": "SET #t = :t"} | names
        if way == "put":
            db.put_item(TableName=table.name, Item=item)
        elif way == "update":
            db.update_item(**update, ExpressionAttributeValues=text)
        elif way == "batch":
            db.batch_write_item(RequestItems={table.name: [{"PutRequest": {"Item": item}}]})
        else:
            db.transact_write_items(TransactItems=[{"Update": update | {"ExpressionAttributeValues": text}}])

    write(fits)
    with pytest.raises(ClientError) as caught:
        write(fits + 1)
    # A transaction reports it as the reason of its item.
    answer = caught.value.response
    messages = [reason.get("Message", "") for reason in answer.get("CancellationReasons", [answer["Error"]])]
    assert any("has exceeded the maximum allowed size" in message for message in messages)
    assert len(db.get_item(TableName=table.name, Key=key)["Item"]["text"]["S"]) == fits


def test_few_files_stay_in_the_chunks_item(ledger: Ledger, table: Table) -> None:
    [chunk] = planned(ledger)
    assert ledger.complete_chunk(ID, chunk, 1, result(3))
    assert pages(table) == []
    assert len(table.get(object_pk(ID), chunk_sk(0))["outputs"]) == 3  # type: ignore[index]


def test_every_reader_sees_thousands_of_files(ledger: Ledger, table: Table, db: Any) -> None:
    one, two = planned(ledger, 2)
    assert ledger.complete_chunk(ID, one, 1, result(4000))
    assert ledger.complete_chunk(ID, two, 1, result(2, run=2))
    many, few = [output["key"] for output in result(4000).outputs], [o["key"] for o in result(2, run=2).outputs]
    assert len(pages(table)) > 1
    assert [keys(chunk) for chunk in ledger.chunks(ID)] == [many, few]
    assert keys(ledger.chunk(ID, 0)) == many
    view = LedgerView(db, table.name)
    entry = view.one(ID)
    assert entry is not None
    assert list(entry.files("outputs")) == many + few
    assert len(entry.chunks) == 2
    assert list(view.outlines().entries) == [ID]


def test_a_delivery_that_comes_again_counts_nothing_and_changes_no_list(ledger: Ledger) -> None:
    [chunk] = planned(ledger)
    assert ledger.complete_chunk(ID, chunk, 1, result(4000))
    assert not ledger.complete_chunk(ID, chunk, 1, result(4000))
    assert keys(ledger.chunk(ID, 0)) == [output["key"] for output in result(4000).outputs]
    assert ledger.object(ID)["rows_in"] == 4000  # type: ignore[index]


def test_a_worker_that_dies_after_its_pages_has_counted_nothing(
    ledger: Ledger, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    [chunk] = planned(ledger)
    with monkeypatch.context() as patch:
        patch.setattr(Table, "transact", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            ledger.complete_chunk(ID, chunk, 1, result(4000))
    assert pages(table)
    assert ledger.chunk(ID, 0).get("outputs") is None  # type: ignore[union-attr]
    assert ledger.complete_chunk(ID, chunk, 1, result(2500))  # the retry, under other rules
    assert len(keys(ledger.chunk(ID, 0))) == 2500


@pytest.mark.parametrize("count", [0, 3, 2500])
def test_a_newer_run_knows_the_files_of_the_former_one_and_replaces_its_pages(
    ledger: Ledger, table: Table, count: int
) -> None:
    [chunk] = planned(ledger)
    assert ledger.complete_chunk(ID, chunk, 1, result(4000))
    item = ledger.open_run(REF, ledger.object(ID), RULES)  # type: ignore[arg-type]
    assert item
    assert ledger.open_chunks(item) == [chunk]
    before = ledger.chunk(ID, 0)
    assert before
    assert len(keys(before)) == 4000  # so that what is left over can be deleted
    assert not ledger.complete_chunk(ID, chunk, 1, result(4000)), "a late delivery of the former run"
    assert ledger.complete_chunk(ID, chunk, 2, result(count, run=2))
    for _ in range(2):
        ledger.delete_former_pages(before, 2)
    assert keys(ledger.chunk(ID, 0)) == [output["key"] for output in result(count, run=2).outputs]
    assert {name.split("#")[2] for name in pages(table)} == ({f"{2:010d}"} if count == 2500 else set())


def test_former_runs_are_kept_as_they_ended_and_very_many_are_cut(ledger: Ledger, table: Table) -> None:
    [chunk] = planned(ledger)
    first = ledger.object(ID)
    assert first
    assert ledger.complete_chunk(ID, chunk, 1, result(3))
    assert ledger.commit(ID, 1)
    committed = ledger.object(ID)
    assert committed
    other = RulesVersion("b" * 64, "v2")
    second = ledger.open_run(REF, committed, other, "again")
    assert second
    assert ledger.open_run(REF, committed, other) is None, "another worker that saw the first run"
    third = ledger.open_run(REF, second, RULES)
    assert third
    counts = {"rows_in": 3, "rows_silver": 3, "rows_quarantined": 0}
    assert third["former_runs"] == [
        counts
        | {"run": 1, "state": "committed", "rules": RULES.sha256}
        | {"began_at": first["received_at"], "ended_at": committed["committed_at"]},
        dict.fromkeys(counts, 0)
        | {"run": 2, "state": "planned", "rules": other.sha256, "replay": "again"}
        | {"began_at": second["began_at"], "ended_at": second["updated_at"]},
    ]
    assert first["received_at"] <= committed["committed_at"] <= second["began_at"] <= third["began_at"]
    assert third["received_at"] == first["received_at"]
    item = third
    for _ in range(FORMER_RUNS):
        item = ledger.open_run(REF, item, RULES, "r" * 64)  # type: ignore[assignment]
    assert [one["run"] for one in item["former_runs"]] == list(range(3, FORMER_RUNS + 3))


def test_pages_that_are_not_there_are_an_error_that_a_retry_may_help(ledger: Ledger, table: Table) -> None:
    [chunk] = planned(ledger)
    assert ledger.complete_chunk(ID, chunk, 1, result(4000))
    table.delete_all([(object_pk(ID), pages(table)[0])])
    with pytest.raises(PagesMissing):
        ledger.chunk(ID, 0)


def test_chunks_beyond_five_digits_come_after_those_of_five(ledger: Ledger, table: Table) -> None:
    for index in (100_000, 99_999, 0, 1_000_000, 9_999):
        table.put_all([{"pk": object_pk(ID), "sk": chunk_sk(index)}])
    assert [chunk["sk"] for chunk in ledger.chunks(ID)] == list(map(chunk_sk, (0, 9_999, 99_999, 100_000, 1_000_000)))


def test_the_notice_of_a_failure_is_due_until_it_is_noted_of_this_failure_or_a_run_begins(ledger: Ledger) -> None:
    planned(ledger)

    def due() -> bool:
        item = ledger.object(ID)
        assert item is not None
        return bool(item.get("notice_due"))

    def fails(code: str) -> bool:
        return ledger.record_failure(REF, REF.as_origin(), "shipments", State.FAILED, code, "why")

    assert fails("unreadable")
    assert due()
    assert not fails("unreadable"), "the same again, as of a retry, is no second failure"
    assert due()
    ledger.note_noticed(ID, State.FAILED, "retries_exhausted")
    assert due(), "that was another failure's"
    ledger.note_noticed(ID, State.FAILED, "unreadable")
    assert not due()
    assert not fails("unreadable")
    assert not due()
    assert fails("retries_exhausted")
    assert due()
    item = ledger.object(ID)
    assert item is not None
    assert ledger.open_run(REF, item, RULES)
    assert not due(), "the new run has not failed"


def test_no_run_begins_while_the_one_before_is_being_published(ledger: Ledger, table: Table, db: Any) -> None:
    [chunk] = planned(ledger)
    assert ledger.complete_chunk(ID, chunk, 1, result(1))
    assert ledger.stage(ID, 1)
    staged = StagedRuns(db, table.name)
    assert not staged.begin_publishing(ID, 2, State.STAGED)
    assert not staged.begin_publishing(ID, 1, State.WITHHELD)
    assert staged.begin_publishing(ID, 1, State.STAGED)
    assert staged.begin_publishing(ID, 1, State.STAGED), "gone on with after it ended half-way"
    item = ledger.object(ID)
    assert item is not None
    with pytest.raises(BeingPublished, match="run 1 of"):
        ledger.open_run(REF, item, RULES)
    assert ledger.commit(ID, 1, State.STAGED)
    opened = ledger.open_run(REF, item, RULES)
    assert opened is not None
    assert int(opened["run"]) == 2


def test_a_content_has_one_plan_and_every_upload_of_it_leads_there(ledger: Ledger, table: Table, db: Any) -> None:
    """The conditions as DynamoDB evaluates them; tests/unit/core/test_identity.py has the orders and the deaths."""
    refs = [replace(REF, version_id=f"v{n}", etag=f"e{n}", since=f"2026-11-27T10:0{n}:00Z") for n in range(1, 4)]
    first, second, third = (ref.as_origin() for ref in refs)
    content, parts = first.content_id("CRC64NVME:x", 100), [Chunk(0, 0, 100, 1)]
    assert content == third.content_id("CRC64NVME:x", 100) != third.content_id("CRC64NVME:x", 101)
    plan = partial(ledger.create_plan, dataset="shipments", chunks=parts, rules=RULES, content_id=content)
    assert plan(refs[0], first)
    assert plan(refs[0], first) is None
    for ref in (refs[2], refs[1]):
        assert plan(ref, ref.as_origin()) is None
        known, forgotten = ledger.planned(ref.as_origin().object_id, content)
        assert (known and known["object_id"], forgotten) == (first.object_id, set())
        ledger.note_same(ref.as_origin(), ref, first.object_id)
    view = LedgerView(db, table.name)
    outlines = view.outlines()
    assert list(outlines.entries) == [first.object_id]
    assert outlines.stand_for == dict.fromkeys([second.object_id, third.object_id], first.object_id)
    for entry in (view.one(second.object_id), view.objects([second.object_id])[second.object_id]):
        item = entry if isinstance(entry, dict) else entry and entry.item
        assert item
        assert (item["object_id"], item["newest"]["version_id"]) == (first.object_id, "v3")
    table.delete_all([(object_pk(first.object_id), OBJECT_SK)])
    assert ledger.object(second.object_id) is None
    known, forgotten = ledger.planned(second.object_id, content)
    assert (known, forgotten) == (None, {first.object_id})
    assert plan(refs[1], second) is None
    assert plan(refs[1], second, forgotten=forgotten)
    found = ledger.object(second.object_id)
    assert found is not None
    assert (found["object_id"], found["state"]) == (second.object_id, State.PLANNED)
    assert ledger.planned(third.object_id, content)[0] == found
