"""The operator's verbs on a stack with failures in it: made first, then listed, redriven, retried and removed."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice import cli
from sluice.engine.instance import Instance
from sluice.pipeline.stack import Stack
from tests.support import branches
from tests.support.changes import changed_rule
from tests.support.mailbox import Mailbox
from tests.support.pipeline import Pipeline, Put, until
from tests.support.session import RUNNING

ROWS = 30


class Sluice:
    """The command, run in this process against the session's stack."""

    def __init__(self, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
        if not RUNNING:
            monkeypatch.setenv("SLUICE_HOME", str(instance.home))
        monkeypatch.delenv("TARGET", raising=False)
        monkeypatch.delenv("COLUMNS", raising=False)  # parallel pytest sets it; keys are to be whole
        if not cli.app.registered_commands:
            cli.register_verbs()

    def text(self, *words: str, code: int = 0) -> str:
        """What a command prints, results and messages; it must end with this exit code."""
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            ended = cli.run(words)
        assert ended == code, f"sluice {' '.join(words)}: exit code {ended}\n{out.getvalue()}"
        return out.getvalue()

    def json(self, *words: str, code: int = 0) -> Any:
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(io.StringIO()) as err:
            ended = cli.run([*words, "--json"])
        assert ended == code, f"sluice {' '.join(words)}: exit code {ended}\n{out.getvalue()}{err.getvalue()}"
        return json.loads(out.getvalue())


@pytest.fixture
def sluice(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Sluice:
    return Sluice(instance, monkeypatch)


@dataclass
class Mess:
    """One of everything that ends in a dead-letter queue."""

    pipe: Pipeline
    refused: Put  # by S3, five times: a chunk that can be redriven once the cause is fixed
    cut: Put  # half a gzip: a chunk that dies again
    unknown_dataset: Put  # of a dataset that does not exist: ingest's own record
    crashed: Put  # its planning failed five times: S3's notification
    poison: str  # a malformed message
    stray: str  # an event that is none

    @property
    def puts(self) -> tuple[Put, ...]:
        return self.refused, self.cut, self.unknown_dataset, self.crashed

    def messages(self, found: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The messages of this mess in the output of `dlq ls`, by the name of their field here."""
        by_object = {put.object_id: name for name, put in vars(self).items() if isinstance(put, Put)}
        named = {}
        for one in found["letters"]:
            if one["object_id"] in by_object:
                named[by_object[one["object_id"]]] = one
            elif one["kind"] == "unknown":
                named["poison" if one["queue"] == "chunks" else "stray"] = one
        return named


@pytest.fixture(scope="module")
def mess(stack: Stack, mailbox: Mailbox, instance: Instance) -> Mess:
    """Made side by side: five tries of ingest take longest, about twenty seconds."""
    info = instance.info()
    if not (info and info.faults):
        pytest.skip("the running engine was started without fault control")
    pipe = Pipeline(stack, mailbox, faults=True)
    good = formats.jsonl(shipping.records("shipments", 80, ROWS))
    body = json.dumps({"schema": "sluice.chunk/1", "not": pipe.run})
    stray = {"hello": pipe.run}
    faults = {"ingest": ("sqs", "SendMessageBatch", "crashed"), "transform": ("s3", "PutObject", "refused")}
    try:
        pipe.send(json.dumps(stray), "ingest_queue_url")
        pipe.send(body)
        cut = pipe.put("shipments", formats.truncated_gzip().body, "cut.jsonl.gz")
        unknown_dataset = pipe.put("telegrams", good)
        until("the quick ones", lambda: pipe.depth("chunk_dlq_url") == pipe.depth("ingest_dlq_url") == 2)
        service, operation, name = faults["transform"]
        _fault(pipe, "transform", service, operation)
        refused = pipe.put("shipments", good, f"{name}.jsonl")
        until("the plan", lambda: pipe.ledger.one(refused.object_id))
        until("its first failure", lambda: pipe.fault_hits() >= 1)
        service, operation, name = faults["ingest"]
        _fault(pipe, "ingest", service, operation)
        crashed = pipe.put("shipments", good, f"{name}.jsonl")
        until(
            "all messages", lambda: pipe.depth("chunk_dlq_url") == 3 and pipe.depth("ingest_dlq_url") == 3, deadline=150
        )
    finally:
        pipe.clear_faults()
    return Mess(pipe, refused, cut, unknown_dataset, crashed, body, json.dumps(stray))


def _fault(pipe: Pipeline, function: str, service: str, operation: str) -> None:
    fault = {"function": pipe.stack[f"{function}_function"], "service": service, "operation": operation}
    pipe.set_fault(fault | {"action": "error:AccessDenied", "times": 0})


# -- looking: nothing changes ------------------------------------------------------------------------------------------


def counts(mess: Mess, **some: int) -> dict[str, int]:
    """Of every dead-letter queue that the stack has, the number given, or none."""
    return dict.fromkeys(branches.queues(mess.pipe.stack), 0) | some


def test_dead_letters_are_listed_with_object_reason_receives_and_age(mess: Mess, sluice: Sluice) -> None:
    found = sluice.json("dlq", "ls")
    assert found["counts"] == counts(mess, chunks=3, ingest=3)
    messages = mess.messages(found)
    assert {name: (one["queue"], one["reason"].split(":")[0]) for name, one in messages.items()} == {
        "refused": ("chunks", "retries_exhausted"),
        "cut": ("chunks", "truncated_gzip"),
        "poison": ("chunks", "not a chunk message"),
        "unknown_dataset": ("ingest", "unknown_dataset"),
        "crashed": ("ingest", "retries_exhausted"),
        "stray": ("ingest", "not an S3 notification, KeyError('Records') is missing or wrong"),
    }
    assert {name for name, one in messages.items() if not one["repairable"]} == {"poison", "stray"}
    for name, put in (("refused", mess.refused), ("unknown_dataset", mess.unknown_dataset), ("crashed", mess.crashed)):
        assert messages[name]["key"] == put.ref.key
    assert all(one["receives"] >= 5 for name, one in messages.items() if name != "unknown_dataset")
    assert all(0 < one["age_seconds"] < 300 for one in messages.values())
    assert mess.refused.ref.key in sluice.text("dlq", "ls")


def test_a_message_is_shown_with_the_ledgers_entry_by_message_object_or_key(mess: Mess, sluice: Sluice) -> None:
    message = mess.messages(sluice.json("dlq", "ls"))["refused"]["message_id"]
    for word in (message[:8], mess.refused.object_id[:12], mess.refused.ref.key):
        [one] = sluice.json("dlq", "show", word)
        assert json.loads(one["body"])["object"]["key"] == mess.refused.ref.key
        assert (one["ledger"]["state"], one["ledger"]["failed_reason"]) == ("failed", "retries_exhausted")
    assert "AccessDenied" in sluice.text("dlq", "show", message)
    assert "no dead-letter message is named" in sluice.text("dlq", "show", "0000ffff", code=1)


def test_status_shows_failures_and_dead_letters_on_one_screen(mess: Mess, sluice: Sluice) -> None:
    facts = sluice.json("status")
    seen = facts["pipeline"]
    assert facts["running"] is True
    assert facts["healthy"] is True
    assert seen["objects"]["failed"] >= 3
    assert {queue["name"]: queue["waiting"] for queue in seen["queues"] if queue["waiting"]} == {
        "chunk dead-letter queue": 3, "ingest dead-letter queue": 3,
    }  # fmt: skip
    assert all(queue["oldest"] > 0 for queue in seen["queues"] if queue["waiting"])
    assert seen["dead_letters"]["chunks: truncated_gzip"] == 1
    assert {mess.refused.object_id, mess.crashed.object_id} <= {item["object_id"] for item in seen["failures"]}
    screen = sluice.text("status")
    for words in ("LocalStack", "dead-letter messages", "last failures", mess.cut.object_id[:12]):
        assert words in screen


def test_an_object_gets_one_notice_and_a_message_without_an_object_one_too(mess: Mess) -> None:
    mail = mess.pipe.mail
    kinds = {put.object_id: ("object.failed", "error", put.ref.key.split("/")[1]) for put in mess.puts}
    for object_id, (kind, severity, dataset) in kinds.items():
        [notice] = until("the notice", lambda name=object_id: mail.notices(object_id=name))
        assert notice["attributes"] == {"dataset": dataset, "severity": severity, "kind": kind}
        assert notice["repair"].endswith(f"sluice dlq redrive {object_id}")
    [notice] = until("the poison's notice", lambda: poison_notices(mess))
    assert notice["attributes"] == {"dataset": "unknown", "severity": "error", "kind": "dead.letter"}
    assert notice["look"] == f"sluice dlq show {notice['message_id']}"


def poison_notices(mess: Mess) -> list[dict[str, Any]]:
    """The notices about the malformed chunk message."""
    found = mess.pipe.mail.notices(kind="dead.letter")
    return [notice for notice in found if mess.pipe.run in notice["detail"] and notice["queue"].endswith("-chunks")]


# -- delivering again --------------------------------------------------------------------------------------------------


def test_what_nothing_can_work_stays_where_it_is_and_says_so(mess: Mess, sluice: Sluice) -> None:
    messages = mess.messages(sluice.json("dlq", "ls"))
    words = [messages[name]["message_id"] for name in ("poison", "stray")]
    done = sluice.json("dlq", "redrive", *words, code=1)
    assert [(result["queue"], result["before"], result["moved"], result["after"]) for result in done] == [
        ("chunks", 3, 0, 3),
        ("ingest", 3, 0, 3),
    ]
    assert [left["message_id"] for result in done for left in result["left"]] == words
    assert "dlq purge" in done[0]["left"][0]["why"]


def test_a_redriven_message_that_dies_again_comes_back_without_a_second_notice(mess: Mess, sluice: Sluice) -> None:
    before = mess.messages(sluice.json("dlq", "ls"))["unknown_dataset"]["message_id"]
    done = sluice.json("dlq", "redrive", mess.unknown_dataset.ref.key, mess.cut.object_id)
    assert [(result["queue"], result["moved"]) for result in done] == [
        ("chunks", 1),
        ("ingest", 1),
    ]

    def back() -> bool:
        found = mess.messages(sluice.json("dlq", "ls"))
        return {"cut", "unknown_dataset"} <= set(found) and found["unknown_dataset"]["message_id"] != before

    until("both messages again", back)
    assert [len(mess.pipe.mail.notices(object_id=put.object_id)) for put in (mess.unknown_dataset, mess.cut)] == [1, 1]
    assert len(poison_notices(mess)) == 1


def test_selected_events_of_ingest_are_delivered_again(mess: Mess, sluice: Sluice) -> None:
    assert mess.pipe.entry(mess.crashed).state == "failed"  # planned, but its chunks were never sent
    [ingest] = sluice.json("dlq", "redrive", mess.crashed.object_id[:10])
    assert (ingest["before"], ingest["moved"], ingest["after"]) == (3, 1, 2)
    [item] = mess.pipe.wait(mess.crashed)
    assert (item["state"], item["rows_silver"]) == ("committed", ROWS)
    mess.pipe.verified(mess.crashed.ref.key)


def test_all_chunks_are_moved_by_sqs_and_what_is_fixed_is_ingested(mess: Mess, sluice: Sluice) -> None:
    [done] = sluice.json("dlq", "redrive", "--all", "--queue", "chunks", "--rate", "100")
    assert done["before"] == 3
    assert done["moved"] >= 3  # those that die at once may be moved twice before the task ends
    until("the fixed object", lambda: mess.pipe.entry(mess.refused).state == "committed")
    assert mess.pipe.entry(mess.refused).number("rows_silver") == ROWS
    until("the others", lambda: mess.pipe.depth("chunk_dlq_url") == 2 and not mess.pipe.depth())
    mess.pipe.verified(mess.refused.ref.key)


# -- removing ----------------------------------------------------------------------------------------------------------


def test_purge_asks_then_removes_and_counts(mess: Mess, sluice: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert "say --yes" in sluice.text("dlq", "purge", "--all", code=2)
    assert mess.pipe.depth("ingest_dlq_url") == 2
    assert sluice.json("dlq", "purge", mess.cut.object_id, "--yes") == counts(mess, chunks=1)
    assert sluice.json("dlq", "purge", "--all", "--yes") == counts(mess, chunks=1, ingest=2)
    assert sluice.json("dlq", "ls") == {"counts": counts(mess), "messages": [], "letters": []}


# -- quarantine --------------------------------------------------------------------------------------------------------


def test_rows_that_a_fixed_rule_lets_in_go_to_silver_once(pipe: Pipeline, sluice: Sluice) -> None:
    records = shipping.records("shipments", 81, ROWS)
    negative = [record | {"weight_kg": -5.0} for record in records[:9]]
    put = pipe.put("shipments", formats.jsonl([*negative, *records[9:]]) + b"not json\n")
    [item] = pipe.wait(put)
    assert (item["rows_in"], item["rows_silver"], item["rows_quarantined"]) == (ROWS + 1, ROWS - 9, 10)
    this = ("--object", put.object_id)

    listed = sluice.json("quarantine", "ls", *this)
    assert {(group["reason"], group["rows"]) for group in listed["groups"]} == {
        ("out_of_range", 9), ("malformed_json", 1),
    }  # fmt: skip
    rows = sluice.json("quarantine", "show", put.object_id, "--reason", "out_of_range")
    assert {(row["field"], json.loads(row["raw"])["weight_kg"]) for row in rows} == {("weight_kg", -5.0)}
    assert "-5.0" in sluice.text("quarantine", "show", *this)

    shown = sluice.text("quarantine", "retry", *this)  # under the same rules
    assert "0 rows resolved, 10 still bad" in shown
    assert "make deploy" in shown
    assert "quarantine_resolved" not in pipe.entry(put).item

    with changed_rule(pipe, "shipments", "weight_kg", min=-10):
        done = sluice.json("quarantine", "retry", "--reason", "out_of_range", *this)
    assert (done["resolved"], done["still"], done["newly"]) == ({"out_of_range": 9}, {"malformed_json": 1}, {})
    item = pipe.entry(put).item
    assert (item["run"], item["rows_silver"], item["rows_quarantined"]) == (3, ROWS, 1)
    assert sorted(row["shipment_id"] for row in pipe.rows(put)) == sorted(record["shipment_id"] for record in records)
    [resolved] = item["quarantine_resolved"]
    assert (resolved["run"], resolved["rows"], resolved["reasons"]) == (3, 9, {"out_of_range": 9})
    pipe.verified(put.ref.key)

    # one warning for each run with too many rejected rows, and none when a message comes again
    pipe.send(put.message().to_json())
    pipe.wait(put)
    notices = pipe.mail.notices(object_id=put.object_id, kind="quarantine.threshold")
    assert [(n["run"], n["rows_quarantined"], n["rows_in"]) for n in notices] == [(1, 10, ROWS + 1), (2, 10, ROWS + 1)]
    assert {tuple(n["attributes"].items()) for n in notices} == {
        (("dataset", "shipments"), ("severity", "warning"), ("kind", "quarantine.threshold"))
    }


def test_the_rows_of_an_object_whose_source_is_gone_stay_in_quarantine(pipe: Pipeline, sluice: Sluice) -> None:
    put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 82, 5)) + b"not json\n")
    pipe.wait(put)
    pipe.s3.delete_object(Bucket=put.ref.bucket, Key=put.ref.key, VersionId=put.ref.version_id)
    done = sluice.json("quarantine", "retry", "--object", put.object_id, code=1)
    assert "is gone" in done["objects"][0]["trouble"]
    assert pipe.entry(put).number("run") == 1
    assert len(pipe.quarantined(put)) == 1


def test_nothing_to_retry_is_said_and_no_filter_is_wrong_use(sluice: Sluice) -> None:
    assert "no such rows" in sluice.text("quarantine", "retry", "--dataset", "flights", "--reason", "control_totals")
    assert "there is no object '00000000'" in sluice.text("quarantine", "retry", "--object", "00000000", code=2)
    assert "say which rows" in sluice.text("quarantine", "retry", code=2)
    assert "reasons are" in sluice.text("quarantine", "ls", "--reason", "bad", code=2)
