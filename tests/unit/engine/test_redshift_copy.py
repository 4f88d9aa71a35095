"""COPY and UNLOAD: what is loaded, what is refused and recorded, and that nothing is lost on the way.

https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html
"""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sluice_ext.redshift.copying import LoadFailed
from tests.support.redshift_sql import Redshift, database

ROLE = "IAM_ROLE 'arn:aws:iam::000000000000:role/loader'"


@pytest.fixture(scope="module")
def server() -> Iterator[Redshift]:
    with database() as found:
        yield found


@pytest.fixture
def redshift(server: Redshift) -> Redshift:
    server.s3.objects.clear()
    server.s3.refused.clear()
    return server


def parquet(columns: dict[str, Any], row_group: int = 100_000) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=row_group)
    return sink.getvalue()


def last_errors(redshift: Redshift, columns: str = "line_number, column_name, error_code, error_message") -> list[Any]:
    query = f"SELECT {columns} FROM sys_load_error_detail WHERE query_id = (SELECT max(query_id) FROM sys_load_history)"
    return list(redshift.run(query + " ORDER BY line_number"))


def test_parquet_of_every_type_in_row_groups(redshift: Redshift) -> None:
    name = redshift.table(
        "s smallint, i int, b bigint, r real, d double precision, n numeric(10, 2), v varchar(20), c char(3), "
        "o boolean, day date, t timestamp, z timestamptz"
    )
    rows = {
        "s": pa.array([1, None, -5], pa.int16()),
        "i": pa.array([2, None, -(2**31)], pa.int32()),
        "b": pa.array([3, None, 2**63 - 1], pa.int64()),
        "r": pa.array([0.5, None, float("inf")], pa.float32()),
        "d": pa.array([0.1, None, -1e300], pa.float64()),
        "n": pa.array([Decimal("1.50"), None, Decimal("-99999999.99")], pa.decimal128(10, 2)),
        "v": pa.array(["", None, 'a,"b"\n\\N'], pa.string()),
        "c": pa.array(["abc", None, "x"], pa.string()),
        "o": pa.array([True, None, False], pa.bool_()),
        "day": pa.array([date(2024, 2, 29), None, date(1, 1, 1)], pa.date32()),
        "t": pa.array([datetime(2024, 1, 1, 0, 0, 0, 123456), None, datetime(2009, 1, 1)], pa.timestamp("us")),
        "z": pa.array([datetime(2024, 1, 1), None, datetime(2002, 1, 1)], pa.timestamp("us", tz="UTC")),
    }
    redshift.s3.objects["in/a.parquet"] = parquet(rows, 1)
    redshift.s3.objects["in/_SUCCESS"] = b""
    assert redshift.run(f"COPY {name} FROM 's3://lake/in/' {ROLE} FORMAT AS PARQUET") == (3, 0)
    found = redshift.run(f"SELECT s, i, b, r, d, n, v, TRIM(c), o, day, t, z::timestamp FROM {name}")
    expected = list(zip(*(column.to_pylist() for column in list(rows.values())[:-1]), strict=True))
    assert [row[:-1] for row in found] == expected
    assert [row[-1] for row in found] == [datetime(2024, 1, 1), None, datetime(2002, 1, 1)]


def test_parquet_belongs_to_columns_by_place(redshift: Redshift) -> None:
    name = redshift.table("a int, b varchar(5), c int DEFAULT 7")
    redshift.s3.objects["k"] = parquet({"y": pa.array(["x"]), "z": pa.array([1], pa.int32())})
    assert redshift.run(f"COPY {name} (b, a) FROM 's3://lake/k' {ROLE} PARQUET") == (1, 0)
    assert redshift.run(f"SELECT * FROM {name}") == [(1, "x", 7)]


@pytest.mark.parametrize(
    ("columns", "file", "message"),
    [
        ("a int, b int", {"a": pa.array([1], pa.int32())}, "Table columns: 2, Data columns: 1"),
        ("a int", {"a": pa.array([1], pa.int64())}, "incompatible Parquet schema for column 'a'. Column type: INT"),
        ("a varchar(9)", {"a": pa.array([1.5])}, "incompatible Parquet schema for column 'a'. Column type: VARCHAR"),
        ("a varchar(2)", {"a": pa.array(["ok", "long"])}, "The length of the data column a is longer than the length"),
    ],
)
def test_parquet_of_another_shape_loads_nothing(
    redshift: Redshift, columns: str, file: dict[str, Any], message: str
) -> None:
    name = redshift.table(columns)
    redshift.s3.objects["k"] = parquet(file)
    with pytest.raises(LoadFailed, match="Spectrum Scan Error") as raised:
        redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} PARQUET")
    assert message in str(raised.value)
    assert redshift.run(f"SELECT count(*) FROM {name}") == [(0,)]


def test_the_second_bad_file_undoes_the_first(redshift: Redshift) -> None:
    name = redshift.table("a int NOT NULL")
    redshift.s3.objects["in/1"] = parquet({"a": pa.array([1], pa.int32())})
    for bad in (b"not parquet", parquet({"a": pa.array([None], pa.int32())})):
        redshift.s3.objects["in/2"] = bad
        with pytest.raises(LoadFailed):
            redshift.run(f"COPY {name} FROM 's3://lake/in/' {ROLE} PARQUET")
    assert redshift.run(f"SELECT count(*) FROM {name}") == [(0,)]
    history = redshift.run(f"SELECT status, loaded_rows FROM sys_load_history WHERE table_name = '{name}'")
    assert history == [("failed", 0), ("failed", 0)]


def test_a_copy_belongs_to_its_transaction(redshift: Redshift) -> None:
    name = redshift.table("a int")
    redshift.s3.objects["k"] = parquet({"a": pa.array([1, 2], pa.int32())})
    redshift.run(f"BEGIN; COPY {name} FROM 's3://lake/k' {ROLE} PARQUET")
    assert redshift.run(f"SELECT count(*) FROM {name}") == [(2,)]
    redshift.run("ROLLBACK")
    assert redshift.run(f"SELECT count(*) FROM {name}") == [(0,)]


def manifest(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"entries": entries}).encode()


def test_a_manifest_names_exactly_its_files(redshift: Redshift) -> None:
    name = redshift.table("a int")
    one = parquet({"a": pa.array([1], pa.int32())})
    redshift.s3.objects |= {"in/1": one, "in/2": one, "in/3": one}
    listed = [{"url": f"s3://lake/in/{n}", "mandatory": n < 3, "meta": {"content_length": len(one)}} for n in (1, 2, 9)]
    redshift.s3.objects["m"] = manifest(*listed)
    copy = f"COPY {name} FROM 's3://lake/m' {ROLE} FORMAT AS PARQUET MANIFEST"
    assert redshift.run(copy) == (2, 0)
    redshift.s3.objects["m"] = manifest(*listed, {**listed[2], "mandatory": True})
    for change, message in (
        ({}, "The specified key does not exist.,Status 404,Error NoSuchKey"),
        ({"m": manifest({"url": "s3://lake/in/1"})}, "content_length"),
        ({"m": manifest({"url": "s3://lake/in/1", "meta": {"content_length": 3}})}, "is not the object's"),
        ({"m": b"[1"}, "not in correct json format"),
    ):
        redshift.s3.objects |= change
        with pytest.raises(LoadFailed) as raised:
            redshift.run(copy)
        assert message in str(raised.value)
    del redshift.s3.objects["m"]
    with pytest.raises(LoadFailed, match="Problem reading manifest file - S3ServiceException"):
        redshift.run(copy)
    assert redshift.run(f"SELECT count(*) FROM {name}") == [(2,)]


def test_sources_that_are_not_there_or_not_allowed(redshift: Redshift) -> None:
    name = redshift.table("a int")
    with pytest.raises(LoadFailed, match="The specified S3 prefix 'none' does not exist"):
        redshift.run(f"COPY {name} FROM 's3://lake/none' {ROLE} CSV")
    with pytest.raises(LoadFailed, match="Cannot COPY into nonexistent table missing"):
        redshift.run(f"COPY missing FROM 's3://lake/none' {ROLE} CSV")
    with pytest.raises(LoadFailed, match='column "b" of relation'):
        redshift.run(f"COPY {name} (b) FROM 's3://lake/none' {ROLE} CSV")
    redshift.s3.objects["k"] = b"1\n"
    redshift.s3.refused.add("k")
    with pytest.raises(LoadFailed, match="S3ServiceException:Access Denied,Status 403,Error AccessDenied"):
        redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} CSV")


@pytest.mark.parametrize(
    ("options", "content", "expected"),
    [
        ("CSV", b'1,"a ""b"",\nc"\n2,\n', [(1, 'a "b",\nc'), (2, "")]),
        ("CSV IGNOREHEADER 1", b"id,v\r\n1,x\r\n", [(1, "x")]),
        ("CSV EMPTYASNULL", b"1,\n,y\n", [(1, None), (None, "y")]),
        ("CSV BLANKSASNULL", b"1,  \n", [(1, None)]),
        ("CSV NULL AS 'nil'", b"nil,nil\n", [(None, None)]),
        ("CSV DELIMITER ';' QUOTE '%'", b"1;%a;b%\n", [(1, "a;b")]),
        ("CSV GZIP", gzip.compress(b"1,x\n", mtime=0), [(1, "x")]),
        ("FORMAT AS CSV FILLRECORD", b"1\n", [(1, None)]),
        ("CSV TRUNCATECOLUMNS", b"1,123456789012\n", [(1, "1234567890")]),
        ("CSV ACCEPTINVCHARS '^'", b"1,a\xffb\n", [(1, "a^b")]),
        ("CSV IGNOREBLANKLINES", b"1,x\n\n", [(1, "x")]),
        ("", b"1|x\n2|\\N\n3|y|\n", [(1, "x"), (2, None), (3, "y")]),
        ("DELIMITER '\\t' ESCAPE", b"1\ta\\\tb\\\nc\n2\t\\N\n", [(1, "a\tb\nc"), (2, None)]),
        ("DELIMITER ',' REMOVEQUOTES", b"\"1\",'x'\n", [(1, "x")]),
        ("JSON 'auto'", b'{"v": "x", "id": 1, "o": 2}\n{"id": null}{"ID": 5,\n"v": "y"}', [(1, "x"), (None, None), (None, "y")]),  # noqa: E501
        ("FORMAT JSON AS 'auto ignorecase'", b'{"Id": 1, "V": {"a": [1]}}', [(1, '{"a":[1]}')]),
        ("JSON 's3://lake/paths'", b'{"a": {"b": [7, 8]}, "c d": "x"}', [(8, "x")]),
    ],
)  # fmt: skip
def test_text_formats(redshift: Redshift, options: str, content: bytes, expected: list[Any]) -> None:
    name = redshift.table("id int, v varchar(10)")
    redshift.s3.objects["paths"] = json.dumps({"jsonpaths": ["$.a['b'][1]", "$['c d']"]}).encode()
    redshift.s3.objects["k"] = content
    assert redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} {options}") == (len(expected), 0)
    assert redshift.run(f"SELECT * FROM {name}") == expected


def test_noshred_and_super_columns(redshift: Redshift) -> None:
    name = redshift.table("c super")
    redshift.s3.objects["k"] = b'{"a": 1}\n[2]\n'
    assert redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} FORMAT JSON 'noshred'") == (2, 0)
    assert redshift.run(f"SELECT JSON_SERIALIZE(c) FROM {name}") == [('{"a":1}',), ("[2]",)]


@pytest.mark.parametrize(
    ("column", "options", "field", "expected"),
    [
        ("timestamp", "TIMEFORMAT 'auto'", "01/31/2024 10:05:00", datetime(2024, 1, 31, 10, 5)),
        ("timestamp", "TIMEFORMAT 'epochsecs'", "86400", datetime(1970, 1, 2)),
        ("timestamp", "TIMEFORMAT 'epochmillisecs'", "1500", datetime(1970, 1, 1, 0, 0, 1, 500000)),
        ("timestamp", "TIMEFORMAT AS 'DD.MM.YYYY HH:MI:SS'", "31.01.2024 10:05:06", datetime(2024, 1, 31, 10, 5, 6)),
        ("timestamp", "", "2024-01-31T10:05:06.25", datetime(2024, 1, 31, 10, 5, 6, 250000)),
        ("date", "DATEFORMAT 'auto'", "20240131", date(2024, 1, 31)),
        ("date", "DATEFORMAT AS 'MM/DD/YYYY'", "01/31/2024", date(2024, 1, 31)),
        ("date", "ACCEPTANYDATE", "nonsense", None),
        ("boolean", "", "yes", True),
        ("numeric(5, 2)", "", "1.239", Decimal("1.23")),
        ("numeric(5, 2)", "ROUNDEC", "1.239", Decimal("1.24")),
        ("double precision", "", "1e3", 1000.0),
        ("varbyte(9)", "", "6162", b"ab"),
    ],
)
def test_values_in_their_formats(redshift: Redshift, column: str, options: str, field: str, expected: Any) -> None:
    name = redshift.table(f"v {column}")
    redshift.s3.objects["k"] = f"{field}\n".encode()
    assert redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} CSV {options}") == (1, 0)
    assert redshift.run(f"SELECT v FROM {name}") == [(expected,)]


BAD = b"1,ok,2024-01-01\nx,ok,2024-01-01\n2,toolong,2024-01-01\n3,ok,nodate\n4,ok\n5,ok,2024-01-01,more\n,ok,2024-01-01\n6,\xff,2024-01-01\n99999999999,ok,2024-01-01\n7,ok,2024-01-02\n"  # noqa: E501
CODES = [(2, "id", 1207), (3, "v", 1204), (4, "d", 1205), (5, "", 1214), (6, "", 1202), (7, "id", 1213), (8, "v", 1220), (9, "id", 1208)]  # noqa: E501  # fmt: skip


def test_bad_rows_are_counted_and_recorded(redshift: Redshift) -> None:
    name = redshift.table("id int NOT NULL, v varchar(3), d date")
    redshift.s3.objects["k"] = BAD
    copy = f"COPY {name} FROM 's3://lake/k' {ROLE} CSV MAXERROR"
    assert redshift.run(f"{copy} 9") == (2, 8)
    assert last_errors(redshift, "line_number, column_name, error_code") == CODES
    raw = redshift.run("SELECT raw_line, raw_field_value, filename FROM stl_load_errors WHERE raw_line LIKE 'x,ok%'")
    assert raw == [("x,ok,2024-01-01", "x", "s3://lake/k")]
    with pytest.raises(LoadFailed) as raised:
        redshift.run(f"{copy} 8")
    assert str(raised.value) == (
        f"ERROR: Load into table '{name}' failed.  Check 'sys_load_error_detail' system table for details."
    )
    assert len(last_errors(redshift)) == 8
    with pytest.raises(LoadFailed):
        redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} CSV")
    assert last_errors(redshift) == [(2, "id", 1207, "Invalid digit, Value 'x', Pos 0, Type: Integer ")]
    assert redshift.run(f"SELECT id FROM {name} ORDER BY id") == [(1,), (7,)]


def test_noload_only_checks(redshift: Redshift) -> None:
    name = redshift.table("id int, v varchar(3), d date")
    redshift.s3.objects["k"] = b"1,ok,2024-01-01\n"
    assert redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} CSV NOLOAD") == (0, 0)
    assert redshift.run(f"SELECT count(*) FROM {name}") == [(0,)]


def test_errors_stay_when_the_transaction_is_undone(redshift: Redshift) -> None:
    name = redshift.table("id int")
    redshift.s3.objects["k"] = b"x\n"
    with pytest.raises(LoadFailed), redshift.connection.transaction():
        redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} CSV")
    assert len(last_errors(redshift)) == 1


def test_another_user_sees_no_errors_of_others(redshift: Redshift) -> None:
    name = redshift.table("id int")
    redshift.s3.objects["k"] = b"x\n"
    with pytest.raises(LoadFailed):
        redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} CSV")
    redshift.run("CREATE USER reader PASSWORD 'Reader12345'")
    info = redshift.connection.info
    with psycopg.connect(info.dsn, user="reader", password="Reader12345", autocommit=True) as own:
        assert Redshift(own).run("SELECT count(*) FROM stl_load_errors") == [(0,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute("SELECT * FROM redshift_compat.load_errors")
    redshift.run("DROP USER reader")


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.floats(allow_nan=False),
        st.none() | TEXTS,
        st.none() | st.booleans(),
        st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)),
        st.none() | st.decimals(-(10**6), 10**6, places=3),
    ),
    max_size=12,
)
SCHEMA = "i int, d double precision, v varchar(200), b boolean, t timestamp, n numeric(12, 3)"
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(rows=ROWS)
@example(rows=[(None, None, "\r", None, None, None)])
@example(rows=[(1, None, "\r\n", None, None, None), (2, None, "\n", None, None, None)])
def test_any_rows_are_equal_after_parquet_and_back(server: Redshift, rows: list[tuple[Any, ...]]) -> None:
    server.s3.objects.clear()
    kinds = [pa.int32(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us"), pa.decimal128(12, 3)]
    columns = {str(place): pa.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds)}
    server.s3.objects["in"] = parquet(columns, 3)
    name = server.table(SCHEMA)
    assert server.run(f"COPY {name} FROM 's3://lake/in' {ROLE} PARQUET") == (len(rows), 0)
    assert server.run(f"SELECT * FROM {name}") == rows
    assert server.run(f"UNLOAD ('SELECT * FROM {name}') TO 's3://lake/out/' {ROLE} PARQUET") == len(rows)
    table = pq.read_table(io.BytesIO(server.s3.objects["out/0000_part_00.parquet"]))
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    server.run(f"DROP TABLE {name}")


@quick
@given(rows=ROWS, options=st.sampled_from(["CSV", "JSON"]))
def test_any_rows_are_equal_after_unload_and_copy(server: Redshift, rows: list[tuple[Any, ...]], options: str) -> None:
    server.s3.objects.clear()
    first, second = server.table(SCHEMA), server.table(SCHEMA)
    with server.connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {first} VALUES (%s, %s, %s, %s, %s, %s)".encode(), rows)
    null = "NULL AS '<null>'" if options == "CSV" else ""
    shown = options if options == "CSV" else "FORMAT AS JSON"
    assert server.run(f"UNLOAD ('SELECT * FROM {first}') TO 's3://lake/o/' {ROLE} {shown} {null}") == len(rows)
    if not rows:
        return
    assert server.run(f"COPY {second} FROM 's3://lake/o/' {ROLE} {shown} {null}") == (len(rows), 0)
    assert server.run(f"SELECT * FROM {second}") == rows
    server.run(f"DROP TABLE {first}, {second}")


@quick
@given(fields=st.lists(st.sampled_from(["1", "-7", "x", "", "9999999999", " 3 "]), min_size=1, max_size=30))
def test_loaded_and_bad_rows_are_all_rows(server: Redshift, fields: list[str]) -> None:
    name = server.table("i int NOT NULL, v varchar(3)")
    server.s3.objects["k"] = "".join(f"{field},v\n" for field in fields).encode()
    good = [int(field) for field in fields if field.strip() in ("1", "-7", "3")]
    result = server.run(f"COPY {name} FROM 's3://lake/k' {ROLE} CSV MAXERROR 1000")
    assert result == (len(good), len(fields) - len(good))
    assert [row[0] for row in server.run(f"SELECT i FROM {name}")] == good
    assert len(last_errors(server)) == len(fields) - len(good)
    server.run(f"DROP TABLE {name}")


def test_unload_names_and_guards_its_objects(redshift: Redshift) -> None:
    query = "SELECT 1 AS a, ''x|y'' AS b UNION ALL SELECT 2, NULL"
    unload = f"UNLOAD ('{query}') TO 's3://lake/o/p_' {ROLE}"
    assert redshift.run(f"{unload} CSV HEADER PARALLEL OFF MANIFEST") == 2
    assert set(redshift.s3.objects) == {"o/p_000", "o/p_manifest"}
    assert redshift.s3.objects["o/p_000"] == b"a,b\n1,x|y\n2,\n"
    assert json.loads(redshift.s3.objects["o/p_manifest"]) == {"entries": [{"url": "s3://lake/o/p_000"}]}
    with pytest.raises(LoadFailed, match="unload destination on S3 is not empty"):
        redshift.run(unload)
    assert redshift.run(f"{unload} ALLOWOVERWRITE GZIP ADDQUOTES DELIMITER ','") == 2
    assert gzip.decompress(redshift.s3.objects["o/p_0000_part_00.gz"]) == b'"1","x|y"\n"2",\n'
    assert redshift.run(f"{unload} CLEANPATH ESCAPE") == 2
    assert redshift.s3.objects == {"o/p_0000_part_00": b"1|x\\|y\n2|\n"}


def test_unload_splits_and_partitions(redshift: Redshift) -> None:
    redshift.run(
        "UNLOAD ('SELECT n, CASE WHEN n < 2 THEN ''a b'' END AS k FROM generate_series(1, 3) AS s(n)') "
        f"TO 's3://lake/o' {ROLE} PARQUET PARTITION BY (k)"
    )
    assert set(redshift.s3.objects) == {
        "o/k=a b/0000_part_00.parquet", "o/k=__HIVE_DEFAULT_PARTITION__/0000_part_00.parquet",
    }  # fmt: skip
    redshift.s3.objects.clear()
    redshift.run(
        "UNLOAD ('SELECT repeat(''x'', 1000) AS v FROM generate_series(1, 6000) AS s(n)') "
        f"TO 's3://lake/o/' {ROLE} CSV MAXFILESIZE 5 MB"
    )
    assert sorted(redshift.s3.objects) == ["o/0000_part_00", "o/0000_part_01"]
    assert all(len(one) <= 5 * 1024**2 for one in redshift.s3.objects.values())
    counts = [len(list(csv.reader(io.StringIO(one.decode())))) for one in redshift.s3.objects.values()]
    assert sum(counts) == 6000


def test_files_that_spark_writes(redshift: Redshift, tmp_path: Path) -> None:
    """Timestamps as INT96, text without a logical type."""
    name = redshift.table("t timestamp, v varchar(9)")
    sink = io.BytesIO()
    moments = pa.array([datetime(2024, 9, 1, 1, 2, 3, 456000)], pa.timestamp("us"))
    pq.write_table(pa.table({"t": moments, "v": pa.array([b"x"])}), sink, use_deprecated_int96_timestamps=True)
    redshift.s3.objects["k"] = sink.getvalue()
    assert redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} PARQUET") == (1, 0)
    assert redshift.run(f"SELECT * FROM {name}") == [(datetime(2024, 9, 1, 1, 2, 3, 456000), "x")]


def test_a_large_file_comes_in_pieces(redshift: Redshift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice_ext.redshift.copying.parquet._PIECE", 1000)
    path = tmp_path / "large"
    duckdb.execute(f"COPY (SELECT i::int AS i FROM range(5500) AS r(i)) TO '{path}' (FORMAT parquet)")
    redshift.s3.objects["k"] = path.read_bytes()
    name = redshift.table("i int")
    assert redshift.run(f"COPY {name} FROM 's3://lake/k' {ROLE} PARQUET") == (5500, 0)
    assert redshift.run(f"SELECT count(DISTINCT i), min(i), max(i) FROM {name}") == [(5500, 0, 5499)]
