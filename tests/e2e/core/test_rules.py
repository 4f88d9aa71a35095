"""The rules that are in service: a run is judged by those that were when it began, the next one by the new ones."""

from __future__ import annotations

from fixtures import formats, shipping
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Replays
from sluice.pipeline.requeue import rules_of
from tests.support.changes import changed_rule, quick_redelivery
from tests.support.pipeline import Pipeline, Put, until

ROWS = 30


def _put(pipe: Pipeline, name: str) -> Put:
    records = shipping.records("shipments", 31, ROWS)
    return pipe.put("shipments", formats.jsonl([record | {"weight_kg": 150.0} for record in records]), name)


def _counts(pipe: Pipeline, put: Put) -> tuple[int, int, int, str]:
    item = pipe.entry(put).item
    return int(item["run"]), int(item["rows_silver"]), int(item["rows_quarantined"]), item["rules"]["version_id"]


def test_a_run_stays_with_its_rules_while_a_new_object_is_judged_by_the_new_ones(breakable: Pipeline) -> None:
    pipe = breakable
    first = rules_of(pipe.stack)
    with (
        quick_redelivery(pipe, chunk_queue_url="transform"),
        pipe.fault("transform", "dynamodb", "TransactWriteItems", "kill-before"),
    ):
        old = _put(pipe, "old.jsonl")
        until("the fault", pipe.fault_hits)
        with changed_rule(pipe, "shipments", "weight_kg", max=100) as version:
            new = _put(pipe, "new.jsonl")
            pipe.wait(old, new)
            assert _counts(pipe, new) == (1, 0, ROWS, version)
            # its chunk came again after the rule had changed
            assert _counts(pipe, old) == (1, ROWS, 0, first.version_id)
    pipe.verified(pipe.key("shipments", ""))


def test_a_message_of_an_earlier_release_is_judged_by_the_rules_in_service(breakable: Pipeline) -> None:
    pipe = breakable
    with (
        quick_redelivery(pipe, ingest_queue_url="ingest"),
        pipe.fault("ingest", "sqs", "SendMessageBatch", "kill-before"),
    ):
        put = _put(pipe, "unpinned.jsonl")
        until("the fault", pipe.fault_hits)
        with changed_rule(pipe, "shipments", "weight_kg", max=100):
            pipe.send(put.message().to_json())
            pipe.wait(put)
    assert _counts(pipe, put)[:3] == (1, 0, ROWS)


def test_the_same_request_under_new_rules_is_another_replay(pipe: Pipeline) -> None:
    put = _put(pipe, "object.jsonl")
    pipe.wait(put)
    replays, names = Replays(pipe.stack), []

    def replay() -> tuple[bool, str]:
        rules = rules_of(pipe.stack)
        wanted = replaying.request(prefix=put.ref.key, id=pipe.run, rules=rules.text)
        started = replays.start(wanted)
        ended = replays.follow(started, lambda _done, _total: None)
        assert ended.result is not None
        assert ended.result["rules"]["sha256"] == rules.sha256
        names.append(wanted.name)
        return started.new, ended.status

    assert [replay(), replay()] == [(True, "SUCCEEDED"), (False, "SUCCEEDED")]
    with changed_rule(pipe, "shipments", "weight_kg", max=100):
        assert [replay(), replay()] == [(True, "SUCCEEDED"), (False, "SUCCEEDED")]
        assert _counts(pipe, put)[:3] == (3, 0, ROWS)
    assert replay() == (True, "SUCCEEDED")  # the former rules are in service again: silver is what they say
    assert _counts(pipe, put)[:3] == (4, ROWS, 0)
    assert len(set(names)) == 3
