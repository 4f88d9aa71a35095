"""replay: one step of the replay workflow an invocation; the state machine says which, and tries it again."""

import os
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from pipeline.chunk_queue import ChunkQueue
from pipeline.clients import client
from pipeline.ledger import Ledger
from pipeline.ledger_list import LedgerList
from pipeline.replay import Request
from pipeline.replay_store import ReplayStore
from pipeline.requeue import Requeuer
from pipeline.storage import Storage
from pipeline.telemetry import traced
from steps import Replay

logger = Logger()
dynamodb, s3 = client("dynamodb"), client("s3")
TABLE: Final = os.environ["LEDGER_TABLE"]
BUCKET: Final = os.environ["REPLAY_BUCKET"]
BATCH_OBJECTS: Final = int(os.environ["REPLAY_BATCH_OBJECTS"])
DEADLINE_SECONDS: Final = int(os.environ["REPLAY_DEADLINE_SECONDS"])
SPARE_MILLISECONDS: Final = 10_000  # kept of the function's time for the answer
ledger = LedgerList(dynamodb, TABLE)
requeuer = Requeuer(Ledger(dynamodb, TABLE), ChunkQueue(client("sqs"), os.environ["CHUNK_QUEUE_URL"]), Storage(s3))


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    name, started = event["name"], datetime.fromisoformat(event["started"])
    logger.append_keys(correlation_id=name)
    replay = Replay(name, ledger, requeuer, ReplayStore(s3, BUCKET, name))
    match event["step"]:
        case "plan":
            done = replay.plan(Request.parse(event["request"]), started, BATCH_OBJECTS)
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
