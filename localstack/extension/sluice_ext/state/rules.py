"""EventBridge after a restore: the objects that LocalStack makes for each bus, rule, target, archive and connection."""

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Any

from localstack.aws.api.events import ReplayState
from localstack.services.events.api_destination import APIDestinationService
from localstack.services.events.archive import ArchiveService
from localstack.services.events.connection import ConnectionService
from localstack.services.events.event_bus import EventBusService
from localstack.services.events.models import EventsStore, Rule, events_stores
from localstack.services.events.replay import ReplayService
from localstack.services.events.rule import RuleService
from localstack.services.events.utils import is_archive_arn

from sluice_ext.events import rules
from sluice_ext.timeline.clock import CLOCK

LOG = logging.getLogger(__name__)


def restart(provider: Any) -> None:
    """Make them again from the stores; schedules go on with their next time."""
    for account, region, store in events_stores.iter_stores():
        for bus in store.event_buses.values():
            provider._event_bus_services_store[bus.arn] = EventBusService(bus)
            for rule in bus.rules.values():
                _restart_rule(provider, rule, account, region)
        _restart_others(provider, store)


def run_overdue(provider: Any, since: float) -> None:
    """Run every enabled schedule once whose time came after ``since`` (Unix time), however often it came."""
    now = CLOCK.now()
    for service in list(provider._rule_services_store.values()):
        rule = service.rule
        if not (service.schedule_cron and rule.targets):
            continue
        due = rules.expression(rule).after(datetime.fromtimestamp(since, UTC))
        if due is not None and due <= now:
            LOG.info("The schedule of %s was due while the engine was stopped", rule.name)
            send = provider._get_scheduled_rule_job_function(rule.account_id, rule.region, rule)
            CLOCK.once(("overdue", str(rule.arn)), now, partial(rules.run, rule, send))


def _restart_rule(provider: Any, rule: Rule, account: str, region: str) -> None:
    service = provider._rule_services_store[rule.arn] = RuleService(rule)
    for target in rule.targets.values():
        if not is_archive_arn(target["Arn"]):
            provider.create_target_sender(target, rule.arn, rule.name, region, account)
    if not hasattr(rule, "sluice_since"):  # saved by an older version
        rule.sluice_since = CLOCK.now()
    if service.schedule_cron and rule.targets:
        service.create_schedule_job(provider._get_scheduled_rule_job_function(account, region, rule))


def _restart_others(provider: Any, store: EventsStore) -> None:
    for archive in store.archives.values():
        created = archive.creation_time
        provider._archive_service_store[archive.arn] = ArchiveService(archive)
        archive.creation_time = created  # the constructor sets it
    for connection in store.connections.values():
        provider._connection_service_store[connection.arn] = ConnectionService.restore_from_connection(connection)
    for destination in store.api_destinations.values():
        provider._api_destination_service_store[destination.arn] = (
            APIDestinationService.restore_from_api_destination_and_connection(
                destination, store.connections[destination.connection_arn.split("/")[1]]
            )
        )
    for replay in store.replays.values():
        service = provider._replay_service_store[replay.arn] = ReplayService.__new__(ReplayService)
        service.replay = replay
        if replay.state in (ReplayState.STARTING, ReplayState.RUNNING):
            replay.state, replay.state_reason = ReplayState.FAILED, "The engine stopped during the replay"
