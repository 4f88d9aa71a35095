"""What `sluice capacity` counts for an object is what the functions call."""

from __future__ import annotations

import re
import uuid
from collections import Counter

from fixtures import formats, shipping
from sluice.bench import capacity
from sluice.bench.scale import Load, Settings
from sluice.paths import ENVS_DIR, INFRA_DIR
from tests.support.call_record import recorded
from tests.support.pipeline import Pipeline, idempotency_hash

SPARE = 2
"""Calls more that an execution environment makes once in a while: the rules of a new version, a login."""


def counted() -> dict[str, float]:
    """The calls of an object of one chunk, by function."""
    tfvars = (ENVS_DIR / "prod.tfvars").read_text()
    variables = "".join(file.read_text() for file in sorted((INFRA_DIR / "stack").glob("*.tf")))
    settings = capacity.with_defaults(tfvars, variables)
    found = capacity.works(Load(1000, 3e6), Settings.of(settings), capacity.Stack.of(settings), ())
    return {work.function: work.calls for work in found}


def test_an_object_of_one_chunk_costs_the_calls_that_are_counted(breakable: Pipeline) -> None:
    expected = counted()
    assert set(expected) == {"ingest", "transform"}

    def rows(name: str) -> bytes:  # of one day: one file
        return formats.jsonl(shipping.records("shipments", len(name), 20, days=1))

    def put(name: str) -> None:
        breakable.wait(breakable.put("shipments", rows(name), name), deadline=90)

    put(f"warm-{uuid.uuid4().hex[:8]}")
    name = f"counted-{uuid.uuid4().hex[:8]}"
    key = breakable.key("shipments", name)
    origin = breakable.origin_of(key, rows(name))
    about = [key, origin.object_id, idempotency_hash(origin)]
    with recorded(breakable, about, *expected) as calls:
        put(name)
    found: Counter[str] = Counter()
    for (function, _, operation), times in (*calls.named.items(), *calls.unnamed.items()):
        found[function] += times if re.fullmatch(r"[A-Z]\w+", operation) else 0
    far = {name: (found[name], calls) for name, calls in expected.items() if not 0 <= found[name] - calls <= SPARE}
    assert far == {}, "found and counted: change `works` in sluice/bench/capacity.py, and docs/capacity.md"
