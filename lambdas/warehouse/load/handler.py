"""load: loads a committed object's silver rows into the warehouse and records their count in the ledger."""

import os
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.catalog.deployed import OfCurrent
from sluice_pipeline.consumer.consumer import Consumer, Delivery, Work
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.committed import Committed
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import measure, traced
from warehouse.database import Warehouse
from warehouse.entities.canonical import NOTHING, Canonical
from warehouse.entities.totals import ControlTotals
from warehouse.load.loader import Entities, Loader
from warehouse.load.together import Outcome
from warehouse.notices import notify_load_failed

logger = Logger()
ledger = Ledger(client("dynamodb"), os.environ["LEDGER_TABLE"])
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
# 1, 5, 25 and 120 s: more than twice the 60 s within which Aurora fails over to a reader.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html
redelivery = Redelivery(
    client("sqs"), os.environ["LOAD_QUEUE_URL"], int(os.environ["MAX_RECEIVES"]), base=5, longest=120
)
warehouse = Warehouse(client("secretsmanager"), os.environ["DATABASE_SECRET_ARN"], "load")
s3 = client("s3")
CANONICAL: Final = os.environ["CANONICAL_ENABLED"] == "true"


def entities_of(catalog: Catalog) -> Entities:
    totals = ControlTotals(s3, os.environ["QUARANTINE_BUCKET"], notices, warehouse, catalog)
    return Entities(Canonical(catalog), totals)


loader = Loader(
    s3,
    os.environ["SILVER_BUCKET"],
    ledger,
    warehouse,
    OfCurrent(entities_of) if CANONICAL else None,
)


settled: dict[Committed, Outcome] = {}  # of the batch, before its messages are processed


def load_together(batch: Sequence[Committed]) -> None:
    settled.update(loader.load_together(batch))


def process(committed: Committed) -> None:
    """Loads the run unless the batch has, and measures it; raises what Loader.load does."""
    loaded = settled.pop(committed) if committed in settled else loader.load(committed)
    if isinstance(loaded, Exception):
        raise loaded
    if loaded is None:
        logger.info("a newer run has begun", extra={"run": committed.run})
        return
    if loaded.fresh:
        measure(committed.dataset, RowsLoaded=loaded.rows, ObjectsLoaded=1, LoadSeconds=loaded.seconds)
        if loaded.entities != NOTHING or loaded.totals_differing:
            measure(
                committed.dataset,
                EntityVersions=loaded.entities.versions,
                EntitiesWithdrawn=loaded.entities.withdrawn,
                ControlTotalsDiffering=loaded.totals_differing,
            )
    logger.info(
        "loaded" if loaded.fresh else "was loaded before",
        extra={"run": committed.run, "batch_id": loaded.batch_id, "rows": dict(loaded.rows_by_table),
               "replaced": loaded.replaced, "nul_characters_replaced": loaded.nuls,
               "entity_versions": loaded.entities.versions, "totals_differing": loaded.totals_differing},
    )  # fmt: skip


def is_permanent(error: Exception) -> bool:
    """What PostgreSQL refuses it will refuse again, until the operator fixes a rule or a right.

    A table or a column that is not there (42P01, 42703) may be on its way: a deployment makes it in these minutes.
    """
    passes = (
        psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn
    )  # fmt: skip
    return isinstance(error, psycopg.Error) and not isinstance(error, passes)


def on_failure(committed: Committed, error: Exception, delivery: Delivery) -> None:
    """Retries exhausted: ledger first, then the notice, so that its reader finds the ledger saying the same."""
    if not delivery.is_last:
        return
    reason = f"{type(error).__name__}: {error}".strip()
    logger.error("the object is not loaded", extra={"object_id": committed.object_id, "reason": reason})
    ledger.note_load_failed(committed.object_id, committed.run, reason)
    measure(committed.dataset, LoadsFailed=1)
    notify_load_failed(notices, committed.object_id, committed.run, committed.dataset, committed.source_key, reason)


consumer = Consumer(
    Work(
        parse=Committed.from_json,
        object_id=lambda committed: committed.object_id,
        process=process,
        on_failure=on_failure,
        is_permanent=is_permanent,
        ahead=load_together,
    ),
    redelivery,
    notices,
    logger,
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    settled.clear()  # of an invocation that did not end
    return consumer.handle(event, context)
