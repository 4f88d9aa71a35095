"""Redshift's SQL on a PostgreSQL of a test's own, and S3 as a dictionary."""

import io
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from botocore.exceptions import ClientError

from sluice_ext.redshift import copying
from sluice_ext.redshift.sql import parse, prepare
from sluice_ext.redshift.sql.load_command import Copy, Unload
from tests.support.postgres import own_server


class Bucket:
    """What COPY and UNLOAD use of a boto3 client of S3. ``refused`` are keys that a policy does not allow."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.refused: set[str] = set()

    def _read(self, key: str) -> bytes:
        if key in self.refused:
            raise _error("AccessDenied", 403)
        if key not in self.objects:
            raise _error("NoSuchKey", 404)
        return self.objects[key]

    def get_paginator(self, _: str) -> "Bucket":
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's names
        keys = [key for key in sorted(self.objects) if key.startswith(Prefix)]
        for key in keys:  # a page each
            yield {"Contents": [{"Key": key, "Size": len(self.objects[key])}]}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"ContentLength": len(self._read(Key))}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self._read(Key))}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Key] = Body

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        self.objects.pop(Key, None)

    def download_fileobj(self, bucket: str, key: str, file: Any) -> None:
        file.write(self._read(key))

    def upload_fileobj(self, file: Any, bucket: str, key: str) -> None:
        self.objects[key] = file.read()


def _error(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


class Redshift:
    """A session. `run` gives the rows of a statement; COPY gives (rows, errors), UNLOAD the number of rows."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.s3 = Bucket()

    def run(self, text: str, values: Mapping[str, str] | None = None) -> Any:
        found: Any = None
        for one in parse(text):
            if isinstance(one.detail, Copy):
                result = copying.copy(self.connection, one.detail, self.s3)
                found = (result.rows, result.errors)
            elif isinstance(one.detail, Unload):
                found = copying.unload(self.connection, one.detail, self.s3)
            else:
                cursor = self.connection.execute(one.postgres.encode(), values if one.parameters else None)
                found = cursor.fetchall() if cursor.description else cursor.rowcount
        return found

    def value(self, expression: str, values: Mapping[str, str] | None = None) -> Any:
        return self.run(f"SELECT {expression}", values)[0][0]

    def table(self, columns: str) -> str:
        """A new table of these columns."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.run(f"CREATE TABLE {name} ({columns})")
        return name


@contextmanager
def database() -> Iterator[Redshift]:
    with own_server() as dsn:
        with psycopg.connect(f"{dsn} dbname=postgres", autocommit=True) as administrator:
            administrator.execute("CREATE DATABASE dev")
        with psycopg.connect(f"{dsn} dbname=dev", autocommit=True) as administrator:
            prepare(administrator)
            prepare(administrator)  # again, as after a restart
        with psycopg.connect(f"{dsn} dbname=dev options='-c timezone=UTC'", autocommit=True) as connection:
            yield Redshift(connection)
