"""SQL over silver: the demo's two questions are right about the source, and nothing can be written."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from fixtures import flights
from sluice.console import SluiceError
from sluice.data import query
from sluice.data.demo_input import make, source_tables


def test_the_carrier_question_is_answered_as_counting_by_hand_answers_it() -> None:
    table = flights.month_table(2)
    rows = query.run(source_tables([2]), query.CARRIERS).rows
    counts = Counter(table["carrier"].to_pylist())
    assert {row[0]: row[1] for row in rows} == dict(counts.most_common(10))
    delays = [
        delay for carrier, delay in zip(table["carrier"].to_pylist(), table["dep_delay"].to_pylist(), strict=True)
        if carrier == rows[0][0] and delay is not None
    ]  # fmt: skip
    assert rows[0][2] == pytest.approx(sum(delays) / len(delays), abs=0.005)


def test_the_busiest_day_question_takes_the_first_of_equal_days() -> None:
    days = [("EWR", 3), ("EWR", 3), ("EWR", 2), ("EWR", 2), ("JFK", 5)]
    table = pa.table(
        {
            "origin": [origin for origin, _ in days],
            "year": pa.array([2013] * 5, pa.int64()),
            "month": pa.array([1] * 5, pa.int64()),
            "day": pa.array([day for _, day in days], pa.int64()),
        }
    )
    rows = query.run({"flights": table}, query.BUSIEST_DAYS).rows
    assert [(origin, str(day), count) for origin, day, count in rows] == [
        ("EWR", "2013-01-02", 2),
        ("JFK", "2013-01-05", 1),
    ]


def test_an_unknown_table_names_those_there_are() -> None:
    with pytest.raises(SluiceError, match=r"datasets in silver: shipments\)") as error:
        query.run({"shipments": pa.table({"a": [1]})}, "SELECT * FROM parcels")
    assert error.value.code == 2


@pytest.mark.parametrize("sql", ["SELEKT 1", "SELECT nothing FROM t", "COPY t TO '{out}'", "SET threads = 1"])
def test_wrong_or_writing_sql_is_one_clear_line(sql: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(SluiceError) as error:
        query.run({"t": pa.table({"a": [1]})}, sql.format(out=out))
    assert error.value.code == 2
    assert "\n" not in str(error.value)
    assert not out.exists()


def test_an_answer_is_plain_json() -> None:
    sql = "SELECT 1.50::DECIMAL(9,2) AS price, DATE '2013-01-02' AS day, [1, 2] AS list, NULL AS none, 'a'::BLOB AS raw"
    answer = query.run({}, sql).to_dicts()
    assert json.loads(json.dumps(answer)) == [
        {"price": 1.5, "day": "2013-01-02", "list": [1, 2], "none": None, "raw": "b'a'"}
    ]


def test_the_demo_input_knows_what_must_come_out() -> None:
    given = make("r1", [2], 500)
    assert given.flights_rows == flights.month_table(2).num_rows
    assert given.prefixes == ["bronze/flights/demo-r1/", "bronze/mixed/demo-r1/", "bronze/shipments/demo-r1/"]
    assert given.mixed.rows == 500 == given.feed.rows_silver + len(given.feed.bad)
    assert given.uploads[-1] == given.poison
