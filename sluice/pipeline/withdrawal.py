"""Takes objects out again: their rows from every consumer, their files, their ledger items, and the objects themselves.

Consumers go by the newest run of an object. So a run without rows is recorded and announced, by which the warehouse and
the tables of branches delete what the run before gave them; then nothing refers to the files any more. Every step can
come twice: the object itself goes last, and as long as it is there a withdrawal that was killed begins again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.pipeline import queues, storage
from sluice.pipeline.branches import Branches
from sluice.pipeline.ledger import Entry, LedgerView
from sluice.pipeline.storage import Version
from sluice.pipeline.verify import object_id
from sluice.polling import SYSTEM, Clock, poll
from sluice_pipeline.ledger.contents import CONTENT_SK, content_pk
from sluice_pipeline.ledger.items import FINAL, OBJECT_SK, State, object_pk
from sluice_pipeline.objects.identity import Origin

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

ARRIVAL_SECONDS = 5.0  # from the event bus to the queues of its consumers
_DELETED_AT_A_TIME = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_KINDS = (("outputs", "silver_bucket"), ("quarantine", "quarantine_bucket"))


@dataclass(frozen=True)
class Candidate:
    """A bronze object as it is in the bucket, and what the ledger knows of it."""

    version: Version
    object_id: str
    entry: Entry | None


def find(stack: Stack, prefixes: Sequence[str]) -> list[Candidate]:
    """Every version under these prefixes of bronze. Delete markers are no versions: nothing of theirs is withdrawn."""
    s3, bucket, ledger = stack.client("s3"), stack["bronze_bucket"], LedgerView.of(stack)
    found = [version for prefix in prefixes for version in storage.versions(s3, bucket, prefix)]
    ids = [object_id(bucket, version.key, version.etag) for version in found]
    return [
        Candidate(version, name, ledger.one(name)) for version, name in zip(found, ids, strict=True)
    ]  # fmt: skip


def withdraw(stack: Stack, candidates: Sequence[Candidate], *, seconds: float, clock: Clock = SYSTEM) -> None:
    """Takes objects out whose runs have ended. seconds: for which consumers are waited for.

    Raises SluiceError (code 1) when a run has not ended, or a consumer has not caught up in time: what is left then is
    what the next withdrawal begins with.
    """
    entries = [one.entry for one in candidates if one.entry is not None]
    if unfinished := [entry.key for entry in entries if entry.state not in FINAL]:
        fail(f"{unfinished[0]} is still being processed: see `sluice runs`", FAILED)
    announced = [one for entry in entries if (one := _announce_no_rows(stack, entry)) is not None]
    if announced:
        _wait_for_consumers(stack, announced, seconds, clock)
    for candidate in candidates:
        if candidate.entry is not None:
            _delete_files(stack, candidate.entry)
            _forget(stack, candidate)
    _delete(stack.client("s3"), stack["bronze_bucket"], [one.version for one in candidates])


def _announce_no_rows(stack: Stack, entry: Entry) -> Entry | None:
    """Begins and ends a run without rows. None when the object was never announced."""
    from sluice_pipeline.dynamo.table import Table
    from sluice_pipeline.events.announcements import Announcements

    if entry.state != State.COMMITTED:
        return None
    table = Table(stack.client("dynamodb"), stack["ledger_table"])
    pk, run = object_pk(entry.object_id), entry.number("run")
    values = {":run": run, ":next": run + 1, ":zero": 0}
    head = table.update_action(
        pk, OBJECT_SK,
        "SET #run = :next , rows_in = :zero , rows_silver = :zero , rows_quarantined = :zero , silver_files = :zero , "
        "silver_bytes = :zero REMOVE loaded_run",
        "#run = :run", values,
    )  # fmt: skip
    chunks = [
        table.update_action(
            pk, str(chunk["sk"]),
            "SET #run = :next , rows_in = :zero , rows_silver = :zero , rows_quarantined = :zero , outputs = :none , "
            "quarantine = :none , withdrawn = :files REMOVE files_run , files_pages",
            "", {":next": run + 1, ":zero": 0, ":none": [], ":files": _withdrawn(chunk)},
        )
        for chunk in entry.live_chunks
    ]  # fmt: skip
    if not table.transact([head, *chunks]):
        fail(f"{entry.key} is being processed again: see `sluice runs`", FAILED)
    item: Any = entry.item | {"run": run + 1, "rows_in": 0, "rows_silver": 0, "rows_quarantined": 0, "silver_files": 0}
    Announcements(stack.client("events"), stack["event_bus_name"]).committed(item, [])
    return Entry(dict(item), entry.chunks)


def _withdrawn(chunk: Any) -> list[dict[str, str]]:
    """The files of a chunk whose rows are withdrawn, so that a second withdrawal still knows them."""
    named = [{"kind": kind, "key": str(file["key"])} for kind, _ in _KINDS for file in chunk.get(kind, [])]
    return [*chunk.get("withdrawn", []), *named]


def _wait_for_consumers(stack: Stack, announced: Sequence[Entry], seconds: float, clock: Clock) -> None:
    """Until each queue has been empty once since the announcement, and the warehouse has taken the rows out."""
    sqs, ledger, began = stack.client("sqs"), LedgerView.of(stack), clock.now()
    busy = dict(Branches.of(stack).sources)
    loads = stack.outputs.get("load_function") is not None
    left_out = frozenset(stack.outputs.get("warehouse_left_out") or ())
    waiting = {one.object_id: one.number("run") for one in announced if loads and one.dataset not in left_out}

    def look() -> bool:
        for name, run in list(waiting.items()):
            entry = ledger.one(name)
            if entry is None or entry.number("loaded_run") >= run:
                del waiting[name]
        if clock.now() - began >= ARRIVAL_SECONDS:
            for key, url in list(busy.items()):
                if not queues.depth(sqs, url).total:
                    del busy[key]
        return not waiting and not busy

    if not poll(look, seconds=seconds, interval=0.5, clock=clock).done:
        behind = [*(f"queue {key}" for key in busy), *(["the warehouse"] if waiting else [])]
        fail(f"{', '.join(behind)} did not catch up in {seconds:.0f} s: the next smoke removes what is left", FAILED)


def _delete_files(stack: Stack, entry: Entry) -> None:
    s3 = stack.client("s3")
    for kind, output in _KINDS:
        keys = {str(file["key"]) for chunk in entry.chunks for file in chunk.get(kind, [])}
        keys |= {str(one["key"]) for chunk in entry.chunks for one in chunk.get("withdrawn", []) if one["kind"] == kind}
        bucket = stack[output]
        _delete(s3, bucket, [version for key in sorted(keys) for version in _versions_of(s3, bucket, key)])


def _versions_of(s3: Any, bucket: str, key: str) -> Iterator[Version]:
    return (version for version in storage.versions(s3, bucket, key) if version.key == key)


def _delete(s3: Any, bucket: str, versions: Sequence[Version]) -> None:
    for start in range(0, len(versions), _DELETED_AT_A_TIME):
        some = versions[start : start + _DELETED_AT_A_TIME]
        listed = [{"Key": one.key, "VersionId": one.version_id} for one in some]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": listed, "Quiet": True})
        for error in answer.get("Errors", []):
            fail(f"{error['Key']} in {bucket} could not be deleted: {error['Code']}", FAILED)


def _forget(stack: Stack, candidate: Candidate) -> None:
    """Deletes the object's ledger items, its own last: chunks without it would be found by nothing."""
    from sluice_pipeline.dynamo.table import Table

    table, pk = Table(stack.client("dynamodb"), stack["ledger_table"]), object_pk(candidate.object_id)
    others = [str(item["sk"]) for item in table.query(pk, "") if item["sk"] != OBJECT_SK]
    content = content_pk(_content_id(stack, candidate.version)), CONTENT_SK
    table.delete_all([content, *((pk, sk) for sk in [*others, OBJECT_SK])])


def _content_id(stack: Stack, version: Version) -> str:
    """What ingest knows the bytes by, of an object that it reads whole."""
    bucket = stack["bronze_bucket"]
    which = {"Bucket": bucket, "Key": version.key, "VersionId": version.version_id}
    body = stack.client("s3").get_object(**which)["Body"].read()
    checksum = f"SHA256:{hashlib.sha256(body).hexdigest()}"
    return Origin(bucket, version.key, version.etag).content_id(checksum, len(body))
