"""Redshift's SQL on PostgreSQL: what expressions give, what tables take, and what is refused.

The expected values are those of the examples and rules of AWS's pages.
https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice_ext.redshift.sql import Malformed, Unsupported, parse
from sluice_ext.redshift.sql.errors import wording
from sluice_ext.redshift.sql.load_command import Copy, Unload
from sluice_ext.redshift.sql.names import SYSTEM_VIEWS
from sluice_ext.redshift.sql.types import column_metadata
from tests.support.redshift_sql import Redshift, database
from tests.support.thorough import examples


@pytest.fixture(scope="module")
def redshift() -> Iterator[Redshift]:
    with database() as found:
        yield found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Dates: the examples of r_DATEADD_function, r_DATEDIFF_function, r_DATE_PART_function, r_DATE_TRUNC ...
        ("DATEADD(month, 18, '2008-02-28')", datetime(2009, 8, 28)),
        ("DATEADD(day, 30, '2008-11-05')", datetime(2008, 12, 5)),
        ("DATEADD(m, 30, '2008-12-28')", datetime(2008, 12, 28, 0, 30)),
        ("DATEADD(month, 1, '2024-01-31')", datetime(2024, 2, 29)),
        ("DATEADD(qtr, 2, DATE '2024-01-01')", datetime(2024, 7, 1)),
        ("DATEADD('week', -1, TIMESTAMP '2024-03-01 10:00:00')", datetime(2024, 2, 23, 10)),
        ("DATEDIFF(week, '2009-01-01', '2009-12-31')", 52),
        ("DATEDIFF(quarter, '1998-07-01', '2017-09-09')", 76),
        ("DATEDIFF(hour, '2009-01-01 00:59:59', '2009-01-01 01:00:00')", 1),
        ("DATEDIFF(day, '2024-01-01 23:59:59', '2024-01-02 00:00:00')", 1),
        ("DATEDIFF(year, '2023-12-31', '2024-01-01')", 1),
        ("DATEDIFF(month, DATE '2024-01-31', DATE '2024-02-01')", 1),
        ("DATEDIFF(sec, '2024-01-01 00:00:10', '2024-01-01 00:00:05')", -5),
        ("DATEDIFF(ms, '2024-01-01 00:00:00', '2024-01-01 00:00:00.250')", 250),
        ("DATE_PART(dow, TIMESTAMP '2024-09-01 10:11:12')", 0),
        ("DATE_PART(minute, TIMESTAMP '2008-09-02 04:05:06.789')", 5),
        ("DATE_PART('week', DATE '2008-05-02')", 18),
        ("EXTRACT(dayofyear FROM DATE '2024-02-01')", 32),
        ("EXTRACT(epoch FROM TIMESTAMP '1970-01-02 00:00:00')", 86400),
        ("EXTRACT(ms FROM TIMESTAMP '2009-09-09 12:08:43.101')", 101),
        ("DATE_TRUNC('week', DATE '2024-05-08')", datetime(2024, 5, 6)),
        ("DATE_TRUNC('month', '2020-04-28 04:05:06.789')", datetime(2020, 4, 1)),
        ("TRUNC(TIMESTAMP '2011-07-21 10:32:38.248109')", date(2011, 7, 21)),
        ("ADD_MONTHS('2008-03-31', 1)", datetime(2008, 4, 30)),
        ("ADD_MONTHS('2008-04-30', 1)", datetime(2008, 5, 31)),
        ("LAST_DAY('2004-01-01')", date(2004, 1, 31)),
        ("MONTHS_BETWEEN('1969-01-18', '1969-03-18')", -2.0),
        ("NEXT_DAY('2014-08-20', 'Tuesday')", date(2014, 8, 26)),
        ("NEXT_DAY('2024-09-03', 'tue')", date(2024, 9, 10)),
        ("CONVERT_TIMEZONE('America/New_York', TIMESTAMP '2013-02-01 08:00:00')", datetime(2013, 2, 1, 3)),
        ("CONVERT_TIMEZONE('EST', 'PST', TIMESTAMP '2013-02-01 08:00:00')", datetime(2013, 2, 1, 5)),
        ("TO_CHAR(TIMESTAMP '2009-12-31 23:15:59', 'MONTH-DY-DD-YYYY HH12:MIPM')", "DECEMBER -THU-31-2009 11:15PM"),
        ("TO_DATE('02 Oct 2001', 'DD Mon YYYY')", date(2001, 10, 2)),
        ("'2024-01-01 00:00:00.123456'::timestamp", datetime(2024, 1, 1, 0, 0, 0, 123456)),
        # Conditions.
        ("NVL(NULL, 12)", 12),
        ("NVL2(NULL, 'yes', GETDATE()::varchar(4))::int >= 2024", True),
        ("DECODE(3, 1, 'one', 3, 'three', 'other')", "three"),
        ("DECODE(NULL, NULL, 'null', 'other')", "null"),
        ("DECODE(5, 1, 'one')", None),
        ("COALESCE(NULL, NVL(NULL, 'x'))", "x"),
        ("GREATEST('a', NULL, 'b')", "b"),
        ("NULLIF(1, 1)", None),
        # Numbers: whole numbers divide to whole numbers, DECIMAL alone has no scale.
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 % 2", 1),
        ("1.567::decimal", Decimal("2")),
        ("1.567::numeric(10, 2)", Decimal("1.57")),
        ("ROUND(28.05::double precision, 1)", 28.1),
        ("ROUND(1.55, 1)", Decimal("1.6")),
        ("TRUNC(111.86)", Decimal("111")),
        ("TRUNC(111.86, 1)", Decimal("111.8")),
        ("STRTOL('0xf', 16)", 15),
        ("STRTOL('abcd1234', 16)", 2882343476),
        ("STRTOL('110101', 2)", 53),
        ("DLOG10(100)", 2.0),
        ("POW(2, 3)", 8.0),
        ("CONVERT(integer, '12')", 12),
        # Texts.
        ("'a' || NULL", None),
        ("CONCAT('December 25, ', '2008')", "December 25, 2008"),
        ("CONCAT('a', NULL)", None),
        ("LEN('français')", 8),
        ("CHARINDEX('fish', 'dogfish')", 4),
        ("CHARINDEX('x', 'dogfish')", 0),
        ("REPLICATE('ab', 2)", "abab"),
        ("REGEXP_REPLACE('a1b2', '[0-9]')", "ab"),
        ("REGEXP_REPLACE('a1b2', '[0-9]', 'x')", "axbx"),
        ("REGEXP_REPLACE('john.doe', '([a-z]+)\\\\.([a-z]+)', '$2 $1')", "doe john"),
        ("REGEXP_SUBSTR('abc', '[0-9]')", ""),
        ("REGEXP_COUNT('abcdefghijklmnopqrstuvwxyz', '[a-z]{3}')", 8),
        ("SPLIT_PART('abc$def$ghi', '$', 2)", "def"),
        ("SPLIT_PART('abc', '$', 4)", ""),
        ("SHA2('Amazon Redshift', 0) = SHA2('Amazon Redshift', 256)", True),
        ("LEFT('Chicago', 3) || RIGHT('Chicago', 3)", "Chiago"),
        ("'Redshift' ILIKE 'RED%'", True),
        ("'Redshift' SIMILAR TO '(Red|Blue)%'", True),
        ("'it''s'", "it's"),
        ("'100%'", "100%"),
        ("'a:b'", "a:b"),
        ("CAST(CAST('abcdef' AS varchar(3)) AS varchar)", "abc"),
        # SUPER.
        ('JSON_PARSE(\'{"b":[10,{"c":"x"}]}\').b[1].c::varchar', "x"),
        ("JSON_SERIALIZE(JSON_PARSE('[1, {\"a\" : null}]'))", '[1,{"a":null}]'),
        ("JSON_TYPEOF(ARRAY(1, 2))", "array"),
        ("GET_ARRAY_LENGTH(ARRAY(1, 2, 3))", 3),
        ("OBJECT('a', 1).a::int", 1),
        ("JSON_PARSE('\"text\"')::varchar", "text"),
        ('JSON_EXTRACT_PATH_TEXT(\'{"f2":{"f3":1},"f4":{"f5":99,"f6":"star"}}\', \'f4\', \'f6\')', "star"),
        ("JSON_EXTRACT_PATH_TEXT('{', 'a', TRUE)", None),
        ("JSON_EXTRACT_ARRAY_ELEMENT_TEXT('[111,112,113]', 2)", "113"),
        ('JSON_ARRAY_LENGTH(\'[11,12,13,{"f1":21,"f2":[25,26]},14]\')', 5),
        ('IS_VALID_JSON(\'{"id": {"snow_id": 1}}\')', True),
        ("IS_VALID_JSON('{')", False),
        ("VERSION() LIKE 'PostgreSQL 8.0.2 %Redshift 1.0%'", True),
    ],
)
def test_expressions_give_what_the_documentation_says(redshift: Redshift, expression: str, expected: Any) -> None:
    assert redshift.value(expression) == expected


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("SUM(i)", 7),
        ("AVG(i)", 2),  # of whole numbers a whole number
        ("AVG(b)", 2),
        ("AVG(d)", 2.3333333333333335),
        ("LISTAGG(s, ', ') WITHIN GROUP (ORDER BY i DESC)", "c, b, a"),
        ("LISTAGG(DISTINCT s) WITHIN GROUP (ORDER BY s)", "abc"),
        ("LISTAGG(s)", "abc"),
        ("MEDIAN(i)", 2.0),
        ("APPROXIMATE COUNT(DISTINCT s)", 3),
        ("APPROXIMATE PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY i)", 2),
        ("COUNT(*)", 3),
        ("BOOL_AND(i > 0)", True),
    ],
)
def test_aggregates(redshift: Redshift, aggregate: str, expected: Any) -> None:
    rows = "(SELECT 1 i, 1::bigint b, 1::float d, 'a' s UNION ALL SELECT 2, 2, 2, 'b' UNION ALL SELECT 4, 4, 4, 'c')"
    assert redshift.run(f"SELECT {aggregate} FROM {rows} AS r")[0][0] == expected


def test_types_of_sums_and_their_names(redshift: Redshift) -> None:
    cursor = redshift.connection.execute(
        parse(
            "SELECT SUM(i) a, AVG(i) b, COUNT(*) c, i::decimal(10, 2) d, 'x'::varchar(7) e, JSON_PARSE('1') f, "
            "GETDATE() g, 1 = 1 h, 1.5::real i, CURRENT_DATE j FROM (SELECT 1::bigint AS i) AS r GROUP BY i"
        )[0].postgres.encode()
    )
    found = {
        one["name"]: (one["typeName"], one["precision"], one["scale"], one["length"])
        for one in column_metadata(cursor.description or (), redshift.connection)
    }
    assert [one[0] for one in found.values()] == [
        "int8", "int8", "int8", "numeric", "varchar", "super", "timestamp", "bool", "float4", "date",
    ]  # fmt: skip
    assert found["d"] == ("numeric", 10, 2, 0)
    assert found["e"][3] == 7


def test_qualify_chooses_the_first_row_of_each_group(redshift: Redshift) -> None:
    rows = "(SELECT 1 AS k, 1 AS v UNION ALL SELECT 1, 2 UNION ALL SELECT 2, 3) AS r"
    query = f"SELECT k, v FROM {rows} QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) = 1 ORDER BY k"
    assert sorted(redshift.run(query)) == [(1, 2), (2, 3)]


def test_top_minus_and_ratio_to_report(redshift: Redshift) -> None:
    rows = "(SELECT 1 AS k UNION ALL SELECT 3) AS r"
    assert redshift.run(f"SELECT TOP 1 k FROM {rows} ORDER BY k DESC") == [(3,)]
    assert redshift.run("SELECT 1 MINUS SELECT 1") == []
    assert redshift.run(f"SELECT RATIO_TO_REPORT(k) OVER () FROM {rows} ORDER BY k") == [(0.25,), (0.75,)]


def test_names_are_lower_case_even_when_quoted(redshift: Redshift) -> None:
    name = redshift.table('"Id" INT, Amount DOUBLE PRECISION')
    assert redshift.run(f'INSERT INTO "{name.upper()}" (ID, "AMOUNT") VALUES (1, 2.5)') == 1
    cursor = redshift.connection.execute(parse(f'SELECT id AS "Total" FROM {name}')[0].postgres.encode())
    assert [one.name for one in cursor.description or ()] == ["total"]


def test_storage_words_change_nothing(redshift: Redshift) -> None:
    redshift.run(
        "CREATE TABLE IF NOT EXISTS stored (a int identity(0, 1) encode zstd distkey, distkey varchar(max) NOT NULL "
        "DEFAULT 'x' ENCODE lzo, c super, d timestamp DEFAULT getdate(), e varchar, f decimal, g text) "
        "BACKUP NO DISTSTYLE KEY COMPOUND SORTKEY (a, d)"
    )
    redshift.run("INSERT INTO stored (distkey, f) VALUES ('y', 1.5), (DEFAULT, 2)")
    assert redshift.run("SELECT a, distkey, f FROM stored ORDER BY a") == [(0, "y", Decimal(2)), (1, "x", Decimal(2))]
    shown = redshift.run("SELECT \"column\", type FROM pg_table_def WHERE tablename = 'stored'")
    assert dict(shown) == {
        "a": "integer", "distkey": "character varying(65535)", "c": "super", "d": "timestamp without time zone",
        "e": "character varying(256)", "f": "numeric(18,0)", "g": "character varying(256)",
    }  # fmt: skip
    with pytest.raises(psycopg.Error):  # IDENTITY takes no value
        redshift.run("INSERT INTO stored (a, distkey) VALUES (7, 'z')")
    redshift.run("ALTER TABLE stored ALTER SORTKEY (a)")
    redshift.run("ALTER TABLE stored ADD COLUMN added varchar(10) ENCODE raw DEFAULT 'n'")
    redshift.run("VACUUM FULL stored TO 99 PERCENT; ANALYZE stored PREDICATE COLUMNS; VACUUM")
    with pytest.raises(psycopg.errors.UndefinedTable):
        redshift.run("VACUUM SORT ONLY nothing_here")


def test_keys_are_not_checked_but_their_columns_are_not_null(redshift: Redshift) -> None:
    name = redshift.table("a int PRIMARY KEY, b int UNIQUE, c int, CONSTRAINT k UNIQUE (b, c)")
    assert redshift.run(f"INSERT INTO {name} VALUES (1, 1, 1), (1, 1, 1)") == 2
    with pytest.raises(psycopg.errors.NotNullViolation):
        redshift.run(f"INSERT INTO {name} VALUES (NULL, 1, 1)")


def test_temporary_tables_with_a_number_sign(redshift: Redshift) -> None:
    redshift.run("CREATE TABLE #Work (a int); INSERT INTO #work VALUES (1)")
    assert redshift.run("SELECT a FROM #WORK") == [(1,)]
    redshift.run("DROP TABLE #work")
    redshift.run("CREATE TEMP TABLE copied DISTKEY(a) AS SELECT :n::int AS a", {"n": "7"})
    assert redshift.run("SELECT a FROM copied") == [(7,)]
    redshift.run("DROP TABLE copied")


def test_merge_in_both_forms(redshift: Redshift) -> None:
    target, source = redshift.table("id int, v varchar(9)"), redshift.table("id int, v varchar(9)")
    redshift.run(f"INSERT INTO {target} VALUES (1, 'a'), (2, 'b'); INSERT INTO {source} VALUES (2, 'B'), (3, 'C')")
    redshift.run(
        f"MERGE INTO {target} USING {source} s ON {target}.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)"
    )
    assert redshift.run(f"SELECT * FROM {target} ORDER BY id") == [(1, "a"), (2, "B"), (3, "C")]
    redshift.run(f"TRUNCATE {source}; INSERT INTO {source} VALUES (3, 'D'), (3, 'D'), (4, 'E')")
    redshift.run(f"MERGE INTO {target} USING {source} ON {target}.id = {source}.id REMOVE DUPLICATES")
    assert redshift.run(f"SELECT * FROM {target} ORDER BY id") == [(1, "a"), (2, "B"), (3, "D"), (4, "E")]
    redshift.run(f"INSERT INTO {source} VALUES (4, 'F')")
    with pytest.raises(psycopg.Error) as raised:
        redshift.run(
            f"MERGE INTO {target} USING {source} ON {target}.id = {source}.id WHEN MATCHED THEN UPDATE SET v = 'x' "
            "WHEN NOT MATCHED THEN INSERT VALUES (1, 'x')"
        )
    assert wording(raised.value) == "ERROR: Found multiple matches to update the same tuple."


def test_append_moves_rows(redshift: Redshift) -> None:
    target, source = redshift.table("id int"), redshift.table("id int")
    redshift.run(f"INSERT INTO {source} VALUES (1), (2)")
    redshift.run(f"ALTER TABLE {target} APPEND FROM {source}")
    assert redshift.run(f"SELECT count(*) FROM {target}") == [(2,)]
    assert redshift.run(f"SELECT count(*) FROM {source}") == [(0,)]


def test_super_columns_are_navigated(redshift: Redshift) -> None:
    name = redshift.table("id int, c super")
    redshift.run(f"""INSERT INTO {name} SELECT 1, JSON_PARSE('{{"a":[{{"b":"x"}}, 2], "n": 5}}')""")
    assert redshift.run(f"SELECT c.a[0].b::varchar, t.c.n::int, c.a[9], c.nothing FROM {name} AS t WHERE c.n = 5") == [
        ("x", 5, None, None)
    ]
    assert redshift.run(f"SELECT id FROM {name} WHERE c.a[0].b = 'x'") == [(1,)]


def test_users_and_rights(redshift: Redshift) -> None:
    name = redshift.table("id int")
    redshift.run('CREATE USER "IAMR:Loader" PASSWORD DISABLE; CREATE GROUP readers WITH USER "IAMR:Loader"')
    redshift.run(
        f'GRANT SELECT, INSERT ON TABLE {name} TO "IAMR:Loader"; GRANT USAGE ON SCHEMA public TO GROUP readers'
    )
    assert redshift.run("SELECT usename FROM pg_user WHERE usename LIKE 'IAMR:%'") == [("IAMR:Loader",)]
    redshift.run("CREATE SCHEMA IF NOT EXISTS extra QUOTA 10 GB; SET search_path TO extra, public; RESET search_path")
    redshift.run("SET query_group TO 'x'; SET statement_timeout TO 60000; SET enable_result_cache_for_session TO off")
    redshift.run("RESET statement_timeout")


def test_every_system_view_answers(redshift: Redshift) -> None:
    for view in sorted(SYSTEM_VIEWS):
        redshift.run(f"SELECT * FROM {view} LIMIT 3")
        redshift.run(f"SELECT count(*) FROM pg_catalog.{view}")


def test_views_show_the_tables_of_users_only(redshift: Redshift) -> None:
    name = redshift.table("id int, s super")
    shown = redshift.run(f"SELECT column_name, data_type FROM svv_columns WHERE table_name = '{name}' ORDER BY 1")
    assert shown == [("id", "integer"), ("s", "super")]
    assert redshift.run("SELECT DISTINCT table_schema FROM svv_tables WHERE table_schema <> 'extra'") == [("public",)]


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ("CREATE EXTERNAL SCHEMA s FROM DATA CATALOG DATABASE 'x' IAM_ROLE 'y'", "CREATE EXTERNAL"),
        ("CREATE EXTERNAL TABLE s.t (a int) STORED AS PARQUET LOCATION 's3://b/'", "CREATE EXTERNAL"),
        ("CREATE DATASHARE d", "CREATE DATASHARE"),
        ("CREATE MODEL m FROM t TARGET x FUNCTION f IAM_ROLE 'r' SETTINGS (S3_BUCKET 'b')", "CREATE MODEL"),
        ("CREATE OR REPLACE PROCEDURE p() AS $$ BEGIN END; $$ LANGUAGE plpgsql", "CREATE PROCEDURE"),
        ("CALL p()", "CALL"),
        ("CREATE FUNCTION f(int) RETURNS int IMMUTABLE AS $$ SELECT $1 $$ LANGUAGE sql", "CREATE FUNCTION"),
        ("SELECT * FROM t PIVOT (SUM(a) FOR b IN ('x'))", "PIVOT"),
        ("SELECT a FROM t, t.c AS y", "unnests SUPER"),
        ("SELECT LAST_VALUE(a IGNORE NULLS) OVER (ORDER BY b) FROM t", "IGNORE NULLS"),
        ("SELECT MEDIAN(a) OVER (PARTITION BY b) FROM t", "MEDIAN as a window function"),
        ("SELECT * EXCLUDE (a) FROM t", "EXCLUDE"),
        ("SELECT sum(a) FROM t GROUP BY ALL", "GROUP BY ALL"),
        ("SELECT * FROM t QUALIFY row_number() OVER (ORDER BY a) = 1", "QUALIFY"),
        ("CREATE TABLE t (g geometry)", "GEOMETRY"),
        ("COPY t FROM 'dynamodb://x' IAM_ROLE 'r'", "COPY FROM 'dynamodb'"),
        ("COPY t FROM 's3://b/x' IAM_ROLE 'r' FORMAT AS AVRO", "AVRO"),
        ("COPY t FROM 's3://b/x' CREDENTIALS 'aws_access_key_id=x'", "CREDENTIALS"),
        ("ANALYZE COMPRESSION t", "ANALYZE COMPRESSION"),
        ("SET enable_case_sensitive_identifier TO true", "enable_case_sensitive_identifier"),
        ("GRANT ASSUMEROLE ON 'arn' TO u FOR COPY", "ASSUMEROLE"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(text: str, construct: str) -> None:
    with pytest.raises(Unsupported, match=re.escape(construct)):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["SELEC 1", "SELECT (1", "SELECT 'open", "COPY t FROM 's3://b/x'", "COPY t FROM 's3://b/x' IAM_ROLE 'r' NOSUCH",
     "COPY t FROM 's3://b/x' IAM_ROLE 'r' PARQUET MAXERROR 3", "UNLOAD ('select 1') TO 's3://b/x'",
     "UNLOAD ('delete from t') TO 's3://b/x' IAM_ROLE 'r'", "SET nosuch TO 1", "SELECT ?"],
)  # fmt: skip
def test_what_is_no_sql_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="^ERROR: "):
        parse(text)


def test_functions_that_do_not_exist_are_named(redshift: Redshift) -> None:
    with pytest.raises(psycopg.errors.UndefinedFunction) as raised:
        redshift.value("FNV_HASH('x')")
    assert wording(raised.value).startswith("ERROR: function fnv_hash(unknown) does not exist")


def test_errors_have_redshifts_words(redshift: Redshift) -> None:
    name = redshift.table("a varchar(2)")
    for text, shown in (
        ("SELECT * FROM no_table", 'ERROR: relation "no_table" does not exist'),
        (f"INSERT INTO {name} VALUES ('abc')", "ERROR: Value too long for character type"),
    ):
        with pytest.raises(psycopg.Error) as raised:
            redshift.run(text)
        assert wording(raised.value) == shown


def test_each_statement_has_its_kind() -> None:
    text = (
        "-- one\nSELECT ';' /* ; */; ; INSERT INTO t VALUES (:a, :b, :a); TRUNCATE t; BEGIN; COMMIT; DELETE t; "
        "COPY t (a) FROM 's3://b/k' IAM_ROLE DEFAULT CSV GZIP IGNOREHEADER 1; EXPLAIN SELECT 1; "
        "WITH a AS (SELECT 1) SELECT * FROM a"
    )
    found = parse(text)
    kinds = ["select", "insert", "ddl", "transaction", "transaction", "delete", "copy", "select", "select"]
    assert [one.kind for one in found] == kinds
    assert found[1].parameters == ("a", "b")
    assert [one.commits for one in found[1:4]] == [False, True, False]
    assert found[6].detail == Copy(
        ("t",), ("a",), "s3://b/k", "default", "csv", {"compression": "gzip", "ignoreheader": 1}
    )
    assert [one.has_rows for one in found] == [True, False, False, False, False, False, False, True, True]


def test_unload_has_its_translated_query() -> None:
    (one,) = parse(
        "UNLOAD ('SELECT NVL(a, ''x'') FROM t') TO 's3://b/p/' IAM_ROLE 'arn:r' FORMAT AS PARQUET MANIFEST VERBOSE "
        "PARTITION BY (a) INCLUDE"
    )
    assert one.detail == Unload(
        "SELECT coalesce(a, 'x') FROM t", "s3://b/p/", "arn:r", "parquet",
        {"manifest": "verbose", "partition_by": ("a",), "include": True},
    )  # fmt: skip


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_any_text_survives_as_a_literal_and_as_a_parameter(redshift: Redshift, value: str) -> None:
    literal = "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    assert redshift.value(literal) == value
    assert redshift.run(f"SELECT {literal}, :v::varchar, '%', ':v'", {"v": value}) == [(value, value, "%", ":v")]


_MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda one: one.replace(microsecond=0))


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=_MOMENTS, last=_MOMENTS)
def test_datediff_counts_borders(redshift: Redshift, first: datetime, last: datetime) -> None:
    """By the definition: how often the part changes between the two."""
    shown = {
        "day": (last.date() - first.date()).days,
        "month": (last.year - first.year) * 12 + last.month - first.month,
        "year": last.year - first.year,
        "hour": int((last.replace(minute=0, second=0) - first.replace(minute=0, second=0)).total_seconds()) // 3600,
        "second": int((last - first).total_seconds()),
    }
    columns = ", ".join(f"DATEDIFF({part}, '{first}', '{last}')" for part in shown)
    assert redshift.run(f"SELECT {columns}") == [tuple(shown.values())]


def test_parameters_of_prepared_statements_stay() -> None:
    (one,) = parse("INSERT INTO t (a, b) VALUES ($1,$2),($3,'$4')")
    assert one.postgres == "INSERT INTO t (a, b) VALUES ($1, $2), ($3, '$4')"
    assert one.parameters == ()
