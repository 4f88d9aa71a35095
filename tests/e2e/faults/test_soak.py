"""Load and faults together, from a seed: duplicates, bad rows, poison, kills, throttles, delays, and two replays.

`make soak` brings in 5,000 objects; the suite a few (SOAK_OBJECTS). At the end nothing is lost, doubled or stuck, and
every poison object is named.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from fixtures import formats, shipping
from sluice.pipeline.replay import Replays, request
from tests.support.pipeline import Pipeline, Put, until

OBJECTS = int(os.environ.get("SOAK_OBJECTS", "100"))
SEED = os.environ.get("SOAK_SEED", "sluice")
DUPLICATES, BAD, POISON = 0.20, 0.05, 0.02
# Together a tenth of all calls. A kill costs a cold start and a visibility timeout, so kills are few.
FAULTS = [
    {"action": "kill-before", "share": 0.001},
    {"action": "kill-after", "share": 0.001},
    {"service": "dynamodb", "action": "error:ProvisionedThroughputExceededException", "share": 0.04},
    {"service": "s3", "action": "error:SlowDown", "share": 0.04},
    {"action": "delay:20", "share": 0.06},
]
SECONDS = 240 + OBJECTS * 0.4  # until everything has come to rest


@dataclass(frozen=True)
class Input:
    """One object and what has to become of it."""

    name: str
    body: bytes
    good: int
    bad: int
    poison: bool


def make(number: int) -> Input:
    rng = random.Random(f"{SEED}/{number}")
    records = shipping.records("shipments", number, rng.randint(5, 30), days=1)
    lines = [shipping.dump(record) for record in records]
    kind = rng.random()
    if kind < POISON:
        broken = formats.rubbish(number) if rng.random() < 0.5 else formats.truncated_gzip(number)
        return Input(f"{number:05d}-{broken.name}", broken.body, 0, 0, poison=True)
    bad = rng.randint(1, 3) if kind < POISON + BAD else 0
    for _ in range(bad):
        lines.insert(rng.randint(0, len(lines)), shipping.dump({"record_type": "shipments", "weight_kg": -1}))
    return Input(f"{number:05d}.jsonl", b"\n".join(lines), len(records), bad, poison=False)


@pytest.mark.timeout(int(SECONDS * 2))
def test_nothing_is_lost_doubled_or_stuck(breakable: Pipeline, record_property: Callable[[str, object], None]) -> None:
    pipe = breakable
    began = time.monotonic()
    inputs = [make(number) for number in range(OBJECTS)]
    for function in ("ingest", "transform"):
        for fault in FAULTS:
            more = {"function": pipe.stack[f"{function}_function"], "times": 0, "seed": f"{SEED}/{fault['action']}"}
            pipe.set_fault(fault | more)
    try:
        half = OBJECTS // 2
        puts = _upload(pipe, inputs[:half])
        # A replay of nothing is refused, and the first start of a function takes longer than these uploads.
        until("an object in the ledger", lambda: pipe.ledger.objects([put.object_id for put in puts]), SECONDS)
        replays = _start_replays(pipe)
        puts |= _upload(pipe, inputs[half:])
        until("all objects to come to rest", lambda: _rested(pipe, puts), SECONDS)
        hits = pipe.fault_hits()
    finally:
        pipe.clear_faults()
    machine = Replays(pipe.stack)
    until("the replays", lambda: all(machine.get(name).status != "RUNNING" for name in replays), SECONDS)
    _redrive(pipe, puts)
    until("all objects after the redrive", lambda: _rested(pipe, puts), SECONDS)
    report = pipe.verified(pipe.key("shipments", ""))
    seconds = time.monotonic() - began
    found = {row.key: row for row in report.objects}
    lost = doubled = 0
    for put, given in puts.items():
        row = found[put.ref.key]
        lost += max(0, given.good - row.silver) + max(0, given.bad - row.quarantine)
        doubled += max(0, row.silver - given.good) + max(0, row.quarantine - given.bad)
    stuck = [put.ref.key for put, given in puts.items() if found[put.ref.key].state != _end(given)]
    poison = {put.ref.key for put, given in puts.items() if given.poison}
    named = _receive_dead_letters(pipe) & {key for key in poison if found[key].reason}
    record_property(
        "figure",
        f"soak: {OBJECTS} objects, {sum(i.good + i.bad for i in inputs)} rows, {hits} faults, {len(replays)} replays "
        f"in {seconds:.0f} s: {lost} rows lost, {doubled} doubled, {len(stuck)} objects stuck, "
        f"{len(named)} of {len(poison)} poison objects named",
    )
    assert (lost, doubled, stuck) == (0, 0, [])
    assert named == poison
    assert hits > OBJECTS // 10


def _end(given: Input) -> str:
    return "failed" if given.poison else "committed"


def _upload(pipe: Pipeline, inputs: list[Input]) -> dict[Put, Input]:
    def upload(given: Input) -> Put:
        put = pipe.put("shipments", given.body, given.name)
        if random.Random(f"{SEED}/twice/{given.name}").random() < DUPLICATES:
            pipe.deliver_later(put)
        return put

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(pool.map(upload, inputs), inputs, strict=True))


def _start_replays(pipe: Pipeline) -> list[str]:
    machine, prefix = Replays(pipe.stack), pipe.key("shipments", "")
    wanted = [request(prefix=prefix, id=f"{pipe.run}-{name}") for name in ("first", "second")]
    return [machine.start(one).name for one in wanted]


def _rested(pipe: Pipeline, puts: dict[Put, Input]) -> bool:
    """Every object has ended in some way, or is waiting in a dead-letter queue, and nothing is under way."""
    if pipe.depth("ingest_queue_url") or pipe.depth():
        return False
    items = pipe.ledger.objects([put.object_id for put in puts])
    ended = sum(items.get(put.object_id, {}).get("state") in ("committed", "failed", "missing") for put in puts)
    return ended + pipe.depth("ingest_dlq_url") >= len(puts)


def _redrive(pipe: Pipeline, puts: dict[Put, Input]) -> None:
    """What an operator does afterwards: everything that is not poison is given another chance, without faults."""
    arn = pipe.sqs.get_queue_attributes(QueueUrl=pipe.stack["chunk_dlq_url"], AttributeNames=["QueueArn"])
    if pipe.depth("chunk_dlq_url"):
        pipe.sqs.start_message_move_task(SourceArn=arn["Attributes"]["QueueArn"])
    sound = [put for put, given in puts.items() if not given.poison]
    items = pipe.ledger.objects([put.object_id for put in sound])
    for put in sound:
        if items.get(put.object_id, {}).get("state") != "committed":
            pipe.forget_idempotency(put)  # its planner may have died after it had planned
            pipe.deliver_later(put)
    until("the redriven objects", lambda: _committed(pipe, sound), SECONDS)


def _committed(pipe: Pipeline, puts: list[Put]) -> bool:
    items = pipe.ledger.objects([put.object_id for put in puts])
    return len(items) == len(puts) and all(item["state"] == "committed" for item in items.values())


def _receive_dead_letters(pipe: Pipeline) -> set[str]:
    """Empties both dead-letter queues; the keys that their messages name."""
    keys: set[str] = set()
    for queue in ("chunk_dlq_url", "ingest_dlq_url"):
        while messages := pipe.sqs.receive_message(QueueUrl=pipe.stack[queue], MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                keys |= _keys_in(json.loads(message["Body"]))
                pipe.sqs.delete_message(QueueUrl=pipe.stack[queue], ReceiptHandle=message["ReceiptHandle"])
    return keys


def _keys_in(body: dict[str, object]) -> set[str]:
    thing = body.get("object")
    return {str(thing["key"])} if isinstance(thing, dict) else set()


def test_the_input_is_the_same_for_the_same_seed() -> None:
    assert [make(number) for number in range(20)] == [make(number) for number in range(20)]
    assert any(make(number).poison for number in range(300))
