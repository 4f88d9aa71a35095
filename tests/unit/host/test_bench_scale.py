"""The simulation's formulas, against examples that were worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.bench import scale
from sluice.bench.figures import Figure
from sluice.bench.scale import Limit, Load, Settings, Speeds, Write
from sluice.commands import bench as verb
from sluice.paths import ENVS_DIR, INFRA_DIR
from sluice_pipeline.ledger.items import State

MIB = 1024 * 1024
SETTINGS = Settings(
    16 * MIB,
    ledger_shards=4,
    ingest_batch_size=10,
    ingest_maximum_concurrency=50,
    transform_batch_size=4,
    transform_maximum_concurrency=50,
    load_maximum_concurrency=8,
    load_batch_size=1,
)
ASKED = Load(10e6, 10e12)
SPEEDS = Speeds(transform_mb_per_s=20.0, load_objects_per_s=10.0, aurora_bytes_per_day=8.64e12)


def by_stage(load: Load = ASKED, speeds: Speeds = SPEEDS) -> dict[str, Limit]:
    return {one.stage: one for one in scale.limits(load, SETTINGS, speeds)}


@pytest.mark.parametrize(("sizes", "expected"), [((0,), 1), ((1,), 1), ((1024,), 1), ((1025,), 2), ((3000, 10), 3)])
def test_a_write_costs_a_unit_for_each_kib_of_the_larger_item(sizes: tuple[int, ...], expected: int) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/capacity-modes.html"""
    assert scale.units(*sizes) == expected


def test_an_object_of_one_chunk_costs_what_its_four_writes_cost() -> None:
    """Plan and count are in transactions (2 each), commit and load are not (1 each).

    received_objects has the plan's, committed_objects the commit's. open_objects: one for each state that the object
    comes into, and one for each that it leaves. The load changes nothing that an index has.
    """
    found = scale.ledger_units(scale.writes(1))
    assert (found.table, found.received, found.committed) == (6, 1, 1)
    assert found.open == {State.PLANNED: 2, State.COMMITTING: 2}
    assert found.total == 12
    assert scale.PLAN_UNITS == 2
    assert scale.chunk_units(1) == 4


def test_each_chunk_of_many_moves_its_object_in_the_partition_planned() -> None:
    """Three chunks: a plan (2), three counts (2 each), a claim, a commit and a load (1 each) in the table."""
    found = scale.ledger_units(scale.writes(3))
    assert (found.table, found.received, found.committed) == (11, 1, 1)
    assert found.open == {State.PLANNED: 1 + 3 * 2 + 1, State.COMMITTING: 2}
    assert scale.chunk_units(3) == 12


def test_a_plan_that_one_transaction_cannot_hold_costs_one_unit_a_chunk() -> None:
    """The object's item and its content's take two of the hundred places."""
    assert (scale.chunk_units(98), scale.chunk_units(99)) == (98 * 4, 99 * 3)


def test_a_large_item_costs_the_table_its_size_and_the_indexes_one_unit_each() -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html"""
    found = scale.ledger_units([Write(1500, 2500, State.COMMITTING, State.COMMITTED)])
    assert (found.table, found.received, found.committed) == (3, 0, 1)
    assert found.open == {State.COMMITTING: 1}


def test_each_quota_gives_the_limit_that_was_worked_out_by_hand() -> None:
    """Objects of 1 MB, 115.74 a second."""
    found = by_stage()
    assert found["idempotency: table"].objects_per_s == 40_000 / 2
    assert found["ledger: table and indexes"].objects_per_s == 40_000 / 18
    assert found["ledger: received_objects"].objects_per_s == 1_000 * 4
    assert found["ledger: open_objects"].objects_per_s == 1_000 * 4 / 2
    assert found["ledger: committed_objects"].objects_per_s == 1_000 * 4
    assert found["transform: workers"].objects_per_s == pytest.approx(50 * 20)
    assert found["silver: puts"].objects_per_s == 3_500
    assert found["events: invocations"].objects_per_s == 250
    assert found["load: transactions"].objects_per_s == 80
    assert found["load: bytes into Aurora"].objects_per_s == pytest.approx(100)
    assert found["ingest: executions"].why.startswith("500 objects at once, 10 an execution: one may take 4.3 s")
    assert found["chunk queue: in flight"].why == "200 messages at most, of 120,000"


def test_what_breaks_first_is_the_lowest_limit_and_no_stage_without_one() -> None:
    found = scale.limits(ASKED, SETTINGS, SPEEDS)
    assert scale.first_to_break(found).stage == "load: transactions"
    broken = [one.stage for one in found if one.holds(ASKED) is False]
    assert broken == ["load: transactions", "load: bytes into Aurora"]
    with pytest.raises(ValueError, match="empty"):
        scale.first_to_break([Limit("x", None, "")])


def test_the_warehouse_limits_what_it_takes_and_nothing_else() -> None:
    """A tenth of the objects may be ten times as many; of nothing there is no limit."""
    for part, count in ((1.0, 13), (0.1, 13), (0.0, 11)):
        found = by_stage(Load(10e6, 10e12, warehouse_part=part))
        assert len(found) == count
        if part:
            assert found["load: transactions"].objects_per_s == pytest.approx(80 / part)
            assert found["load: bytes into Aurora"].objects_per_s == pytest.approx(100 / part)


def test_objects_that_share_a_transaction_are_loaded_faster_by_the_measured_factor() -> None:
    """Of smaller batches and of larger objects nothing was measured, so nothing is gained."""
    for batch, size, factor in ((1, 1e4, 1.0), (9, 1e4, 1.0), (10, 1e4, 3.0), (10, 0.7e6, 1.2), (10, 1e6, 1.0)):
        settings = replace(SETTINGS, load_batch_size=batch)
        found = {one.stage: one for one in scale.limits(Load(1e6, 1e6 * size), settings, SPEEDS)}
        assert found["load: transactions"].objects_per_s == pytest.approx(80 * factor)


def test_large_objects_are_counted_by_their_chunks() -> None:
    """100 MB are six chunks of 16 MiB: 17 + 2 (table), 1, 1 and 16 (indexes) and 24 (chunks) units, a file each."""
    found = by_stage(Load(1e5, 1e13))
    assert found["ledger: table and indexes"].objects_per_s == 40_000 / (17 + 2 + 1 + 1 + 16 + 24)
    assert found["silver: puts"].objects_per_s == pytest.approx(3_500 / 6)


@given(st.floats(1, 1e9), st.floats(1, 1e15), st.integers(1, 50))
def test_more_datasets_raise_limits_by_dataset_and_no_limit_falls(objects: float, size: float, datasets: int) -> None:
    one, many = (scale.limits(Load(objects, size, count), SETTINGS, SPEEDS) for count in (1, datasets))
    for before, after in zip(one, many, strict=True):
        factor = datasets if before.stage in ("bronze: puts", "silver: puts", "ledger: received_objects") else 1
        assert before.stage == after.stage
        assert (before.objects_per_s is None) == (after.objects_per_s is None)
        if before.objects_per_s is not None and after.objects_per_s is not None:
            assert math.isclose(after.objects_per_s, before.objects_per_s * factor)


def test_a_speed_is_that_of_the_newest_run_that_measured_it() -> None:
    old, new = ([Figure("bulk", "throughput", value, "MB/s")] for value in (10.0, 60.0))
    other = [Figure("hop", "throughput", 5.0, "MB/s"), Figure("bulk", "throughput", None, "MB/s")]
    assert Speeds.of([(old, 2), (new, 2), (other, 2)]).transform_mb_per_s == 30.0
    assert Speeds.of([(other, 2)]).transform_mb_per_s is None
    found = by_stage(speeds=Speeds())["transform: workers"]
    assert (found.objects_per_s, found.holds(ASKED)) == (None, None)
    assert "not measured" in found.why


def test_settings_are_those_of_the_file_and_a_missing_one_is_named() -> None:
    text = (ENVS_DIR / "prod.tfvars").read_text()
    assert Settings.of(text).transform_batch_size >= 1
    numbered = "\n".join(f"{name} = {n}" for n, name in enumerate(Settings.__dataclass_fields__, 1))
    assert Settings.of(numbered) == Settings(1, 2, 3, 4, 5, 6, 7, 8)
    with pytest.raises(ValueError, match="does not set chunk_bytes"):
        Settings.of(text.replace("chunk_bytes ", "other_bytes "))


def test_in_prod_no_index_throttles_a_burst_of_what_one_prefix_takes() -> None:
    """S3's 3,500 puts a second."""
    settings = Settings.of((ENVS_DIR / "prod.tfvars").read_text())
    found = [one for one in scale.limits(ASKED, settings, SPEEDS) if one.stage.endswith("_objects")]
    assert len(found) == 3
    assert all(one.objects_per_s is not None and one.objects_per_s > scale.S3_PUTS.value for one in found)


def test_the_subscribers_are_the_branches_with_a_queue_of_committed_objects() -> None:
    sources = [file.read_text() for file in INFRA_DIR.glob("branches/*/*.tf")]
    queues = sum(source.count("modules/committed_queue") for source in sources)
    assert queues - sum('= "object.staged"' in source for source in sources) == scale.SUBSCRIBERS


def test_the_verb_prints_each_stage_and_which_breaks_first(capsys: pytest.CaptureFixture[str]) -> None:
    verb.scale(10e6, 10e12, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["objects_per_day"], found["write_units"]) == (10e6, 20)
    assert len(found["limits"]) == 13
    lowest = min((one for one in found["limits"] if one["objects_per_s"]), key=lambda one: one["objects_per_s"])
    assert found["first"] == lowest["stage"]
    verb.scale(1000, 1e6, as_json=False)
    said = capsys.readouterr()
    assert "ledger: received_objects" in said.out
    assert "first   events: invocations" in said.err
    verb.scale(10e6, 10e12, as_json=True, warehouse_part=0.05)
    assert all(one["holds"] is not False for one in json.loads(capsys.readouterr().out)["limits"])
