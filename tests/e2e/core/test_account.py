"""What a test of `make e2e TARGET=aws` leaves in the stack is taken out again: objects, rows, files, ledger."""

from __future__ import annotations

from fixtures import formats, shipping
from sluice.pipeline import withdrawal
from tests.support import account
from tests.support.pipeline import Pipeline


def test_nothing_is_left_of_a_test(pipe: Pipeline) -> None:
    asked = Pipeline(pipe.stack, pipe.mail, faults=False)
    puts = [asked.put("shipments", formats.jsonl(shipping.records("shipments", 53, 5)), name) for name in ("a", "b")]
    asked.wait(*puts)
    kept = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 54, 5)))
    pipe.wait(kept)
    account.clean(asked)
    assert withdrawal.find(pipe.stack, [asked.key("shipments", "")]) == []
    assert set(pipe.ledger.objects([put.object_id for put in (*puts, kept)])) == {kept.object_id}
    assert [key for put in puts for key in pipe.keys("silver") if put.object_id in key] == []
    pipe.verified(pipe.key("shipments", ""))
