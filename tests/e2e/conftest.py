"""An engine and a stack of the session's own, or with STACK=running the ones of `make up`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sluice import build, engine, terraform
from sluice.branches.api.client import Client, base_url
from sluice.engine.docker import images
from sluice.engine.instance import Instance, not_running
from sluice.paths import ROOT
from sluice.pipeline.stack import Stack
from tests.support import deployed, homes
from tests.support import mailbox as mailboxes
from tests.support.mailbox import Mailbox
from tests.support.pipeline import Pipeline
from tests.support.session import DEV, ENFORCED, ENGINE_ENV, RUNNING, TEST_VARS, kind
from tests.support.warehouse import Warehouse


@pytest.fixture(scope="session")
def snapshot() -> Path | None:
    """The deployed stack that sessions start from, once one has made it; None for the running stack."""
    return None if RUNNING else deployed.place(build.build(), TEST_VARS, kind())


@pytest.fixture(scope="session")
def turn(snapshot: Path | None) -> Iterator[deployed.Turn]:
    """The session's turn to deploy, unless there is a snapshot by then."""
    turn = deployed.Turn(snapshot)
    yield turn
    turn.end()


@pytest.fixture(scope="session")
def instance(snapshot: Path | None, turn: deployed.Turn) -> Iterator[Instance]:
    """The engine under test; what it printed is shown when a test fails."""
    if snapshot is None:
        yield Instance.default()
        return
    del turn  # waited for
    homes.remove_orphans()
    home = homes.new()
    own = Instance(home)
    deployed.offer(own, snapshot)
    settings = ENGINE_ENV | ({"SLUICE_IAM": "enforce"} if ENFORCED else {})
    try:
        if kind() == engine.DOCKER:
            from tests.support import containers

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
def stack(instance: Instance, infra: Path, snapshot: Path | None, turn: deployed.Turn) -> Stack:
    if snapshot is not None:
        info = instance.info()
        began_deployed = bool(terraform.outputs(instance))
        if not began_deployed:
            try:
                terraform.apply(instance, DEV, TEST_VARS, infra)
                deployed.store(instance, snapshot)
            finally:
                turn.end()
        elif info is not None and info.moved:  # the stack's settings name the ports of the engine that was saved
            terraform.apply(instance, DEV, TEST_VARS, infra)
            instance.write_info(replace(info, moved=False))
    return Stack.load(instance)


@pytest.fixture(scope="session")
def mailbox(stack: Stack) -> Iterator[Mailbox]:
    with mailboxes.mailbox(stack) as opened:
        yield opened


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
def warehouse(stack: Stack, instance: Instance) -> Warehouse:
    return Warehouse(stack, instance)


@pytest.fixture
def feedback_deployed(stack: Stack) -> None:
    _skip_without(stack, "feedback_table", "feedback_enabled")


@pytest.fixture
def lake_deployed(stack: Stack) -> None:
    _skip_without(stack, "lake_database", "lake_enabled")


@pytest.fixture
def quality_deployed(stack: Stack) -> None:
    _skip_without(stack, "quality_bucket", "quality_gate_enabled")


@pytest.fixture
def taxi_deployed(stack: Stack) -> None:
    _skip_without(stack, "taxi_bucket", "taxi_enabled")


@pytest.fixture
def api_deployed(stack: Stack) -> None:
    _skip_without(stack, "api_id", "api_enabled")


@pytest.fixture
def api(stack: Stack, api_deployed: None) -> Client:
    """The API, with a key."""
    return Client.of(stack)


@pytest.fixture
def stranger(stack: Stack, api_deployed: None) -> Client:
    """A caller without a key."""
    return Client(base_url(stack), None)


@pytest.fixture
def checkins_deployed(stack: Stack) -> None:
    _skip_without(stack, "checkins_table", "checkin_enabled")


def _skip_without(stack: Stack, output: str, toggle: str) -> None:
    if stack.outputs.get(output) is None:
        pytest.skip(f"{toggle} is off")


@pytest.fixture
def embedded_only() -> None:
    """For a test about the embedded engine's own processes."""
    if kind() != engine.EMBEDDED:
        pytest.skip("belongs to the embedded engine: ENGINE=embedded runs it")


@pytest.fixture
def glue_jobs() -> None:
    """For a test that runs Glue's jobs: the usual image of the Docker engine has nothing that they run in."""
    if kind() == engine.DOCKER and os.environ.get(images.TARGET) != images.GLUE:
        pytest.skip(f"the engine's image has no Java and no Spark: {images.TARGET}={images.GLUE} has them")


@pytest.fixture
def docker_only() -> None:
    """For a test about the containers themselves."""
    if kind() != engine.DOCKER:
        pytest.skip("belongs to the Docker engine: ENGINE=docker runs it")


def pytest_configure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        kind()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What judges the other suites runs after them."""
    items.sort(key=lambda item: "/e2e/afterwards/" in item.path.as_posix())


def pytest_report_header() -> str:
    which = "the running stack" if RUNNING else "an engine of its own"
    policies = "" if ENFORCED or RUNNING else ", policies recorded only"
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
