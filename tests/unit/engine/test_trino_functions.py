"""Trino's functions and arithmetic, each with the answer that Trino's documentation gives or follows from it.

https://trino.io/docs/current/functions.html
"""

import pytest

from sluice_ext.athena.worker.errors import QueryFailed
from sluice_ext.athena.worker.formats import strftime
from tests.support.athena_catalog import Athena, Catalog

ANSWERS = [
    ("1e0 / 0", "Infinity"),
    ("7 / 2", "3"),
    ("-7 / 2", "-3"),
    ("7 % -2", "1"),
    ("7e0 / 2", "3.5"),
    ("date '2020-01-31' + interval '1' month", "2020-02-29"),
    ("date '2020-01-01' + interval '1' day", "2020-01-02"),
    ("date '2020-01-02' - interval '1' day", "2020-01-01"),
    ("timestamp '2020-01-01 00:00:00' + interval '2' hour", "2020-01-01 02:00:00.000"),
    ("date '2020-01-05' - date '2020-01-01'", "4 00:00:00.000"),
    ("timestamp '2020-01-02 00:00:00' - timestamp '2020-01-01 12:00:00'", "0 12:00:00.000"),
    ("date_add('day', 1, date '2020-01-31')", "2020-02-01"),
    ("date_add('month', 1, date '2020-01-31')", "2020-02-29"),
    ("date_add('week', 2, date '2020-01-01')", "2020-01-15"),
    ("date_add('quarter', 1, date '2020-01-01')", "2020-04-01"),
    ("date_add('year', -1, date '2020-02-29')", "2019-02-28"),
    ("date_add('hour', 3, timestamp '2020-01-01 23:00:00')", "2020-01-02 02:00:00.000"),
    ("date_add('second', 86, timestamp '2020-03-01 00:00:00')", "2020-03-01 00:01:26.000"),
    ("date_add('millisecond', 5, timestamp '2020-03-01 00:00:00')", "2020-03-01 00:00:00.005"),
    ("date_diff('second', timestamp '2020-03-01 00:00:00', timestamp '2020-03-02 00:00:00')", "86400"),
    ("date_diff('day', date '2020-03-01', date '2020-03-02')", "1"),
    ("date_diff('month', date '2020-01-31', date '2020-02-29')", "1"),
    ("date_diff('month', date '2020-01-15', date '2020-03-14')", "1"),
    ("date_diff('hour', timestamp '2020-01-01 00:59:00', timestamp '2020-01-01 01:01:00')", "0"),
    ("date_diff('day', timestamp '2020-01-01 23:00:00', timestamp '2020-01-02 01:00:00')", "0"),
    ("date_diff('year', date '2019-12-31', date '2020-01-01')", "0"),
    ("date_diff('week', date '2020-01-01', date '2020-01-14')", "1"),
    ("date_trunc('month', date '2020-02-15')", "2020-02-01"),
    ("date_trunc('week', date '2001-08-22')", "2001-08-20"),
    ("date_trunc('quarter', date '2001-08-22')", "2001-07-01"),
    ("date_trunc('hour', timestamp '2001-08-22 03:04:05.321')", "2001-08-22 03:00:00.000"),
    ("date_trunc('day', timestamp '2001-08-22 03:04:05.321')", "2001-08-22 00:00:00.000"),
    ("format_datetime(timestamp '2001-08-22 03:04:05', 'yyyy-MM-dd HH:mm:ss')", "2001-08-22 03:04:05"),
    ("format_datetime(timestamp '2001-08-22 03:04:05', 'EEE, d MMM yyyy')", "Wed, 22 Aug 2001"),
    ("format_datetime(timestamp '2001-08-22 15:04:05', 'hh:mm a')", "03:04 PM"),
    ("format_datetime(timestamp '2001-08-22 15:04:05', 'yyyyMMdd''T''HHmmss')", "20010822T150405"),
    ("format_datetime(date '2001-08-22', 'yyyy/MM')", "2001/08"),
    ("parse_datetime('2020-01-02 03:04:05', 'yyyy-MM-dd HH:mm:ss')", "2020-01-02 03:04:05.000 UTC"),
    ("parse_datetime('02/Jan/2020', 'dd/MMM/yyyy')", "2020-01-02 00:00:00.000 UTC"),
    ("from_iso8601_timestamp('2020-05-11T11:15:05Z')", "2020-05-11 11:15:05.000 UTC"),
    ("from_iso8601_timestamp('2020-05-11T11:15:05.055+01:00')", "2020-05-11 10:15:05.055 UTC"),
    ("from_iso8601_timestamp('2020-05-11')", "2020-05-11 00:00:00.000 UTC"),
    ("from_iso8601_date('2020-05-11')", "2020-05-11"),
    ("to_iso8601(date '2020-05-11')", "2020-05-11"),
    ("to_iso8601(timestamp '2020-05-11 01:02:03')", "2020-05-11T01:02:03.000"),
    ("element_at(array[1,2,3], -1)", "3"),
    ("element_at(array[1,2,3], 5)", None),
    ("element_at(map(array['a'],array[1]), 'a')", "1"),
    ("array[1,2,3][1]", "1"),
    ("approx_distinct(1)", "1"),
    ("split_part('a,b,c', ',', 5)", None),
    ("split('a,b', ',')", "[a, b]"),
    ("regexp_like('1a 2b 14m', '\\d+b')", "true"),
    ("regexp_extract('1a 2b 14m', '\\d+')", "1"),
    ("regexp_extract('1a 2b 14m', '(\\d+)([a-z]+)', 2)", "a"),
    ("regexp_extract('abc', '\\d')", None),
    ("regexp_extract_all('1a 2b 14m', '\\d+')", "[1, 2, 14]"),
    ("regexp_extract_all('1a 2b 14m', '(\\d+)([a-z]+)', 2)", "[a, b, m]"),
    ("regexp_replace('1a 2b 14m', '\\d+[ab] ')", "14m"),
    ("regexp_replace('1a 2b 14m', '(\\d+)([ab]) ', '3c$2 ')", "3ca 3cb 14m"),
    ("regexp_split('1a 2b 14m', '\\s*[a-z]+\\s*')", "[1, 2, 14, ]"),
    ("regexp_count('1a 2b 14m', '\\s*[a-z]+\\s*')", "3"),
    ("regexp_position('I have 23 apples', '\\d')", "8"),
    ("try_cast('12' as integer)", "12"),
    ("try(1 / 0)", None),
    ("json_extract_scalar('[1, 2, 3]', '$[2]')", "3"),
    ("json_extract_scalar('{\"a\":\"x\"}', '$.a')", "x"),
    ("json_extract_scalar('{\"a\":{\"b\":1}}', '$.a')", None),
    ("json_extract_scalar('{\"a\":true}', '$.a')", "true"),
    ("json_extract('{\"a\":{\"b\":1}}', '$.a')", '{"b":1}'),
    ("json_array_length('[1,2]')", "2"),
    ("json_array_contains('[1,2]', 2)", "true"),
    ("json_format(json '{\"a\":1}')", '{"a":1}'),
    ('json_size(\'{"x": {"a": 1, "b": 2}}\', \'$.x\')', "2"),
    ("cast(json '[1,2]' as array(integer))", "[1, 2]"),
    ("array_join(array['a', null, 'b'], ',')", "a,b"),
    ("array_join(array['a', null, 'b'], ',', 'x')", "a,x,b"),
    ("sequence(1, 5)", "[1, 2, 3, 4, 5]"),
    ("sequence(5, 1)", "[5, 4, 3, 2, 1]"),
    ("sequence(1, 10, 3)", "[1, 4, 7, 10]"),
    ("sequence(date '2020-01-01', date '2020-01-03', interval '1' day)", "[2020-01-01, 2020-01-02, 2020-01-03]"),
    ("sequence(date '2020-01-01', date '2020-01-03')", "[2020-01-01, 2020-01-02, 2020-01-03]"),
    ("array_agg(1)", "[1]"),
    ("cardinality(array_distinct(array[1,1,2]))", "2"),
    ("array_position(array[1,2], 3)", "0"),
    ("array_max(array[1,3,2])", "3"),
    ("array_sort(array[3,1,2])", "[1, 2, 3]"),
    ("array_sort(array[3,1,null])", "[1, 3, null]"),
    ("array_sort(array_union(array[1,2], array[2,3]))", "[1, 2, 3]"),
    ("array_intersect(array[1,2], array[2,3])", "[2]"),
    ("array_except(array[1,2], array[2,3])", "[1]"),
    ("arrays_overlap(array[1,2], array[2,3])", "true"),
    ("contains(array[1,2], 2)", "true"),
    ("flatten(array[array[1], array[2]])", "[1, 2]"),
    ("slice(array[1,2,3,4], 2, 2)", "[2, 3]"),
    ("reduce(array[5, 20, 50], 0, (s, x) -> s + x, s -> s)", "75"),
    ("any_match(array[1,2], x -> x > 1)", "true"),
    ("all_match(array[1,2], x -> x > 1)", "false"),
    ("none_match(array[1,2], x -> x > 5)", "true"),
    ("zip_with(array[1,2], array[3,4], (x, y) -> x + y)", "[4, 6]"),
    ("map_keys(map(array['a','b'],array[1,2]))", "[a, b]"),
    ("map_values(map(array['a','b'],array[1,2]))", "[1, 2]"),
    ("map_concat(map(array['a'],array[1]), map(array['b'],array[2]))", "{a=1, b=2}"),
    ("map_filter(map(array['a','b'],array[1,2]), (k, v) -> v > 1)", "{b=2}"),
    ("transform_values(map(array['a'],array[1]), (k, v) -> v + 1)", "{a=2}"),
    ("map_agg('a', 1)", "{a=1}"),
    ("strpos('abc', 'c')", "3"),
    ("position('b' in 'abc')", "2"),
    ("lpad('1', 3, '0')", "001"),
    ("rpad('1', 3, '0')", "100"),
    ("reverse('abc')", "cba"),
    ("replace('aXb', 'X')", "ab"),
    ("concat('a', 'b', 'c')", "abc"),
    ("concat('a', null)", None),
    ("'a' || null", None),
    ("concat_ws(',', 'a', null, 'b')", "a,b"),
    ("length('é')", "1"),
    ("substr('abcdef', -3, 2)", "de"),
    ("substring('abcdef' from 2 for 3)", "bcd"),
    ("trim('  a ')", "a"),
    ("starts_with('abc', 'ab')", "true"),
    ("translate('abc', 'ab', 'xy')", "xyc"),
    ("levenshtein_distance('kitten', 'sitting')", "3"),
    ("chr(65)", "A"),
    ("codepoint('A')", "65"),
    ("to_hex(md5(to_utf8('a')))", "0CC175B9C0F1B6A831C399E269772661"),
    ("to_hex(sha256(to_utf8('a')))", "CA978112CA1BBDCAFAC231B39A23DC4DA786EFF8147C4E72B9807785AFEE48BB"),
    ("from_utf8(to_utf8('é'))", "é"),
    ("to_base64(to_utf8('ab'))", "YWI="),
    ("from_utf8(from_base64('YWI='))", "ab"),
    ("from_hex('6162')", "61 62"),
    ("url_extract_host('http://a.b/c?d=e')", "a.b"),
    ("url_extract_parameter('http://a.b/c?d=e', 'd')", "e"),
    ("url_extract_path('http://a.b/c?d=e')", "/c"),
    ("url_encode('a b&')", "a+b%26"),
    ("url_decode('a%26')", "a&"),
    ("round(2.5)", "3"),
    ("round(-2.5)", "-3"),
    ("round(1.2345e0, 2)", "1.23"),
    ("truncate(-1.9e0)", "-1.0"),
    ("ceil(1.2e0)", "2.0"),
    ("floor(-1.2e0)", "-2.0"),
    ("sign(-3)", "-1"),
    ("power(2, 10)", "1024.0"),
    ("sqrt(4)", "2.0"),
    ("ln(1)", "0.0"),
    ("log10(100)", "2.0"),
    ("log(2, 8)", "3.0"),
    ("width_bucket(5e0, 0e0, 10e0, 5)", "3"),
    ("is_nan(nan())", "true"),
    ("bitwise_and(6, 3)", "2"),
    ("bitwise_or(6, 3)", "7"),
    ("to_unixtime(timestamp '1970-01-01 00:01:00')", "60.0"),
    ("from_unixtime(1.5)", "1970-01-01 00:00:01.500 UTC"),
    ("from_unixtime_nanos(1000000000)", "1970-01-01 00:00:01.000 UTC"),
    (
        "cast(timestamp '2020-06-01 12:00:00 UTC' at time zone 'America/New_York' as timestamp)",
        "2020-06-01 08:00:00.000",
    ),
    ("with_timezone(timestamp '2020-01-01 12:00:00', 'Europe/Paris')", "2020-01-01 11:00:00.000 UTC"),
    ("year(date '2020-02-03')", "2020"),
    ("day_of_year(date '2020-02-03')", "34"),
    ("week(date '2020-01-01')", "1"),
    ("year_of_week(date '2021-01-01')", "2020"),
    ("last_day_of_month(date '2020-02-03')", "2020-02-29"),
    ("extract(dow from date '2020-01-05')", "7"),
    ("hour(timestamp '2020-01-01 05:00:00')", "5"),
    ("date(timestamp '2020-01-01 05:00:00')", "2020-01-01"),
    ("date_format(timestamp '2020-01-02 03:04:05', '%W %j %b %c %e')", "Thursday 002 Jan 1 2"),
    ("date_parse('2020-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')", "2020-01-02 03:04:05.000"),
    ("if(1 > 2, 'a')", None),
    ("nullif(1, 1)", None),
    ("greatest(1, 2)", "2"),
    ("count_if(true)", "1"),
    ("bool_and(true)", "true"),
    ("every(true)", "true"),
    ("arbitrary(1)", "1"),
    ("max_by('a', 1)", "a"),
    ("approx_percentile(1, 0.5)", "1"),
    ("geometric_mean(4)", "4.0"),
    ("histogram('a')", "{a=1}"),
    ("listagg('a', ',') within group (order by 1)", "a"),
    ("cast(1.5 as varchar)", "1.5"),
    ("cast(true as varchar)", "true"),
    ("cast('2020-01-01' as date)", "2020-01-01"),
    ("cast(date '2020-01-01' as varchar)", "2020-01-01"),
    ("uuid() is not null", "true"),
    ("random() < 1", "true"),
]
FAILURES = [
    ("1 / 0", "DIVISION_BY_ZERO: Division by zero"),
    ("5 % 0", "DIVISION_BY_ZERO: Division by zero"),
    ("1.0 / 0", "DIVISION_BY_ZERO: Division by zero"),
    ("mod(7, 0)", "DIVISION_BY_ZERO"),
    ("cast('x' as integer)", "INVALID_CAST_ARGUMENT"),
    ("strpos('abcabc', 'c', 2)", "NOT_SUPPORTED"),
    ("format_datetime(date '2020-01-01', 'G')", "NOT_SUPPORTED"),
    ("parse_datetime('2020', 'yyyy' || '')", "NOT_SUPPORTED"),
    ("parse_datetime('x', 'yyyy')", "."),
    ("date_add('fortnight', 1, date '2020-01-01')", "."),
]


@pytest.fixture(scope="module")
def athena(tmp_path_factory: pytest.TempPathFactory) -> Athena:
    home = tmp_path_factory.mktemp("trino")
    return Athena(Catalog(home / "s3"), home / "scratch")


@pytest.mark.parametrize(("sql", "shown"), ANSWERS)
def test_a_function_answers_as_trino_does(athena: Athena, sql: str, shown: str | None) -> None:
    assert athena.run(f"select {sql}") == [[shown]]


@pytest.mark.parametrize(("sql", "reason"), FAILURES)
def test_what_trino_refuses_or_has_no_counterpart_fails_with_its_reason(athena: Athena, sql: str, reason: str) -> None:
    with pytest.raises(QueryFailed, match=reason):
        athena.run(f"select {sql}")


def test_dates_of_columns_are_as_those_of_literals(athena: Athena) -> None:
    rows = "(values (date '2020-01-31', timestamp '2020-01-31 23:30:00', 0)) as t(d, s, n)"
    shown = "date_add('month', 1, d), d + interval '1' day, date_trunc('month', d), date_diff('day', d, s), s - d"
    assert athena.run(f"select {shown} from {rows}") == [
        ["2020-02-29", "2020-02-01", "2020-01-01", "0", "0 23:30:00.000"]
    ]
    with pytest.raises(QueryFailed, match="DIVISION_BY_ZERO: Division by zero"):
        athena.run(f"select 1 / n from {rows}")
    assert athena.run(f"select try(1 / n), if(n <> 0, 1 / n, 7) from {rows}") == [[None, "7"]]


def test_a_condition_on_a_partition_key_means_the_same_when_it_chooses_files(athena: Athena) -> None:
    athena.run(
        "create table days with (external_location = 's3://lake/days/', partitioned_by = array['d']) as "
        "select cast(at as integer) as n, date_add('day', at, date '2020-01-30') as d "
        "from unnest(sequence(0, 3)) as s(at)"
    )
    athena.catalog.asked.clear()
    wanted = "date_trunc('month', d) = date '2020-01-01' and date_diff('day', d, date '2020-02-01') = 1"
    assert athena.run(f"select n from days where {wanted}") == [["1"]]
    assert athena.catalog.asked == ["s3://lake/days/d=2020-01-31/"]


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%g"),
        ("''yy%''", "'%y%%'"),
        ("h 'o''clock' a", "%-I o'clock %p"),
    ],
)
def test_a_pattern_of_joda_is_one_of_strftime(pattern: str, shown: str) -> None:
    assert strftime(pattern) == shown
