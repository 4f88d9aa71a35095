"""The Spark scripts of jobs/ bring no rows to the driver, and put no unbounded rows in one task.

Only calls whose result is bounded by something else than the rows are allowed, each with its bound.
https://spark.apache.org/docs/latest/sql-performance-tuning.html
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from sluice.paths import ROOT
from sluice_pipeline.catalog.current import current_select
from sluice_pipeline.catalog.datasets import parse_dataset
from tests.support.compaction_lake import RAW

SCRIPTS = [path for path in sorted((ROOT / "jobs").rglob("*.py")) if "pyspark" in path.read_text()]
TO_DRIVER = {"collect", "toPandas", "toLocalIterator", "take", "head", "tail", "first", "show", "collectAsMap"}
UNBOUNDED = {
    "cache",
    "persist",
    "coalesce",
    "broadcast",
    "crossJoin",
    "toDF",
    "parallelize",
    "groupByKey",
    "checkpoint",
}
GATHERING = {"collect_list", "collect_set", "array_agg", "groupBy.applyInPandas", "applyInPandas", "sort", "orderBy"}

ALLOWED = {
    "taxi/transform.py": {
        "collect": 2,  # rows for each file that was written (32 MB of input each), and for each of five reasons
    },
    "lake/compact.py": {
        "first": 1,  # of one row: an aggregate without groups
    },
}
"""By script: calls, each as often as it is there."""


def calls(text: str) -> Counter[str]:
    """Names of the functions and methods that a script calls, of the kinds above."""
    found = Counter[str]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in TO_DRIVER | UNBOUNDED | GATHERING and not _is_of_python(node):
                found[name] += 1
    return found


def _is_of_python(node: ast.Call) -> bool:
    """SQL's coalesce of columns is not Spark's of partitions."""
    function = node.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "coalesce"
        and isinstance(function.value, ast.Name)
        and function.value.id == "f"
    )


def test_the_scripts_are_found() -> None:
    assert {str(path.relative_to(ROOT / "jobs")) for path in SCRIPTS} == set(ALLOWED)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_no_rows_come_to_the_driver_and_no_task_has_all_of_them(script: Path) -> None:
    assert dict(calls(script.read_text())) == ALLOWED[str(script.relative_to(ROOT / "jobs"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_collect_is_of_an_aggregate(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TO_DRIVER:
            assert {"count", "agg"} & _chain(node.func.value), ast.unparse(node)


def _chain(node: ast.AST) -> set[str]:
    """Methods that a value came from."""
    found = set()
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        node = node.func if isinstance(node, ast.Call) else node.value
    return found


@pytest.mark.parametrize(
    ("line", "name"),
    [("rows.collect()", "collect"), ("rows.coalesce(1).write", ""), ("rows.cache()", "cache"),
     ("f.broadcast(x)", "broadcast"),
     ("rows.orderBy('a')", "orderBy"), ("f.coalesce(a, b)", None), ("rows.repartition(n, 'k')", None)],
)  # fmt: skip
def test_the_kinds_are_seen(line: str, name: str | None) -> None:
    assert list(calls(line)) == ([] if name is None else [name or "coalesce"])


def test_a_window_over_rows_is_divided_by_the_key() -> None:
    dataset = parse_dataset(RAW, "orders.yaml")
    names = ["id", "version", "_source_offset", "_record_id"]
    sql = current_select(dataset, names, source="rows", arrivals="a", object_id="o", has=names)
    windows = re.findall(r"OVER \(([^)]*)\)", sql)
    assert [one.startswith('PARTITION BY "id" ORDER BY') for one in windows] == [True]
