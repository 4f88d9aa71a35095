"""A function that does not survive an object: its neighbours go on, and the ledger says how it ended."""

from __future__ import annotations

import re

import pytest

from fixtures import formats, shipping
from tests.support.changes import changed_code, paused, timeouts, visibility
from tests.support.pipeline import Pipeline, Put, until

ROWS = 20


def put(pipe: Pipeline, name: str) -> Put:
    return pipe.put("shipments", formats.jsonl(shipping.records("shipments", len(name), ROWS)), f"{name}.jsonl")


def committed(pipe: Pipeline, put: Put) -> bool:
    entry = pipe.ledger.one(put.object_id)
    return entry is not None and (entry.state, entry.number("rows_silver")) == ("committed", ROWS)


def failed(pipe: Pipeline, put: Put) -> bool:
    entry = pipe.ledger.one(put.object_id)
    return entry is not None and entry.state == "failed"


def notified(pipe: Pipeline, put: Put) -> list[tuple[str, str]]:
    """The notices about a failed object, once there are any: transform or settle, whichever was first, sent them."""
    until("the notice", lambda: pipe.mail.notices(object_id=put.object_id))
    until("its end", lambda: "notice_due" not in pipe.entry(put).item)
    return [(notice["kind"], notice["reason"]) for notice in pipe.mail.notices(object_id=put.object_id)]


@pytest.mark.parametrize(
    ("action", "how"),
    [
        ("kill-before", "did not survive the last: it ended with an error (Runtime.ExitError)"),
        pytest.param(
            "delay:120000",
            "the last: TimedOut(",
            marks=pytest.mark.thorough(
                "tests/e2e/faults/test_dying.py"
                "::test_an_object_that_its_function_cannot_survive_fails_with_how_it_ended_and_holds_up_no_neighbour",
                "tests/unit/core/test_settle_handler.py::test_the_log_says_how_it_ended",
                why="another end of the function, whose words a cheaper test reads",
            ),
        ),
    ],
)
def test_an_object_that_its_function_cannot_survive_fails_with_how_it_ended_and_holds_up_no_neighbour(
    breakable: Pipeline, action: str, how: str
) -> None:
    pipe = breakable
    with timeouts(pipe, transform=6), visibility(pipe, chunk_queue_url=12):
        _fails_alone(pipe, action, how)


def _fails_alone(pipe: Pipeline, action: str, how: str) -> None:
    killer_origin = pipe.origin_of(
        pipe.key("shipments", "killer.jsonl"), formats.jsonl(shipping.records("shipments", len("killer"), ROWS))
    )
    with pipe.fault("transform", "s3", "PutObject", action, times=0, about=[killer_origin.object_id]):
        with paused(pipe, "transform"):  # what is sent in the block is received together at its end
            killer = put(pipe, "killer")
            assert killer.origin.object_id == killer_origin.object_id
            neighbours = [put(pipe, f"neighbour-{'x' * n}") for n in range(3)]
            until("their chunks", lambda: pipe.depth() == 4)
        until("the neighbours", lambda: all(committed(pipe, neighbour) for neighbour in neighbours), 120)
        assert pipe.entry(killer).state == "planned", "its retries are not over"
        until("the failure", lambda: pipe.entry(killer).state == "failed", 240)
        item = pipe.entry(killer).item
        assert item["failed_reason"] == "retries_exhausted"
        assert how in item["error"]
        [message] = pipe.receive_messages("chunk_dlq_url", lambda body: killer.ref.key in body, 120)
        until("the queue to be empty", lambda: pipe.depth() == 0, 60)
    assert killer.ref.key in message["body"]
    assert notified(pipe, killer) == [("object.failed", "retries_exhausted")]
    pipe.send(message["body"])  # the cause is fixed
    until("the redriven object", lambda: pipe.entry(killer).state == "committed")
    pipe.verified(pipe.key("shipments", ""))


def test_objects_of_a_function_that_cannot_start_fail_with_that_reason_and_are_redriven(pipe: Pipeline) -> None:
    line = "logger = Logger()\n"
    with (
        timeouts(pipe, transform=6),
        visibility(pipe, chunk_queue_url=6),
        changed_code(pipe, "transform", "core/transform/handler.py", line, f"import a_missing_layer\n{line}"),
    ):
        puts = [put(pipe, f"unlucky-{'x' * n}") for n in range(2)]
        until("the failures", lambda: all(failed(pipe, one) for one in puts), 300)
        for one in puts:
            item = pipe.entry(one).item
            assert item["failed_reason"] == "retries_exhausted"
            # On a busy machine the last start may also run out of time.
            how = r"it could not start( in time| \(Runtime\.ImportModuleError\)), see /aws/"
            assert re.search(f"did not survive the last: {how}", item["error"])
        pipe.lambda_.invoke(FunctionName=pipe.stack["settle_function"])
        messages = [
            pipe.receive_messages("chunk_dlq_url", lambda body, key=one.ref.key: key in body, 120)[0] for one in puts
        ]
    for one, message in zip(puts, messages, strict=True):
        assert notified(pipe, one) == [("object.failed", "retries_exhausted")]
        pipe.send(message["body"])  # the cause is fixed
    until("the redriven objects", lambda: all(committed(pipe, one) for one in puts))
    pipe.verified(pipe.key("shipments", ""))
