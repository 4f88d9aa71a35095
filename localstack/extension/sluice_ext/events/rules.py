"""The state and the schedule of a rule.

"A disabled rule won't match any events, and won't self-trigger if it has a schedule expression."
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html

LocalStack stores the state and ignores it. Its schedules have the state, time and targets that the rule had when its
targets were put: a second PutTargets adds a second schedule, PutRule changes nothing, DeleteRule ends nothing. It looks
once a minute what is due within the minute, and takes 1 for Monday in cron(...), which is Sunday on AWS.

Replaced: `EventsProvider._process_rules`, `create_rule_service`, `_delete_rule_services` and
`_get_scheduled_rule_job_function`, and `RuleService.create_schedule_job`. Schedules are the clock's
(`sluice_ext.timeline.clock`); LocalStack's own scheduler has none. `RuleService.add_targets` refuses targets of
services that the engine does not have.
"""

import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from localstack.aws.api.events import RuleState
from localstack.services.events.models import Rule, ValidationException
from localstack.services.events.provider import EventsProvider
from localstack.services.events.rule import RuleService
from localstack.utils.aws.arns import events_rule_arn
from localstack.utils.xray.trace_header import TraceHeader

from sluice_ext import offline
from sluice_ext.events import patterns
from sluice_ext.patching import replace
from sluice_ext.pausing import GATE
from sluice_ext.timeline import expressions
from sluice_ext.timeline.clock import CLOCK
from sluice_ext.timeline.cron import Malformed

LOG = logging.getLogger(__name__)
_LABEL: Final = "a schedule of EventBridge"


def enabled(rule: Rule) -> bool:
    """Whether the rule matches events now. There are two states that are enabled."""
    return bool(rule.state != RuleState.DISABLED)


def key(rule: Rule) -> tuple[str, str]:
    """What the schedule of a rule is called in the clock."""
    return "rule", str(rule.arn)


def expression(rule: Rule) -> expressions.Expression:
    """When it is due. Rates count from when the rule got its schedule. Raises Malformed."""
    return expressions.parse(str(rule.schedule_expression).strip(), rule.sluice_since)


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def process(self: Any, rule: Rule, *args: Any) -> None:
        if enabled(rule):
            original_process(self, rule, *args)

    def create(self: Any, name: str, region: str, account_id: str, *args: Any) -> RuleService:
        since, (schedule, bus) = CLOCK.now(), (args[0], args[-2])
        patterns.check(args[1])
        if schedule:
            _check(schedule, since)
        former = self._rule_services_store.get(events_rule_arn(name, account_id, region, bus))
        made = original_create(self, name, region, account_id, *args)
        same = former is not None and former.rule.schedule_expression == schedule
        made.rule.sluice_since = former.rule.sluice_since if same else since
        if former:
            CLOCK.cancel(key(former.rule))
        if made.schedule_cron and made.rule.targets:
            made.create_schedule_job(self._get_scheduled_rule_job_function(account_id, region, made.rule))
        return made

    def delete(self: Any, rules: Any) -> None:
        for rule in [rules] if isinstance(rules, Rule) else list(rules.values()):
            CLOCK.cancel(key(rule))
        original_delete(self, rules)

    def add(self: Any, targets: Any) -> Any:
        for target in targets:
            offline.demand(str(target.get("Arn", "")))
        return original_add(self, targets)

    event = "(self, rule, region, account_id, event_formatted, trace_header)"
    made_of = (
        "(self, name, region, account_id, schedule_expression, event_pattern, state, description, role_arn, tags, "
        "event_bus_name, targets)"
    )
    original_process = replace(EventsProvider, "_process_rules", process, expect=event)
    original_create = replace(EventsProvider, "create_rule_service", create, expect=made_of)
    original_delete = replace(EventsProvider, "_delete_rule_services", delete, expect="(self, rules)")
    replace(EventsProvider, "_get_scheduled_rule_job_function", _sending, expect="(self, account_id, region, rule)")
    original_add = replace(RuleService, "add_targets", add, expect="(self, targets)")
    replace(RuleService, "create_schedule_job", _schedule, expect="(self, schedule_job_sender_func)")


def _check(schedule: str, since: datetime) -> None:
    try:
        if schedule.strip().startswith("at("):
            raise Malformed("rules have no one-time schedules")
        expressions.parse(schedule.strip(), since)
    except Malformed as error:
        raise ValidationException("Parameter ScheduleExpression is not valid.") from error


def _schedule(self: Any, call: Callable[[datetime], None]) -> None:
    """The rule's one schedule, instead of a former one."""
    CLOCK.repeat(key(self.rule), expression(self.rule).after, partial(run, self.rule, call))


def run(rule: Rule, call: Callable[[datetime], None], due: datetime) -> None:
    """The time has come; the state of the rule is asked each time."""
    with GATE.work(_LABEL, source=True):
        if enabled(rule):
            call(due)


def _sending(self: Any, account_id: str, region: str, rule: Rule) -> Callable[[datetime], None]:
    """Sends the event of a schedule to every target of the rule."""

    def send(due: datetime) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": account_id,
            "time": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": [rule.arn],
            "detail": {},
        }
        for target in list(rule.targets.values()):
            given = target.get("Input")
            try:
                sender = self._target_sender_store[f"{rule.arn}-{target['Id']}"]
                content = json.loads(given) if given else dict(event)
                sender.process_event(content, trace_header=TraceHeader().ensure_root_exists())
            except Exception as error:  # noqa: BLE001 - the other targets get it nevertheless
                LOG.warning("The event of %s did not reach %s: %s", rule.name, target["Arn"], error)

    return send
