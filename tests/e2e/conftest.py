"""An engine and a stack of the session's own, or with STACK=running the ones of `make up`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from sluice import build, engine, terraform
from sluice.instance import Instance, not_running
from sluice.paths import ROOT
from sluice.stack import Stack
from tests.e2e import homes
from tests.e2e.support import Mailbox, Pipeline

DEV = ROOT / "infra" / "envs" / "dev.tfvars"
# Small chunks, so that a small object has several; a short timeout, so that a message whose function died comes back
# while the test still waits (its visibility timeout is six times as long).
TEST_VARS = {
    "chunk_bytes": 2 * 1024 * 1024,
    "single_chunk_limit_bytes": 8 * 1024 * 1024,
    "transform_timeout_seconds": 6,
    "ingest_timeout_seconds": 6,
    "load_timeout_seconds": 6,
    "replay_batch_objects": 3,  # a plan of four objects has two batches
    "feedback_timeout_seconds": 10,
    "api_statement_timeout_seconds": 3,
    "checkin_timeout_seconds": 20,
    "checkin_deadline_seconds": 25,  # a file that never comes is waited for as long
    "api_job_timeout_seconds": 15,
    "feedback_alert_quiet_seconds": 600,  # longer than any test: what is told again has been claimed again
    # Periods as short as AWS allows for its own metrics, so that an alarm is over a minute after its cause.
    "alarms": {"oldest_chunk_seconds": 15, "unfinished_seconds": 10, "quarantine_period_seconds": 60},
}
# Lambda retries an asynchronous event after one and two minutes, here after 8 and 16 seconds: longer than
# the timeout of ingest, as the stack demands, for until then a planner that died holds its lock.
ENGINE_ENV = {"LAMBDA_RETRY_BASE_DELAY": "8"}
RUNNING = os.environ.get("STACK") == "running"
# IAM=enforce: every function and state machine may do what its role's policies allow and nothing else.
ENFORCED = os.environ.get("IAM") == "enforce"


@pytest.fixture(scope="session")
def instance() -> Iterator[Instance]:
    """The engine under test; what it printed is shown when a test fails."""
    if RUNNING:
        yield Instance.default()
        return
    homes.remove_orphans()
    home = homes.new()
    own = Instance(home)
    settings = ENGINE_ENV | ({"SLUICE_IAM": "enforce"} if ENFORCED else {})
    try:
        if kind() == engine.DOCKER:
            from tests.e2e import containers

            with containers.engine(own, settings):
                yield own
        else:
            engine.up(own, kind=engine.EMBEDDED, faults=True, env=settings)
            yield own
    finally:
        homes.remove(home)


@pytest.fixture(scope="session")
def infra(instance: Instance) -> Path:
    """The Terraform that was applied: a copy of the project's own, for tflocal writes an override file beside it."""
    if RUNNING:
        return ROOT / "infra"
    copy = instance.home / "infra"
    if not copy.exists():
        shutil.copytree(ROOT / "infra", copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    return copy


@pytest.fixture(scope="session")
def stack(instance: Instance, infra: Path) -> Iterator[Stack]:
    if RUNNING:
        yield Stack.load(instance)
        return
    build.build()
    terraform.apply(instance, DEV, TEST_VARS, infra)
    yield Stack.load(instance)


@pytest.fixture(scope="session")
def mailbox(stack: Stack) -> Iterator[Mailbox]:
    """A queue that hears the event bus and the notifications topic, removed at the end."""
    sqs, events, sns = stack.client("sqs"), stack.client("events"), stack.client("sns")
    name = f"sluice-mailbox-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    senders = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
    policy = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    bus, topic = stack["event_bus_name"], stack["notifications_topic_arn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["sluice"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "mailbox", "Arn": arn}])
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    yield Mailbox(sqs, url)
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["mailbox"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def pipe(stack: Stack, mailbox: Mailbox, instance: Instance) -> Pipeline:
    info = instance.info()
    return Pipeline(stack, mailbox, faults=bool(info and info.faults))


@pytest.fixture
def breakable(pipe: Pipeline) -> Pipeline:
    """A pipeline whose engine allows faults."""
    if not pipe.has_faults:
        pytest.skip("the running engine was started without fault control; `make e2e` starts one of its own with it")
    return pipe


@pytest.fixture
def embedded_only() -> None:
    """For a test about the embedded engine's own processes."""
    if kind() != engine.EMBEDDED:
        pytest.skip("belongs to the embedded engine: ENGINE=embedded runs it")


@pytest.fixture
def docker_only() -> None:
    """For a test about the containers themselves."""
    if kind() != engine.DOCKER:
        pytest.skip("belongs to the Docker engine: ENGINE=docker runs it")


@cache
def kind() -> str:
    """The engine that the end-to-end tests run on: $ENGINE, decided once for the session and its workers."""
    if RUNNING:
        info = Instance.default().info()
        return info.kind if info else engine.EMBEDDED
    os.environ["ENGINE"] = engine.choose(Instance(Path(os.devnull)))
    return os.environ["ENGINE"]


def pytest_configure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        kind()


def pytest_report_header() -> str:
    which = "the running stack" if RUNNING else "an engine of its own"
    policies = ", policies enforced" if ENFORCED and not RUNNING else ""
    return f"sluice e2e: {kind()} engine ({which}{policies}), Python {sys.version.split()[0]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A session whose engine is gone (killed, or Docker stopped) ends and says so, instead of failing on and on."""
    report = yield
    own = getattr(item, "funcargs", {}).get("instance")
    if report.failed and isinstance(own, Instance) and "stack" in getattr(item, "fixturenames", ()):
        info = own.info()
        if info is not None and not info.engine.alive():
            item.session.shouldstop = f"the engine under test is gone: {not_running(info)}"
    return report
