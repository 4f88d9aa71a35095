"""The formulas of `sluice capacity`, against examples that were worked out by hand, with their units."""

from __future__ import annotations

import io
import json
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import aws_events
from sluice import cli
from sluice.bench import capacity, prices, scale
from sluice.bench.capacity import LAKE, WAREHOUSE, Cost, Need, Stack, Work
from sluice.bench.prices import GIB, Amount, Price
from sluice.bench.scale import Load, Settings
from sluice.paths import ENVS_DIR, INFRA_DIR
from sluice_pipeline.objects import storage
from sluice_pipeline.objects.storage import HASHED_BYTES
from tests.support.handlers import Context, ProjectDatasets, loaded

SETTINGS = replace(
    Settings.of((ENVS_DIR / "prod.tfvars").read_text()),
    chunk_bytes=16 * 2**20, transform_maximum_concurrency=50, load_maximum_concurrency=16, load_batch_size=10,
)  # fmt: skip
STACK = Stack(
    ingest_memory_mb=512, ingest_maximum_concurrency=100, transform_memory_mb=1769, load_memory_mb=1769,
    lake_maximum_concurrency=60, lake_compaction_workers=2, lake_compaction_timeout_minutes=120,
    warehouse_max_capacity=4, warehouse_readers=1,
)  # fmt: skip
BOTH = (WAREHOUSE, LAKE)
SMALL = Load(1e6, 1e11)
"""11.57 objects a second of 100 kB."""
ALL_PRICES = [one for one in vars(prices).values() if isinstance(one, Price)]


def needs(load: Load, *branches: str, stack: Stack = STACK) -> dict[str, Need]:
    return {one.what: one for one in capacity.needs(load, SETTINGS, stack, branches)}


def bill(load: Load, *branches: str, days: float = 30, stack: Stack = STACK) -> dict[tuple[str, str], Cost]:
    return {
        (one.part, one.price.name): one for one in capacity.costs(load, SETTINGS, stack, branches, storage_days=days)
    }


# -- prices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "amount", "dollars"),
    [
        (prices.LAMBDA_REQUESTS, Amount(300e6, "requests"), 60.00),  # 300 millions at 0.20 dollars
        (prices.LAMBDA_COMPUTE, Amount(400_000, "GB-seconds"), 6.67),  # AWS's free tier is worth 6.67 dollars
        (prices.S3_PUTS, Amount(1_000, "requests"), 0.005),
        (prices.S3_GETS, Amount(1_000_000, "requests"), 0.40),  # 1,000 times 0.0004
        (prices.S3_STORAGE, Amount(1024, "GB-months"), 23.55),  # a TB for a month
        (prices.SQS_REQUESTS, Amount(5e6, "requests"), 2.00),
        (prices.WRITE_UNITS, Amount(19e6, "write units"), 11.875),  # docs/scale.md: a million objects
        (prices.READ_UNITS, Amount(8e6, "read units"), 1.00),
        (prices.EVENTS, Amount(2.5e6, "events"), 2.50),
        (prices.AURORA_CAPACITY, Amount(0.5 * 720, "ACU-hours"), 43.20),  # half an ACU for a month
        (prices.GLUE_JOBS, Amount(6 * 0.25, "DPU-hours"), 0.66),  # AWS's example: 6 DPUs for 15 minutes
    ],
)
def test_a_price_gives_the_dollars_that_were_worked_out_by_hand(price: Price, amount: Amount, dollars: float) -> None:
    assert price.of(amount) == pytest.approx(dollars, rel=1e-3)


@pytest.mark.parametrize("price", ALL_PRICES, ids=lambda price: price.name)
def test_a_price_refuses_an_amount_of_another_unit_and_names_its_page(price: Price) -> None:
    with pytest.raises(ValueError, match=f"is priced by {price.unit}, not by millions of them"):
        price.of(Amount(1, "millions of them"))
    assert price.page.startswith("https://aws.amazon.com/")
    assert price.of(Amount(price.per, price.unit)) == price.dollars


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_negative_amount_and_one_that_is_no_number_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no amount"):
        Amount(value, "requests")


# -- what it needs -----------------------------------------------------------------------------------------------------

SIX_CALLS = Work("x", 1769, 1, 6, 0, 0, 0, 0, 0)


def test_a_function_waits_for_its_calls_and_computes_with_the_processor_of_its_memory() -> None:
    """6 calls: 60 ms of waiting and 21 ms of a processor. A quarter of a processor takes four times 21 ms."""
    assert SIX_CALLS.seconds(0) == pytest.approx(0.060 + 0.021)
    assert replace(SIX_CALLS, memory_mb=10_240).seconds(0) == pytest.approx(0.081)
    quarter = replace(SIX_CALLS, memory_mb=442)  # 0.24986 of 1,769
    assert quarter.seconds(0) == pytest.approx(0.060 + 0.084, rel=1e-3)
    reads = replace(SIX_CALLS, megabytes_per_s=20.0)  # and 10 MB at 20 MB/s: half a second
    assert reads.seconds(10e6) == pytest.approx(0.581)


def test_executions_are_arrivals_a_second_times_seconds() -> None:
    """8.64 million objects a day are 100 a second; of 81 ms each, 8.1 run at a time."""
    assert capacity.concurrency(SIX_CALLS, Load(8.64e6, 8.64e6)) == pytest.approx(8.1)


def test_the_calls_of_an_object_are_those_that_were_counted() -> None:
    """docs/capacity.md has the counts: one chunk, and an object of 64 MB in four chunks."""
    one = {work.function: work for work in capacity.works(SMALL, SETTINGS, STACK, BOTH)}
    assert {name: work.calls for name, work in one.items()} == {"ingest": 6, "transform": 6, "load": 5, "lake": 10}
    assert (one["ingest"].s3_gets, one["transform"].s3_gets, one["transform"].s3_puts) == (2, 1, 1)
    four = {work.function: work for work in capacity.works(Load(1000, 64e9), SETTINGS, STACK, BOTH)}
    # ingest: a HEAD more
    # transform: 4 x (item, completion, claim, 2 gets, put) + query, commit, event; load: 3 + a get + one of each file
    assert {name: work.calls for name, work in four.items()} == {"ingest": 7, "transform": 27, "load": 8, "lake": 10}
    assert (four["transform"].s3_gets, four["transform"].s3_puts, four["load"].s3_gets) == (8, 4, 5)


@pytest.mark.parametrize("chunks", [1, 25, 98, 99, 220])
@pytest.mark.parametrize("large", [False, True], ids=["read whole", "large"])
def test_the_handler_of_ingest_makes_the_calls_that_are_counted(
    monkeypatch: pytest.MonkeyPatch, chunks: int, large: bool
) -> None:
    """Chunks of 1,000 bytes here. An object is large from HASHED_BYTES on: ingest then asks S3 for its checksum."""
    size = 1_000 * chunks
    for module in (capacity, storage):
        monkeypatch.setattr(module, "HASHED_BYTES", size - large)
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns")}
    clients["s3"].get_object.side_effect = lambda **_: {
        "Body": io.BytesIO(b'{"n": 12}\n' * (size // 10)),
        "Metadata": {},
    }
    clients["s3"].head_object.return_value = {"ChecksumCRC64NVME": "AAAAAAAAAAA=", "ChecksumType": "FULL_OBJECT"}
    clients["sqs"].send_message_batch.return_value = {}
    rules = MagicMock(side_effect=ProjectDatasets.current)
    monkeypatch.setattr(ProjectDatasets, "current", lambda self: rules(self))
    event = aws_events.object_created("bronze-b", "bronze/shipments/a.jsonl", version_id="v1", etag="e1", size=size)
    with loaded("core.ingest.handler", **clients) as handler:
        handler.handler(event, Context())
    names = (name for client in clients.values() for name, _, _ in client.method_calls)
    calls = Counter(name for name in names if "." not in name)  # meta.events.register is none of AWS
    work = capacity.works(Load(1, size), replace(SETTINGS, chunk_bytes=1_000), STACK, ())[0]
    assert rules.call_count + calls.total() == work.calls, calls
    assert rules.call_count + calls["get_object"] + calls["head_object"] == work.s3_gets
    assert calls["get_item"] + calls["query"] + calls["batch_get_item"] == work.reads
    assert calls["send_message_batch"] == math.ceil(chunks / 10)


def test_an_object_of_a_thousand_chunks_has_batches_of_ten_messages_and_of_a_hundred_items() -> None:
    """1,000 x 16 MiB: 100 calls of SQS, 11 transactions (chunks, object and content), and 6 others."""
    work = capacity.works(Load(1, 1000 * 16 * 2**20), SETTINGS, STACK, ())[0]
    assert (work.function, work.calls) == ("ingest", 6 + 100 + 11)


def test_the_warehouse_does_its_part_of_the_work() -> None:
    whole, tenth = (
        capacity.works(Load(1e6, 1e11, warehouse_part=part), SETTINGS, STACK, (WAREHOUSE,))[2] for part in (1.0, 0.1)
    )
    assert tenth.seconds(1e5) == pytest.approx(whole.seconds(1e5) / 10)
    assert tenth.invocations == pytest.approx(whole.invocations / 10)
    assert len(capacity.works(Load(1e6, 1e11, warehouse_part=0.0), SETTINGS, STACK, (WAREHOUSE,))) == 2


def test_a_backlog_of_an_hour_is_worked_off_by_what_is_left_of_the_concurrency() -> None:
    """8.64 M objects of a megabyte a day: 100 a second, so 360,000 messages in an hour.

    A chunk of 1 MB takes 6 x 13.5 ms + 1/14.9 s = 0.1481 s, so 50 workers do 337.6 a second, and 237.6 are left:
    360,000 / 237.6 = 1,515 s.
    """
    found = needs(Load(8.64e6, 8.64e12))["chunk queue: after an hour's stop"]
    assert found.value == pytest.approx(360_000)
    assert found.why.startswith("worked off in 25 minutes")
    too_much = needs(Load(8.64e7, 8.64e13))["chunk queue: after an hour's stop"]
    assert too_much.why.startswith("never worked off")


def test_half_of_what_aurora_was_seen_to_take_needs_half_of_its_capacity() -> None:
    """0.45 TB a day of 0.9; 4 ACU at full speed; never less than half an ACU."""
    half = Load(1e6, 4.5e12, warehouse_part=0.1)
    assert capacity.acus(half) == pytest.approx(2.0)
    assert capacity.acus(Load(1000, 1e6)) == 0.5
    found = needs(Load(1e6, 1e12), WAREHOUSE)
    assert (found["Aurora: bytes"].holds, found["Aurora: bytes"].value) == (False, 1.0)
    assert found["Aurora: capacity"].holds is False


def test_a_days_silver_is_compacted_by_so_many_dpu_hours() -> None:
    """1 TB of bronze: 137,000 MB of silver at 20 MB/s (two workers) are 6,850 s, 13,700 DPU seconds, 3.8056 DPU hours.

    Of a little silver, two workers are billed for a minute: 1/30 DPU hour.
    """
    assert capacity.compaction_dpu_hours(Load(1e6, 1e12), 2) == pytest.approx(3.80556, rel=1e-4)
    assert capacity.compaction_dpu_hours(Load(10, 1e4), 2) == pytest.approx(1 / 30)
    found = needs(Load(1e6, 1e12), LAKE)["Glue: compaction"]
    assert (found.limit, found.holds) == (4.0, True)  # two workers for two hours


def test_a_need_beyond_its_setting_does_not_hold() -> None:
    ten = Load(10e6, 10e12, warehouse_part=0.08)
    assert needs(ten, *BOTH)["lake: executions"].holds is True
    assert needs(ten, *BOTH, stack=replace(STACK, lake_maximum_concurrency=2))["lake: executions"].holds is False
    assert needs(ten)["silver: files"].holds is None
    assert needs(ten)["silver: files"].value == 10e6


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_month_of_a_small_load_costs_what_was_worked_out_by_hand() -> None:
    """A million objects of 100 kB a day, 30 millions a month.

    ingest: 0.37 invocations each: 11.1 M at 0.20 = 2.22. 6 calls and 0.1 MB at half a GB: 60 ms + (21 + 0.115) ms x
    1769/512 = 132.95 ms, x 30 M x 0.5 GB = 1,994,300 GB-seconds = 33.24.
    bronze: 30 M puts / 1,000 x 0.005 = 150.00; 3e12 bytes are 2,793.97 GB, x 0.023 = 64.26.
    events: 30.00. Logs of ingest: 1,132 x 30 M = 31.63 GB = 15.81.
    """
    found = bill(SMALL)
    assert found["ingest", "Lambda requests"].dollars == pytest.approx(2.22)
    assert found["ingest", "Lambda compute"].dollars == pytest.approx(33.24, rel=1e-3)
    assert found["ingest", "CloudWatch Logs"].dollars == pytest.approx(15.81, rel=1e-3)
    assert found["bronze", "S3 puts"].dollars == pytest.approx(150.00)
    assert found["bronze", "S3 storage"].dollars == pytest.approx(64.26, rel=1e-3)
    assert found["object.committed", "EventBridge events"].dollars == pytest.approx(30.00)


def test_the_ledger_costs_its_write_units() -> None:
    """As many as `sluice bench scale` says, at 0.625 dollars a million."""
    units = scale.write_units(SMALL, SETTINGS)
    assert bill(SMALL)["ledger", "DynamoDB writes"].dollars == pytest.approx(30 * units * 0.625)


def test_queues_cost_a_send_and_its_share_of_receives_and_deletes() -> None:
    """One chunk: ingest 1 + 2 x 0.37, transform 1 + 2 x 0.46: 3.66 requests, x 30 M x 0.40 / 1 M = 43.92."""
    assert bill(SMALL)["queues", "SQS requests"].dollars == pytest.approx(43.92)


def test_the_warehouse_costs_capacity_log_rows_and_endpoints() -> None:
    """0.45 TB a day: 2 ACU, twice (a reader), x 720 h = 2,880 ACU-hours = 345.60.

    Log: 0.45e12 x 1.82 / 4,096 = 199.95 M requests a day, x 30 x 0.20 = 1,199.71. Rows of 30
    days: 12,573 GB = 1,257.29.
    3 endpoints in 2 zones: 4,320 endpoint-hours = 43.20.
    """
    found = bill(Load(1e6, 0.45e12), WAREHOUSE)
    assert found[WAREHOUSE, "Aurora capacity"].dollars == pytest.approx(345.60)
    assert found[WAREHOUSE, "Aurora input and output"].dollars == pytest.approx(1199.71, rel=1e-4)
    assert found[WAREHOUSE, "Aurora storage"].dollars == pytest.approx(1257.29, rel=1e-4)
    assert found[WAREHOUSE, "VPC endpoints"].dollars == pytest.approx(43.20)
    assert (WAREHOUSE, "Aurora capacity") not in bill(SMALL)


def test_the_lake_costs_catalog_calls_and_dpu_hours() -> None:
    """1 TB a day: 3.8056 DPU hours x 30 x 0.44 = 50.23; 2 calls an object, 60 M, at 1.00 a million."""
    found = bill(Load(1e6, 1e12), LAKE)
    assert found["compaction", "Glue jobs"].dollars == pytest.approx(50.23, rel=1e-3)
    assert found[LAKE, "Glue catalog"].dollars == pytest.approx(60.00)


def test_storage_is_of_the_days_that_are_stored() -> None:
    ten, none = (bill(Load(10, 10 * GIB), days=days)["bronze", "S3 storage"].dollars for days in (10, 0))
    assert (ten, none) == (pytest.approx(10 * 10 * 0.023), 0)


LOADS = st.builds(
    lambda objects, size, part: Load(objects, objects * size, warehouse_part=part),
    st.floats(1, 1e9), st.floats(1, 1e8), st.floats(0, 1),
)  # fmt: skip
FIXED = {"VPC endpoints", "Aurora capacity", "Glue jobs"}


@given(LOADS, st.floats(0, 3650))
def test_twice_the_objects_cost_twice_and_what_is_always_there_does_not_fall(load: Load, days: float) -> None:
    twice = replace(load, objects_per_day=2 * load.objects_per_day, bytes_per_day=2 * load.bytes_per_day)
    before, after = bill(load, *BOTH, days=days), bill(twice, *BOTH, days=days)
    assert before.keys() == after.keys()
    for key, one in before.items():
        assert math.isfinite(one.dollars)
        assert one.dollars >= 0
        if key[1] in FIXED:
            assert one.dollars <= after[key].dollars <= 2 * one.dollars * (1 + 1e-9)
        else:
            assert after[key].dollars == pytest.approx(2 * one.dollars)


@given(LOADS)
def test_a_branch_adds_to_the_bill_and_takes_nothing_from_it(load: Load) -> None:
    alone, both = (sum(one.dollars for one in bill(load, *branches).values()) for branches in ((), BOTH))
    assert both > alone > 0
    assert sum(capacity.by_part(bill(load, *BOTH).values()).values()) == pytest.approx(both)


# -- what Terraform sets -----------------------------------------------------------------------------------------------


def test_settings_are_those_of_prod_or_the_defaults() -> None:
    tfvars = (ENVS_DIR / "prod.tfvars").read_text()
    variables = "".join(file.read_text() for file in sorted((INFRA_DIR / "stack").glob("*.tf")))
    found = Stack.of(capacity.with_defaults(tfvars, variables))
    assert (found.transform_memory_mb, found.load_memory_mb) == (2048, 1024)  # set, and a default
    assert Stack.of(capacity.with_defaults(tfvars + "load_memory_mb = 3000\n", variables)).load_memory_mb == 3000
    with pytest.raises(ValueError, match="load_memory_mb is neither set nor has a default"):
        Stack.of(capacity.with_defaults(tfvars, ""))


def test_a_default_is_that_of_its_own_variable_and_only_a_whole_number() -> None:
    variables = """
variable "a" {
  type    = number
  default = null

  validation {
    error_message = "A }"
  }
}

variable "b" {
  default     = 7
}

variable "c" {
  default = "x"
}

variable "d" {
  default = 9
}
"""
    assert capacity.with_defaults("d = 1", variables) == "d = 1\nb = 7"
    with pytest.raises(ValueError, match="a is neither set"):
        capacity.setting("a", capacity.with_defaults("d = 1", variables))


def test_what_the_formulas_repeat_of_the_terraform_is_there() -> None:
    lake = (INFRA_DIR / "stack/branch_lake.tf").read_text()
    assert f"memory_mb           = {capacity.LAKE_MEMORY_MB}\n" in lake
    assert 'worker_type     = "G.1X"' in lake
    warehouse = (INFRA_DIR / "branches/warehouse/main.tf").read_text()
    assert 'concat(["secretsmanager", "sqs", "sns"], ' in warehouse
    assert capacity.HASHED_BYTES == HASHED_BYTES
    branches = {path.name for path in (INFRA_DIR / "branches").iterdir() if path.is_dir()}
    assert branches == {*capacity.BRANCHES, *capacity.OTHERS}


# -- the verb ----------------------------------------------------------------------------------------------------------

ASKED = ["--objects-per-day", "1e6", "--bytes-per-day", "1e11"]


@pytest.fixture(autouse=True)
def verbs() -> None:
    cli.register_verbs(only="capacity")


def test_the_verb_prints_needs_bill_and_total(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["capacity", *ASKED, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dollars_per_month"] == pytest.approx(sum(one["dollars"] for one in found["costs"]))
    assert (found["prices_as_of"], found["region"]) == (prices.AS_OF, "us-east-1")
    assert all(one["page"].startswith("https://aws.amazon.com/") for one in found["costs"])
    assert cli.run(["capacity", *ASKED, "--branches", ""]) == 0
    said = capsys.readouterr()
    assert "dollars a month; prices of us-east-1, 2026-" in said.out
    assert "Aurora" not in said.out
    assert cli.run(["capacity", "--objects-per-day", "1e6", "--bytes-per-day", "2e12"]) == 0
    assert "limit   Aurora: bytes: 2 TB a day of 0.900" in capsys.readouterr().err


def test_the_difference_to_an_earlier_bill_names_the_parts_that_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice the memory of ingest: its processor time halves, so 132.95 ms become 96.48 ms, of twice the memory."""
    old, new = tmp_path / "old.json", tmp_path / "new.tfvars"
    assert cli.run(["capacity", *ASKED, "--json"]) == 0
    old.write_text(capsys.readouterr().out)
    tfvars = (ENVS_DIR / "prod.tfvars").read_text()
    new.write_text(re.sub(r"(ingest_memory_mb\s*=) 512", r"\1 1024", tfvars))
    assert cli.run(["capacity", *ASKED, "--var-file", str(new), "--compare", str(old), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["part"] for one in found["parts"]] == ["ingest"]
    assert found["difference"] == pytest.approx(30e6 * (0.09648 - 0.13295 / 2) * 0.0000166667, rel=1e-3)
    assert cli.run(["capacity", *ASKED, "--compare", str(old)]) == 0
    assert re.fullmatch(r"total   (\S+) dollars a month before, \1 after: [+-]0\.00\n", capsys.readouterr().out)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"costs": [{}]}', '{"costs": 3}', "[" * 100_000, None])
def test_a_bill_or_settings_that_are_none_are_one_line_and_code_2(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    for option in ("--compare", "--var-file"):
        assert cli.run(["capacity", *ASKED, option, str(file)]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert f"{option} {file}: " in said.err


@pytest.mark.parametrize(
    ("objects", "size", "more", "line"),
    [
        ("0", "1", [], "--objects-per-day 0: at least 1"),
        ("-3", "1", [], "--objects-per-day -3: at least 1"),
        ("nan", "1", [], "--objects-per-day nan: at least 1"),
        ("1", "0", [], "--bytes-per-day 0: at least 1"),
        ("inf", "inf", [], "--objects-per-day inf: at most 1e+11"),
        ("1e3", "1e300", [], "--bytes-per-day 1e+300: at most 1e+17"),
        ("5", "4", [], "an object has a byte at least"),
        ("1000", "1e17", [], "S3 takes 5e+12"),
        ("9", "9", ["--branches", "lake,x y"], "branch 'x y' is not known: use warehouse, lake"),
        ("9", "9", ["--branches", "taxi"], "branch taxi is not calculated: its cost follows from months of trips"),
        ("9", "9", ["--storage-days", "-1"], "--storage-days -1: from 0 to 36,500"),
        ("9", "9", ["--warehouse-part", "2"], "'--warehouse-part'"),
        ("many", "9", [], "'--objects-per-day'"),
    ],
)
def test_a_load_that_is_none_is_one_line_and_code_2(
    objects: str, size: str, more: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["capacity", "--objects-per-day", objects, "--bytes-per-day", size, *more]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert line in said.err


@given(st.floats(), st.floats(), st.floats())
def test_every_load_that_is_accepted_has_a_finite_bill(objects: float, size: float, days: float) -> None:
    try:
        capacity.check(objects, size, days)
    except ValueError:
        return
    load = Load(objects, size)
    assert math.isfinite(sum(one.dollars for one in bill(load, *BOTH, days=days).values()))
    assert all(math.isfinite(one.value) for one in needs(load, *BOTH).values())
