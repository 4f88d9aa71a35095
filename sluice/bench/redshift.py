"""Rows a second of a COPY of Parquet files into Redshift Serverless, through the Data API."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sluice.console import fail
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until

ROWS, FILES = 1_000_000, 4
_POLL, _LONGEST = 0.02, 300.0
_COLUMNS = (
    ("vendor_id", "int", "CAST(i % 3 AS INTEGER)"),
    ("pickup_datetime", "timestamp", "TIMESTAMP '2024-09-01' + INTERVAL (i) SECOND"),
    ("dropoff_datetime", "timestamp", "TIMESTAMP '2024-09-01' + INTERVAL (i + 600) SECOND"),
    ("passenger_count", "int", "CAST(i % 5 AS INTEGER)"),
    ("trip_distance", "double precision", "CAST(hash(i) % 2000 AS DOUBLE) / 100"),
    ("pickup_location_id", "int", "CAST(hash(i) % 263 AS INTEGER)"),
    ("dropoff_location_id", "int", "CAST(hash(i + 1) % 263 AS INTEGER)"),
    ("payment_type", "int", "CAST(i % 4 AS INTEGER)"),
    ("fare_amount", "double precision", "CAST(hash(i) % 9000 AS DOUBLE) / 100"),
    ("tip_amount", "double precision", "CAST(hash(i) % 900 AS DOUBLE) / 100"),
    ("total_amount", "double precision", "CAST(hash(i) % 9900 AS DOUBLE) / 100"),
)


def measure(stack: Stack) -> float:
    """The rate by the statement's own duration. Raises SluiceError when it fails or rows are missing."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-redshift-") as folder, _place(stack) as (name, role, secret):
        for file in _files(Path(folder)):
            stack.client("s3").upload_file(str(file), name, f"rows/{file.name}")
        _run(stack, name, secret, f"CREATE TABLE trips ({', '.join(f'{one[0]} {one[1]}' for one in _COLUMNS)})")
        copy = f"COPY trips FROM 's3://{name}/rows/' IAM_ROLE '{role}' FORMAT AS PARQUET"
        took = _run(stack, name, secret, copy)["Duration"] / 1e9
        counted = _run(stack, name, secret, "SELECT count(*) FROM trips")
        rows = stack.client("redshift-data").get_statement_result(Id=counted["Id"])["Records"][0][0]["longValue"]
        if rows != ROWS:
            fail(f"COPY has loaded {rows:,} of {ROWS:,} rows", 1)
        return float(ROWS / took)


@contextmanager
def _place(stack: Stack) -> Iterator[tuple[str, str, str]]:
    """The name of a bucket, role, namespace and work group, the role, and the administrator's secret."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    s3, iam, serverless = stack.client("s3"), stack.client("iam"), stack.client("redshift-serverless")
    s3.create_bucket(Bucket=name)
    trust = {"Effect": "Allow", "Principal": {"Service": "redshift.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="s3", PolicyDocument=_policy(rights))
    try:
        made = serverless.create_namespace(
            namespaceName=name, manageAdminPassword=True, dbName=name.replace("-", "_"), iamRoles=[role]
        )
        serverless.create_workgroup(workgroupName=name, namespaceName=name)
        yield name, role, made["namespace"]["adminPasswordSecretArn"]
        serverless.delete_workgroup(workgroupName=name)
        serverless.delete_namespace(namespaceName=name)
    finally:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for one in page.get("Contents") or []:
                s3.delete_object(Bucket=name, Key=one["Key"])
        s3.delete_bucket(Bucket=name)
        iam.delete_role_policy(RoleName=name, PolicyName="s3")
        iam.delete_role(RoleName=name)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _files(folder: Path) -> list[Path]:
    import duckdb

    made = []
    shown = ", ".join(f"{value} AS {name}" for name, _, value in _COLUMNS)
    with duckdb.connect() as connection:
        for at in range(FILES):
            file = folder / f"{at}.parquet"
            rows = f"SELECT {shown} FROM range({at * ROWS // FILES}, {(at + 1) * ROWS // FILES}) AS t(i)"
            connection.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet, COMPRESSION snappy)")
            made.append(file)
    return made


def _run(stack: Stack, name: str, secret: str, sql: str) -> dict[str, Any]:
    """The statement, once it has finished."""
    data = stack.client("redshift-data")
    place = {"WorkgroupName": name, "Database": name.replace("-", "_"), "SecretArn": secret}
    started = data.execute_statement(Sql=sql, **place)["Id"]
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(data.describe_statement(Id=started))
        return found["Status"] in ("FINISHED", "FAILED", "ABORTED")

    if not wait_until(ended, _LONGEST, _POLL) or found["Status"] != "FINISHED":
        fail(f"{sql}: {found.get('Error') or found.get('Status')}", 1)
    return found
