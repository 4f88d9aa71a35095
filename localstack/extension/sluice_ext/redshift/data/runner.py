"""Runs statements: SUBMITTED, PICKED, STARTED, then FINISHED, FAILED or ABORTED."""

import contextlib
import itertools
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, LiteralString

import psycopg
from localstack.aws.connect import connect_to

from sluice_ext import postgres
from sluice_ext.pausing import GATE
from sluice_ext.redshift import credentials, database
from sluice_ext.redshift.data import executing
from sluice_ext.redshift.data.history import HISTORY
from sluice_ext.redshift.data.store import ENDED, RETENTION, STATEMENTS, Part, Session, Statement, Target
from sluice_ext.redshift.sql.errors import wording
from sluice_ext.redshift.store import STORES, now

LOG = logging.getLogger(__name__)
# More wait as SUBMITTED: the server has a limited number of connections.
_THREADS: Final = 24
_LOOK_SECONDS: Final = 1.0
_WORK: Final = "a statement of Redshift"
_MAKES_USER: Final = re.compile(r"\s*create\s+user\b", re.IGNORECASE)


class Runner:
    """Statements that wait and run, and open sessions."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="redshift-data")
        self._running: dict[str, psycopg.Connection[Any]] = {}
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()
        self._queries = itertools.count(int(time.time()))
        self.sessions: dict[str, Session] = {}
        self._closer: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self, statement: Statement, password: str | None, session: Session | None) -> None:
        """Run a statement that was made SUBMITTED. password: of the secret's user; None for one of IAM."""
        self._threads.submit(self._run, statement, password, session)

    def cancel(self, statement: Statement) -> None:
        """Abort a statement that has not ended."""
        with STATEMENTS.lock:
            if statement.status in ENDED:
                return
            if statement.status == "SUBMITTED":
                self._finish(statement, "ABORTED")
                return
        with self._lock:
            self._cancelled.add(statement.id)
            connection = self._running.get(statement.id)
        if connection is not None:
            connection.cancel_safe(timeout=postgres.CONNECT_SECONDS)

    def shutdown(self) -> None:
        """End everything."""
        self._stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            connections = [*self._running.values(), *(one.connection for one in self.sessions.values())]
        for connection in connections:
            if connection is not None:
                with contextlib.suppress(Exception):
                    connection.cancel_safe(timeout=1)

    # -- one statement -----------------------------------------------------------------------------------------------

    def _run(self, statement: Statement, password: str | None, session: Session | None) -> None:
        try:
            with GATE.work(_WORK, source=True):
                self._answer(statement, password, session)
        except Exception:
            LOG.exception("Statement %s", statement.id)
            with STATEMENTS.lock:
                if statement.status not in ENDED:
                    self._finish(statement, "FAILED", "ERROR: internal error of the engine")
        finally:
            with self._lock:
                self._running.pop(statement.id, None)
                self._cancelled.discard(statement.id)
            if session is not None:
                self._let_go(session)

    def _answer(self, statement: Statement, password: str | None, session: Session | None) -> None:
        with STATEMENTS.lock:
            if statement.status != "SUBMITTED":
                return
            statement.whole.set("PICKED")
        try:
            with self._connection(statement, password, session) as connection:
                self._execute(statement, connection)
        except executing.Failed as error:
            with STATEMENTS.lock:
                cancelled = statement.id in self._cancelled
                self._finish(statement, "ABORTED" if cancelled else "FAILED", "" if cancelled else str(error))

    @contextlib.contextmanager
    def _connection(
        self, statement: Statement, password: str | None, session: Session | None
    ) -> Iterator[psycopg.Connection[Any]]:
        connection = session.connection if session is not None else None
        if connection is None:
            connection = open_connection(statement.target, password)
        if session is not None:
            session.connection = connection
        with self._lock:
            self._running[statement.id] = connection
        try:
            yield connection
        finally:
            if session is None:
                connection.close()

    def _execute(self, statement: Statement, connection: psycopg.Connection[Any]) -> None:
        with self._lock:
            if statement.id in self._cancelled:
                raise executing.Failed("cancelled")
        with STATEMENTS.lock:
            statement.pid = connection.info.backend_pid
            statement.whole.set("STARTED")
        began = time.monotonic_ns()
        groups = [[one] for one in statement.parts] if statement.commits_each else [statement.parts]
        try:
            for group in groups:
                self._transaction(statement, group, connection)
        except executing.Failed:
            statement.whole.nanoseconds = time.monotonic_ns() - began
            raise
        statement.whole.nanoseconds = time.monotonic_ns() - began
        with STATEMENTS.lock:
            self._finish(statement, "FINISHED")

    def _transaction(self, statement: Statement, group: list[Part], connection: psycopg.Connection[Any]) -> None:
        """Run statements together. A session may be in a transaction of its own already, and they become part of it.

        A single statement has a transaction, too: it is committed here, where a saved state waits for it.
        """
        begun = _is_idle(connection) and executing.kind_of(group[0].sql) != "transaction"
        if begun:
            _say(connection, "BEGIN")
        try:
            for part in group:
                commits = self._part(statement, part, connection)
                if commits and not _is_idle(connection):
                    _say(connection, "COMMIT")
                    if begun:
                        _say(connection, "BEGIN")
            if begun:
                _say(connection, "COMMIT")
            if any(_MAKES_USER.match(part.sql) for part in group):
                _admit_users(statement.target)
        except executing.Failed:
            if begun:
                with contextlib.suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
            raise

    def _part(self, statement: Statement, part: Part, connection: psycopg.Connection[Any]) -> bool:
        """Run one statement. Returns whether Redshift commits what its transaction has done so far."""
        with self._lock:
            if statement.id in self._cancelled:
                raise executing.Failed("cancelled")
        part.query = next(self._queries)
        if statement.batch:
            part.set("STARTED")
        context = executing.Context(statement.target, part.query)
        began = time.monotonic_ns()
        try:
            with GATE.aside(_WORK):
                outcome = executing.execute(connection, part.sql, statement.parameters, context)
        except executing.Failed as error:
            part.nanoseconds = time.monotonic_ns() - began
            cancelled = statement.id in self._cancelled
            status, why = ("ABORTED", "") if cancelled else ("FAILED", str(error))
            HISTORY.record(statement, part, status, why)
            if statement.batch:
                part.set(status, why)
                number = statement.parts.index(part) + 1
                raise executing.Failed(f"Query #{number} failed with {error}") from error
            raise
        part.nanoseconds = time.monotonic_ns() - began
        part.result, part.rows, part.size = outcome.result, outcome.rows, outcome.size
        HISTORY.record(statement, part, "FINISHED")
        if statement.batch:
            part.set("FINISHED")
        return outcome.commits

    def _finish(self, statement: Statement, status: str, error: str = "") -> None:
        """Give a statement its last state and tell who waits for it. The lock is held."""
        statement.end(status, error)
        STATEMENTS.changed.notify_all()
        if statement.with_event:
            threading.Thread(target=_announce, args=(statement,), name="redshift-event", daemon=True).start()

    # -- sessions ----------------------------------------------------------------------------------------------------

    def add_session(self, session: Session) -> None:
        with self._lock:
            self.sessions[session.id] = session
            if self._closer is None:
                self._closer = threading.Thread(target=self._close_idle, name="redshift-sessions", daemon=True)
                self._closer.start()

    def _let_go(self, session: Session) -> None:
        """Its statement has ended: it waits for the next one for the time that was asked for."""
        with STATEMENTS.lock:
            session.busy = False
            session.expires = now() + timedelta(seconds=session.keep_seconds)

    def _close_idle(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            with STATEMENTS.lock:
                gone = [one for one in self.sessions.values() if not one.busy and one.expires <= now()]
                gone += [one for one in self.sessions.values() if not one.busy and one.created + RETENTION <= now()]
                for one in gone:
                    self.sessions.pop(one.id, None)
            for one in gone:
                if one.connection is not None:
                    with contextlib.suppress(Exception):
                        one.connection.close()


RUNNER = Runner()


def open_connection(target: Target, password: str | None) -> psycopg.Connection[Any]:
    """A connection as the target's user. Raises executing.Failed."""
    store = STORES.of(target.account, target.region)
    namespace = store.namespaces.get(target.namespace)
    if namespace is None or target.database != namespace.database_name:
        raise executing.Failed(f'FATAL: database "{target.database}" does not exist')
    workgroup = store.of_namespace(target.namespace)
    listed = workgroup.shown["configParameters"] if workgroup else []
    settings = {one["parameterKey"]: one["parameterValue"] for one in listed}
    user = namespace.role if target.user == namespace.administrator else target.user
    try:
        if password is not None:
            if user != namespace.role:
                database.admit(namespace, user)
            return database.connect(namespace, user, password, settings)
        try:
            return database.connect(namespace, user, credentials.login(namespace, user).password, settings)
        except psycopg.OperationalError:  # SQL has dropped the user, or given it another password
            fresh = credentials.login(namespace, user, renew=True)
            return database.connect(namespace, user, fresh.password, settings)
    except psycopg.OperationalError as error:
        raise executing.Failed(str(error).rsplit("failed: ", 1)[-1].strip()) from error
    except postgres.Unreachable as error:
        raise executing.Failed(str(error)) from error


def _admit_users(target: Target) -> None:
    """Let the users whom the administrator has made open sessions in the database."""
    if namespace := STORES.of(target.account, target.region).namespaces.get(target.namespace):
        database.admit_made(namespace)


def _is_idle(connection: psycopg.Connection[Any]) -> bool:
    return connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def _say(connection: psycopg.Connection[Any], word: LiteralString) -> None:
    """Begin or end a transaction. Raises executing.Failed."""
    try:
        connection.execute(word)
    except psycopg.Error as error:
        raise executing.Failed(wording(error)) from error


def _announce(statement: Statement) -> None:
    """https://docs.aws.amazon.com/redshift/latest/mgmt/data-api-monitoring-events.html"""
    target, whole = statement.target, statement.whole
    detail = {
        "principal": statement.session,
        "statementName": statement.name,
        "statementId": statement.id,
        "redshiftQueryId": whole.query or -1,
        "state": whole.status,
        "rows": whole.rows,
        "expireAt": int((whole.created + RETENTION).timestamp()),
    }
    entry = {
        "Source": "aws.redshift-data",
        "DetailType": "Redshift Data Statement Status Change",
        "Detail": json.dumps(detail),
        "Resources": [target.workgroup_arn],
    }
    events = connect_to(aws_access_key_id=target.account, aws_secret_access_key="-", region_name=target.region).events
    try:
        events.put_events(Entries=[entry])
    except Exception:
        LOG.exception("The event of %s was not sent", statement.id)
