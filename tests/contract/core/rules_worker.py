"""Runs in the engine's interpreter: a scheduled rule of EventBridge, and a clock that is moved by what it says.

Prints as JSON how many events its target got each time that the schedule was due: after PutTargets, twice the same;
disabled; enabled again; disabled and enabled by PutRule; with another schedule; deleted by force. Then the schedule
that the rule has before it is deleted, and whether the clock has it before and afterwards.
"""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from localstack.services.events.provider import EventsProvider

from sluice_ext import events
from sluice_ext.timeline.clock import CLOCK

SOMEWHERE: Any = SimpleNamespace(region="us-east-1", account_id="000000000000")
TARGET: Any = {"Id": "one", "Arn": "arn:aws:sqs:us-east-1:000000000000:queue"}
RULE = "arn:aws:events:us-east-1:000000000000:rule/r"
HOURLY, DAILY = "rate(1 hour)", "rate(1 day)"


class Sender:
    """Counts what it is given."""

    service, count = "sqs", 0

    def process_event(self, *_args: Any, **_kwargs: Any) -> None:
        self.count += 1


def main() -> None:
    events.install()
    sender = Sender()
    provider: Any = EventsProvider()

    def create_sender(target: Any, rule_arn: str, *_args: Any) -> None:
        provider._target_sender_store[f"{rule_arn}-{target['Id']}"] = sender

    provider.create_target_sender = create_sender

    def due() -> int:
        before = sender.count
        expression = provider._rule_services_store[RULE].rule.schedule_expression
        CLOCK.move(CLOCK.now() + (timedelta(days=1) if expression == DAILY else timedelta(hours=1)))
        return sender.count - before

    def put(**more: Any) -> int:
        provider.put_rule(SOMEWHERE, name="r", **more)
        return due()

    found = [put(schedule_expression=HOURLY)]
    for _ in range(2):
        provider.put_targets(SOMEWHERE, rule="r", targets=[TARGET])
        found.append(due())
    provider.disable_rule(SOMEWHERE, name="r")
    found.append(due())
    provider.enable_rule(SOMEWHERE, name="r")
    found.append(due())
    found += [put(schedule_expression=HOURLY, state="DISABLED"), put(schedule_expression=DAILY)]
    schedules = [provider._rule_services_store[RULE].rule.schedule_expression]
    first = CLOCK.next(("rule", RULE))
    provider.delete_rule(SOMEWHERE, name="r", force=True)
    CLOCK.move(CLOCK.now() + timedelta(days=2))
    found.append(sender.count - sum(found))
    left = CLOCK.next(("rule", RULE))
    print(json.dumps({"delivered": found, "schedules": schedules, "left": [first is not None, left is not None]}))


if __name__ == "__main__":
    main()
