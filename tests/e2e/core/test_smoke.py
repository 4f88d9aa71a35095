"""`sluice smoke`: every row of a few objects is verified, and of them nothing stays, whatever was left before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from sluice.console import SluiceError
from sluice.demo import smoke_input
from sluice.demo.smoke import deployed_datasets, smoke
from sluice.pipeline import seed, storage, withdrawal
from sluice.pipeline.stack import Stack
from tests.support.warehouse import Warehouse

DATASET = "shipments"
PREFIX = smoke_input.prefix_of(DATASET)


def left(stack: Stack, ids: Collection[str]) -> list[str]:
    """Everything in the buckets that smoke tests have put there; ids: their objects."""
    s3 = stack.client("s3")
    found = [version.key for version in storage.versions(s3, stack["bronze_bucket"], PREFIX)]
    for kind in ("silver", "quarantine"):
        keys = (version.key for version in storage.versions(s3, stack[f"{kind}_bucket"], f"{kind}/{DATASET}/"))
        found += [key for key in keys if storage.owner_of(key) in ids]
    return found


def remembered(stack: Stack, ids: Collection[str] = ()) -> set[str]:
    """The ids of smoke tests' objects that the ledger has an item of: the object's own, or of what it holds."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack["ledger_table"])
    items = [item for page in pages for item in page["Items"]]
    named = {item["object_id"]["S"] for item in items if "object_id" in item and PREFIX in str(item)}
    return named | {name for name in ids if any(name in str(item) for item in items)}


def test_a_smoke_test_verifies_every_row_and_leaves_nothing(stack: Stack, warehouse: Warehouse) -> None:
    said: list[str] = []
    options: dict[str, Any] = {"seconds": 120, "report": said.append}
    first = smoke(stack, None, keep=True, **options)
    assert (first.ok, {check.what: check.found for check in first.checks}) == (True, {
        "rows in silver": 299, "rows in silver that were sent so": 299, "rows in quarantine": 1,
        "objects that verify finds right": 3, "differences found by verify": 0,
    })  # fmt: skip
    ids = remembered(stack)
    assert len(ids) == 3
    assert len(left(stack, ids)) == 3 + 3 + 1
    # One that was killed after its first upload.
    [begun, *_] = smoke_input.make(DATASET, deployed_datasets(stack)[DATASET], "killed")
    seed.upload(stack, [begun.upload])
    said.clear()
    second = smoke(stack, DATASET, keep=False, **options)
    assert second.ok
    assert second.left == ""
    assert said[0] == "smoke   4 objects of an earlier smoke test are taken out"
    assert left(stack, ids) == []
    assert remembered(stack, ids) == set()
    assert warehouse.ask("SELECT shipment_id FROM silver.shipments WHERE shipment_id LIKE 'smoke-%%'") == []


def test_a_dataset_that_is_not_deployed_is_refused(stack: Stack) -> None:
    with pytest.raises(SluiceError, match="shipment"):
        smoke(stack, "shipmentz", seconds=1, keep=False, report=print)
    assert withdrawal.find(stack, [PREFIX]) == []
