"""replay: runs one step of the replay workflow; the state machine says which one, and retries it."""

import os
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.replay.steps import Replay
from sluice_pipeline.catalog.deployed import deployed
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.listing import LedgerList
from sluice_pipeline.objects.storage import Storage
from sluice_pipeline.replays.request import Request
from sluice_pipeline.replays.requeue import Requeuer
from sluice_pipeline.replays.store import ReplayStore
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import traced

logger = Logger()
dynamodb, s3 = client("dynamodb"), client("s3")
TABLE: Final = os.environ["LEDGER_TABLE"]
BUCKET: Final = os.environ["REPLAY_BUCKET"]
BATCH_OBJECTS: Final = int(os.environ["REPLAY_BATCH_OBJECTS"])
DEADLINE_SECONDS: Final = int(os.environ["REPLAY_DEADLINE_SECONDS"])
SPARE_MILLISECONDS: Final = 10_000  # of the function's time, reserved for the answer
ledger = LedgerList(dynamodb, TABLE)


def current_rules() -> RulesVersion:
    """The version in service."""
    return deployed().current().version


queue = ChunkQueue(client("sqs"), os.environ["CHUNK_QUEUE_URL"])
requeuer = Requeuer(Ledger(dynamodb, TABLE), queue, Storage(s3), current_rules)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    name, started = event["name"], datetime.fromisoformat(event["started"])
    logger.append_keys(correlation_id=name)
    replay = Replay(name, ledger, requeuer, ReplayStore(s3, BUCKET, name))
    match event["step"]:
        case "plan":
            done = replay.plan(Request.parse(event["request"]), started, BATCH_OBJECTS, current_rules())
        case "requeue":
            done = replay.requeue(event["batch"])
        case "check":
            elapsed = (datetime.now(UTC) - started).total_seconds()
            done = replay.check(
                event["batches"],
                event["next"],
                elapsed,
                DEADLINE_SECONDS,
                lambda: context.get_remaining_time_in_millis() < SPARE_MILLISECONDS,
            )
        case "reconcile":
            done = replay.reconcile(event["batches"], event["dataset"])
        case unknown:
            raise ValueError(f"there is no step {unknown!r}")
    logger.info(event["step"], extra={"replay": {key: value for key, value in done.items() if key != "batches"}})
    return done
