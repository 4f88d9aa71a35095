"""reconcile: on a schedule, announces to ingest the objects of bronze that no event has announced.

S3 delivers events at least once, and no notification that was not set, or that a policy refused, comes later:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
So the bucket is compared with the ledger.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.reconcile.announcing import Announcer
from core.reconcile.listing import listed
from core.reconcile.progress import Progress, ProgressStore
from core.reconcile.unannounced import Finder
from core.reconcile.window import Settings, window
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.keys import dataset_of
from sluice_pipeline.objects.passed_over import PassedOver
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import measure, traced

UNANNOUNCED: Final = "object.unannounced"
SPARE_MILLISECONDS: Final = 60_000  # of the function's time, reserved for the last page
DAYS: Final = timedelta(days=1)

logger = Logger()
s3 = client("s3")
dynamodb = client("dynamodb")
bucket = os.environ["BRONZE_BUCKET"]
ledger = Table(dynamodb, os.environ["LEDGER_TABLE"])
announcer = Announcer(client("sqs"), os.environ["INGEST_QUEUE_URL"], Table(dynamodb, os.environ["IDEMPOTENCY_TABLE"]))
notices = Notices(client("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
finder = Finder(s3, bucket, ledger, PassedOver(json.loads(os.environ["PASSED_OVER_KEYS"])))
store = ProgressStore(ledger, timedelta(seconds=int(os.environ["TIMEOUT_SECONDS"])))
settings = Settings(
    timedelta(minutes=int(os.environ["MARGIN_MINUTES"])),
    int(os.environ["ABORT_MULTIPART_DAYS"]) * DAYS,
    int(os.environ["LEDGER_RETENTION_DAYS"]) * DAYS or None,
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> None:
    """Goes on with the pass that the last run did not end, or begins one."""
    progress = store.claim(datetime.now(UTC))
    if progress is None:
        logger.info("another run is under way, or died and its lease is not over")
        return
    try:
        reconcile(progress, context)
    finally:
        store.release()


def reconcile(progress: Progress, context: LambdaContext) -> None:
    done_until = datetime.fromisoformat(progress.done_until) if progress.done_until else None
    judged = window(progress.began, done_until, settings)
    whole = True
    for page in listed(s3, bucket, progress.position):
        found = announcer.new(finder.find(page.objects, judged))
        announcer.send(found)
        store.advance(progress, page.position, [one.ref.key for one in found])
        announcer.record(found)
        measure(ObjectsCompared=len(page.objects), ObjectsUnannounced=len(found))
        if context.get_remaining_time_in_millis() < SPARE_MILLISECONDS:
            whole = False
            break
    if progress.found:
        notify(progress)
        store.notified(progress)
    if whole:
        store.end(judged.until)
    logger.info("compared", extra={"until": judged.until, "position": progress.position, "whole": whole})


def notify(progress: Progress) -> None:
    """One notice for all that a run has found; it may come twice when the function dies before that is recorded."""
    datasets = {dataset_of(key) or "unknown" for key in progress.samples}
    dataset = datasets.pop() if len(datasets) == 1 else "several"
    reason = f"{progress.found} objects came without an event, and are ingested now"
    notices.publish(UNANNOUNCED, dataset, "warning", reason, {
        "dataset": dataset,
        "count": progress.found,
        "keys": progress.samples,
        "reason": reason,
        "look": "sluice runs --since 1h",
        "repair": "nothing for these objects; `make drift` says whether the bucket's notification is what was deployed",
    })  # fmt: skip
