"""Public clients of Athena and Glue, unchanged, each in an environment of its own."""

import json
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support import client_environments
from tests.support.engine_harness import Engine

pytestmark = pytest.mark.timeout(900, func_only=True)  # each makes its environment first, from a package index

CLIENTS = Path(__file__).with_name("clients")


@pytest.fixture
def bucket(engine: Engine) -> str:
    name = f"b{uuid.uuid4().hex[:12]}"
    engine.client("s3").create_bucket(Bucket=name)
    return name


def run(engine: Engine, lock: str, *words: str, cwd: Path = CLIENTS, **variables: str) -> str:
    """What the client printed. Fails with its own words."""
    python = client_environments.python_of(CLIENTS / lock)
    command = [str(python), *words] if words[0].endswith(".py") else [str(python.parent / words[0]), *words[1:]]
    done = subprocess.run(
        command, cwd=cwd, env=client_environments.variables(engine.url, **variables), capture_output=True, text=True,
        timeout=300, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_awswrangler_writes_reads_in_its_three_modes_and_reads_the_catalog(engine: Engine, bucket: str) -> None:
    database = f"w{bucket}"
    seen: dict[str, Any] = json.loads(run(engine, "athena.txt", "wrangler.py", bucket, database).splitlines()[-1])
    rows = [
        {"id": 1, "name": "a", "amount": 1.5, "kind": "x"},
        {"id": 2, "name": "b", "amount": 2.5, "kind": "y"},
        {"id": 3, "name": None, "amount": None, "kind": "x"},
    ]
    assert (seen["ctas"], seen["csv"], seen["unload"], seen["table"]) == (rows, rows, rows, 3)
    assert seen["count"] == 6  # appended, then replaced
    assert seen["parameters"] == [1, 1]
    assert seen["chunks"] == [2, 2, 2]
    assert seen["types"] == {
        "id": "bigint", "name": "string", "amount": "double", "at": "timestamp", "day": "date", "ok": "boolean",
        "tags": "array<bigint>", "kind": "string",
    }  # fmt: skip
    assert (seen["partitions"], seen["filtered"]) == (["x", "y", "z"], [["x"]])
    assert seen["described"] == ["id", "name", "amount", "at", "day", "ok", "tags", "kind"]
    assert (seen["repaired"], seen["projected"]) == ("SUCCEEDED", [2, 3])
    assert seen["refused"].startswith("COLUMN_NOT_FOUND")
    assert (seen["deleted"], seen["left"]) == (True, ["p"])


def test_pyathena_cursors_and_sqlalchemy(engine: Engine, bucket: str) -> None:
    database = f"p{bucket}"
    engine.client("glue").create_database(DatabaseInput={"Name": database})
    seen: dict[str, Any] = json.loads(run(engine, "athena.txt", "cursors.py", bucket, database).splitlines()[-1])
    assert seen["rows"] == [
        [1, "a", "1.5", "2020-01-01", [1, 2], "x"],
        [2, None, None, None, None, "y"],
    ]
    assert seen["types"] == ["integer", "varchar", "decimal", "date", "array", "varchar"]
    assert (seen["named"], seen["marks"], seen["pages"]) == ([[1]], [[1]], 2500)
    assert seen["refused"].startswith("COLUMN_NOT_FOUND")
    assert (seen["pandas"], seen["unload"]) == ([1, 2], [1, 2])
    assert (seen["tables"], seen["missing"], seen["count"], seen["where"]) == (["t"], False, 2, [[1]])
    assert [name for name, _ in seen["columns"]] == ["id", "name", "amount", "day", "tags", "kind"]


def test_dbt_builds_a_project_twice(engine: Engine, bucket: str, tmp_path: Path) -> None:
    """A seed, a table, a view, an incremental model that overwrites partitions, and tests of dbt."""
    project, schema = tmp_path / "project", f"d{bucket}"
    shutil.copytree(CLIENTS / "dbt", project)
    for _ in range(2):
        said = run(
            engine, "dbt.txt", "dbt", "--no-use-colors", "build", "--profiles-dir", ".", cwd=project, SCHEMA=schema,
            BUCKET=bucket, DBT_SEND_ANONYMOUS_USAGE_STATS="false",
        )  # fmt: skip
        assert "PASS=7 WARN=0 ERROR=0 SKIP=0" in said
    rows = {
        name: engine.client("glue").get_table(DatabaseName=schema, Name=name)["Table"]
        for name in ("raw", "plain", "daily", "seen")
    }
    assert rows["seen"]["TableType"] == "VIRTUAL_VIEW"
    assert rows["daily"]["PartitionKeys"] == [{"Name": "day", "Type": "string"}]
    found = engine.client("glue").get_partitions(DatabaseName=schema, TableName="daily")["Partitions"]
    assert [one["Values"] for one in found] == [["2020-01-01"], ["2020-01-02"]]
