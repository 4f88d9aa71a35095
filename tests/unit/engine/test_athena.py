"""Athena's SQL on DuckDB: what a query answers, how values are written, what it reads, and what it refuses."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice_ext.athena.worker import statements
from sluice_ext.athena.worker.errors import QueryFailed
from tests.support.athena_catalog import Athena, Catalog


@pytest.fixture
def athena(tmp_path: Path) -> Athena:
    return Athena(Catalog(tmp_path / "s3"), tmp_path / "scratch")


@pytest.fixture
def table(athena: Athena) -> Athena:
    """db.t: ten ids, partitioned by d = even and odd."""
    athena.run(
        "create table t with (format = 'PARQUET', external_location = 's3://lake/t/', partitioned_by = array['d']) as "
        "select x as id, cast(x as varchar) as name, if(x % 2 = 0, 'even', 'odd') as d "
        "from unnest(sequence(1, 10)) as s(x)"
    )
    return athena


@pytest.mark.parametrize(
    ("sql", "kind", "shown"),
    [
        ("1", "integer", "1"),
        ("1 / 2", "integer", "0"),
        ("9223372036854775807", "bigint", "9223372036854775807"),
        ("cast(1 as double) / 3", "double", "0.3333333333333333"),
        ("1e10", "double", "1.0E10"),
        ("1e-5", "double", "1.0E-5"),
        ("cast(0 as double)", "double", "0.0"),
        ("cast(1234567.5 as double)", "double", "1234567.5"),
        ("cast(0.1 as real)", "float", "0.1"),
        ("1.50", "decimal", "1.50"),
        ("true", "boolean", "true"),
        ("null", "unknown", None),
        ("''", "varchar", ""),
        ("'a\"b,c\nd'", "varchar", 'a"b,c\nd'),
        ("date '2020-02-03'", "date", "2020-02-03"),
        ("timestamp '2020-02-03 04:05:06.789'", "timestamp", "2020-02-03 04:05:06.789"),
        ("timestamp '0999-02-03 04:05:06'", "timestamp", "0999-02-03 04:05:06.000"),
        ("from_unixtime(0)", "timestamp with time zone", "1970-01-01 00:00:00.000 UTC"),
        ("x'6162'", "varbinary", "61 62"),
        ("array[1, null]", "array", "[1, null]"),
        ("map(array['a'], array[array[1.5]])", "map", "{a=[1.5]}"),
        ("cast(row(1, 'x') as row(a integer, b varchar))", "row", "{a=1, b=x}"),
    ],
)
def test_a_value_is_written_as_athena_writes_it(athena: Athena, sql: str, kind: str, shown: str | None) -> None:
    assert athena.run(f"select {sql}") == [[shown]]
    assert (athena.names, athena.types) == (["_col0"], [kind])


def test_columns_that_the_query_does_not_name_are_called_after_their_place(athena: Athena) -> None:
    athena.run("select 1, 2 as B, 3 + 4 union all select 5, 6, 7")
    assert athena.names == ["_col0", "b", "_col2"]


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("date_diff('day', date '2020-01-01', date '2020-02-01')", "31"),
        ("date_format(timestamp '2020-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')", "2020-01-02 03:04:05"),
        ("date_parse('2020-01-02', '%Y-%m-%d')", "2020-01-02 00:00:00.000"),
        ("json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a.b')", "1"),
        ("try_cast('x' as integer)", None),
        ("regexp_like('abc', 'b+')", "true"),
        ("element_at(map(array['a'], array[1]), 'z')", None),
        ("cardinality(array[1, 2])", "2"),
        ("array_join(array[1, 2], ',')", "1,2"),
        ("transform(array[1, 2], x -> x + 1)", "[2, 3]"),
        ("filter(array[1, 2], x -> x > 1)", "[2]"),
        ("split_part('a,b', ',', 2)", "b"),
        ("day_of_week(date '2020-01-05')", "7"),
        ("to_unixtime(timestamp '1970-01-01 00:00:01')", "1.0"),
        ("greatest(1, null)", None),
        ("substr('abc', 2)", "bc"),
        ("coalesce(null, 'a')", "a"),
    ],
)
def test_functions_of_trino(athena: Athena, sql: str, shown: str | None) -> None:
    assert athena.run(f"select {sql}") == [[shown]]


def test_a_table_made_by_a_query_has_its_rows_columns_and_partitions(table: Athena) -> None:
    assert table.run("select * from t where id > 8 order by id") == [["9", "9", "odd"], ["10", "10", "even"]]
    assert table.types == ["bigint", "varchar", "varchar"]
    assert table.run("show partitions t") == [["d=even"], ["d=odd"]]
    described = table.catalog.tables[("db", "t")]
    assert [(c["Name"], c["Type"]) for c in described["StorageDescriptor"]["Columns"]] == [
        ("id", "bigint"),
        ("name", "string"),
    ]
    assert described["PartitionKeys"] == [{"Name": "d", "Type": "string"}]


@pytest.mark.parametrize(
    ("sql", "answer", "locations"),
    [
        ("select count(*) from t where d = 'even'", [["5"]], {"s3://lake/t/d=even/"}),
        ("select count(*) from (select * from t) x where x.d in ('odd')", [["5"]], {"s3://lake/t/d=odd/"}),
        ("with w as (select * from t) select count(*) from w where d like 'ev%'", [["5"]], {"s3://lake/t/d=even/"}),
        ("select count(*) from t where d = 'none'", [["0"]], set()),
        ("select count(*) from t where d = 'even' or id = 1", [["6"]], {"s3://lake/t/d=even/", "s3://lake/t/d=odd/"}),
        (
            "select count(*) from t a join t b on a.id = b.id + 1 where a.d = 'even' and b.d = 'odd'",
            [["5"]],
            {"s3://lake/t/d=even/", "s3://lake/t/d=odd/"},
        ),
    ],
)
def test_only_partitions_that_can_matter_are_read(
    table: Athena, sql: str, answer: list[list[str]], locations: set[str]
) -> None:
    table.catalog.asked.clear()
    assert table.run(sql) == answer
    assert set(table.catalog.asked) == locations


def test_the_bytes_scanned_are_those_of_the_columns_and_partitions_that_are_used(table: Athena) -> None:
    scanned = []
    for sql in ("select * from t", "select id from t", "select id from t where d = 'odd'", "select count(*) from t"):
        table.run(sql)
        scanned.append(table.last.scanned)
    assert scanned == sorted(scanned, reverse=True)
    assert len(set(scanned)) == 4
    assert scanned[-1] == 0


def test_rows_are_inserted_beside_those_that_are_there(table: Athena) -> None:
    table.run("insert into t values (11, 'eleven', 'third'), (12, null, 'third')")
    assert table.last.update_count == 2
    table.run("insert into t (d, id) select 'odd', 13")
    assert table.run("select d, count(*), count(name) from t group by 1 order by 1") == [
        ["even", "5", "5"], ["odd", "6", "5"], ["third", "2", "1"],
    ]  # fmt: skip


def test_a_view_is_its_query(table: Athena) -> None:
    table.run("create view totals as select d, sum(id) as total from t group by d")
    assert table.run("select total from totals where d = 'even'") == [["30"]]
    with pytest.raises(QueryFailed, match="ALREADY_EXISTS: View already exists"):
        table.run("create view totals as select 1 as a")
    table.run("create or replace view totals as select count(*) as n from t")
    assert table.run("select n from totals") == [["10"]]
    table.run("drop view totals")
    with pytest.raises(QueryFailed, match=r"TABLE_NOT_FOUND: Table 'awsdatacatalog\.db\.totals' does not exist"):
        table.run("select * from totals")


def test_a_view_that_refers_to_itself_ends_with_that_reason(table: Athena) -> None:
    table.run("create view a as select * from t")
    table.run("create view b as select * from a")
    table.run("create or replace view a as select * from b")
    with pytest.raises(QueryFailed, match="VIEW_IS_RECURSIVE"):
        table.run("select * from a")


def test_unload_writes_files_below_an_empty_prefix(table: Athena) -> None:
    table.run(
        "unload (select id, name from t where id < 3) to 's3://out/u/' with (format = 'JSON', compression = 'NONE')"
    )
    assert table.last.manifest is not None
    [uri] = table.last.manifest
    lines = sorted(table.catalog.path(uri).read_text().splitlines())
    assert lines == ['{"id":1,"name":"1"}', '{"id":2,"name":"2"}']
    with pytest.raises(QueryFailed, match="HIVE_PATH_ALREADY_EXISTS"):
        table.run("unload (select 1 as a) to 's3://out/u/' with (format = 'PARQUET')")


JSON = (
    "create external table j (id bigint, name string, more struct<a:int,b:array<string>>) partitioned by (day date) "
    "row format serde 'org.openx.data.jsonserde.JsonSerDe' location 's3://lake/j/'"
)


def test_json_lines_in_partitions_that_were_found_or_added(athena: Athena) -> None:
    athena.run(JSON)
    athena.catalog.put(
        "s3://lake/j/day=2020-01-01/a.json", '{"id": 1, "name": "x", "more": {"a": 1, "b": ["y"]}}\n{"id": 2}\n'
    )
    athena.catalog.put("s3://elsewhere/b.json", '{"id": 3, "other": 1}\n')
    assert athena.run("select * from j") == []
    assert ["Repair: Added partition to metastore j:day=2020-01-01"] in athena.run("msck repair table j")
    athena.run("alter table j add if not exists partition (day = '2020-01-02') location 's3://elsewhere/'")
    assert athena.run("select id, name, more, day from j order by id") == [
        ["1", "x", "{a=1, b=[y]}", "2020-01-01"],
        ["2", None, None, "2020-01-01"],
        ["3", None, None, "2020-01-02"],
    ]
    assert athena.run("select count(*) from j where day > date '2020-01-01'") == [["1"]]
    with pytest.raises(QueryFailed, match="Partition already exists"):
        athena.run("alter table j add partition (day = '2020-01-02') location 's3://elsewhere/'")
    athena.run("alter table j drop partition (day = '2020-01-01')")
    assert athena.run("select count(*) from j") == [["1"]]


def test_csv_by_both_serdes(athena: Athena) -> None:
    athena.catalog.put("s3://lake/c/a.csv", 'id,name\n1,"a, b"\n2,\n')
    athena.run(
        "create external table c (id string, name string) row format serde "
        "'org.apache.hadoop.hive.serde2.OpenCSVSerde' location 's3://lake/c/' "
        "tblproperties ('skip.header.line.count'='1')"
    )
    assert athena.run("select * from c order by id") == [["1", "a, b"], ["2", ""]]
    athena.catalog.put("s3://lake/l/a.txt", "1|a|2.5\nx|\\N|y\n")
    athena.run(
        "create external table l (id int, name string, amount double) row format delimited fields terminated by '|' "
        "location 's3://lake/l/'"
    )
    # LazySimpleSerDe shows what it cannot read as NULL.
    assert athena.run("select * from l") == [["1", "a", "2.5"], [None, None, None]]


def test_partition_projection_reads_what_its_ranges_name(athena: Athena) -> None:
    athena.run(
        "create external table p (id int) partitioned by (day string, kind string, n int) "
        "row format serde 'org.openx.data.jsonserde.JsonSerDe' location 's3://lake/p/' tblproperties ("
        "'projection.enabled'='true', 'projection.day.type'='date', 'projection.day.range'='2020-01-01,2020-01-03', "
        "'projection.day.format'='yyyy-MM-dd', 'projection.kind.type'='enum', 'projection.kind.values'='a,b', "
        "'projection.n.type'='integer', 'projection.n.range'='1,2', "
        "'storage.location.template'='s3://lake/p/${kind}/${day}/${n}/')"
    )
    athena.catalog.put("s3://lake/p/a/2020-01-02/1/x.json", '{"id": 1}\n')
    athena.catalog.put("s3://lake/p/b/2020-01-03/2/x.json", '{"id": 2}\n')
    athena.catalog.put("s3://lake/p/b/2020-01-04/2/x.json", '{"id": 3}\n')  # beyond the range
    assert athena.run("select id, day, kind, n from p order by id") == [
        ["1", "2020-01-02", "a", "1"], ["2", "2020-01-03", "b", "2"],
    ]  # fmt: skip
    athena.catalog.asked.clear()
    assert athena.run("select id from p where kind = 'a' and day >= '2020-01-02' and n = 1") == [["1"]]
    assert sorted(athena.catalog.asked) == ["s3://lake/p/a/2020-01-02/1/", "s3://lake/p/a/2020-01-03/1/"]


def test_an_injected_partition_must_be_named(athena: Athena) -> None:
    athena.run(
        "create external table i (id int) partitioned by (who string) row format serde "
        "'org.openx.data.jsonserde.JsonSerDe' location 's3://lake/i/' tblproperties ("
        "'projection.enabled'='true', 'projection.who.type'='injected')"
    )
    athena.catalog.put("s3://lake/i/who=me/x.json", '{"id": 1}\n')
    assert athena.run("select id from i where who = 'me'") == [["1"]]
    with pytest.raises(QueryFailed, match="injected projected partition column who"):
        athena.run("select id from i")


def test_columns_that_a_file_lacks_are_null_and_those_of_the_table_decide(table: Athena) -> None:
    table.run("alter table t add columns (later double)")
    assert table.run("select id, later, d from t where id = 1") == [["1", None, "odd"]]


def test_parameters_replace_question_marks(table: Athena) -> None:
    assert table.run("select id from t where name = ? and id < ?", "'3'", "10") == [["3"]]
    with pytest.raises(QueryFailed, match="expected 2 but found 1"):
        table.run("select id from t where name = ? and id < ?", "'3'")
    for hostile in ("1 or 1 = 1", "(select 1)", "id", "1; drop table t"):
        with pytest.raises(QueryFailed, match="INVALID_PARAMETER_USAGE"):
            table.run("select id from t where id = ?", hostile)


def test_the_information_schema_is_the_catalog(table: Athena) -> None:
    assert table.run("select table_name, table_type from information_schema.tables where table_schema = 'db'") == [
        ["t", "BASE TABLE"]
    ]
    columns = "select column_name, data_type, extra_info from information_schema.columns order by ordinal_position"
    assert table.run(columns) == [
        ["id", "bigint", None], ["name", "varchar", None], ["d", "varchar", "partition key"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from glob('/*')",
        'select * from "/etc/passwd"',
        "select * from parquet_metadata('/etc/passwd')",
        "select * from duckdb_settings()",
        "select * from sqlite_scan('/etc/passwd', 'a')",
        "select getenv('HOME')",
        "attach '/tmp/x.db'",
        "copy t to '/tmp/x'",
        "set enable_external_access = true",
        "install httpfs",
        "load httpfs",
        "pragma database_list",
        "call pragma_version()",
        "select 1; select 2",
        "create table x as select * from read_text('/etc/passwd')",
        "unload (select * from read_text('/etc/passwd')) to 's3://out/x/' with (format = 'JSON')",
        "export database '/tmp/x'",
        "update t set id = 1",
        "delete from t",
    ],
)
def test_sql_reaches_nothing_outside_of_the_catalog(table: Athena, sql: str) -> None:
    with pytest.raises(QueryFailed):
        table.run(sql)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select nosuch from t", "COLUMN_NOT_FOUND"),
        ("select nofunction(1)", "FUNCTION_NOT_FOUND"),
        ("select * from nosuch", r"TABLE_NOT_FOUND: Table 'awsdatacatalog\.db\.nosuch' does not exist"),
        ("select * from other.nosuch.t", "CATALOG_NOT_FOUND"),
        ("select cast('a' as integer)", "INVALID_CAST_ARGUMENT"),
        ("select sum(x) from unnest(array[9223372036854775807, 1]) as s(x)", "NUMERIC_VALUE_OUT_OF_RANGE"),
        ("select * from", "line 1:"),
        ("", "the query is empty"),
        ("selec 1", "mismatched input|not supported"),
        ("create table n as select 1", "MISSING_COLUMN_NAME"),
        ("create table n as select null as a", "Column type is unknown"),
        ("create table t as select 1 as a", "TABLE_ALREADY_EXISTS"),
        ("create table n with (format = 'ORC') as select 1 as a", "NOT_SUPPORTED: writing the format ORC"),
        ("create table n with (bucket_count = 4) as select 1 as a", "NOT_SUPPORTED: the property bucket_count"),
        ("create table n with (table_type = 'ICEBERG', is_external = false) as select 1 as a", "a table of Iceberg"),
        ("create table n with (partitioned_by = array['a']) as select 1 as a, 2 as b", "HIVE_COLUMN_ORDER_MISMATCH"),
        ("insert into t select 1", "mismatched column types"),
        ("create external table n (a unheard) location 's3://x/'", "."),
        ("create external table n (a int)", "table location must be provided"),
        ("alter table t rename to u", "NOT_SUPPORTED"),
        ("drop table nosuch", "Table not found"),
        ("show partitions nosuch", "TABLE_NOT_FOUND"),
    ],
)
def test_a_query_that_cannot_be_answered_fails_with_its_reason(table: Athena, sql: str, reason: str) -> None:
    before = dict(table.catalog.tables)
    with pytest.raises(QueryFailed, match=reason):
        table.run(sql)
    assert table.catalog.tables == before


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", ("DML", "SELECT")),
        ("with a as (select 1) select * from a", ("DML", "SELECT")),
        ("insert into t values (1)", ("DML", "INSERT")),
        ("unload (select 1) to 's3://a/' with (format='JSON')", ("DML", "UNLOAD")),
        ("create table t as select 1 a", ("DDL", "CREATE_TABLE_AS_SELECT")),
        ("create external table t (a int) location 's3://a/'", ("DDL", "CREATE_TABLE")),
        ("drop view v", ("DDL", "DROP_VIEW")),
        ("alter table t add partition (a='b')", ("DDL", "ALTER_TABLE")),
        ("msck repair table t", ("DDL", "MSCK_REPAIR")),
        ("show tables", ("UTILITY", "SHOW_TABLES")),
        ("describe t", ("UTILITY", "DESCRIBE")),
    ],
)
def test_each_statement_has_its_kind(sql: str, kind: tuple[str, str]) -> None:
    assert statements.kind_of(sql) == kind


@pytest.mark.timeout(120)  # many examples, beside suites that use all processors
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.one_of(
                st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)
            ),
            st.sampled_from(["a", "b c", "d/e", "é", "f=g", "%41"]),
        ),
        max_size=6,
    )
)
def test_what_is_inserted_is_read_back_whatever_it_is(tmp_path: Path, rows: list[tuple[int, str | None, str]]) -> None:
    athena = Athena(Catalog(tmp_path / f"s3-{len(list(tmp_path.iterdir()))}"), tmp_path / "scratch")
    athena.run(
        "create table t with (external_location = 's3://lake/t/', partitioned_by = array['d']) as "
        "select cast(0 as bigint) as id, 'x' as name, 'x' as d where false"
    )
    shown = [(number, "null" if name is None else "'" + name.replace("'", "''") + "'", d) for number, name, d in rows]
    if rows:
        athena.run("insert into t values " + ", ".join(f"({number}, {name}, '{d}')" for number, name, d in shown))
    found = athena.run("select id, name, d from t")
    assert sorted(found, key=repr) == sorted(([str(i), n, d] for i, n, d in rows), key=repr)
    for value in {d for _, _, d in rows}:
        assert athena.run(f"select count(*) from t where d = '{value}'") == [[str(sum(d == value for *_, d in rows))]]
