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
from core.reconcile.deliveries import Deliveries, InventoryRefusedError
from core.reconcile.inventory import Inventory
from core.reconcile.listing import Listing
from core.reconcile.progress import Progress, ProgressStore
from core.reconcile.unannounced import Finder
from core.reconcile.window import Settings, window
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.keys import dataset_of
from sluice_pipeline.objects.passed_over import PassedOver
from sluice_pipeline.runtime.clients import client, on_demand
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
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
finder = Finder(s3, bucket, ledger, PassedOver(json.loads(os.environ["PASSED_OVER_KEYS"])))
store = ProgressStore(ledger, timedelta(seconds=int(os.environ["TIMEOUT_SECONDS"])))
settings = Settings(
    timedelta(minutes=int(os.environ["MARGIN_MINUTES"])),
    int(os.environ["ABORT_MULTIPART_DAYS"]) * DAYS,
    int(os.environ["LEDGER_RETENTION_DAYS"]) * DAYS or None,
)
source: Listing | Inventory = Listing(s3, bucket, store)
if inventory_prefix := os.environ["INVENTORY_PREFIX"]:
    deliveries = Deliveries(s3, os.environ["INVENTORY_BUCKET"], inventory_prefix, bucket)
    source = Inventory(deliveries, store)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> None:
    """Goes on with the pass that the last run did not end, or begins one."""
    now = datetime.now(UTC)
    progress = store.claim(now)
    if progress is None:
        logger.info("another run is under way, or died and its lease is not over")
        return
    try:
        if source.open(progress, now):
            reconcile(progress, now, context)
        else:
            logger.info("no list has come since the last pass")
    except InventoryRefusedError:
        report(progress)
        store.refuse(progress.manifest)
        raise
    finally:
        store.release()


def reconcile(progress: Progress, now: datetime, context: LambdaContext) -> None:
    judged = window(progress.began or now, progress.done_until, settings, now)
    whole = True
    for page in source.pages(progress, judged):
        found = announcer.new(finder.find(page.objects, judged))
        if found:
            store.announce(progress, [one.ref.key for one in found])
        announcer.send(found)
        store.advance(progress, page.position)
        announcer.record(found)
        measure(ObjectsCompared=page.seen, ObjectsUnannounced=len(found))
        if context.get_remaining_time_in_millis() < SPARE_MILLISECONDS:
            whole = False
            break
    report(progress)
    if whole:
        store.end(progress, judged.until)
    logger.info("compared", extra={"until": judged.until, "position": progress.position, "whole": whole})


def report(progress: Progress) -> None:
    if progress.found:
        notify(progress)
        store.notified(progress)


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
