"""taxi-steps: one state of the workflow an invocation; the state machine says which, and tries it again."""

import os
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice_pipeline.requests import InvalidRequest
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import measure, traced
from taxi.month import Month, attempt_of
from taxi.reconcile import NotReconciled, counts, differences, loaded_batch
from taxi.reports import Reports
from taxi.steps.waiting import Retrying, Waiting
from taxi.warehouse import Warehouse

logger = Logger()
reports = Reports(client("s3"), os.environ["TAXI_BUCKET"])
warehouse = Warehouse(client("redshift-data"), os.environ["WORKGROUP"], os.environ["DATABASE"])
waiting = Waiting(
    client("scheduler"),
    Retrying(
        int(os.environ["RETRY_HOURS"]),
        int(os.environ["RETRY_DAYS"]),
        os.environ["SCHEDULE_GROUP"],
        os.environ["START_FUNCTION_ARN"],
        os.environ["SCHEDULE_ROLE_ARN"],
    ),
)
SOURCE_URL: Final = os.environ["SOURCE_URL"]
LATER: Final = "later"
LATE: Final = "late"
PUBLISHED: Final = "published"


class TaxiFailed(RuntimeError):
    """Ends the execution, which is what the state is for."""


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``step``: published, verify or end.

    Raises:
        InvalidRequest, NoReport, NotReconciled: no retry can help.
        TaxiFailed: of the step `end`.
    """
    del context
    match event.get("step"):
        case "published":
            done = _published(event["batch"], str(event.get("since") or event["started"]), str(event["source_url"]))
        case "verify":
            done = _verify(event)
        case "end":
            done = _end(event)
        case unknown:
            raise InvalidRequest(f"there is no step {unknown!r}")
    logger.info(str(event["step"]), extra={"run": event.get("name"), "done": done})
    return done


def _published(batch: str, since: str, source_url: str) -> dict[str, Any]:
    report = reports.read("ingest", batch)
    if report["published"]:
        return {"outcome": PUBLISHED, "rows": report["rows"], "key": report["key"], "next_try": ""}
    other = "" if source_url == SOURCE_URL else source_url  # the next try takes the public file's place of then
    at = waiting.next_try(batch, since, other, datetime.now(UTC))
    measure(MonthsUnpublished=1)
    return {"outcome": LATER if at else LATE, "rows": 0, "key": "", "next_try": at.isoformat() if at else ""}


def _verify(event: dict[str, Any]) -> dict[str, Any]:
    """Of one attempt, which must be the one that the table has; without ``batch`` of the one that it has."""
    month = attempt_of(event["batch"])[0] if event.get("batch") else Month.parse(event.get("month"))
    counted = counts(warehouse, month)
    batch = loaded_batch(month, counted)
    if event.get("batch") and event["batch"] != batch:
        raise NotReconciled(f"the table has the rows of {batch}, and {event['batch']} was to be verified")
    ingest, transform, load = (reports.read(job, batch) for job in ("ingest", "transform", "load"))
    if found := differences(ingest, transform, load, counted):
        raise NotReconciled(f"{batch}: {'; '.join(found)}")
    rejected = {reason: rows for reason, rows in transform["rejected"].items() if rows}
    done = {"month": str(month), "batch": batch, "raw": ingest["rows"], "loaded": counted["counted"]}
    return done | {"rejected": sum(rejected.values()), "reasons": rejected, "source": ingest["key"]}


def _end(event: dict[str, Any]) -> dict[str, Any]:
    """The last state of a run that failed. A redrive comes back to it, and is sent on to the state that failed."""
    if int(event["redrives"]) > int(event["failed_at"]):
        return {"resume": event["state"]}
    raise TaxiFailed(f"{event['state']}: {event['error']}")
