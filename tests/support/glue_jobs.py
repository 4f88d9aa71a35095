"""Glue jobs for the contract tests: a bucket with scripts, jobs, runs and what they printed."""

import json
import uuid
from typing import Any

from tests.support.engine_harness import ROLE, Engine, Queue, eventually

UNFINISHED = ("WAITING", "STARTING", "RUNNING", "STOPPING")


class GlueJobs:
    """Jobs of a test's own, with a bucket of its own."""

    def __init__(self, engine: Engine, seconds: float = 120) -> None:
        self.engine, self.seconds = engine, seconds
        self.glue, self.s3, self.logs = engine.client("glue"), engine.client("s3"), engine.client("logs")
        self.bucket = f"b{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.bucket)

    def put(self, key: str, body: str | bytes) -> str:
        """Upload; returns the URI."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def make(self, script: str, kind: str = "pythonshell", **more: Any) -> str:
        """A job with this script; returns its name."""
        name = more.pop("Name", f"job-{uuid.uuid4().hex[:8]}")
        command = {"Name": kind, "ScriptLocation": self.put(f"{name}.py", script)}
        wanted = {"Role": ROLE, "Command": command} | more
        self.glue.create_job(Name=name, **wanted)
        return str(name)

    def start(self, job: str, **more: Any) -> str:
        """Id of the run."""
        return str(self.glue.start_job_run(JobName=job, **more)["JobRunId"])

    def run(self, job: str, run: str) -> dict[str, Any]:
        """The run as GetJobRun shows it."""
        return dict(self.glue.get_job_run(JobName=job, RunId=run)["JobRun"])

    def state(self, job: str, run: str) -> str:
        """Its state."""
        return str(self.run(job, run)["JobRunState"])

    def end(self, job: str, run: str) -> dict[str, Any]:
        """The run after it has ended."""
        eventually(lambda: self.state(job, run) not in UNFINISHED, self.seconds, "the run to end")
        return self.run(job, run)

    def ran(self, script: str, arguments: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """Make a job, run it, wait for its end."""
        job = self.make(script, **more)
        return self.end(job, self.start(job, Arguments=arguments or {}))

    def log(self, run: dict[str, Any], name: str = "output") -> list[str]:
        """The lines that it printed."""
        group = f"{run['LogGroupName']}/{name}"
        try:
            found = self.logs.get_log_events(logGroupName=group, logStreamName=run["Id"], startFromHead=True)
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"].rstrip("\n") for event in found["events"]]

    def events(self) -> Queue:
        """A queue that gets the events of Glue's jobs from now on."""
        queue, name, events = Queue(self.engine), f"rule-{uuid.uuid4().hex[:8]}", self.engine.client("events")
        pattern = {"source": ["aws.glue"], "detail-type": ["Glue Job State Change"]}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue.arn}])
        return queue
