"""A pipeline that is stopped in the middle goes on after `sluice up`, and every row is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import formats, shipping
from sluice import engine, terraform
from sluice.engine.instance import Instance
from tests.support.pipeline import Pipeline
from tests.support.session import ENFORCED, ENGINE_ENV, RUNNING
from tests.support.warehouse import Warehouse


@pytest.mark.usefixtures("embedded_only")
def test_a_pipeline_that_was_stopped_in_the_middle_goes_on(
    pipe: Pipeline, warehouse: Warehouse, instance: Instance, infra: Path
) -> None:
    before = instance.info()
    assert before is not None
    bodies = [formats.jsonl(shipping.records("tracking_events", seed, 2_000, days=2)) for seed in range(10)]
    puts = [pipe.put("tracking_events", body, f"{number}.jsonl") for number, body in enumerate(bodies)]
    assert engine.down(instance, keep=True)
    settings = ENGINE_ENV | ({"SLUICE_IAM": "enforce"} if ENFORCED else {})
    after = engine.up(instance, kind=engine.EMBEDDED, faults=before.faults, env={} if RUNNING else settings)
    assert (after.port, after.postgres_port, after.moved) == (before.port, before.postgres_port, False)
    # a message whose function was interrupted is hidden for six timeouts of that function
    items = pipe.wait(*puts, deadline=240)
    assert [(item["state"], item["rows_in"], item["rows_silver"]) for item in items] == [("committed", 2000, 2000)] * 10
    assert {warehouse.loaded(put, deadline=120)["rows"] for put in puts} == {2000}
    assert len(pipe.verified(pipe.key("tracking_events", "")).objects) == 10
    deployed = terraform.deployed(instance)
    assert deployed is not None
    own = None if RUNNING else infra
    assert terraform.plan(instance, Path(deployed.var_file), deployed.variables, own).changes == ()
