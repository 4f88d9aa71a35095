"""Load: rows of silver copied into the warehouse, and records upserted as entities.

Both are what the function itself took for an object's transaction, as it noted in `control.loads`: from the lock to the
commit, reading the files from S3 included.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from typing import Any

from fixtures import entities
from sluice.bench import bulk
from sluice.bench.hop_real import Sent, finished
from sluice.bench.stage import Stage
from sluice.console import fail
from sluice.pipeline import verify
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until

ROWS_MB = 64  # one object of shipments, some 350,000 rows
ENTITIES = 10_000


@dataclass(frozen=True)
class Loaded:
    """``rows`` in ``seconds``; ``waited`` is from the commit's being known to the load's, queue and start included."""

    rows: int
    seconds: float
    waited: float


@dataclass(frozen=True)
class Load:
    """``entities_new`` made 10,000 entities, ``entities_changed`` changed all of them."""

    silver: Loaded
    entities_new: Loaded
    entities_changed: Loaded


def measure(own: Stage, deadline: float = 300.0) -> Load:
    """Raises SluiceError when a row or an entity is missing, or ``deadline`` seconds are not enough."""
    run = uuid.uuid4().hex[:8]
    given = bulk.generate(ROWS_MB)
    small = entities.as_jsonl(entities.customers(f"warm-{run}", 0, 10))
    _put(own, "crm", run, "warm.jsonl", small, 10, deadline)  # the first connection, and the function's start
    body = given.files[0].read_bytes()
    silver = _put(own, bulk.DATASET, run, "rows.jsonl", body, given.rows[0], deadline)
    days = (entities.customers(run, seed, ENTITIES, day) for seed, day in ((1, 0), (2, 2)))
    new, changed = (
        _put(own, "crm", run, f"{number}.jsonl", entities.as_jsonl(rows), ENTITIES, deadline)
        for number, rows in enumerate(days)
    )
    question = "SELECT count(*), coalesce(sum(version), 0) FROM canonical.entities WHERE canonical_id LIKE %s"
    found = _ask(own, question, f"customer:{run}-%")
    if found != (ENTITIES, 2 * ENTITIES):
        fail(f"{found[0]} entities with {found[1]} versions in all, not {ENTITIES} with {2 * ENTITIES}", 1)
    return Load(silver, new, changed)


def _put(own: Stage, dataset: str, run: str, name: str, body: bytes, rows: int, deadline: float) -> Loaded:
    """Uploads an object and waits until it is loaded."""
    stack: Stack = own.stack
    bucket, key = stack["bronze_bucket"], f"bronze/{dataset}/bench-{run}/{name}"
    answer: Any = stack.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    sent = Sent(verify.object_id(bucket, key, answer["ETag"].strip('"')), time.time())
    finished(LedgerView.of(stack), [sent], deadline)
    committed = time.monotonic()
    question = "SELECT rows, seconds FROM control.loads WHERE object_id = %s::uuid"
    if not wait_until(lambda: bool(_ask(own, question, sent.object_id)), deadline, 0.1):
        fail(f"{key} is not loaded after {deadline:.0f} s: `sluice dlq ls --queue loads`", 1)
    waited = time.monotonic() - committed
    count, seconds = _ask(own, question, sent.object_id)
    if count != rows:
        fail(f"{key}: {count} of {rows} rows are in the warehouse", 1)
    return Loaded(rows, float(seconds), waited)


def _ask(own: Stage, question: str, value: str) -> tuple[Any, ...]:
    """One row as the reader sees it, () for none. The server is reached where the engine has it on this machine."""
    from warehouse.database import Login

    info = own.instance.info()
    if info is None:
        fail(f"{own.name} is gone: see {own.instance.logs_dir}", 1)
    secret = own.stack.client("secretsmanager").get_secret_value(
        SecretId=dict(own.stack.outputs["warehouse_secret_arns"])["reader"]
    )
    login = replace(Login.from_secret(secret["SecretString"]), host="127.0.0.1", port=info.postgres_port)
    with login.connect("bench") as connection:
        row = connection.execute(question.encode(), (value,)).fetchone()
    return tuple(row or ())
