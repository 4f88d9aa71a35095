"""What a crawler finds out: exclude patterns, types of text, schemas that are alike, tables and partitions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_ext.athena.worker.hive_types import Type, duckdb_type
from sluice_ext.glue.crawlers import globs
from sluice_ext.glue.crawlers.worker import samples, schemas, tables, texts
from sluice_ext.glue.crawlers.worker.samples import Sample
from sluice_ext.glue.crawlers.worker.schemas import BIGINT, DOUBLE, INT, STRING, UNKNOWN
from sluice_ext.glue.crawlers.worker.tables import Grouping
from sluice_ext.glue.crawlers.worker.texts import CsvRules
from tests.support.thorough import examples


@pytest.mark.parametrize(
    ("glob", "key", "excluded"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "b/a.csv", False),
        ("**.csv", "b/a.csv", True),
        ("**/*.csv", "b/c/a.csv", True),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/**", "a/b/c", True),
        ("2015/0?/x", "2015/01/x", True),
        ("2015/0?/x", "2015/0//x", False),
        ("[a-c].csv", "b.csv", True),
        ("[!a-c].csv", "b.csv", False),
        ("[!a-c].csv", "d.csv", True),
        ("*.{csv,avro}", "x.avro", True),
        ("*.{csv,avro}", "x.json", False),
        (r"\*.csv", "*.csv", True),
        (r"\*.csv", "a.csv", False),
        ("a.c", "abc", False),
        ("*", ".hidden", True),
    ],
)
def test_a_glob_excludes_what_the_documentation_says(glob: str, key: str, excluded: bool) -> None:
    pattern = globs.matcher([glob])
    assert pattern is not None
    assert bool(pattern.fullmatch(key)) == excluded


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_glob_is_a_pattern_or_refused(glob: str, key: str) -> None:
    try:
        pattern = globs.matcher([glob])
    except globs.BadGlob:
        return
    assert pattern is not None
    pattern.fullmatch(key)


PLAIN = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=8)


@given(PLAIN)
def test_a_name_without_signs_excludes_itself_alone(name: str) -> None:
    pattern = globs.matcher([name])
    assert pattern is not None
    assert pattern.fullmatch(name)
    assert not pattern.fullmatch(name + "x")


# -- types -------------------------------------------------------------------------------------------------------------

SIMPLE = st.sampled_from(
    [Type(n) for n in ("unknown", "boolean", "integer", "bigint", "double", "varchar", "date", "timestamp")]
    + [Type("decimal", 10, 2), Type("decimal", 5, 4)]
)
KINDS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map(lambda kind: Type("array", children=(kind,))),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3).map(
            lambda fields: Type("row", children=tuple(fields.values()), fields=tuple(fields))
        ),
    ),
    max_leaves=5,
)


@given(KINDS, KINDS)
def test_two_types_have_one_in_any_order(one: Type, other: Type) -> None:
    def fields(kind: Type) -> Any:  # the order of a struct's fields is that of the first
        return kind.name, kind.precision, kind.scale, sorted(
            zip(kind.fields or range(9), map(fields, kind.children), strict=False), key=repr
        )  # fmt: skip

    assert fields(schemas.either(one, other)) == fields(schemas.either(other, one))
    assert schemas.either(one, one) == one
    assert schemas.either(one, UNKNOWN) == one


@given(KINDS)
def test_each_type_is_one_of_the_catalog(kind: Type) -> None:
    assert duckdb_type(schemas.hive(kind))
    assert schemas.from_json(json.loads(json.dumps(schemas.to_json(kind)))) == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "B", "c d"]), JSON), min_size=1, max_size=5), st.integers(0, 400))
def test_json_lines_have_the_columns_of_their_objects_also_when_they_are_cut(
    rows: list[dict[str, Any]], cut: int
) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    found = texts.json_lines(text, whole=True)
    assert found is not None
    assert (set(found.columns), found.records) == ({name.lower() for row in rows for name in row}, len(rows))
    first = len(json.dumps(rows[0])) + 1
    part = texts.json_lines(text[: first + cut], whole=False)
    assert part is not None
    assert part.records >= 1
    assert set(part.columns) <= set(found.columns)


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(st.integers(-(2**62), 2**62), min_size=width, max_size=width), min_size=1)
    ),
    st.sampled_from(",|\t;\x01"),
)
def test_csv_with_names_has_them_whatever_its_delimiter(rows: list[list[int]], delimiter: str) -> None:
    names = [f"c_{at}" for at in range(len(rows[0]))]
    text = "".join(delimiter.join(map(str, row)) + "\n" for row in [names, *rows])
    found = texts.comma_separated(text, whole=True)
    assert found is not None
    assert found.columns == dict.fromkeys(names, BIGINT)
    assert (found.details["delimiter"], found.details["skip.header.line.count"]) == (delimiter, "1")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,x\n", {"a": BIGINT, "b": STRING}),
        ("a,b\nx,y\n", {"col0": STRING, "col1": STRING}),  # nothing tells the names from the data
        ("1,2\n3,4.5\n", {"col0": BIGINT, "col1": DOUBLE}),
        ("a,a\n1,2\n", {"a": BIGINT, "a_1": BIGINT}),
        ("a,b,\n1,2,\n", {"a": BIGINT, "b": BIGINT, "col2": STRING}),
        ('a,b\n1,"x, y"\n', {"a": BIGINT, "b": STRING}),
        ("a,b\n1,2020-01-01\n", {"a": BIGINT, "b": STRING}),
        ("\ufeffa,b\n1,2\n", {"a": BIGINT, "b": BIGINT}),
    ],
)
def test_the_header_of_csv_is_found_as_documented(text: str, columns: dict[str, Type]) -> None:
    decoded = text.encode().decode("utf-8-sig")
    found = texts.comma_separated(decoded, whole=True)
    assert found is not None
    assert found.columns == columns


@pytest.mark.parametrize("text", ["", "a\nb\n", "a,b\n", "a,b\n1\n", "a,b\n1,2,3\n", "a,\0b\n1,2\n"])
def test_what_is_no_table_is_not_csv(text: str) -> None:
    assert texts.comma_separated(text, whole=True) is None


@pytest.mark.parametrize("text", ["", "{", "[", '{"a":1', '{"a":1}\nrubbish\n', "1\n2\n", '{"a":' * 100_000])
def test_what_is_no_json_is_not_json(text: str) -> None:
    assert texts.json_lines(text, whole=True) is None


def test_a_classifier_decides_before_the_built_in_ones() -> None:
    rules = CsvRules.of({"Delimiter": "~", "ContainsHeader": "ABSENT", "Header": ["x", "y"], "QuoteSymbol": "'"})
    found = samples.text_of("1~'a~b'\n2~c\n", True, [rules])
    assert found is not None
    assert (found.columns, found.details["serde"]) == ({"x": STRING, "y": STRING}, "OpenCSVSerDe")
    typed = CsvRules.of({"CustomDatatypeConfigured": True, "CustomDatatypes": ["date", "INT"], "Header": ["d", "n"]})
    found = samples.text_of("2020-01-01,1\n2020-01-02,2\n", True, [typed])
    assert found is not None
    assert found.columns == {"d": Type("date"), "n": INT}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "1"}) as made:
        yield made


@settings(max_examples=examples(50), deadline=None)
@given(start=st.sampled_from([b"", b"PAR1", b"\x1f\x8b", b"BZh", b"{", b"a,b\n"]), rest=st.binary(max_size=200))
def test_any_bytes_are_something(
    tmp_path_factory: pytest.TempPathFactory, connection: duckdb.DuckDBPyConnection, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(start + rest)
    found = samples.read("b/k", path, len(start + rest), connection, [])
    assert found.format in ("parquet", "json", "csv", "unknown")
    assert Sample.from_json(json.loads(json.dumps(found.to_json()))) == found


# -- tables ------------------------------------------------------------------------------------------------------------


def sample(key: str, kind: str = "json", **columns: Type) -> Sample:
    return Sample(f"b/{key}", 10, kind, columns=tuple((columns or {"id": INT, "name": STRING}).items()), records=1)


def found(*listed: Sample, root: str = "b/", **how: Any) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Location of each table -> (partition keys, values of its partitions)."""
    described = [tables.describe(one, "") for one in tables.find(listed, root, Grouping(**how))]
    return {d["location"]: (d["keys"], [p["values"] for p in d["partitions"]]) for d in described}


def test_most_files_of_a_folder_make_its_table_and_the_others_their_own() -> None:
    alike = [sample(f"t/{at}") for at in range(3)]
    assert found(*alike) == {"s3://b/t/": ([], [])}
    assert found(*alike, sample("t/x", other=DOUBLE)) == {"s3://b/t/": ([], []), "s3://b/t/x": ([], [])}
    assert set(found(sample("t/x", a=INT), sample("t/y", b=INT))) == {"s3://b/t/x", "s3://b/t/y"}


def test_folders_that_differ_in_format_or_depth_are_tables() -> None:
    assert set(found(sample("t/a/x"), sample("t/b/x", "csv"))) == {"s3://b/t/a/", "s3://b/t/b/"}
    assert set(found(sample("t/a/x"), sample("u/b/c/x"), sample("u/b/d/x"))) == {"s3://b/t/a/", "s3://b/u/b/"}


def test_a_folder_named_by_a_key_is_a_partition_even_when_it_is_alone() -> None:
    assert found(sample("t/Year=2020/m=01/x"), root="b/t/") == {"s3://b/t/": (["year", "m"], [["2020", "01"]])}
    assert found(sample("t/d=a%2Fb/x"), root="b/t/") == {"s3://b/t/": (["d"], [["a/b"]])}


def test_a_column_that_a_key_hides_is_left_out() -> None:
    [one] = tables.find([sample("t/id=1/x")], "b/t/", Grouping())
    described = tables.describe(one, "")
    assert (described["columns"], described["keys"], described["hidden"]) == ([["name", "string"]], ["id"], ["id"])


def test_names_of_tables_are_in_lower_case_without_signs() -> None:
    assert tables.table_name("b/Year=2017/", "P_") == "p_year_2017"
    assert tables.table_name("my-bucket/", "") == "my_bucket"
    assert tables.table_name("b/a b.c/é/", "") == "_"


KEYS = st.lists(
    st.lists(st.sampled_from(["a", "b", "d=1", "d=2", "e=1"]), max_size=3).map("/".join), min_size=1, max_size=8
)


@given(KEYS, st.booleans(), st.sampled_from([None, 1, 2, 3]))
def test_each_file_is_of_one_table_and_each_partition_has_its_own_values(
    folders: list[str], combine: bool, level: int | None
) -> None:
    listed = [
        sample(f"{folder}/{at}" if folder else str(at), **({"x": INT} if at % 3 else {"y": INT}))
        for at, folder in enumerate(folders)
    ]
    candidates = tables.find(listed, "b/", Grouping(combine, level))
    places = [one.place for candidate in candidates for leaf in candidate.leaves for one in leaf.samples]
    assert sorted(places) == sorted(one.place for one in listed)
    for candidate in candidates:
        described = tables.describe(candidate, "")
        assert len(set(described["keys"])) == len(described["keys"])
        values = [tuple(one["values"]) for one in described["partitions"]]
        assert all(len(one) == len(described["keys"]) for one in values)
        assert len(set(values)) == len(values)
    assert len({candidate.path for candidate in candidates}) == len(candidates)


def test_parquet_has_the_types_of_its_footer(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    path = tmp_path / "a"
    connection.execute(
        f"COPY (SELECT 1::BIGINT AS Id, DATE '2020-01-01' AS d, [1.5::DECIMAL(4,2)] AS l, {{'a': 'x'}} AS s) "
        f"TO '{path}' (FORMAT parquet)"
    )
    read = samples.read("b/a", path, path.stat().st_size, connection, [])
    shown = {name: schemas.hive(kind) for name, kind in read.columns}
    assert shown == {"id": "bigint", "d": "date", "l": "array<decimal(4,2)>", "s": "struct<a:string>"}
    assert (read.format, read.records) == ("parquet", 1)
