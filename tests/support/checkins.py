"""Check-ins as a test sees them: files of a day, runs of the workflow, the log, the table, and the notices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from checkins.request import Request, prefix_of
from checkins.run_log import Log
from sluice_pipeline.dynamo.values import plain
from tests.support.pipeline import Pipeline, Put, until

RUNNING = "RUNNING"


def request(put: Put, day: str, **more: str) -> Request:
    return Request(day, "checkins", put.ref.key, put.object_id, **more)


@dataclass(frozen=True)
class CheckinRuns:
    pipe: Pipeline

    def put(self, day: str, body: bytes, name: str = "checkins.csv") -> Put:
        """A file among those of a day."""
        return self.pipe.put_key(f"{prefix_of('checkins', day)}{self.pipe.run}-{name}", body)

    # -- runs --------------------------------------------------------------------------------------------------------

    def start(self, wanted: Request) -> str:
        """Starts a run as the executor does; its name."""
        self.pipe.stack.client("stepfunctions").start_execution(
            stateMachineArn=self.pipe.stack["checkins_state_machine_arn"], name=wanted.name, input=wanted.canonical
        )
        return wanted.name

    def describe(self, name: str) -> dict[str, Any]:
        arn = self.pipe.stack["checkins_state_machine_arn"].replace(":stateMachine:", ":execution:")
        found: dict[str, Any] = self.pipe.stack.client("stepfunctions").describe_execution(executionArn=f"{arn}:{name}")
        return found

    def ended(self, name: str, deadline: float = 90) -> str:
        """The status of a run once it has ended."""
        until(f"the end of {name}", lambda: self.describe(name)["status"] != RUNNING, deadline)
        status: str = self.describe(name)["status"]
        return status

    def run(self, put: Put, day: str, **more: str) -> tuple[str, str]:
        """Name and status of a run of a file."""
        name = self.start(request(put, day, **more))
        return name, self.ended(name)

    # -- what they leave ---------------------------------------------------------------------------------------------

    @property
    def log(self) -> Log:
        return Log(self.pipe.dynamodb, self.pipe.stack["checkin_log_table"])

    def states(self, name: str) -> dict[str, dict[str, Any]]:
        """What the log says of a run, by state."""
        return {item["state"]: item for item in self.log.states(name)}

    def statuses(self, name: str) -> dict[str, str]:
        return {state: item["status"] for state, item in self.states(name).items()}

    def everything(self) -> list[dict[str, Any]]:
        """All items of the table, whatever indexes say."""
        pages = self.pipe.dynamodb.get_paginator("scan").paginate(TableName=self.pipe.stack["checkins_table"])
        return [plain(item) for page in pages for item in page["Items"]]

    def loaded(self, *prefixes: str) -> dict[str, dict[str, Any]]:
        """The items whose check-in ids begin so (this test's, unless said otherwise), by check-in id."""
        wanted = prefixes or (self.pipe.run,)
        return {item["sk"]: item for item in self.everything() if item["sk"].startswith(wanted)}

    def notices(self, name: str) -> list[dict[str, Any]]:
        """SNS notices about a run."""
        return self.pipe.mail.notices(run=name)

    def only_notice(self, name: str) -> dict[str, Any]:
        [notice] = until("the notice", lambda: self.notices(name))
        return notice


def as_loaded(row: dict[str, Any]) -> dict[str, Any]:
    """What an item's row holds of a row that was sent."""
    at = f"{row['checked_in_at'].removesuffix('Z')}.000000Z"
    row = row | {"checked_in_at": at}
    return {name: float(value) if name in ("latitude", "longitude") else value for name, value in row.items() if value}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A loaded row with its numbers as floats."""
    return {name: value if isinstance(value, str) else float(value) for name, value in row.items()}
