"""Redshift Serverless for the contract tests: an engine with a PostgreSQL, and a namespace with a work group."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, eventually
from tests.support.postgres import own_server

ENDED = ("FINISHED", "FAILED", "ABORTED")


@contextmanager
def server_of_its_own() -> Iterator[dict[str, str]]:
    """A PostgreSQL, as the engine's settings name it."""
    with own_server() as dsn:
        found = dict(one.split("=", 1) for one in dsn.split())
        yield {f"SLUICE_POSTGRES_{key.upper()}": value for key, value in found.items()}


@contextmanager
def engine_with_server(**options: str) -> Iterator[Engine]:
    """An engine and its PostgreSQL."""
    home = Path(tempfile.mkdtemp(prefix="sluice-redshift-"))
    with server_of_its_own() as server:
        engine = Engine(home, SLUICE_FAULTS="1", **(server | options))
        try:
            yield engine
        finally:
            engine.stop()
            shutil.rmtree(home, ignore_errors=True)


class Warehouse:
    """A namespace with a managed password, its database ``dev``, and its work group; all have one name."""

    def __init__(self, engine: Engine, **options: Any) -> None:
        self.engine = engine
        self.serverless, self.data = engine.client("redshift-serverless"), engine.client("redshift-data")
        self.name = f"w{uuid.uuid4().hex[:10]}"
        wanted = {"manageAdminPassword": True} | options
        self.namespace = self.serverless.create_namespace(namespaceName=self.name, **wanted)["namespace"]
        self.workgroup = self.serverless.create_workgroup(workgroupName=self.name, namespaceName=self.name)["workgroup"]
        self.secret: str = self.namespace.get("adminPasswordSecretArn", "")

    @property
    def place(self) -> dict[str, Any]:
        """Where its administrator's statements run."""
        return {"WorkgroupName": self.name, "Database": "dev", "SecretArn": self.secret}

    def start(self, sql: str, **more: Any) -> Any:
        """Start a statement as the administrator; with SessionId in that session."""
        place = {} if "SessionId" in more else self.place
        return self.data.execute_statement(Sql=sql, **(place | more))

    def batch(self, *sqls: str, **more: Any) -> Any:
        """Start a batch and wait for its end."""
        place = {} if "SessionId" in more else self.place
        return self.end(self.data.batch_execute_statement(Sqls=list(sqls), **(place | more))["Id"])

    def end(self, name: str, data: Any = None) -> Any:
        """A statement, when it has ended."""
        data = data or self.data
        return eventually(lambda: (d := data.describe_statement(Id=name))["Status"] in ENDED and d, 30, name)

    def run(self, sql: str, **more: Any) -> Any:
        """Run a statement, which must finish."""
        found = self.end(self.start(sql, **more)["Id"])
        assert found["Status"] == "FINISHED", found.get("Error")
        return found

    def failure(self, sql: str, **more: Any) -> str:
        """Why a statement fails."""
        found = self.end(self.start(sql, **more)["Id"])
        assert found["Status"] == "FAILED", found
        return str(found["Error"])

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        """The rows of a statement, as plain values."""
        return self.result(self.run(sql, **more)["Id"])

    def result(self, name: str) -> list[list[Any]]:
        """The rows that a statement has returned, as plain values."""
        pages = self.data.get_paginator("get_statement_result").paginate(Id=name)
        return [[plain(field) for field in record] for page in pages for record in page["Records"]]

    def connect(self, user: str, password: str) -> psycopg.Connection[Any]:
        """A connection to the work group's endpoint."""
        endpoint = self.workgroup["endpoint"]
        return psycopg.connect(
            host=endpoint["address"],
            port=endpoint["port"],
            dbname="dev",
            user=user,
            password=password,
            autocommit=True,
            connect_timeout=5,
        )

    def delete(self) -> None:
        self.serverless.delete_workgroup(workgroupName=self.name)
        self.serverless.delete_namespace(namespaceName=self.name)


def plain(field: dict[str, Any]) -> Any:
    """A field of a result as a value."""
    [(kind, value)] = field.items()
    return None if kind == "isNull" else value


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    """Code and message of the error that a call must raise."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def client_of(engine: Engine, service: str, keys: dict[str, str]) -> Any:
    """A client with access keys of its own, which checks no parameters: the service must."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=engine.url,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


@dataclass
class Load:
    """A namespace with a table, a bucket with one file of three rows, and the role that may read it."""

    warehouse: Warehouse
    bucket: str
    role: str

    @classmethod
    def make(cls, engine: Engine, warehouse: Callable[..., Warehouse]) -> Load:
        """warehouse: makes one with these settings of its namespace."""
        bucket = f"b{uuid.uuid4().hex[:10]}"
        engine.client("s3").create_bucket(Bucket=bucket)
        role = make_role(engine, bucket)
        made = cls(warehouse(iamRoles=[role], defaultIamRoleArn=role), bucket, role)
        made.put("in/1.parquet", [1, 2, 3], ["x", None, "ü"])
        made.warehouse.run("create table t (a int, b varchar(20)) diststyle even sortkey (a)")
        return made

    def put(self, key: str, a: list[int | None], b: list[str | None]) -> None:
        """A Parquet file with these columns."""
        file = io.BytesIO()
        pq.write_table(pa.table({"a": pa.array(a, pa.int32()), "b": pa.array(b, pa.string())}), file)
        self.warehouse.engine.client("s3").put_object(Bucket=self.bucket, Key=key, Body=file.getvalue())

    def copy(self, role: str | None = None, sql: str = "copy t from '{uri}' iam_role {role} format as parquet") -> Any:
        role = role or f"'{self.role}'"
        started = self.warehouse.start(sql.format(uri=f"s3://{self.bucket}/in/", role=role))
        return self.warehouse.end(started["Id"])

    def rows(self) -> list[list[Any]]:
        return self.warehouse.rows("select a, b from t order by a")


def make_role(engine: Engine, bucket: str, service: str = "redshift.amazonaws.com", allowed: bool = True) -> str:
    iam, name = engine.client("iam"), f"copy{uuid.uuid4().hex[:10]}"
    trust = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"},
    }
    arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"])
    if allowed:
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        policy = {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": resources},
        }
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    return arn
