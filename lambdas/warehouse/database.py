"""The warehouse: how a function logs in, and what is where. Tables and roles are described in docs/warehouse.md."""

import json
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg
from psycopg import sql

from sluice_pipeline.catalog.fields import Field

SILVER: Final = "silver"  # schema with a table for each dataset
CONTROL: Final = "control"  # schema with what was loaded
OBJECT_ID: Final = "_object_id"
OFFSET: Final = "_source_offset"
LINEAGE: Final = {
    OBJECT_ID: "uuid",
    "_source_key": "text",
    "_source_version": "text",
    OFFSET: "bigint",
    "_record_id": "text",
}
_TYPES: Final = {
    "string": "text",
    "int64": "bigint",
    "float64": "double precision",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "json": "jsonb",
}
_CONNECT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Login:
    """What a database secret holds, in the form that AWS uses for PostgreSQL.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    """

    host: str
    port: int
    dbname: str
    username: str
    password: str

    @classmethod
    def from_secret(cls, text: str) -> Self:
        """Raises ValueError when the secret is no login."""
        try:
            raw = json.loads(text)
            return cls(raw["host"], int(raw["port"]), raw["dbname"], raw["username"], raw["password"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"the secret is not a database login: {type(error).__name__}") from None

    def to_secret(self) -> str:
        return json.dumps(
            {
                "engine": "postgres",
                "host": self.host,
                "port": self.port,
                "dbname": self.dbname,
                "username": self.username,
                "password": self.password,
            }
        )

    def connect(self, application: str) -> psycopg.Connection[Any]:
        """A new connection in UTC that commits every statement unless a transaction is begun.

        TLS is used where the server offers it; Aurora rejects connections without it (rds.force_ssl).

        Raises:
            psycopg.OperationalError: the server does not answer, or rejects the password.
        """
        return psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=self.dbname,
            user=self.username,
            password=self.password,
            application_name=application,
            connect_timeout=_CONNECT_SECONDS,
            options="-c TimeZone=UTC",
            keepalives_idle=30,
            autocommit=True,
        )


class Warehouse:
    """A role's connection, made when first needed and kept for the next invocations of the environment."""

    def __init__(self, secrets: Any, secret_arn: str, application: str) -> None:
        self._secrets = secrets
        self._arn = secret_arn
        self._application = application
        self._connection: psycopg.Connection[Any] | None = None

    def connection(self) -> psycopg.Connection[Any]:
        """A connection that answers; the secret is read again for every new one, so that a new password is found.

        Raises:
            psycopg.OperationalError: as ``Login.connect``.
        """
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                self._connection.close()
            else:
                return self._connection
        answer = self._secrets.get_secret_value(SecretId=self._arn)
        self._connection = Login.from_secret(answer["SecretString"]).connect(self._application)
        return self._connection


def column_type(field: Field) -> str:
    """PostgreSQL's type for a field of a dataset."""
    if field.decimal:
        precision, scale = field.decimal
        return f"numeric({precision},{scale})"
    return _TYPES[field.type]


def silver_table(dataset: str) -> sql.Identifier:
    return sql.Identifier(SILVER, dataset)
