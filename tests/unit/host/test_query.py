"""SQL over silver: the demo's two questions are right about the source, and nothing can be written."""

import csv
import io
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import flights
from sluice import cli, options
from sluice.console import SluiceError
from sluice.demo.inputs import make, source_tables
from sluice.pipeline import query, sql_values


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


HOSTILE = {
    "a file": "SELECT * FROM read_text('{file}')",
    "a file as bytes": "SELECT * FROM read_blob('{file}')",
    "a CSV file": "SELECT * FROM read_csv('{file}')",
    "a file as a table": "SELECT * FROM '{file}'",
    "a Parquet file": "SELECT * FROM read_parquet('{file}')",
    "a JSON file": "SELECT * FROM read_json('{file}')",
    "a database file": "SELECT * FROM read_duckdb('{file}')",
    "sniffing": "SELECT * FROM sniff_csv('{file}')",
    "metadata": "SELECT * FROM parquet_metadata('{file}')",
    "a folder": "SELECT * FROM glob('{folder}/*')",
    "SQL in a text": "SELECT * FROM query('SELECT * FROM read_text(''{file}'')')",
    "SQL in JSON": (
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{file}'')'))"
    ),
    "a file below": "SELECT (SELECT content FROM read_text('{file}')) FROM t",
    "a file in WITH": "WITH x AS (SELECT * FROM read_text('{file}')) SELECT * FROM x",
    "the network": "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "S3": "SELECT * FROM read_parquet('s3://bucket/key.parquet')",
    "the environment": "SELECT getenv('HOME')",
    "secrets": "SELECT * FROM duckdb_secrets()",
    "a variable of the program": "SELECT * FROM tables",
    "a variable of the test": "SELECT * FROM HIDDEN",
    "writing": "COPY t TO '{out}'",
    "writing a query": "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "export": "EXPORT DATABASE '{out}'",
    "import": "IMPORT DATABASE '{folder}'",
    "attach": "ATTACH '{out}' AS other",
    "attach a server": "ATTACH 'postgres:host=127.0.0.1' AS pg (TYPE postgres)",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "load a file": "LOAD '{file}'",
    "a setting": "SET enable_external_access = true",
    "a setting's reset": "RESET lock_configuration",
    "a pragma": "PRAGMA enable_profiling",
    "a call": "CALL enable_logging()",
    "logging to a file": "SELECT * FROM enable_logging(storage = 'file', storage_path = '{out}')",
    "a secret": "CREATE SECRET s (TYPE s3)",
    "a table": "CREATE TABLE x AS SELECT 1",
    "a view": "CREATE VIEW x AS SELECT 1",
    "a macro": "CREATE MACRO x() AS TABLE SELECT * FROM read_text('{file}')",
    "insert": "INSERT INTO t VALUES (2)",
    "insert in WITH": "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
    "delete": "DELETE FROM t",
    "drop": "DROP VIEW t",
    "vacuum": "VACUUM",
    "prepare": "PREPARE x AS SELECT 1",
    "execute": "EXECUTE x",
    "use": "USE memory.main",
    "two statements": "SELECT 1; SELECT 2",
    "two statements, the first explained": "EXPLAIN SELECT 1; COPY t TO '{out}'",
    "writing, explained": "EXPLAIN COPY t TO '{out}'",
    "writing, analyzed": "EXPLAIN ANALYZE COPY t TO '{out}'",
    "writing, analyzed with options": "EXPLAIN (ANALYZE, FORMAT JSON) COPY (SELECT 1) TO '{out}'",
    "an insert, analyzed": "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
    "a table, analyzed": "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "an attachment, analyzed": "EXPLAIN ANALYZE ATTACH '{out}' AS other",
    "two, analyzed": "EXPLAIN ANALYZE SELECT 1; SELECT 2",
    "a comment before what is explained": "EXPLAIN /* SELECT */ ANALYZE -- \n COPY t TO '{out}'",
    "a file, explained": "EXPLAIN SELECT * FROM read_text('{file}')",
    "a file, analyzed": "EXPLAIN ANALYZE SELECT * FROM '{file}'",
    "a file, described": "DESCRIBE SELECT * FROM read_csv('{file}')",
    "a file, described by name": "DESCRIBE '{file}'",
    "a file, summarized": "SUMMARIZE '{file}'",
    "a query of a file, summarized": "SUMMARIZE (SELECT * FROM read_csv('{file}'))",
    "delete in WITH, analyzed": "EXPLAIN ANALYZE WITH x AS (SELECT 1) DELETE FROM t",
    "one behind a comment": "SELECT 1 /* ; */; -- \n COPY t TO '{out}'",
    "nothing": "",
    "a comment": "-- SELECT 1",
}
HIDDEN = pa.table({"secret": [1]})


@pytest.mark.parametrize("name", HOSTILE)
def test_sql_reaches_silver_and_nothing_else(name: str, tmp_path: Path) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out"
    folder.mkdir()
    file = folder / "secret.csv"
    secret = uuid.uuid4().hex
    file.write_text(f"a,b\n{secret},2\n")
    with pytest.raises(SluiceError) as error:
        query.run({"t": pa.table({"a": [1]})}, HOSTILE[name].format(file=file, folder=folder, out=out))
    assert error.value.code == 2
    assert "\n" not in str(error.value)
    assert secret not in str(error.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "secret.csv"]


def test_the_error_about_a_file_says_what_a_query_reads() -> None:
    with pytest.raises(SluiceError, match="a query reads silver only, no files"):
        query.run({}, "SELECT * FROM read_text('/etc/hostname')")


@pytest.mark.parametrize("name", ["t", "silver.t", "SILVER.T", "memory.silver.t"])
def test_a_dataset_has_the_names_that_the_warehouse_has_for_it(name: str) -> None:
    assert query.run({"t": pa.table({"a": [7]})}, f"SELECT * FROM {name}").rows == [(7,)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT carier FROM shipments", 'column "carier" not found.*; .*"carrier"'),
        (
            "SELECT * FROM shipmens",
            r"shipmens does not exist; did you mean shipments\? \(datasets in silver: shipments",
        ),
        ("SELECT * FROM silver.shipmens", r"did you mean shipments\?"),
        ("SELECT 1,\nFROM\nWHERE", r"syntax error at or near .* \(line 3\)$"),
        ("SELECT 'x'::INT", "Could not convert string 'x' to INT32$"),
        ("SELECT CASE WHEN range = 5000 THEN error('boom') ELSE 1 END FROM range(10000)", "^boom$"),
    ],
)
def test_an_error_names_its_cause_and_what_was_meant_in_one_line(sql: str, said: str) -> None:
    with pytest.raises(SluiceError, match=said) as error:
        query.run({"shipments": pa.table({"carrier": ["a"], "weight_kg": [1.5]})}, sql)
    assert "\n" not in str(error.value)


VALUES = {
    "1.23456": "1.23456",
    "2013": "2013",
    "1234567890123": "1234567890123",
    "12345678901234567890123456789.123456789::DECIMAL(38,9)": "12345678901234567890123456789.123456789",
    "1.50::DECIMAL(9,2)": "1.50",
    "0.1::DOUBLE": "0.1",
    "1.1::FLOAT": "1.1",
    "5e-324::DOUBLE": "5e-324",
    "170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
    "TIMESTAMPTZ '2024-05-01 12:00:00.25+02'": "2024-05-01T10:00:00.25Z",
    "TIMESTAMP '2024-05-01 12:00:00'": "2024-05-01T12:00:00",
    "'infinity'::TIMESTAMPTZ": "infinity",
    "DATE '2024-05-01'": "2024-05-01",
    "DATE '20240-05-01'": "20240-05-01",
    "NULL": "NULL",
    "''": "",
    "true": "true",
    "[1.25, NULL]": "[1.25,null]",
    "{'a': 1, 'b': 'x'}": '{"a":1,"b":"x"}',
    "[TIMESTAMPTZ '2024-05-01 12:00:00+02']": '["2024-05-01 10:00:00+00"]',
    "'{\"a\":1.50}'::JSON": '{"a":1.50}',
    "'a'::BLOB": "a",
}


@pytest.mark.parametrize("sql", VALUES)
def test_a_value_is_shown_as_it_is(sql: str) -> None:
    [[value]] = query.run({}, f"SELECT {sql} AS v").rows
    assert sql_values.shown(value) == VALUES[sql]


def test_every_type_is_shown_as_json_and_as_csv() -> None:
    with query.answering({}, "SELECT * FROM test_all_types()") as answer:
        rows = list(answer.rows)
    assert len(rows) == 3
    for row in rows:
        assert len(json.loads(sql_values.as_json(answer.columns, row), parse_constant=pytest.fail)) == len(row)
        assert len(next(csv.reader([sql_values.as_csv(row)]))) == len(row)


@given(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
                          st.booleans(), st.decimals(allow_nan=False, allow_infinity=False)), min_size=2))  # fmt: skip
def test_json_and_csv_keep_every_value(row: list[sql_values.Value]) -> None:
    names = [f"c{n}" for n in range(len(row))]
    read = json.loads(sql_values.as_json(names, row), parse_float=Decimal)
    for name, value in zip(names, row, strict=True):
        found = read[name]
        assert (float(found) == value) if isinstance(value, float) else (found == value)
    [fields] = csv.reader(io.StringIO(sql_values.as_csv(row) + "\n", newline=""))
    assert fields == ["" if value is None else sql_values.shown(value) for value in row]


def test_nothing_and_an_empty_text_differ() -> None:
    assert sql_values.as_csv([None, "", "NULL"]) == ',"",NULL'
    assert sql_values.as_json(["a", "a"], [None, ""]) == '{"a": null, "a_2": ""}'
    assert [sql_values.shown(value) for value in (None, "")] == ["NULL", ""]


def test_an_answer_is_plain_json() -> None:
    sql = "SELECT 1.50::DECIMAL(9,2) AS price, DATE '2013-01-02' AS day, [1, 2] AS list, NULL AS none, 'a'::BLOB AS raw"
    result = query.run({}, sql)
    expected = {"price": 1.5, "day": "2013-01-02", "list": [1, 2], "none": None, "raw": "a"}
    assert result.to_dicts() == [expected]
    assert json.loads(sql_values.as_json(result.columns, result.rows[0])) == expected
    assert '"price": 1.50' in sql_values.as_json(result.columns, result.rows[0])


def test_a_limit_stops_the_query_itself() -> None:
    with query.answering({}, "SELECT * FROM range(1000000000000)", limit=3) as answer:
        assert list(answer.rows) == [(0,), (1,), (2,)]


def test_columns_come_in_the_order_of_the_yaml() -> None:
    names = ["_record_id", "carrier", "dt", "event_time", "gone", "record_type", "shipment_id", "weight_kg"]
    assert query.column_order("shipments", names) == [
        "record_type", "event_time", "shipment_id", "carrier", "weight_kg", "gone", "dt", "_record_id",
    ]  # fmt: skip
    assert query.column_order("unknown", ["_x", "b", "dt", "a"]) == ["b", "a", "dt", "_x"]


def test_the_demo_input_knows_what_must_come_out() -> None:
    given = make("r1", [2], 500)
    assert given.flights_rows == flights.month_table(2).num_rows
    assert given.prefixes == ["bronze/flights/demo-r1/", "bronze/mixed/demo-r1/", "bronze/shipments/demo-r1/"]
    assert given.mixed.rows == 500 == given.feed.rows_silver + len(given.feed.bad)
    assert given.uploads[-1] == given.poison


# -- the verb ----------------------------------------------------------------------------------------------------------

TABLE = pa.table({"n": list(range(120)), "text": ["", None, "\x1b[2Jred", *["x"] * 117]})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `sluice query` over a table without a stack; exit code, stdout and stderr."""
    cli.register_verbs()
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(options.Where, "stack", None)
    monkeypatch.setattr(query, "dataset_names", lambda _: ["t", "other"])
    monkeypatch.setattr(query, "silver", lambda _, only: dict.fromkeys(only, TABLE))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["query", *arguments])
        return code, *capsys.readouterr()

    return run


type Asked = Callable[..., tuple[int, str, str]]


def test_a_limit_says_that_there_is_more(asked: Asked) -> None:
    code, out, err = asked("FROM t")
    assert (code, len(out.splitlines())) == (0, 2 + 50)
    assert err == "the first 50 rows; there are more: --limit 500 or --all\n"
    _, out, err = asked("FROM t", "--limit", "120")
    assert (len(out.splitlines()), err) == (2 + 120, "120 rows\n")
    _, out, err = asked("FROM t", "--all")
    assert (len(out.splitlines()), err) == (2 + 120, "120 rows\n")
    assert r"\x1b[2Jred" in out
    assert "\x1b" not in out
    assert asked("FROM t LIMIT 1")[2] == "1 row\n"


def test_json_and_csv_have_the_limit_too(asked: Asked) -> None:
    _, out, err = asked("FROM t", "--json", "-n", "3")
    assert json.loads(out) == [{"n": 0, "text": ""}, {"n": 1, "text": None}, {"n": 2, "text": "\x1b[2Jred"}]
    assert err.startswith("the first 3 rows")
    assert asked("FROM t", "--csv", "-n", "2")[1] == 'n,text\n0,""\n1,\n'
    assert json.loads(asked("FROM t WHERE false", "--json")[1]) == []
    assert asked("FROM t WHERE false", "--csv")[1:] == ("n,text\n", "")
    assert asked("FROM t WHERE false")[2] == "0 rows\n"


def test_sql_comes_from_a_file_or_stdin(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "q.sql"
    file.write_text("\ufeff-- how many\nSELECT count(*) AS n FROM t;\n")
    assert json.loads(asked("--file", str(file), "--json")[1]) == [{"n": 120}]
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT max(n) AS n FROM t"))
    assert json.loads(asked("-", "--json")[1]) == [{"n": 119}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give the SQL"),
        (["SELECT 1", "--file", "x.sql"], "give the SQL"),
        (["--file", "/nowhere/x.sql"], "cannot be read"),
        (["SELECT 1", "--csv", "--json"], "one of them"),
        (["FROM othr"], r"did you mean other\? \(datasets in silver: other, t\)"),
        (["SELECT '\x1b[2J'::INT"], r"\\x1b\[2J"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(asked: Asked, arguments: list[str], said: str) -> None:
    code, out, err = asked(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(said, err)
    assert "\x1b" not in err


TABLES = {"t": pa.table({"a": [1, 2, 2]})}


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("WITH x AS (SELECT a FROM t) SELECT count(*) FROM x", [(3,)]),
        ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT max(n) FROM r", [(3,)]),
        ("DESCRIBE t", [("a", "BIGINT", "YES", None, None, None)]),
        ("desc silver.t;", [("a", "BIGINT", "YES", None, None, None)]),
        ("SELECT column_name, min, max, count FROM (SUMMARIZE t)", [("a", "1", "2", 3)]),
        ("show  tables", [("t",)]),
        ("SHOW ALL TABLES", [("t",)]),
    ],
)
def test_a_query_may_begin_with_more_than_select(sql: str, rows: list[object]) -> None:
    assert query.run(TABLES, sql).rows == rows


@pytest.mark.parametrize(
    "sql",
    ["EXPLAIN SELECT n FROM t", "explain analyze FROM t;", "EXPLAIN (ANALYZE) FROM t", "EXPLAIN (SELECT n FROM t)"],
)
def test_a_plan_is_printed_as_it_is(sql: str, asked: Asked) -> None:
    code, out, err = asked(sql)
    assert (code, err) == (0, "")
    assert "SCAN" in out.upper()
    assert "\\n" not in out
    assert len(out.splitlines()) > 3
    [row] = json.loads(asked(sql, "--json")[1])
    assert row["explain_key"] in ("physical_plan", "analyzed_plan")


def test_a_keyed_dataset_has_a_view_and_reads_the_ledger_only_for_it(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"shipment_id": ["a", "a"], "_source_offset": [5, 5], "_record_id": ["one-5", "two-5"]})
    read: list[tuple[str, ...]] = []

    def arrivals(_: object, datasets: dict[str, object]) -> dict[str, str]:
        read.append(tuple(datasets))
        return {"one": "2026-01-02", "two": "2026-01-01"} if datasets else {}

    monkeypatch.setattr(query, "dataset_names", lambda _: ["shipments", "t"])
    monkeypatch.setattr(query, "silver", lambda _, only: dict.fromkeys(only, table))
    monkeypatch.setattr(query, "arrivals", arrivals)
    assert json.loads(asked("SELECT _record_id AS id FROM silver.shipments_current", "--json")[1]) == [{"id": "one-5"}]
    assert json.loads(asked("SELECT count(*) AS n FROM shipments", "--json")[1]) == [{"n": 2}]
    assert json.loads(asked("SHOW TABLES", "--json")[1]) == [
        {"name": "shipments"}, {"name": "shipments_current"}, {"name": "t"},
    ]  # fmt: skip
    assert read == [("shipments",), (), ("shipments",)]
    code, _, err = asked("FROM t_current")
    assert (code, "datasets in silver: shipments, shipments_current, t)" in err) == (2, True)
    assert re.search(r"did you mean shipments_current\?", asked("FROM shipment_current")[2])


def test_show_tables_lists_the_datasets(asked: Asked) -> None:
    assert json.loads(asked("show tables;", "--json")[1]) == [{"name": "other"}, {"name": "t"}]


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("FROM t", ["t"]),
        ("SELECT * FROM silver.T JOIN OTHER USING (n)", ["t", "other"]),
        ("WITH other AS (SELECT 1) SELECT * FROM other, t", ["t"]),
        ("SELECT 1", ["t", "other"]),
        ("SELEKT", []),
    ],
)
def test_only_the_datasets_that_are_named_are_read(sql: str, read: list[str]) -> None:
    assert query._named(sql, ["t", "other"]) == read
