"""What happens to machines: a full disk, a container killed in mid-work, a session that is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fixtures import formats, shipping
from sluice import build, engine, terraform
from sluice.containers import ContainerId, docker, with_labels
from sluice.data import verify
from sluice.engine import localstack
from sluice.instance import Instance
from sluice.paths import ROOT
from sluice.processes import ProcessId
from sluice.stack import Stack
from tests.e2e.conftest import DEV, ENGINE_ENV, TEST_VARS
from tests.e2e.support import Mailbox, Pipeline, until

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("docker_only")]
MIB = 1 << 20


def test_a_full_disk_refuses_the_object_and_says_why(tmp_path: Path) -> None:
    from tests.e2e import containers

    with containers.engine(Instance(tmp_path), {}, disk="24m") as info:
        s3 = boto3.client(
            "s3",
            endpoint_url=info.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        s3.create_bucket(Bucket="disk")
        s3.put_object(Bucket="disk", Key="before", Body=b"x" * MIB)
        with pytest.raises(ClientError, match="No space left on device"):
            s3.put_object(Bucket="disk", Key="large", Body=os.urandom(40 * MIB))
        assert [found["Key"] for found in s3.list_objects_v2(Bucket="disk")["Contents"]] == ["before"]
        assert localstack.health(info.port) is not None
        s3.put_object(Bucket="disk", Key="after", Body=b"y" * MIB)
        assert s3.get_object(Bucket="disk", Key="before")["Body"].read() == b"x" * MIB
        assert s3.get_object(Bucket="disk", Key="after")["Body"].read() == b"y" * MIB


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path / "home")
    yield instance
    engine.down(instance, volumes=True)


def test_after_a_container_was_killed_in_mid_work_the_pipeline_starts_again_and_reconciles(own: Instance) -> None:
    """LocalStack's open edition keeps nothing: `sluice up` deploys again, and the same input gives the same rows."""
    info = engine.up(own, kind=engine.DOCKER, faults=True, env=ENGINE_ENV)
    build.build()
    terraform.apply(own, DEV, TEST_VARS)
    bodies = {f"{number}.jsonl": formats.jsonl(shipping.records("shipments", number, 3000)) for number in range(4)}
    before = pipeline(own)
    first = [before.put("shipments", body, name) for name, body in bodies.items()]
    until("a plan in the ledger", lambda: before.ledger.one(first[0].object_id))
    assert isinstance(info.engine, ContainerId)
    docker("kill", info.engine.container)

    environment = {**os.environ, "SLUICE_HOME": str(own.home), "ENGINE": "docker"} | ENGINE_ENV | {"SLUICE_FAULTS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sluice.cli", "up", "--faults"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "engine  ended without `make down` and began empty: deploying dev.tfvars again" in done.stderr
    after = pipeline(own)
    puts = [after.put("shipments", body, name) for name, body in bodies.items()]
    items = after.wait(*puts)
    assert [(item["state"], int(item["rows_in"]), int(item["rows_silver"])) for item in items] == [
        ("committed", 3000, 3000)
    ] * 4
    report = verify.verify(after.stack)
    assert report.ok, "\n".join(difference.line() for difference in report.differences)
    assert len(report.objects) == 4
    assert [str(change) for change in terraform.plan(own, DEV, TEST_VARS).changes] == []


def pipeline(instance: Instance) -> Pipeline:
    return Pipeline(Stack.load(instance), Mailbox(None, ""), faults=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_session_leaves_nothing(number: signal.Signals) -> None:
    """After ctrl-C and a job's time limit at once, after kill -9 when the next session begins (ryuk: in seconds)."""
    from tests.e2e.containers import OWNER, remove_orphans

    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "tests/e2e/test_core_path.py"],
        cwd=ROOT, env={**os.environ, "ENGINE": "docker"}, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )  # fmt: skip
    label = f"{OWNER}={session.pid}:{ProcessId.of(session.pid).started}"
    try:
        until("both containers", lambda: len(with_labels(label)) == 2 or session.poll() is not None)
        assert session.poll() is None
        session.send_signal(number)
        session.wait(120)
    finally:
        session.kill()
        session.wait()
    if number == signal.SIGKILL:
        remove_orphans()
    assert with_labels(label) == []
    assert docker("network", "ls", "-q", "--filter", f"label={label}") == ""


def test_a_session_without_ryuk_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the reaper's image is not there and cannot be pulled; where it is, testcontainers uses it."""
    from testcontainers.core.config import testcontainers_config as config

    from tests.e2e import containers

    monkeypatch.delenv("TESTCONTAINERS_RYUK_DISABLED", raising=False)
    monkeypatch.setattr(config, "_ryuk_disabled", None)
    monkeypatch.setattr(config, "ryuk_image", "localhost:9/no/such/ryuk:0")
    containers.ryuk_or_not()
    assert config.ryuk_disabled
    assert capsys.readouterr().out.startswith("testcontainers: without ryuk, for localhost:9/no/such/ryuk:0 cannot be")
    monkeypatch.setattr(config, "_ryuk_disabled", None)
    monkeypatch.setattr(config, "ryuk_image", "postgres:17")  # an image that is there
    containers.ryuk_or_not()
    assert not config.ryuk_disabled
