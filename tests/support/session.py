"""What a session of end-to-end tests runs on: its engine, the stack's variables, and $STACK, $IAM and $ENGINE."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from sluice import engine
from sluice.engine.instance import Instance
from sluice.paths import ROOT

GATHER = "notice_gather_seconds"
"""The variable by which notices are gathered into mails; 0 in dev.tfvars."""
DEV = ROOT / "infra" / "envs" / "dev.tfvars"
# Small chunks, so that a small object has several; a short timeout, so that a message whose function died comes back
# while the test still waits (its visibility timeout is six times as long).
TEST_VARS = {
    "chunk_bytes": 2 * 1024 * 1024,
    "single_chunk_limit_bytes": 8 * 1024 * 1024,
    "transform_timeout_seconds": 6,
    "ingest_timeout_seconds": 6,
    "load_timeout_seconds": 6,
    "replay_batch_objects": 3,  # a plan of four objects has two batches
    "feedback_timeout_seconds": 10,
    "lake_timeout_seconds": 10,
    "api_statement_timeout_seconds": 3,
    "checkin_timeout_seconds": 20,
    "checkin_deadline_seconds": 25,  # a file that never comes is waited for as long
    "api_job_timeout_seconds": 15,
    "quality_timeout_seconds": 15,
    "quality_gather_seconds": 2,
    "taxi_steps_timeout_seconds": 30,
    "taxi_retry_seconds": 1,
    GATHER: 2,
    "feedback_alert_quiet_seconds": 600,  # longer than any test: a notice that is sent again has been claimed again
    # Periods as short as AWS allows for its own metrics, so that an alarm is over a minute after its cause.
    "alarms": {"oldest_chunk_seconds": 15, "unfinished_seconds": 10, "quarantine_period_seconds": 60},
}
# Lambda retries an asynchronous event after one and two minutes, here after 8 and 16 seconds: longer than
# the timeout of ingest, as the stack demands, for until then a planner that died holds its lock.
ENGINE_ENV = {"LAMBDA_RETRY_BASE_DELAY": "8"}
RUNNING = os.environ.get("STACK") == "running"
# Every function and state machine may do what its role's policies allow and nothing else; IAM=record lets all pass.
ENFORCED = os.environ.get("IAM") != "record"


@cache
def kind() -> str:
    """The engine that the end-to-end tests run on: $ENGINE, decided once for the session and its workers."""
    if RUNNING:
        info = Instance.default().info()
        return info.kind if info else engine.EMBEDDED
    os.environ["ENGINE"] = engine.choose(Instance(Path(os.devnull)))
    return os.environ["ENGINE"]
