"""An object whose event never came is found by the comparison of bronze with the ledger, and ingested once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures import formats, shipping
from tests.support.changes import environment, unannounced
from tests.support.pipeline import Pipeline, until

ROWS = 10
BODY = formats.jsonl(shipping.records("shipments", 47, ROWS))
KIND = "object.unannounced"


@pytest.fixture
def reconciled(pipe: Pipeline) -> Iterator[Pipeline]:
    """A pipeline whose comparison looks at objects of any age."""
    if not pipe.stack.outputs.get("reconcile_function"):
        pytest.skip("reconcile_schedule is off")
    with environment(pipe, "reconcile", MARGIN_MINUTES="0"):
        yield pipe


def reconcile(pipe: Pipeline) -> None:
    answer = pipe.lambda_.invoke(FunctionName=pipe.stack["reconcile_function"])
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_an_object_without_an_event_is_found_and_ingested_once(reconciled: Pipeline) -> None:
    pipe = reconciled
    announced = pipe.put("shipments", BODY, "announced.jsonl")
    pipe.wait(announced)
    with unannounced(pipe):
        lost = [pipe.put("shipments", BODY, name) for name in ("lost.jsonl", "two words+ä.jsonl")]
    assert pipe.ledger.objects([put.object_id for put in lost]) == {}
    reconcile(pipe)
    reconcile(pipe)  # also before ingest has got to them
    items = pipe.wait(*lost)
    assert [(item["state"], item["rows_silver"], item["version_id"]) for item in items] == [
        ("committed", ROWS, put.ref.version_id) for put in lost
    ]
    reconcile(pipe)
    keys = [put.ref.key for put in lost]
    notices = until("the notice", lambda: [one for one in pipe.mail.notices(kind=KIND) if set(keys) & set(one["keys"])])
    assert [(one["count"], one["keys"], one["dataset"]) for one in notices] == [(2, sorted(keys), "shipments")]
    assert notices[0]["attributes"] == {"dataset": "shipments", "severity": "warning", "kind": KIND}
    assert [len(pipe.mail.committed(put.object_id)) for put in lost] == [1, 1]
    assert len(pipe.verified(pipe.key("shipments", "")).objects) == 3
