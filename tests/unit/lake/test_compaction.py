"""Which dates are worth it, what a generation is called, what is deleted when, and what a run says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from lake.compaction.partition import Done, Limits, Outcome, Table, is_worth_it, stale_generations
from lake.compaction.places import File, compacted_root, generation_of
from lake.compaction.run import Run, result_of
from lake.schema import LAKE, LakeRules
from sluice.build.functions import Sources
from sluice.build.jobs import find_jobs
from sluice_pipeline.catalog.datasets import parse_dataset
from sluice_pipeline.catalog.errors import InvalidSetting

LIMITS = Limits(file_bytes=100, min_files=3, small_bytes=25)
COLUMNS = [{"Name": "id", "Type": "string"}]
TABLE = Table("orders", {"Location": "s3://b/silver/orders/", "Columns": COLUMNS})
RAW: dict[str, Any] = {"dataset": "orders", "partition_by": "at", "key": ["id"],
                       "fields": {"id": {"type": "string", "required": True},
                                  "at": {"type": "timestamp", "required": True}}}  # fmt: skip


def files(*sizes: int) -> list[File]:
    return [
        File(f"silver/orders/dt=2026-03-01/{at}-00001.parquet", f"e{at}", size, 0.0) for at, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "worth"),
    [
        ((), False),
        ((10,), False),
        ((10, 10), True),  # small on average
        ((60, 60), False),  # two large ones stay two
        ((40, 50), False),  # one is possible, but they are neither many nor small
        ((30, 30, 30), False),
        ((30, 30, 30, 30), True),  # many
        ((99, 99, 99, 99), False),  # many, and no fewer are possible
    ],
)
def test_a_date_is_worth_it_with_many_or_small_files_that_fit_in_fewer(sizes: tuple[int, ...], worth: bool) -> None:
    assert is_worth_it(files(*sizes), LIMITS) is worth
    assert is_worth_it(files(*sizes), LIMITS, "latest") is bool(sizes)


def test_a_generation_is_named_after_files_columns_and_rule() -> None:
    name = generation_of(files(1, 2), COLUMNS, "rows")
    assert name == generation_of(reversed(files(1, 2)), COLUMNS, "rows")
    again = File("silver/orders/dt=2026-03-01/0-00001.parquet", "e0", 1, 99.0)  # written again, the same bytes
    assert name == generation_of([again, files(1, 2)[1]], COLUMNS, "rows")
    others = [
        generation_of(files(1), COLUMNS, "rows"),
        generation_of(
            [File("silver/orders/dt=2026-03-01/0-00001.parquet", "x", 1, 0.0), files(1, 2)[1]], COLUMNS, "rows"
        ),
        generation_of(files(1, 2), [*COLUMNS, {"Name": "b", "Type": "int"}], "rows"),
        generation_of(files(1, 2), COLUMNS, "latest"),
    ]
    assert len({name, *others}) == 5


def test_places_are_in_the_bucket_of_silver() -> None:
    assert compacted_root("s3://b/silver/orders", "orders") == "s3://b/compacted/orders/"
    assert TABLE.compacted("2026-03-01", "ab") == "s3://b/compacted/orders/dt=2026-03-01/ab/"
    assert TABLE.silver("2026-03-01") == "s3://b/silver/orders/dt=2026-03-01/"
    assert not TABLE.is_compacted("2026-03-01", "s3://b/compacted/orders/dt=2026-03-02/ab/")


def test_generations_are_deleted_once_no_query_can_read_them() -> None:
    def made(day: str, generation: str, modified: float) -> File:
        return File(f"compacted/orders/dt={day}/{generation}/part-0.parquet", "e", 1, modified)

    found = [made("a", "old", 100), made("a", "used", 200), made("b", "left", 100), made("c", "late", 100)]
    locations = {"a": "s3://b/compacted/orders/dt=a/used/", "b": "s3://b/silver/orders/dt=b/", "c": "s3://b/silver/c/"}
    changed = {"a": 210.0, "b": 150.0, "c": 990.0}

    def stale(now: float) -> list[str]:
        return [key.split("/")[3] for key in stale_generations(found, locations, changed, now, 50)]

    assert stale(200) == []
    assert stale(251) == ["old", "left"]
    assert stale(1041) == ["old", "left", "late"]
    marker = File("compacted/orders/dt=a/old_$folder$", "e", 0, 100)
    assert marker.key in stale_generations([*found, marker], locations, changed, 251, 50)


class Listing:
    def __init__(self) -> None:
        self.deleted: list[str] = []

    def objects(self, prefix: str) -> Iterator[File]:
        yield from ()

    def locations(self, dataset: str) -> dict[str, str]:
        if dataset == "gone":
            raise RuntimeError("no such table")
        return {"2026-03-01": "x", "2026-03-02": "y"}

    def delete(self, keys: Sequence[str]) -> None:
        self.deleted += keys


class Half:
    """A fence that knows nothing, and a compaction that fails for one date."""

    def items(self, dataset: str) -> Iterator[dict[str, Any]]:
        yield from ()

    def process(self, table: Table, day: str, location: str, item: dict[str, Any] | None) -> Outcome:
        if day.endswith("1"):
            raise ValueError("no\n  Parquet")
        counts = {"files": 3, "bytes": 30, "rows": 9}
        return Outcome(table.dataset, day, Done.COMPACTED, counts, counts | {"files": 1})


def test_a_date_or_dataset_that_fails_stops_no_other() -> None:
    said: list[str] = []
    run = Run(Listing(), Half(), Half(), 0, said.append)  # type: ignore[arg-type]
    outcomes = run.process([Table("gone", TABLE.storage), TABLE])
    assert [(one.dataset, one.day, one.done) for one in outcomes] == [
        ("gone", "", "failed"), ("orders", "2026-03-01", "failed"), ("orders", "2026-03-02", "compacted"),
    ]  # fmt: skip
    result = result_of(outcomes, "n")
    assert (result["dates"]["failed"], result["dates"]["compacted"]) == (2, 1)
    assert (result["before"]["files"], result["after"]["files"]) == (3, 1)
    assert result["outcomes"][1]["reason"] == "ValueError: no Parquet"
    assert len(said) == 3
    assert [one.day for one in run.process([TABLE], "2026-03-02")] == ["2026-03-02"]


def test_the_section_says_whether_only_the_newest_rows_are_wanted() -> None:
    def section(raw: Any, **more: Any) -> LakeRules | None:
        return LAKE.of(parse_dataset(RAW | {"lake": raw} | more, "orders.yaml"))

    assert section({"latest": True}) == LakeRules(True)
    assert section({}) == LakeRules(False)
    for raw, word in (([], "mapping"), ({"latest": "yes"}, "true or false"), ({"newest": True}, "no setting")):
        with pytest.raises(InvalidSetting, match=word):
            section(raw)
    with pytest.raises(InvalidSetting, match="key"):
        section({"latest": True}, key=[])


def test_the_jobs_zip_has_what_the_script_imports_and_no_function() -> None:
    (job,) = [one for one in find_jobs() if one.artifact == "job-lake-compact"]
    members = job.library(Sources())
    assert {"lake/__init__.py", "lake/schema.py", "lake/compaction/run.py", "sluice_pipeline/dynamo/table.py"} <= set(
        members
    )
    assert not [name for name in members if "register" in name or name.startswith("core/")]
