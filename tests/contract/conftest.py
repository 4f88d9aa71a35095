"""Fixtures of the contract tests: an engine of their own and makers of tiny things in it.

SLUICE_ENGINE_PYTHON names the engine's interpreter (default .sluice/engine/bin/python), SLUICE_LAMBDA_RUNTIMES the
folder with the Lambda runtimes (default .sluice/runtimes). Tests make things under random names and do not meet.
"""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_harness import ROLE, Engine, Function, Queue, eventually
from tests.support.state_keeper import Keeper


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine all tests share: fault control on, asynchronous retries after 1 and 2 s, quick TTL sweeps.

    It enforces policies, and the role of the tests may do everything.
    """
    running = Engine(
        tmp_path_factory.mktemp("engine"),
        SLUICE_FAULTS="1",
        LAMBDA_RETRY_BASE_DELAY="1",
        SLUICE_TTL_SWEEP_SECONDS="0.5",
        SLUICE_METRIC_SECONDS="1",
        SLUICE_ALARM_SECONDS="1",
        SLUICE_LAMBDA_INIT_SECONDS="2",
        DEVELOPER_SECRET="must not reach a function",
        SLUICE_IAM="enforce",
    )
    _make_role(running)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that enforces no policy: what AWS would refuse, it does, records and warns of."""
    running = Engine(tmp_path_factory.mktemp("recording"), SLUICE_IAM="record", SLUICE_METRIC_SECONDS="1")
    yield running
    running.stop()


def _make_role(running: Engine) -> None:
    services = [f"{name}.amazonaws.com" for name in ("events", "glue", "lambda", "scheduler", "states")]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    trusted, allowed = (json.dumps({"Version": "2012-10-17", "Statement": [one]}) for one in (trust, everything))
    iam, name = running.client("iam"), ROLE.rsplit("/", 1)[-1]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)
    iam.put_role_policy(RoleName=name, PolicyName="everything", PolicyDocument=allowed)


@pytest.fixture
def client(engine: Engine) -> Callable[..., Any]:
    """Makes boto3 clients for the shared engine."""
    return engine.client


@pytest.fixture
def function(engine: Engine) -> Iterator[Callable[..., Function]]:
    """Deploys functions, ``function(code, **CreateFunction arguments, variables={...})``; removes them afterwards."""
    made: list[Function] = []

    def make(code: str, **options: Any) -> Function:
        made.append(Function(engine, code, **options))
        return made[-1]

    yield make
    for one in made:
        engine.client("lambda").delete_function(FunctionName=one.name)


@pytest.fixture
def queue(engine: Engine) -> Callable[..., Queue]:
    """Makes queues: ``queue(VisibilityTimeout="5")``."""
    return lambda **attributes: Queue(engine, **attributes)


@pytest.fixture
def mapping(engine: Engine) -> Iterator[Callable[..., str]]:
    """Maps a queue to a function and waits until it is enabled; disabled after the test."""
    client = engine.client("lambda")
    made: list[str] = []

    def make(source: Queue, target: Function, **options: Any) -> str:
        uuid_: str = client.create_event_source_mapping(EventSourceArn=source.arn, FunctionName=target.name, **options)[
            "UUID"
        ]
        made.append(uuid_)
        eventually(lambda: client.get_event_source_mapping(UUID=uuid_)["State"] == "Enabled", 10, "mapping enabled")
        return uuid_

    yield make
    for uuid_ in made:
        try:
            client.delete_event_source_mapping(UUID=uuid_)
        except client.exceptions.ResourceNotFoundException:
            continue


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    """An engine of the test's own, whose state can be saved and restored in a new one."""
    keeping = Keeper(tmp_path)
    yield keeping
    keeping.engine.stop(signal.SIGKILL)
    shutil.rmtree(tmp_path, ignore_errors=True)
