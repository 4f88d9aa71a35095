"""Fixtures of the contract tests: an engine of their own and makers of tiny things in it.

SLUICE_ENGINE_PYTHON names the engine's interpreter (default .sluice/engine/bin/python), SLUICE_LAMBDA_RUNTIMES the
folder with the Lambda runtimes (default .sluice/runtimes). Tests make things under random names and do not meet.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.harness import Engine, Function, Queue, eventually


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine all tests share: fault control on, asynchronous retries after 1 and 2 s, quick TTL sweeps."""
    running = Engine(
        tmp_path_factory.mktemp("engine"),
        SLUICE_FAULTS="1",
        LAMBDA_RETRY_BASE_DELAY="1",
        SLUICE_TTL_SWEEP_SECONDS="0.5",
        SLUICE_METRIC_SECONDS="1",
        SLUICE_ALARM_SECONDS="1",
        SLUICE_LAMBDA_INIT_SECONDS="2",
        DEVELOPER_SECRET="must not reach a function",
    )
    yield running
    running.stop()


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
