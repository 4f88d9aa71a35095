"""One attempt at a month at a time, however often it is asked for, wherever the function dies."""

import contextlib
import itertools
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.requests import InvalidRequest
from taxi.month import Month
from taxi.runs import FORGOTTEN, Runs, Wanted, wanted_of

MONTH = Month(2024, 9)
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:taxi"
URL = "https://example.com/{year}-{month}.parquet"


class Died(BaseException):
    """The function's end between two calls."""


class Aws:
    """A table and a state machine. ``dies``: the number of the call before which, or after which, the caller dies."""

    class exceptions:  # noqa: N801
        class ExecutionAlreadyExists(Exception):
            pass

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, dict[str, str]] = {}
        self.dies: tuple[int, str] | None = None
        self.between: Callable[[], Any] | None = None
        self.calls = itertools.count(1)

    def _call(self, do: Callable[[], Any]) -> Any:
        number = next(self.calls)
        if self.dies == (number, "before"):
            raise Died
        if number == 2 and self.between:
            other, self.between = self.between, None
            other()
        answer = do()
        if self.dies == (number, "after"):
            raise Died
        return answer

    def get_item(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        return self._call(lambda: {"Item": typed(item)} if (item := self.items.get(Key["pk"]["S"])) else {})  # type: ignore[no-any-return]

    def update_item(self, Key: dict[str, Any], **request: Any) -> dict[str, Any]:  # noqa: N803
        return self._call(lambda: self._update(Key["pk"]["S"], request))  # type: ignore[no-any-return]

    def _update(self, pk: str, request: dict[str, Any]) -> dict[str, Any]:
        values = plain(request["ExpressionAttributeValues"])
        found = self.items.get(pk)
        holds = found is None if ":before" not in values else found and found["attempt"] == values[":before"]
        if not holds:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        sets = re.findall(r"#?(\w+) = (:\w+)", request["UpdateExpression"])
        self.items[pk] = {"pk": pk, "sk": "attempt"} | {name: values[value] for name, value in sets}
        return {"Attributes": typed(self.items[pk])}

    def describe_execution(self, executionArn: str) -> dict[str, str]:  # noqa: N803
        def find() -> dict[str, str]:
            try:
                return self.executions[executionArn.rpartition(":")[2]]
            except KeyError:
                raise ClientError({"Error": {"Code": "ExecutionDoesNotExist"}}, "DescribeExecution") from None

        return self._call(find)  # type: ignore[no-any-return]

    def start_execution(self, name: str, input: str, **_: Any) -> None:
        def start() -> None:
            found = self.executions.setdefault(name, {"status": "RUNNING", "input": input})
            if found != {"status": "RUNNING", "input": input}:
                raise self.exceptions.ExecutionAlreadyExists

        self._call(start)

    def ends(self, batch: str, status: str = "FAILED") -> None:
        self.executions[batch]["status"] = status


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def aws() -> Aws:
    return Aws()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runs(aws: Aws, clock: Clock) -> Runs:
    return Runs(Table(aws, "taxi"), aws, MACHINE, clock)


def by_hand(**more: Any) -> Wanted:
    return Wanted(MONTH, URL, **more)


def test_the_first_attempt_has_the_number_one_and_the_next_one_the_next(aws: Aws, runs: Runs) -> None:
    first = runs.start(by_hand())
    assert (first.month, first.batch, first.new, first.status) == ("2024-09", "2024-09-1", True, "RUNNING")
    assert json.loads(aws.executions["2024-09-1"]["input"]) == {
        "year": "2024", "month": "09", "batch": "2024-09-1", "source_url": URL, "since": ""}  # fmt: skip
    aws.ends("2024-09-1")
    assert runs.start(by_hand()).batch == "2024-09-2"
    assert runs.start(Wanted(Month(2024, 10), URL)).batch == "2024-10-1"


def test_a_month_that_runs_is_not_started_again(aws: Aws, runs: Runs) -> None:
    runs.start(by_hand())
    again = runs.start(by_hand())
    assert (again.batch, again.new) == ("2024-09-1", False)
    aws.ends("2024-09-1", "PENDING_REDRIVE")
    assert not runs.start(by_hand()).new
    assert list(aws.executions) == ["2024-09-1"]


def test_two_at_the_same_time_start_one(aws: Aws, runs: Runs) -> None:
    """The other one comes between the first one's look and its claim."""
    aws.between = lambda: runs.start(by_hand())
    assert runs.start(by_hand()).batch == "2024-09-1"
    aws.ends("2024-09-1")
    aws.calls, aws.between = itertools.count(1), lambda: runs.start(by_hand())
    assert runs.start(by_hand()).batch == "2024-09-2"
    assert sorted(aws.executions) == ["2024-09-1", "2024-09-2"]


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("dies", list(itertools.product(range(1, 5), ("before", "after"))), ids=str)
def test_a_death_leaves_one_attempt_that_the_next_call_starts(
    aws: Aws, runs: Runs, ended: bool, dies: tuple[int, str]
) -> None:
    """Every call of a start, killed before and after; the caller's retry comes to what it wanted, and nothing more."""
    if ended:
        runs.start(by_hand())
        aws.ends("2024-09-1")
    wanted = "2024-09-2" if ended else "2024-09-1"
    aws.calls, aws.dies = itertools.count(1), dies
    try:
        runs.start(by_hand())
    except Died:
        aws.dies = None
        assert runs.start(by_hand()).batch == wanted
    assert aws.executions[wanted]["status"] == "RUNNING"
    assert len(aws.executions) == 1 + ended


@pytest.mark.parametrize("dies", list(itertools.product(range(1, 5), ("before", "after"))), ids=str)
def test_a_call_that_lambda_repeats_gets_its_own_attempt_though_it_has_ended(
    aws: Aws, runs: Runs, dies: tuple[int, str]
) -> None:
    """The function dies at any call; by the time it is called again, what it had started may have ended."""
    aws.dies = dies
    with contextlib.suppress(Died):
        runs.start(by_hand(request="r1"))
    aws.dies = None
    for batch in list(aws.executions):
        aws.ends(batch, "SUCCEEDED")
    again = runs.start(by_hand(request="r1"))
    assert again.batch == "2024-09-1"
    assert list(aws.executions) == ["2024-09-1"]
    aws.ends("2024-09-1", "SUCCEEDED")
    assert runs.start(by_hand(request="r2")).batch == "2024-09-2"


def test_a_schedule_that_fires_twice_starts_its_month_once(aws: Aws, runs: Runs) -> None:
    assert runs.start(by_hand(first=True)).new
    aws.ends("2024-09-1", "SUCCEEDED")
    again = runs.start(by_hand(first=True))
    assert (again.batch, again.new, again.status) == ("2024-09-1", False, "SUCCEEDED")


def test_a_retry_is_void_once_another_attempt_was_made(aws: Aws, runs: Runs) -> None:
    runs.start(by_hand())
    aws.ends("2024-09-1", "SUCCEEDED")
    retried = runs.start(by_hand(after="2024-09-1", since="2026-11-05T00:00:00+00:00"))
    assert (retried.batch, retried.new) == ("2024-09-2", True)
    aws.ends("2024-09-2", "SUCCEEDED")
    void = runs.start(by_hand(after="2024-09-1"))
    assert (void.batch, void.new) == ("2024-09-2", False)
    assert sorted(aws.executions) == ["2024-09-1", "2024-09-2"]


def test_an_attempt_that_aws_has_forgotten_is_no_reason_to_repeat_its_number(
    aws: Aws, runs: Runs, clock: Clock
) -> None:
    runs.start(by_hand())
    aws.executions.clear()
    clock.now += FORGOTTEN + timedelta(seconds=1)
    assert runs.start(by_hand()).batch == "2024-09-2"


def test_an_attempt_that_ended_meanwhile_is_not_new(aws: Aws, runs: Runs) -> None:
    """Its number was taken and its execution ended before the one that came second could ask for it."""
    runs.start(by_hand())
    describe = aws.describe_execution
    aws.ends("2024-09-1")

    def unknown(**_: Any) -> dict[str, str]:
        aws.describe_execution = describe  # type: ignore[method-assign]
        raise ClientError({"Error": {"Code": "ExecutionDoesNotExist"}}, "DescribeExecution")

    aws.describe_execution = unknown  # type: ignore[method-assign, assignment]
    assert not runs.start(by_hand()).new


def test_another_error_of_step_functions_is_one(aws: Aws, runs: Runs) -> None:
    runs.start(by_hand())

    def denied(**_: Any) -> dict[str, str]:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeExecution")

    aws.describe_execution = denied  # type: ignore[method-assign, assignment]
    with pytest.raises(ClientError):
        runs.start(by_hand())


def test_what_a_caller_may_ask_for() -> None:
    zone = "America/New_York"
    assert wanted_of({"month": "2024-09"}, zone, URL) == by_hand()
    assert wanted_of({"month": "2024-09", "source_url": "http://x/y"}, zone, URL).source_url == "http://x/y"
    assert wanted_of({"scheduled_time": "2024-11-05T11:00:00Z"}, zone, URL) == by_hand(first=True)
    since = "2026-11-05T00:00:00+00:00"
    assert wanted_of({"month": "2024-09", "after": "2024-09-1", "since": since}, zone, URL) == by_hand(
        after="2024-09-1", since=since
    )


@pytest.mark.parametrize(
    "event",
    [
        {}, {"month": "2024-09", "scheduled_time": "2024-11-05T11:00:00Z"}, {"month": 202409}, {"month": "September"},
        {"month": "2024-09", "attempt": "7"}, {"month": "2024-09", "since": "long ago"}, {"scheduled_time": "<aws>"},
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        wanted_of(event, "America/New_York", URL)
