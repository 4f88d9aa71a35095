"""The warehouse as a test sees it: with the logins that Secrets Manager holds, and as the server's administrator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from sluice.engine.instance import Instance
from sluice.pipeline import queues
from sluice.pipeline.stack import Stack
from tests.support.pipeline import Put, until
from warehouse.database import Login

ORDER = "_source_offset"


@dataclass(frozen=True)
class Warehouse:
    stack: Stack
    instance: Instance

    def login(self, role: str) -> Login:
        """A role's login, as this machine reaches the server."""
        arn = dict(self.stack.outputs["warehouse_secret_arns"])[role]
        secret = self.stack.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        return replace(Login.from_secret(secret), host="127.0.0.1", port=self._port)

    @property
    def _port(self) -> int:
        info = self.instance.info()
        assert info
        return info.postgres_port

    def connect(self, role: str = "reader") -> psycopg.Connection[Any]:
        return self.login(role).connect("test")

    def administrator(self) -> psycopg.Connection[Any]:
        """The server's own, in the warehouse: to break things and to look at what no role of the stack may see."""
        info = self.instance.info()
        assert info
        return psycopg.connect(info.postgres_dsn, dbname=self.login("reader").dbname, autocommit=True)

    def ask(self, question: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with self.connect() as connection:
            rows = connection.cursor(row_factory=dict_row).execute(question.encode(), values).fetchall()
        return [dict(row) for row in rows]

    def rows(self, put: Put, table: str) -> list[dict[str, Any]]:
        """An object's rows in the order of the source."""
        return self.ask(f"SELECT * FROM silver.{table} WHERE _object_id = %s ORDER BY {ORDER}", (put.object_id,))

    def loads(self, put: Put) -> list[dict[str, Any]]:
        """The object's loads, oldest run first."""
        return self.ask("SELECT * FROM control.loads WHERE object_id = %s ORDER BY run", (put.object_id,))

    def loaded(self, put: Put, run: int = 1, deadline: float = 90) -> dict[str, Any]:
        """The load of a run, once it is there."""

        def look() -> dict[str, Any] | None:
            return next((load for load in self.loads(put) if load["run"] == run), None)

        return until(f"the load of run {run} of {put.ref.key}", look, deadline)

    def idle(self, deadline: float = 90) -> None:
        """Waits until no load is under way."""
        sqs, url = self.stack.client("sqs"), self.stack["load_queue_url"]
        until("the load queue to be empty", lambda: queues.depth(sqs, url).total == 0, deadline)

    def same_as_silver(self, put: Put, silver: list[dict[str, Any]], table: str) -> None:
        """Every row and value of silver is there, and nothing else; ``_object_id`` is the warehouse's own."""
        found = self.rows(put, table)
        assert {row.pop("_object_id") for row in found} <= {UUID(put.object_id)}
        assert found == [{name: row[name] for name in sorted(row)} for row in silver] or _plain(found) == _plain(silver)


def _plain(rows: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(row, sort_keys=True, default=str) for row in rows]
