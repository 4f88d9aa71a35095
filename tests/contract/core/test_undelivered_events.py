"""What EventBridge does with an event that a target does not take, and what the engine says where it does not enforce.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.deliveries import Rule, Topic
from tests.support.engine_harness import PYTHON, Engine, Queue, eventually


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    worker = Path(__file__).with_name("deliveries_worker.py")
    done = subprocess.run([PYTHON, str(worker)], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_throttled_target_is_tried_again_until_it_takes_the_event(answers: dict[str, Any]) -> None:
    assert answers["twice"] == {
        "arrived": 1, "dead": [], "Invocations": 1, "InvocationAttempts": 3, "SuccessfulInvocationAttempts": 1,
        "RetryInvocationAttempts": 2, "FailedInvocations": 0, "InvocationsSentToDlq": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("case", "condition"), [("always", "MaximumRetryAttempts"), ("a minute", "MaximumEventAgeInSeconds")]
)
def test_a_limit_of_the_retry_policy_ends_it_in_the_dead_letter_queue(
    answers: dict[str, Any], case: str, condition: str
) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html"""
    found = answers[case]
    [dead] = found["dead"]
    assert (found["arrived"], found["FailedInvocations"], found["InvocationsSentToDlq"]) == (0, 1, 1)
    assert dead["body"] == {"id": "e", "detail": {"n": 1}}
    assert (dead["ERROR_CODE"], dead["ERROR_MESSAGE"]) == ("THROTTLING", "slow down")
    assert dead["EXHAUSTED_RETRY_CONDITION"] == condition
    assert int(dead["RETRY_ATTEMPTS"]) == found["RetryInvocationAttempts"] > 0
    assert case != "always" or found["RetryInvocationAttempts"] == 2


def test_a_target_that_is_gone_is_not_tried_again(answers: dict[str, Any]) -> None:
    [dead] = answers["gone"]["dead"]
    assert dead["ERROR_CODE"] == "NO_RESOURCE"
    assert "RETRY_ATTEMPTS" not in dead
    assert answers["gone"]["InvocationAttempts"] == 1


def test_what_waits_for_another_try_is_saved_with_the_state(answers: dict[str, Any]) -> None:
    assert (answers["saved"]["arrived"], answers["saved"]["RetryInvocationAttempts"]) == (1, 1)


def test_without_enforcement_it_is_delivered_and_the_log_warns_once(recording: Engine) -> None:
    engine = recording
    topic, closed, rule = Topic(engine), Queue(engine, Policy=""), Rule(engine)
    topic.subscribe(closed)
    rule.target(topic.arn)
    for _ in range(3):
        rule.send({})
    received: list[Any] = []

    def all_three() -> bool:
        received.extend(closed.receive())
        return len(received) == 3

    eventually(all_three, 20, "three messages")
    assert rule.metric("FailedInvocations") == 0
    warned = [line for line in engine.log.read_text().splitlines() if "AWS would not deliver" in line]
    assert sum(f"for {rule.arn}: sns:Publish on {topic.arn}" in line for line in warned) == 1
    assert sum(f"for {topic.arn}: sqs:SendMessage on {closed.arn}" in line for line in warned) == 1
