"""The SQS consumer without AWS: what happens to a message in each case, and how often it is reported."""

import itertools
import json
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.consumer.consumer import Consumer, Delivery, Work
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.messages import MalformedMessage
from tests.support.handlers import Context

LIMIT = 5


class PermanentError(Exception):
    pass


class TransientError(Exception):
    pass


@dataclass
class Calls:
    """SQS and the topic in one list of calls, in their order; ``body`` of a message says what its processing does."""

    made: list[tuple[Any, ...]] = field(default_factory=list)

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        self.made.append(("visible after", QueueUrl, ReceiptHandle, VisibilityTimeout))

    def dead_letter(self, queue: str, message_id: str, reason: str, body: str) -> None:
        self.made.append(("notice", queue, message_id, reason, body))

    def parse(self, body: str) -> str:
        if body == "malformed":
            raise MalformedMessage("not JSON")
        return body

    def process(self, message: str) -> None:
        self.made.append(("process", message))
        if message == "permanent":
            raise PermanentError
        if message == "transient":
            raise TransientError

    def on_failure(self, message: str, error: Exception, delivery: Delivery) -> None:
        self.made.append(("failure", message, type(error).__name__, delivery.receives, delivery.is_last))


@pytest.fixture(autouse=True, scope="module")
def metrics_settings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_SERVICE_NAME", "function")
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "unit-tests")
        yield


def consumer(calls: Calls) -> Consumer[str]:
    work = Work[str](
        parse=calls.parse,
        object_id=lambda message: f"id of {message}",
        process=calls.process,
        on_failure=calls.on_failure,
        applies_to=lambda message: message != "foreign",
        is_permanent=lambda error: isinstance(error, PermanentError),
    )
    notices: Any = calls
    return Consumer(work, Redelivery(calls, "http://sqs/1/chunks", LIMIT), notices, Logger(service="test"))


def message(body: str, receives: int, name: str = "m") -> dict[str, Any]:
    return {
        "messageId": name, "receiptHandle": f"handle of {name}", "body": body,
        "attributes": {"ApproximateReceiveCount": str(receives)}, "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:1:chunks", "awsRegion": "us-east-1", "messageAttributes": {},
    }  # fmt: skip


def received(one: Consumer[str], body: str, receives: int, name: str = "m") -> None:
    """One receive of a message, its exception swallowed as Lambda's batch does."""
    try:
        one.process_record(SQSRecord(message(body, receives, name)))
    except (MalformedMessage, PermanentError, TransientError):
        return
    assert body in ("good", "foreign"), "a failure must leave the message on the queue"


def test_a_good_message_is_processed_and_acknowledged() -> None:
    calls = Calls()
    received(consumer(calls), "good", LIMIT)
    assert calls.made == [("process", "good")]


def test_a_message_that_the_work_does_not_apply_to_is_acknowledged_untouched() -> None:
    calls = Calls()
    received(consumer(calls), "foreign", LIMIT)
    assert calls.made == []


def test_a_malformed_message_is_retried_at_once_and_reported_at_its_last_receive() -> None:
    calls = Calls()
    one = consumer(calls)
    again = ("visible after", "http://sqs/1/chunks", "handle of m", 0)
    received(one, "malformed", LIMIT - 1)
    assert calls.made == [again]
    received(one, "malformed", LIMIT)
    assert calls.made == [again, ("notice", "chunks", "m", "not JSON", "malformed"), again]


@pytest.mark.parametrize(
    ("body", "counted"), [("good", 0), ("foreign", 0), ("malformed", 1), ("permanent", 1), ("transient", 1)]
)
def test_each_failure_of_a_message_is_counted_once(body: str, counted: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The function answers, so Lambda's metric Errors does not: the alarm needs one of our own."""
    received(consumer(Calls()), body, 1)
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [(one["service"], one["HandledErrors"]) for one in metrics] == [("function", [1.0])] * counted


def test_a_permanent_error_is_retried_at_once() -> None:
    calls = Calls()
    received(consumer(calls), "permanent", 1)
    assert calls.made == [
        ("process", "permanent"),
        ("failure", "permanent", "PermanentError", 1, False),
        ("visible after", "http://sqs/1/chunks", "handle of m", 0),
    ]


def test_a_transient_error_is_retried_after_waits_that_grow_and_recorded_when_retries_are_exhausted() -> None:
    calls = Calls()
    one = consumer(calls)
    for receives in range(1, LIMIT + 1):
        received(one, "transient", receives)
    assert [call[3:] for call in calls.made if call[0] == "failure"] == [
        (1, False), (2, False), (3, False), (4, False), (5, True),
    ]  # fmt: skip
    assert [call[3] for call in calls.made if call[0] == "visible after"] == [1, 2, 4, 8, 0]
    assert [call[0] for call in calls.made[-3:]] == ["process", "failure", "visible after"]  # recorded first


def test_waits_end_at_the_longest() -> None:
    calls = Calls()
    redelivery = Redelivery(calls, "http://sqs/1/loads", 10, base=4, longest=120)
    for receives in range(1, 11):
        redelivery.later("h", receives)
    assert [call[3] for call in calls.made] == [1, 4, 16, 64, 120, 120, 120, 120, 120, 0]


def test_a_batch_names_only_the_messages_that_failed() -> None:
    calls = Calls()
    bodies = ("good", "malformed", "foreign", "permanent", "transient", "good")
    event = {"Records": [message(body, 1, name=f"m{n}") for n, body in enumerate(bodies)]}
    context: Any = None
    answer = consumer(calls).handle(event, context)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m1", "m3", "m4"]


def test_a_report_that_fails_is_made_again_at_the_next_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    one = consumer(calls)
    with monkeypatch.context() as broken:
        broken.setattr(Calls, "dead_letter", lambda *_: (_ for _ in ()).throw(TransientError()))
        received(one, "malformed", LIMIT)
    assert calls.made == []  # the topic failed, so the message waits for its visibility timeout
    received(one, "malformed", LIMIT + 1)
    assert [call[0] for call in calls.made] == ["notice", "visible after"]


def test_a_message_that_was_redriven_is_reported_again() -> None:
    calls = Calls()
    one = consumer(calls)
    for receives in (LIMIT, 1, LIMIT):
        received(one, "malformed", receives)
    assert [call[0] for call in calls.made].count("notice") == 2


def test_what_is_remembered_is_bounded() -> None:
    calls = Calls()
    one = consumer(calls)
    for number in range(3000):
        received(one, "malformed", LIMIT, name=f"m{number}")
    assert [call[0] for call in calls.made].count("notice") == 3000
    assert len(one._reported) <= 1000


@given(
    st.lists(st.integers(1, 2 * LIMIT), min_size=1, max_size=12, unique=True).map(sorted),
    st.sampled_from(["malformed", "transient", "permanent"]),
)
def test_however_often_a_message_is_received_it_is_reported_once_at_the_limit(receives: list[int], body: str) -> None:
    """Receive counts grow, but some are never seen: the function died, or SQS counted approximately."""
    calls = Calls()
    one = consumer(calls)
    for count in receives:
        received(one, body, count)
    at_or_over = [count for count in receives if count >= LIMIT]
    if body == "malformed":
        reports = [call for call in calls.made if call[0] == "notice"]
    else:
        reports = [call for call in calls.made if call[0] == "failure" and call[4]]
        assert [call[3] for call in reports] == at_or_over[:1]
    assert len(reports) == min(1, len(at_or_over))
    waits = [call[3] for call in calls.made if call[0] == "visible after"]
    assert len(waits) == len(receives)  # whatever happens, the queue's own timeout is never waited for
    if body == "transient":
        below = [wait for wait, count in zip(waits, receives, strict=True) if count < LIMIT]
        assert all(earlier < later for earlier, later in itertools.pairwise(below))
        assert set(waits[len(below) :]) <= {0}
    else:
        assert set(waits) == {0}


# -- functions that die ------------------------------------------------------------------------------------------------


@dataclass
class Sqs(Calls):
    """Also knows batches of calls: (handle, seconds) of each lease, and what was acknowledged before the answer."""

    leases: list[dict[str, int]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:  # noqa: N803
        assert len(Entries) <= 10
        assert QueueUrl
        self.leases.append({entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in Entries})

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:  # noqa: N803
        assert len(Entries) <= 10
        assert QueueUrl
        self.acknowledged += [entry["ReceiptHandle"] for entry in Entries]

    def process(self, message: str) -> None:
        super().process(message)
        if message == "endless":
            threading.Event().wait(60)

    def before_last_try(self, message: str, _context: Any) -> None:
        self.tries.append(message)
        if message == "unsendable":
            raise TransientError


def guarded(calls: Sqs) -> Consumer[str]:
    work = Work[str](
        parse=calls.parse,
        object_id=str,
        process=calls.process,
        on_failure=calls.on_failure,
        before_last_try=calls.before_last_try,
        is_interruptible=True,
    )
    notices: Any = calls
    return Consumer(work, Redelivery(calls, "http://sqs/1/chunks", LIMIT), notices, Logger(service="test"))


def handled(calls: Sqs, *batch: tuple[str, int], seconds: float = 30) -> list[str]:
    """A batch of (body, receives); the bodies of those that stay on the queue. A message's name is its body."""
    event = {"Records": [message(body, receives, name=body) for body, receives in batch]}
    context: Any = Context(remaining_milliseconds=int(seconds * 1000))
    answer = guarded(calls).handle(event, context)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_messages_that_come_the_first_time_cost_no_call() -> None:
    calls = Sqs()
    assert handled(calls, ("good", 1), ("better", 1), ("best", 1)) == []
    assert calls.made == [("process", "good"), ("process", "better"), ("process", "best")]
    assert calls.leases == []
    assert calls.acknowledged == []


def test_a_message_that_comes_again_is_processed_after_the_others_and_alone() -> None:
    calls = Sqs()
    assert handled(calls, ("again", 2), ("new", 1), ("often", 3), ("newer", 1)) == []
    assert [call[1] for call in calls.made] == ["new", "newer", "again", "often"]
    # before the first that came again: the new ones are acknowledged, the other one comes again soon if this one kills
    assert calls.acknowledged == ["handle of new", "handle of newer", "handle of again"]
    assert calls.leases == [{"handle of again": 35, "handle of often": 10}, {"handle of often": 35}]


def test_a_message_that_takes_all_the_time_fails_with_that_reason_and_the_rest_goes_on_at_once() -> None:
    calls = Sqs()
    assert handled(calls, ("good", 1), ("endless", 1), ("late", 1), ("later", 2), seconds=0.5) == [
        "endless", "late", "later",
    ]  # fmt: skip
    assert [call for call in calls.made if call[0] == "process"] == [("process", "good"), ("process", "endless")]
    assert [call for call in calls.made if call[0] == "failure"] == [("failure", "endless", "TimedOut", 1, False)]
    waits = {call[2]: call[3] for call in calls.made if call[0] == "visible after"}
    assert waits == {"handle of endless": 1, "handle of late": 0, "handle of later": 0}


def test_the_time_that_is_over_is_recorded_when_retries_are_exhausted() -> None:
    calls = Sqs()
    assert handled(calls, ("endless", LIMIT), seconds=0.2) == ["endless"]
    assert ("failure", "endless", "TimedOut", LIMIT, True) in calls.made


def test_the_former_alarm_is_set_again_after_a_batch() -> None:
    before = signal.getsignal(signal.SIGALRM)
    handled(Sqs(), ("good", 1), seconds=0.2)
    assert signal.getsignal(signal.SIGALRM) is before


@pytest.mark.parametrize("other", ["good", "malformed"])
def test_before_anything_is_processed_every_last_try_is_announced(other: str) -> None:
    calls = Sqs()
    handled(calls, (other, 1), ("last", LIMIT), ("unsendable", LIMIT), ("early", LIMIT - 1))
    assert calls.tries == ["last", "unsendable"]
    assert ("process", "unsendable") in calls.made


# -- several at once ---------------------------------------------------------------------------------------------------


def together(calls: Sqs, *batch: tuple[str, int], error: Exception | None = None) -> list[list[str]]:
    """What ``ahead`` was given for a batch of (body, receives)."""
    given: list[list[str]] = []

    def ahead(messages: Sequence[str]) -> None:
        assert not calls.made
        given.append(list(messages))
        if error:
            raise error

    work = Work[str](
        parse=calls.parse,
        object_id=str,
        process=calls.process,
        on_failure=calls.on_failure,
        applies_to=lambda message: message != "foreign",
        ahead=ahead,
    )
    notices: Any = calls
    one = Consumer(work, Redelivery(calls, "http://sqs/1/chunks", LIMIT), notices, Logger(service="test"))
    context: Any = Context()
    one.handle({"Records": [message(body, receives, name=body) for body, receives in batch]}, context)
    return given


def test_what_comes_the_first_time_may_be_done_at_once_before_anything_is_processed() -> None:
    calls = Sqs()
    batch = [("good", 1), ("again", 2), ("malformed", 1), ("foreign", 1), ("better", 1)]
    assert together(calls, *batch) == [["good", "better"]]
    assert [call[1] for call in calls.made if call[0] == "process"] == ["good", "better", "again"]


@pytest.mark.parametrize("batch", [[("good", 1)], [("good", 1), ("again", 2)], [("again", 2), ("often", 3)]])
def test_one_message_is_not_several(batch: list[tuple[str, int]]) -> None:
    assert together(Sqs(), *batch) == []


def test_an_error_of_what_is_done_at_once_leaves_each_message_to_its_own_processing() -> None:
    calls = Sqs()
    assert together(calls, ("good", 1), ("better", 1), error=TransientError()) == [["good", "better"]]
    assert calls.made == [("process", "good"), ("process", "better")]
