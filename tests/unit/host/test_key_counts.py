"""Rows with a key that occurs more than once: counted as a counter counts them, in a memory that does not grow."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.paths import ROOT
from sluice.pipeline import key_counts
from sluice.pipeline.key_counts import Duplicates, KeyColumns
from tests.support.thorough import examples

NAMES = ("id", "part")
DOUBLES = [0.0, -0.0, 1.5, float("nan")]
KEYS = st.tuples(st.none() | st.sampled_from(["", "a", "b"]), st.none() | st.integers(0, 2))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as a test has make parts of parts."""
    monkeypatch.setattr(key_counts, "PART_ROWS", 20)
    monkeypatch.setattr(key_counts, "FAN", 3)
    monkeypatch.setattr(key_counts, "_BATCH_ROWS", 50)


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyColumns]:
    monkeypatch.setattr(KeyColumns, "of", staticmethod(lambda _: NAMES))
    with closing(KeyColumns()) as found:
        yield found


def by_hand(keys: list[Any]) -> Duplicates:
    more = [count for count in Counter(keys).values() if count > 1]
    return Duplicates(sum(more), len(more))


def table(keys: list[tuple[Any, Any]]) -> pa.Table:
    first, second = zip(*keys, strict=True)
    return pa.table({"id": pa.array(first, pa.string()), "part": pa.array(second, pa.int64())})


@pytest.mark.timeout(120)  # many examples, beside suites that use all processors
@pytest.mark.parametrize("rows", [2, 100_000])
@settings(deadline=None, max_examples=examples(60), derandomize=True)
@given(files=st.lists(st.lists(KEYS, min_size=1, max_size=8), min_size=1, max_size=4), older=st.integers(0, 3))
def test_the_count_is_that_of_a_counter(rows: int, files: list[list[Any]], older: int) -> None:
    """Files of before the second field was in the key have no value in it."""
    everything = []
    with pytest.MonkeyPatch.context() as patch, closing(KeyColumns()) as columns:
        patch.setattr(key_counts, "PART_ROWS", rows)
        patch.setattr(KeyColumns, "of", staticmethod(lambda _: NAMES))
        for number, file in enumerate(files):
            known = [(text, None if number < older else value) for text, value in file]
            everything += known
            second = pa.nulls(len(file)) if number < older else pa.array([value for _, value in known], pa.int64())
            columns.add("tracked", pa.table({"id": pa.array([text for text, _ in known], pa.string()), "part": second}))
        assert columns.count() == {"tracked": by_hand(everything)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("small_parts")
def test_random_keys_in_parts_of_parts_are_counted_to_the_row(columns: KeyColumns, seed: int) -> None:
    """300 to 600 rows in parts of 20: keys that occur once, often, in a third of all rows."""
    chance = random.Random(seed)
    everything: dict[str, list[Any]] = {"a": [], "b": []}
    for name, found in everything.items():
        for _ in range(chance.randint(1, 9)):
            keys: list[tuple[Any, Any]] = [(str(chance.randrange(200)), chance.randrange(3)) for _ in range(50)]
            keys += [("often", None)] * 25 + [(None, number) for number in range(chance.randint(0, 5))]
            chance.shuffle(keys)
            columns.add(name, table(keys))
            found += keys
    assert columns.count() == {name: by_hand(found) for name, found in everything.items()}


@pytest.mark.usefixtures("small_parts")
def test_numbers_that_are_equal_are_in_one_part(columns: KeyColumns) -> None:
    """0.0 equals -0.0 for GROUP BY, and NaN is one value; their bytes differ."""
    keys = DOUBLES * 10
    columns.add("a", pa.table({"id": pa.array(keys), "part": pa.nulls(len(keys))}))
    assert columns.count() == {"a": Duplicates(rows=40, keys=3)}


NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pa.bool_(), True, False),
        (pa.date32(), NOON.date(), date(2026, 11, 28)),
        (pa.timestamp("us", "UTC"), NOON, NOON + timedelta(microseconds=1)),
        (pa.decimal128(18, 4), Decimal("1.0001"), Decimal("1.0002")),
        (pa.large_string(), "x" * 300, "x" * 299 + "y"),
        (pa.dictionary(pa.int32(), pa.string()), "a", "b"),
    ],
    ids=str,
)
def test_keys_of_each_type_are_counted_in_parts(columns: KeyColumns, kind: Any, one: Any, other: Any) -> None:
    for keys in ([one, other, None] * 7, [one] * 3):
        columns.add("a", pa.table({"id": pa.array(keys, kind), "part": pa.nulls(len(keys))}))
    columns.add("a", pa.table({"id": pa.array([other], kind), "part": pa.array([1])}))
    assert columns.count() == {"a": Duplicates(rows=24, keys=3)}


@pytest.mark.usefixtures("small_parts")
def test_a_part_is_removed_from_the_disk_when_it_is_counted(columns: KeyColumns) -> None:
    folder = Path(columns._folder.name)
    columns.add("a", table([(str(number), 0) for number in range(100)]))
    assert columns.count() == {"a": Duplicates(0, 0)}
    assert [file.name for file in folder.iterdir()] == ["0"]
    columns.close()
    assert not folder.exists()


@pytest.mark.parametrize("rows", [1, 100_000])
def test_types_that_do_not_compare_are_no_count(
    columns: KeyColumns, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_counts, "PART_ROWS", rows)
    for values in (["a"], [1]):
        columns.add("shipments", pa.table({"id": pa.array(values), "part": pa.nulls(1)}))
    assert columns.count() == {"shipments": None}


@pytest.mark.usefixtures("small_parts")
def test_parts_of_parts_have_few_rows_each(columns: KeyColumns, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 rows in 15 parts or more: 3 x 3 x 2 parts, of 17 rows each in the mean."""
    counted: list[int] = []
    count = key_counts._Counter.count

    def noted(self: Any, batches: Any, parts: int, before: int = 1) -> Duplicates:
        batches = list(batches)
        if parts == 1:
            counted.append(sum(batch.num_rows for batch in batches))
        return count(self, batches, parts, before)

    monkeypatch.setattr(key_counts._Counter, "count", noted)
    columns.add("a", table([(str(number), 0) for number in range(300)]))
    assert columns.count() == {"a": Duplicates(0, 0)}
    assert (len(counted), sum(counted)) == (18, 300)
    assert max(counted) <= 40


COUNT = """
import sys
import pyarrow as pa
from sluice.pipeline.key_counts import KeyColumns
KeyColumns.of = staticmethod(lambda _: ("id",))
columns, keys = KeyColumns(), int(sys.argv[1])
for start in range(0, keys, 50_000):
    columns.add("t", pa.table({"id": pa.array([f"S-{number:012d}" for number in range(start, start + 50_000)])}))
columns.add("t", pa.table({"id": ["S-000000000007", "S-000000000007"]}))
found = columns.count()["t"]
columns.close()
with open("/proc/self/status") as status:  # getrusage would say what pytest had when it began this process
    print(found.rows, found.keys, *[line.split()[1] for line in status if line.startswith("VmHWM")])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says there what a process had at most")
def test_ten_times_the_keys_need_no_more_memory() -> None:
    peaks = []
    for keys in (300_000, 3_000_000):
        done = subprocess.run(
            [sys.executable, "-c", COUNT, str(keys)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
        )
        rows, doubled, peak = map(int, done.stdout.split())
        assert (rows, doubled) == (3, 1)
        peaks.append(peak)
    small, large = peaks
    assert large < small * 1.10, f"{small:,} kB for 300,000 keys, {large:,} kB for 3,000,000"
