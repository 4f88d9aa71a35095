"""An engine whose S3 and PostgreSQL hold the same number, so that a test sees whether they are of one moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import psycopg
from botocore.config import Config

from sluice import engine
from sluice.console import silent
from sluice.engine import snapshots
from sluice.engine.containers import docker
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.states.files import LAST, States
from sluice.paths import ROOT
from sluice.polling import wait_until
from sluice.processes import ProcessId

BUCKET, KEY = "kept", "number"


class Kept:
    """An instance of its own. `set` writes a number in S3, SQS and PostgreSQL, `seen` reads it in all of them."""

    def __init__(self, home: Path, kind: str = engine.EMBEDDED) -> None:
        self.instance = Instance(home)
        self.kind = kind
        self.said: list[str] = []

    @property
    def states(self) -> States:
        return States(self.instance.states_dir)

    @property
    def info(self) -> EngineInfo:
        found = self.instance.info()
        assert found is not None
        return found

    def up(self, **options: Any) -> EngineInfo:
        self.said.clear()
        return engine.up(self.instance, kind=self.kind, report=self.said.append, **options)

    def down(self, *, keep: bool = True, **options: Any) -> bool:
        self.said.clear()
        return engine.down(self.instance, keep=keep, report=self.said.append, **options)

    def save(self, name: str) -> Any:
        return snapshots.save(self.instance, name)

    def load(self, name: str, **options: Any) -> EngineInfo:
        return snapshots.load(self.instance, name, report=silent, **options)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.info.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, read_timeout=60),
        )

    def set(self, number: int) -> None:
        s3, sqs = self.client("s3"), self.client("sqs")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=str(number).encode())
        url = sqs.create_queue(QueueName=BUCKET)["QueueUrl"]
        sqs.tag_queue(QueueUrl=url, Tags={KEY: str(number)})
        with psycopg.connect(self.info.postgres_dsn) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
            connection.execute("DELETE FROM kept")
            connection.execute("INSERT INTO kept VALUES (%s)", (number,))
        self.instance.terraform_dir.mkdir(parents=True, exist_ok=True)
        self.instance.terraform_state.write_text(f'{{"outputs": {{"number": {{"value": {number}}}}}}}')

    def seen(self) -> dict[str, int | None]:
        """The number everywhere; None where there is none."""
        s3, sqs = self.client("s3"), self.client("sqs")
        try:
            in_s3 = int(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
        except s3.exceptions.NoSuchBucket:
            in_s3 = None
        try:
            url = sqs.get_queue_url(QueueName=BUCKET)["QueueUrl"]
            in_sqs = int(sqs.list_queue_tags(QueueUrl=url)["Tags"][KEY])
        except sqs.exceptions.QueueDoesNotExist:
            in_sqs = None
        with psycopg.connect(self.info.postgres_dsn) as connection:
            try:
                row = connection.execute("SELECT number FROM kept").fetchone()
            except psycopg.errors.UndefinedTable:
                row = None
        from sluice import terraform

        return {
            "s3": in_s3,
            "sqs": in_sqs,
            "postgres": int(row[0]) if row else None,
            "terraform": terraform.outputs(self.instance).get("number"),
        }

    def kill(self, *, postgres: bool = True) -> None:
        """Ends both servers as a crash does."""
        found = self.info
        killed = [found.engine, found.postgres] if postgres else [found.engine]
        for identity in killed:
            if isinstance(identity, ProcessId):
                os.kill(identity.pid, signal.SIGKILL)
            else:
                docker("kill", identity.container)
        assert wait_until(lambda: not any(identity.alive() for identity in killed), 10)

    def command(self, code: str, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs code of the host tool in a process of its own, which kills itself at the n-th of its steps. Its last
        line of output is how many it made."""
        return subprocess.run(
            [sys.executable, "-c", f"{_STEPS}\n{code}\nprint(steps)", str(self.instance.home), str(kill_at)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def remove(self) -> None:
        engine.down(self.instance, volumes=True, report=silent)


def everywhere(number: int | None) -> dict[str, int | None]:
    return dict.fromkeys(("s3", "sqs", "postgres", "terraform"), number)


_STEPS = """
import os, signal, sys
from pathlib import Path
from sluice import engine
from sluice.engine import snapshots
from sluice.engine.embedded import lifecycle
from sluice.engine.instance import Instance
instance, last, steps = Instance(Path(sys.argv[1])), int(sys.argv[2]), 0
EVENTS = {"urllib.Request", "os.rename", "os.kill", "os.remove", "subprocess.Popen"}
def step(event, arguments):
    global steps
    if event not in EVENTS or (event == "urllib.Request" and "/_sluice/state" not in str(arguments[0])):
        return
    if event in ("os.rename", "os.remove") and str(instance.home) not in str(arguments[0]):
        return
    steps += 1
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
"""
"""What the tool does to other processes, to the engine and to names of files is a step."""

__all__ = ["BUCKET", "KEY", "LAST", "Kept", "everywhere"]
