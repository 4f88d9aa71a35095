"""Public clients of Redshift, unchanged, in an environment of their own."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.engine import ports
from tests.support import client_environments
from tests.support.engine_harness import Engine
from tests.support.redshift import Warehouse, engine_with_server

pytestmark = pytest.mark.timeout(900, func_only=True)  # the environment is made first, from a package index

CLIENTS = Path(__file__).with_name("clients")


def run(engine: Engine, *words: str, cwd: Path = CLIENTS, **variables: str) -> str:
    """What the client printed. Fails with its own words."""
    python = client_environments.python_of(CLIENTS / "clients.txt")
    command = [str(python), *words] if words[0].endswith(".py") else [str(python.parent / words[0]), *words[1:]]
    done = subprocess.run(
        command, cwd=cwd, env=client_environments.variables(engine.url, **variables), capture_output=True, text=True,
        timeout=300, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def role_for(engine: Engine, bucket: str) -> str:
    """A role that Redshift may take, and that reads and writes the bucket."""
    iam, name = engine.client("iam"), f"r{uuid.uuid4().hex[:10]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "redshift.amazonaws.com"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    allowed = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    iam.put_role_policy(
        RoleName=name, PolicyName="s3", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    )
    return str(made["Role"]["Arn"])


def test_awswrangler_copies_reads_and_unloads_through_the_data_api(engine: Engine, warehouse: Any) -> None:
    bucket = f"b{uuid.uuid4().hex[:12]}"
    engine.client("s3").create_bucket(Bucket=bucket)
    place: Warehouse = warehouse(iamRoles=[role := role_for(engine, bucket)])
    seen = json.loads(run(engine, "wrangler.py", place.name, place.secret, bucket, role).splitlines()[-1])
    rows = [
        {"id": 1.0, "name": "a", "amount": 1.5, "ok": True},
        {"id": 2.0, "name": "b", "amount": 2.5, "ok": False},
        {"id": None, "name": None, "amount": None, "ok": True},
    ]
    at = {"at": "2020-01-01 01:02:03.456"}
    assert seen["created"] == 0
    assert seen["names"] == ["id", "name", "amount", "ok", "at"]
    assert seen["rows"] == [row | at for row in rows]
    assert seen["unloaded"] == rows
    assert seen["counted"] == [{"ok": False, "n": 1, "total": 2.5}, {"ok": True, "n": 2, "total": 1.5}]
    assert (seen["named"], seen["many"]) == ([2], 2500)
    assert 'column "nosuch" does not exist' in seen["refused"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Engine]:
    """An engine with an endpoint for drivers of Redshift."""
    with engine_with_server(SLUICE_REDSHIFT_PORT=str(ports.any_free())) as running:
        yield running


def administrator(engine: Engine, place: Warehouse) -> tuple[str, str]:
    secret = json.loads(engine.client("secretsmanager").get_secret_value(SecretId=place.secret)["SecretString"])
    return secret["username"], secret["password"]


def test_redshift_connector_at_the_endpoint(endpoint: Engine) -> None:
    bucket = f"b{uuid.uuid4().hex[:12]}"
    endpoint.client("s3").create_bucket(Bucket=bucket)
    place = Warehouse(endpoint, iamRoles=[role := role_for(endpoint, bucket)])
    address = place.workgroup["endpoint"]
    user, password = administrator(endpoint, place)
    said = run(endpoint, "connector.py", address["address"], str(address["port"]), user, password, bucket, role)
    seen = json.loads(said.splitlines()[-1])
    assert seen["rows"] == [[1, "a'b", "2024-02-01 00:00:00"], [2, "none", "2024-02-01 00:00:00"]]
    assert (seen["undone"], seen["copied"]) == (2, [4, 6])
    assert seen["refused"] == [
        'column "nosuch" does not exist',
        "CREATE EXTERNAL is not supported by this engine",
        'syntax error at or near "1"',
    ]
    assert sorted(seen["frame"]) == [1, 1, 2, 2]
    assert ["dev", "public", "rows"] in seen["tables"]
    assert "password authentication failed" in seen["wrong"]
    place.delete()


def test_dbt_builds_a_project_twice(endpoint: Engine, tmp_path: Path) -> None:
    """A seed, a table, a view, incremental models that merge and that replace, and tests of dbt."""
    project, schema = tmp_path / "project", f"d{uuid.uuid4().hex[:10]}"
    shutil.copytree(CLIENTS / "dbt", project)
    place = Warehouse(endpoint)
    address = place.workgroup["endpoint"]
    login, password = administrator(endpoint, place)
    for _ in range(2):
        said = run(
            endpoint, "dbt", "--no-use-colors", "build", "--profiles-dir", ".", cwd=project, SCHEMA=schema,
            HOST=address["address"], PORT=str(address["port"]), LOGIN=login, PASSWORD=password,
            DBT_SEND_ANONYMOUS_USAGE_STATS="false",
        )  # fmt: skip
        assert "PASS=8 WARN=0 ERROR=0 SKIP=0" in said
    assert place.rows(f"SELECT id, amount::varchar FROM {schema}.merged ORDER BY id") == [
        [1, "1.5"],
        [2, "2.5"],
        [3, "3.5"],
    ]
    assert place.rows(f"SELECT COUNT(*) FROM {schema}.replaced") == [[2]]
    place.delete()
