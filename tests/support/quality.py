"""The quality gate as a test sees it: flights that pass or not, verdicts, executions, staged files and notices."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from quality.verdict import verdict_key
from sluice.pipeline import storage
from sluice_pipeline.events.announcements import STAGED
from sluice_pipeline.events.committed import event_of
from sluice_pipeline.ledger.items import FINAL
from tests.support.pipeline import Pipeline, Put, until

DATASET = "flights"
_FIRST = date(2030, 1, 1)


def flights(count: int, days: int = 1, **changed: Any) -> list[dict[str, Any]]:
    """Rows that pass, of so many days, numbered from 0; ``changed``: values that all of them have."""
    return [
        {
            "year": 2030, "month": 1, "day": 1, "sched_dep_time": 500, "sched_arr_time": 700, "carrier": "UA",
            "flight": number, "tailnum": f"N{number}", "origin": "EWR", "dest": "IAH", "air_time": 100,
            "distance": 1400, "hour": 5, "minute": number % 60,
            "time_hour": f"{_FIRST + timedelta(days=number % days)}T10:00:00Z",
        } | changed
        for number in range(count)
    ]  # fmt: skip


def as_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@dataclass(frozen=True)
class Quality:
    pipe: Pipeline

    def put(self, rows: Iterable[dict[str, Any]], name: str = "rows.jsonl") -> Put:
        return self.pipe.put(DATASET, as_lines(rows), name)

    def ended(self, put: Put, run: int = 1, deadline: float = 120) -> dict[str, Any]:
        """The object's item once this run has ended, and nothing of it is left to do."""

        def look() -> dict[str, Any] | None:
            found = self.pipe.ledger.one(put.object_id)
            if found is None or found.number("run") != run or found.state not in FINAL or found.item.get("notice_due"):
                return None
            done = found.state != "committed" or not self.staged(put, run)
            return found.item if done else None

        return until(f"the end of run {run} of {put.ref.key}", look, deadline)

    def in_state(self, put: Put, state: str, deadline: float = 120, **wanted: Any) -> dict[str, Any]:
        """The object's item once it is in a state, with these values."""

        def look() -> dict[str, Any] | None:
            found = self.pipe.ledger.one(put.object_id)
            fits = found and found.state == state and wanted.items() <= found.item.items()
            return found.item if found and fits else None

        return until(f"{put.ref.key} {state}", look, deadline)

    def verdict(self, put: Put, run: int = 1) -> dict[str, Any]:
        place = {"Bucket": self.pipe.stack["quality_bucket"], "Key": verdict_key(put.object_id, run)}
        found: dict[str, Any] = json.loads(self.pipe.s3.get_object(**place)["Body"].read())
        return found

    def staged(self, put: Put, run: int = 1) -> list[str]:
        """Files of a run in the staging bucket."""
        listed = storage.files(self.pipe.s3, self.pipe.stack["staging_bucket"], f"staged/{run:05d}/silver/{DATASET}/")
        return sorted(key for key in listed if storage.owner_of(key) == put.object_id)

    def leftovers(self, put: Put) -> list[str]:
        return list(storage.files(self.pipe.s3, self.pipe.stack["staging_bucket"], f"leftovers/{put.object_id}/"))

    def executions(self) -> dict[str, list[str]]:
        """Object ids of each execution of the workflow, the last first."""
        workflows = self.pipe.stack.client("stepfunctions")
        pages = workflows.get_paginator("list_executions").paginate(
            stateMachineArn=self.pipe.stack["quality_state_machine_arn"]
        )
        arns = [one["executionArn"] for page in pages for one in page["executions"]]
        inputs = {arn: json.loads(workflows.describe_execution(executionArn=arn)["input"]) for arn in arns}
        return {arn: [one["object_id"] for one in found["objects"]] for arn, found in inputs.items()}

    def executions_of(self, *puts: Put) -> list[str]:
        wanted = {put.object_id for put in puts}
        return [arn for arn, objects in self.executions().items() if wanted & set(objects)]

    def run(self, put: Put, run: int = 1, engine: str = "pyarrow") -> str:
        """Audits the object again, as an operator does; the execution."""
        given = json.dumps({"engine": engine, "objects": [{"object_id": put.object_id, "run": run}]})
        answer = self.pipe.stack.client("stepfunctions").start_execution(
            stateMachineArn=self.pipe.stack["quality_state_machine_arn"], input=given
        )
        return str(answer["executionArn"])

    def publish(self, put: Put, **request: Any) -> dict[str, Any]:
        """The answer of the function that publishes."""
        payload = json.dumps({"object_id": put.object_id, "run": 1} | request).encode()
        answer = self.pipe.lambda_.invoke(FunctionName=self.pipe.stack["quality_publish_function"], Payload=payload)
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, found
        return found

    def announce(self, put: Put, run: int = 1) -> None:
        """Sends the object's event to the gate once more."""
        body = json.dumps(event_of(put.object_id, run, DATASET, STAGED))
        self.pipe.sqs.send_message(QueueUrl=self.pipe.stack["quality_queue_url"], MessageBody=body)

    def idle(self, deadline: float = 120) -> None:
        """No message waits, and no execution runs."""
        workflows = self.pipe.stack.client("stepfunctions")

        def still() -> bool:
            running = workflows.list_executions(
                stateMachineArn=self.pipe.stack["quality_state_machine_arn"], statusFilter="RUNNING"
            )["executions"]
            return not running and self.pipe.depth("quality_queue_url") == 0

        until("the gate to be idle", still, deadline)

    def notices(self, put: Put) -> list[dict[str, Any]]:
        return self.pipe.mail.notices(object_id=put.object_id)
