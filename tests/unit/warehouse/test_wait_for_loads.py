"""Waiting for loads: of datasets that the warehouse leaves out none comes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sluice.branches.warehouse import loads
from sluice.console import SluiceError
from tests.support.fakes import FakeStack


def test_an_object_that_the_warehouse_leaves_out_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "DEADLINE", 0.0)
    stack: Any = FakeStack()
    names = [
        stack.ingested("bronze/shipments/a.jsonl", 3),
        stack.ingested("bronze/flights/c.jsonl", 4, dataset="flights"),
    ]
    stack.object_item(names[0])["loaded_run"] = 1
    uploaded: Any = [SimpleNamespace(object_id=name) for name in names]
    with pytest.raises(SluiceError, match="1 objects are not in the warehouse"):
        loads.wait_for_loads(stack, uploaded)
    stack.outputs["warehouse_left_out"] = ["flights"]
    loads.wait_for_loads(stack, uploaded)
    stack.object_item(names[1])["state"] = "planned"
    with pytest.raises(SluiceError, match="1 objects are not in the warehouse"):
        loads.wait_for_loads(stack, uploaded)
