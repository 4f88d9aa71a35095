"""Calls to DynamoDB that meet conflicts and throttles, against a client that fails as a test says."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.dynamo import retries
from sluice_pipeline.dynamo.retries import BUDGET_SECONDS, CONFLICT_TRIES, Throttled, TransactionRefused, TransientError
from sluice_pipeline.dynamo.table import CONDITION_FAILED, Table

CONFLICT = "TransactionConflict"
REASONS = ("ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded")
ERRORS = (
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "TransactionInProgressException",
    "InternalServerError",
)


class Clock:
    """Time passes only while a call waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retries, "time", clock)
    monkeypatch.setattr(retries.random, "uniform", lambda _low, high: high)  # the longest waits
    return clock


def failure(code: str, reasons: Sequence[str] = ()) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "AnyOperation")


def cancelled(*reasons: str) -> ClientError:
    return failure("TransactionCanceledException", reasons)


class Client:
    """Meets each failure in turn, then does what it is asked; ``for_ever`` is met again and again after those."""

    def __init__(self, *failures: ClientError, for_ever: ClientError | None = None, left_out: Sequence[int] = ()):
        self.failures = list(failures)
        self.for_ever = for_ever
        self.left_out = list(left_out)  # how many entries each batch call leaves out
        self.tokens: list[str] = []
        self.sizes: list[int] = []
        self.written: list[str] = []

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if self.for_ever:
            raise self.for_ever

    def transact_write_items(self, TransactItems: Sequence[dict[str, Any]], ClientRequestToken: str) -> None:  # noqa: N803
        self.tokens.append(ClientRequestToken)
        self.sizes.append(len(TransactItems))
        self._fail()
        self.written += [item["Put"]["Item"]["pk"]["S"] for item in TransactItems]

    def batch_write_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self._fail()
        ((name, requests),) = RequestItems.items()
        taken = len(requests) - (self.left_out.pop(0) if self.left_out else 0)
        self.written += [request["PutRequest"]["Item"]["pk"]["S"] for request in requests[:taken]]
        return {"UnprocessedItems": {name: requests[taken:]} if requests[taken:] else {}}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self._fail()
        ((name, request),) = RequestItems.items()
        keys = request["Keys"]
        taken = len(keys) - (self.left_out.pop(0) if self.left_out else 0)
        left = {name: request | {"Keys": keys[taken:]}} if keys[taken:] else {}
        return {"Responses": {name: keys[:taken]} if taken else {}, "UnprocessedKeys": left}


def items(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"p{n}", "sk": "s"} for n in range(count)]


def transact(table: Table, count: int) -> Any:
    return table.transact([table.put_action(item) for item in items(count)])


def apply_each(table: Table, count: int) -> Any:
    return table.apply_each([table.put_action(item) for item in items(count)])


def put_all(table: Table, count: int) -> Any:
    table.put_all(items(count))


def get_many(table: Table, count: int) -> Any:
    return [item["pk"] for item in table.get_many((item["pk"], item["sk"]) for item in items(count))]


type Call = Callable[[Table, int], Any]
CALLS = (transact, apply_each, put_all, get_many)
TRANSACTIONS = (transact, apply_each)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", ERRORS)
def test_a_throttled_call_is_made_again_until_dynamodb_takes_it(clock: Clock, call: Call, code: str) -> None:
    client = Client(*[failure(code)] * 9)
    answer = call(Table(client, "t"), 3)
    assert answer in (True, [True] * 3, None, ["p0", "p1", "p2"])
    assert client.written == ([] if call is get_many else ["p0", "p1", "p2"])
    assert clock.waits == [0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2, 2, 2]


@pytest.mark.parametrize("call", TRANSACTIONS)
@pytest.mark.parametrize("reason", REASONS)
def test_throttles_do_not_count_as_tries_as_conflicts_do(clock: Clock, call: Call, reason: str) -> None:
    conflicts = [cancelled(CONFLICT, "None", "None")] * (CONFLICT_TRIES - 1)
    throttles = [cancelled("None", reason, "None")] * 5 + [cancelled(CONFLICT, reason, "None")]
    client = Client(*conflicts, *throttles)
    assert call(Table(client, "t"), 3)
    assert client.written == ["p0", "p1", "p2"]
    with pytest.raises(TransactionRefused, match="8 tries met a conflict"):
        call(Table(Client(*conflicts, *throttles, cancelled(CONFLICT, "None", "None")), "t"), 3)


@pytest.mark.parametrize(
    ("call", "failed"),
    [(call, failure(code)) for call in CALLS for code in ERRORS]
    + [(call, cancelled(reason)) for call in TRANSACTIONS for reason in REASONS],
)
def test_a_throttle_that_lasts_ends_the_call_within_its_time_budget(
    clock: Clock, call: Call, failed: ClientError
) -> None:
    with pytest.raises(Throttled, match="throttled 10 times in 10 s") as ended:
        call(Table(Client(for_ever=failed), "t"), 1)
    assert isinstance(ended.value, TransientError)
    assert ended.value.__cause__ is failed
    assert sum(clock.waits) <= BUDGET_SECONDS


@pytest.mark.parametrize("call", CALLS)
def test_any_other_error_is_raised_at_once(clock: Clock, call: Call) -> None:
    with pytest.raises(ClientError, match="AccessDeniedException"):
        call(Table(Client(failure("AccessDeniedException")), "t"), 1)
    assert clock.waits == []


@pytest.mark.parametrize("call", TRANSACTIONS)
def test_a_cancellation_that_no_retry_helps_is_refused_at_once(clock: Clock, call: Call) -> None:
    with pytest.raises(TransactionRefused, match="ValidationError"):
        call(Table(Client(cancelled("None", "ValidationError", CONFLICT)), "t"), 3)
    assert clock.waits == []


def test_a_condition_that_fails_decides_even_beside_a_throttle(clock: Clock) -> None:
    assert transact(Table(Client(cancelled("ThrottlingError", CONDITION_FAILED)), "t"), 2) is False
    client = Client(cancelled("ThrottlingError", CONDITION_FAILED, "None"))
    assert apply_each(Table(client, "t"), 3) == [True, False, True]
    assert client.written == ["p0", "p2"]


@pytest.mark.parametrize("call", TRANSACTIONS)
def test_a_call_that_may_have_been_carried_out_is_repeated_under_its_token(clock: Clock, call: Call) -> None:
    client = Client(failure("InternalServerError"), failure("TransactionInProgressException"), cancelled(CONFLICT))
    call(Table(client, "t"), 1)
    first, second, third, after_cancellation = client.tokens
    assert first == second == third != after_cancellation


@pytest.mark.parametrize("call", [put_all, get_many])
def test_what_a_batch_leaves_out_is_asked_for_again_after_a_wait(clock: Clock, call: Call) -> None:
    client = Client(left_out=[2, 2, 2, 1, 0])
    answer = call(Table(client, "t"), 3)
    assert (answer or client.written) == ["p0", "p1", "p2"]
    assert clock.waits == [0.04, 0.08, 0.16, 0.04]  # after progress the waits begin again


@pytest.mark.parametrize("call", [put_all, get_many])
def test_a_batch_of_which_nothing_is_taken_ends_within_the_budget(clock: Clock, call: Call) -> None:
    with pytest.raises(Throttled):
        call(Table(Client(left_out=[1] * 1000), "t"), 1)
    assert sum(clock.waits) <= BUDGET_SECONDS


def test_waits_have_full_jitter() -> None:
    for attempt in (1, 3, 50):
        seen = {retries.wait(attempt) for _ in range(50)}
        assert len(seen) > 40
        assert max(seen) <= 2
        assert min(seen) < 0.5


MET = st.sampled_from(
    [cancelled(CONFLICT, "None"), *(cancelled("None", reason) for reason in REASONS), *map(failure, ERRORS)]
)


@given(st.lists(MET, max_size=25), st.sampled_from(TRANSACTIONS))
def test_only_conflicts_and_time_end_a_transaction(met: list[ClientError], call: Call) -> None:
    """Whatever comes in whatever order: written once and whole, or an error after 8 conflicts or 10 s of throttles."""
    clock, client = Clock(), Client(*met)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries, "time", clock)
        try:
            call(Table(client, "t"), 2)
        except TransactionRefused:
            reasons = [error.response.get("CancellationReasons", [{}])[0].get("Code") for error in met]
            assert reasons.count(CONFLICT) >= CONFLICT_TRIES
            assert client.written == []
        except Throttled:
            assert sum(clock.waits) <= BUDGET_SECONDS + 8 * 2
            assert client.written == []
        else:
            assert client.written == ["p0", "p1"]
            assert len(client.tokens) == len(met) + 1


@given(st.lists(st.integers(0, 3), max_size=12), st.sampled_from([put_all, get_many]), st.integers(1, 60))
def test_a_batch_is_done_once_and_whole_whatever_is_left_out(left_out: list[int], call: Call, count: int) -> None:
    clock, client = Clock(), Client(left_out=[min(left, 1 if count < 4 else left) for left in left_out])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries, "time", clock)
        answer = call(Table(client, "t"), count)
    assert sorted(answer or client.written) == sorted(item["pk"] for item in items(count))


@pytest.mark.parametrize("code", ["ConditionalCheckFailedException", "ThrottlingException", ""])
def test_a_change_asks_for_no_attributes_and_says_whether_its_condition_held(code: str) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html#DDB-UpdateItem-request-ReturnValues"""
    asked: list[dict[str, Any]] = []

    class Updates:
        def update_item(self, **request: Any) -> dict[str, Any]:
            asked.append(request)
            if code:
                raise failure(code)
            return {"Attributes": {"a": {"S": "1"}}} if "ReturnValues" in request else {}

    table = Table(Updates(), "t")
    both = (
        (lambda: table.change("p", "s", "SET a = :a", "", {":a": "1"})),
        (lambda: table.update("p", "s", "SET a = :a", "", {":a": "1"})),
    )
    found = []
    for call in both:
        try:
            found.append(call())
        except ClientError as error:
            found.append(error.response["Error"]["Code"])
    expected = {"": [True, {"a": "1"}], "ConditionalCheckFailedException": [False, None]}
    assert found == expected.get(code, [code, code])
    assert [request.pop("ReturnValues", None) for request in asked] == [None, "ALL_NEW"]
    assert asked[0] == asked[1]
