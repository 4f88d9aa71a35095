"""EventBridge: a disabled rule matches no event and does not trigger itself; an enabled one does again.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html
"""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_harness import Engine, Queue, eventually, in_engine

PATTERN = json.dumps({"source": ["shop"]})


@pytest.fixture
def events(engine: Engine) -> Any:
    return engine.client("events")


@pytest.fixture
def bus(events: Any) -> Iterator[str]:
    name = f"bus-{uuid.uuid4().hex[:8]}"
    events.create_event_bus(Name=name)
    yield name
    for rule in events.list_rules(EventBusName=name)["Rules"]:
        events.remove_targets(Rule=rule["Name"], EventBusName=name, Ids=["q"])
        events.delete_rule(Name=rule["Name"], EventBusName=name)
    events.delete_event_bus(Name=name)


def rule(events: Any, bus: str, name: str, to: Queue, **more: str) -> None:
    events.put_rule(Name=name, EventBusName=bus, EventPattern=PATTERN, **more)
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "q", "Arn": to.arn}])


def send(events: Any, bus: str, number: int) -> None:
    entry = {"EventBusName": bus, "Source": "shop", "DetailType": "paid", "Detail": json.dumps({"n": number})}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def numbers(of: Queue) -> list[int]:
    return [json.loads(message["Body"])["detail"]["n"] for message in of.receive()]


def received(of: Queue, expected: list[int]) -> list[int]:
    """What came until as many have come as are expected."""
    found: list[int] = []
    eventually(lambda: found.extend(numbers(of)) or len(found) >= len(expected), 20, f"{expected} to arrive")
    return found


def test_a_disabled_rule_delivers_nothing_and_an_enabled_one_does_again(
    events: Any, bus: str, queue: Callable[..., Queue]
) -> None:
    switched, off, after = queue(), queue(), queue()
    rule(events, bus, "a-switched", switched)
    rule(events, bus, "b-off", off, State="DISABLED")
    # Rules are looked at in the order of their making: once the last has delivered, the others have been looked at.
    rule(events, bus, "c-after", after)
    send(events, bus, 1)
    assert (received(after, [1]), received(switched, [1])) == ([1], [1])
    events.disable_rule(Name="a-switched", EventBusName=bus)
    send(events, bus, 2)
    assert (received(after, [2]), numbers(switched)) == ([2], [])
    assert events.describe_rule(Name="a-switched", EventBusName=bus)["State"] == "DISABLED"
    events.enable_rule(Name="a-switched", EventBusName=bus)
    send(events, bus, 3)
    assert (received(after, [3]), received(switched, [3])) == ([3], [3])
    # PutRule replaces the rule; without a state it is enabled.
    rule(events, bus, "a-switched", switched, State="DISABLED")
    rule(events, bus, "b-off", off)
    send(events, bus, 4)
    assert (received(after, [4]), received(off, [4]), numbers(switched)) == ([4], [4], [])


def test_a_disabled_rule_is_still_disabled_after_a_restore(keeper: Any) -> None:
    events, off, on = keeper.client("events"), Queue(keeper.engine), Queue(keeper.engine)
    events.create_event_bus(Name="orders")
    rule(events, "orders", "a-off", off, State="DISABLED")
    rule(events, "orders", "b-on", on)
    keeper.again()
    events = keeper.client("events")
    send(events, "orders", 1)
    sqs = keeper.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName=on.name)["QueueUrl"], WaitTimeSeconds=10)[
        "Messages"
    ]
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    assert "Messages" not in sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName=off.name)["QueueUrl"])


def test_a_schedule_follows_the_state_and_the_time_of_its_rule() -> None:
    assert in_engine(Path(__file__).with_name("rules_worker.py")) == {
        "delivered": [0, 1, 1, 0, 1, 0, 1, 0],
        "schedules": ["rate(1 day)"],
        "left": [True, False],
    }
