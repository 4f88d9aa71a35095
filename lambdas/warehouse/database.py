"""The warehouse: how a function logs in, and what is where. Tables and roles are described in docs/warehouse.md."""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
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

    ``certificates``: those of the authorities (PEM) of which one has to have signed the server's; empty to accept any.
    """

    host: str
    port: int
    dbname: str
    username: str
    password: str
    certificates: str = ""

    @classmethod
    def from_secret(cls, text: str) -> Self:
        """Raises ValueError when the secret is no login."""
        try:
            raw = json.loads(text)
            parts = raw["host"], int(raw["port"]), raw["dbname"], raw["username"], raw["password"]
            return cls(*parts, raw.get("certificates", ""))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"the secret is not a database login: {type(error).__name__}") from None

    def to_secret(self) -> str:
        parts = {
            "engine": "postgres",
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "username": self.username,
            "password": self.password,
        }
        return json.dumps(parts | ({"certificates": self.certificates} if self.certificates else {}))

    @property
    def encryption(self) -> dict[str, Any]:
        """libpq's settings: with certificates, only a server that they prove, under the name that is connected to.

        Otherwise TLS is used where the server offers it; Aurora rejects connections without it (rds.force_ssl).

        https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.Security.html
        https://www.postgresql.org/docs/current/libpq-ssl.html
        """
        if not self.certificates:
            return {}
        return {"sslmode": "verify-full", "sslrootcert": str(_stored(self.certificates))}

    def connect(self, application: str) -> psycopg.Connection[Any]:
        """A new connection in UTC that commits every statement unless a transaction is begun.

        Raises:
            psycopg.OperationalError: the server does not answer, rejects the password, or is not who it says it is.
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
            **self.encryption,
        )


def _stored(certificates: str) -> Path:
    """A file with them, for libpq reads only files. It is written under another name first: it is never half there."""
    name = hashlib.sha256(certificates.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir(), f"authorities-{name}.pem")
    if not path.exists():
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(certificates)
        Path(temporary).replace(path)
    return path


class Warehouse:
    """A role's connection, made when first needed and kept for the next invocations of the environment."""

    def __init__(self, secrets: Any, secret_arn: str, application: str) -> None:
        self._secrets = secrets
        self._arn = secret_arn
        self._application = application
        self._connection: psycopg.Connection[Any] | None = None

    def connection(self, *, proven: bool = True) -> psycopg.Connection[Any]:
        """A connection that answers; the secret is read again for every new one, so that a new password is found.

        ``proven``: it is asked first. Without, the caller asks again with it when the connection turns out to be cut.

        Raises:
            psycopg.OperationalError: as ``Login.connect``.
        """
        if self._connection is not None:
            try:
                if proven or self._connection.closed:
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
