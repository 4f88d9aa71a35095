"""What sys_query_history and stl_query show: each statement that has ended. Written by the server's administrator."""

import contextlib
import json
import logging
import threading
from datetime import timedelta
from typing import Any

import psycopg

from sluice_ext import postgres
from sluice_ext.redshift.data import executing
from sluice_ext.redshift.data.store import Part, Statement
from sluice_ext.redshift.store import STORES, now

LOG = logging.getLogger(__name__)


class History:
    """One connection for each database, opened when it is needed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, tuple[contextlib.ExitStack, psycopg.Connection[Any]]] = {}

    def record(self, statement: Statement, part: Part, status: str, error: str = "") -> None:
        """Write one statement. One that cannot be written is only logged: the statement itself has ended."""
        target = statement.target
        namespace = STORES.of(target.account, target.region).namespaces.get(target.namespace)
        if namespace is None:
            return
        user = namespace.role if target.user == namespace.administrator else target.user
        end = now().replace(tzinfo=None)
        item = {
            "user": user,
            "query_id": part.query,
            "session_id": statement.pid,
            "status": {"FINISHED": "success", "FAILED": "failed"}.get(status, "canceled"),
            "query_text": part.sql,
            "query_type": executing.kind_of(part.sql).upper(),
            "start_time": (end - timedelta(microseconds=part.nanoseconds // 1000)).isoformat(),
            "end_time": end.isoformat(),
            "elapsed_time": part.nanoseconds // 1000,
            "returned_rows": max(part.rows, 0) if part.result else 0,
            "error_message": error,
            "query_label": "default",
        }
        with self._lock:
            for _ in range(2):
                try:
                    connection = self._connection(namespace.database)
                    connection.execute("SELECT redshift_compat.record_statement(%s)", (json.dumps(item),))
                    return
                except (psycopg.Error, postgres.Unreachable) as problem:
                    self._forget(namespace.database)
                    LOG.info("The history of %s: %s", namespace.database, problem)

    def _connection(self, database: str) -> psycopg.Connection[Any]:
        if database not in self._open:
            stack = contextlib.ExitStack()
            self._open[database] = stack, stack.enter_context(postgres.administrator(database))
        return self._open[database][1]

    def _forget(self, database: str) -> None:
        stack, _ = self._open.pop(database, (None, None))
        if stack is not None:
            with contextlib.suppress(psycopg.Error):
                stack.close()


HISTORY = History()
