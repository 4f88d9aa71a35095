"""What happens to machines: a full disk, a container killed in mid-work, a session that is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fixtures import formats, shipping
from sluice import build, engine, terraform
from sluice.engine import servers
from sluice.engine.containers import ContainerId, docker, with_labels
from sluice.engine.instance import Instance
from sluice.paths import ROOT
from sluice.pipeline import verify
from sluice.pipeline.stack import Stack
from sluice.processes import ProcessId
from tests.support import homes
from tests.support.mailbox import Mailbox
from tests.support.pipeline import Pipeline, Put, until
from tests.support.session import DEV, ENGINE_ENV, TEST_VARS
from tests.support.warehouse import Warehouse

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("docker_only")]
MIB = 1 << 20


def test_a_full_disk_refuses_the_object_and_says_why(tmp_path: Path) -> None:
    from tests.support import containers

    with containers.engine(Instance(tmp_path), {}, disks={"localstack": "24m"}) as info:
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
        assert servers.health(info.port) is not None
        s3.put_object(Bucket="disk", Key="after", Body=b"y" * MIB)
        assert s3.get_object(Bucket="disk", Key="before")["Body"].read() == b"x" * MIB
        assert s3.get_object(Bucket="disk", Key="after")["Body"].read() == b"y" * MIB


def test_a_load_goes_on_when_postgresqls_full_disk_has_room_again(tmp_path: Path) -> None:
    from tests.support import containers

    own = Instance(tmp_path)
    with containers.engine(own, ENGINE_ENV, disks={"postgres": "256m"}) as info:
        build.build()
        terraform.apply(own, DEV, TEST_VARS)
        pipe = pipeline(own)
        warehouse = Warehouse(pipe.stack, own)
        assert isinstance(info.postgres, ContainerId)
        in_container = ("exec", info.postgres.container, "sh", "-c")
        with warehouse.administrator() as administrator:
            # The log has room: it is the tables that find none. A server whose log finds none stops.
            administrator.execute("SELECT pg_switch_wal()")
            administrator.execute("CHECKPOINT")
            docker(*in_container, f"cat /dev/zero > {containers.VOLUMES['postgres'][0]}/filler || true")

            def refused_loads() -> int:
                question = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
                return int((administrator.execute(question).fetchone() or (0,))[0])

            before = refused_loads()
            put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 5, 20_000)))
            assert int(pipe.wait_for_run(put, 1)["rows_silver"]) == 20_000
            until("a load that finds no room", lambda: refused_loads() > before)
            assert warehouse.loads(put) == []
            docker(*in_container, f"rm {containers.VOLUMES['postgres'][0]}/filler")
        assert warehouse.loaded(put)["rows"] == 20_000
        warehouse.same_as_silver(put, pipe.rows(put), "shipments")
        until("the load queue to be empty", lambda: pipe.depth("load_queue_url") == 0)
        assert pipe.depth("load_dlq_url") == 0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path / "home")
    yield instance
    engine.down(instance, volumes=True)


@pytest.mark.timeout(600)  # two deployments
def test_after_a_container_was_killed_in_mid_work_the_pipeline_starts_again_and_reconciles(own: Instance) -> None:
    """Nothing had been saved: `sluice up` deploys again, and the same input gives the same rows."""
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
    reconciles(own, objects=4)
    # The same stack, stopped and started: nothing is deployed again.
    rows = loaded(own, puts)
    assert list(rows.values()) == [3000] * 4
    engine.down(own, keep=True)
    assert engine.up(own, kind=engine.DOCKER, faults=True, env=ENGINE_ENV).restored_from
    assert loaded(own, puts) == rows
    reconciles(own, objects=4)


def loaded(own: Instance, puts: list[Put]) -> dict[str, int]:
    """How many rows the warehouse has of each object."""
    warehouse = Warehouse(Stack.load(own), own)
    return {put.object_id: int(warehouse.loaded(put)["rows"]) for put in puts}


def reconciles(own: Instance, objects: int) -> None:
    """Every row is accounted for, and a plan is empty."""
    report = verify.verify(Stack.load(own))
    assert report.ok, "\n".join(difference.line() for difference in report.differences)
    assert len(report.objects) == objects
    assert [str(change) for change in terraform.plan(own, DEV, TEST_VARS).changes] == []


def pipeline(instance: Instance) -> Pipeline:
    return Pipeline(Stack.load(instance), Mailbox(None, ""), faults=True)


@contextmanager
def session(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A pytest session of its own over containers, and the label of these; killed at the end, if it still runs."""
    from tests.support.containers import OWNER

    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "tests/e2e/core/test_core_path.py", *arguments],
        cwd=ROOT, env={**os.environ, "ENGINE": "docker"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # a shell's background job ignores ctrl-C, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        yield process, f"{OWNER}={process.pid}:{ProcessId.of(process.pid).started}"
    finally:
        process.kill()
        process.communicate()


def test_a_session_whose_containers_are_gone_ends_and_says_so() -> None:
    """Docker stopped, or a container was killed, while tests run: not one failure after the other."""
    with session("-v") as (process, label):
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        assert any("PASSED" in line for line in lines), "no test has passed"
        docker("kill", *with_labels(label))
        said, _ = process.communicate(timeout=120)
    assert process.returncode
    assert "the engine under test is gone" in said
    assert said.count("FAILED tests/") <= 2, said
    assert with_labels(label) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_session_leaves_nothing(number: signal.Signals) -> None:
    """After ctrl-C and a job's time limit at once, after kill -9 when the next session begins (ryuk: in seconds)."""
    from tests.support.containers import remove_orphans

    with session("-q") as (process, label):
        until("both containers", lambda: len(with_labels(label)) == 2 or process.poll() is not None)
        assert process.poll() is None
        process.send_signal(number)
        process.communicate(timeout=120)
    if number == signal.SIGKILL:
        remove_orphans()
        homes.remove_orphans()
    assert with_labels(label) == []
    assert docker("network", "ls", "-q", "--filter", f"label={label}") == ""
    assert list(Path(tempfile.gettempdir()).glob(f"sluice-e2e-{process.pid}-*")) == []


def test_a_session_without_ryuk_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the reaper's image is not there and cannot be pulled; where it is, testcontainers uses it."""
    from testcontainers.core.config import testcontainers_config as config

    from tests.support import containers

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
