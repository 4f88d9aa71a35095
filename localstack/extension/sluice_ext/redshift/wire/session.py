"""One session of a driver of Redshift: PostgreSQL's answers go through, statements are translated on the way there."""

import os
import secrets
import select
import socket
import struct
from contextlib import suppress
from typing import Any, Final

import psycopg

from sluice_ext import settings
from sluice_ext.redshift import copying, database
from sluice_ext.redshift.data import roles
from sluice_ext.redshift.data.store import Target
from sluice_ext.redshift.sql import Refused, Unsupported, parse
from sluice_ext.redshift.sql.errors import Malformed, wording
from sluice_ext.redshift.sql.load_command import Copy
from sluice_ext.redshift.store import STORES, Namespace
from sluice_ext.redshift.wire import messages
from sluice_ext.redshift.wire.messages import Buffer, Closed

_NOTHING: Final = "DO $nothing$ BEGIN END $nothing$"
_WRONG: Final = "!"  # no statement of PostgreSQL
_CHUNK: Final = 1 << 16
type Place = tuple[str, str, Namespace]  # an account, a region, and a namespace there
_running: dict[tuple[int, int], psycopg.Connection[Any]] = {}


def serve(client: socket.socket) -> None:
    """From the first byte to the last; errors of the network end it."""
    with client, suppress(Closed, OSError, struct.error):
        code, rest = messages.startup(client)
        if code == messages.CANCEL:
            _cancel(rest)
        elif code == messages.VERSION:
            _session(client, messages.pairs(rest))


def _cancel(rest: bytes) -> None:
    pid, secret = struct.unpack("!iI", rest[:8])
    found = _running.get((pid, secret))
    if found is not None:
        found.cancel_safe()


def _session(client: socket.socket, given: dict[str, str]) -> None:
    client.sendall(messages.message(b"R", struct.pack("!i", 3)))  # the password as it is: this is one machine
    kind, body = messages.one(client)
    if kind != b"p":
        raise Closed
    user, name = given.get("user", ""), given.get("database") or given.get("user", "")
    try:
        server, place = _connected(user, body.rstrip(b"\0").decode(), name)
    except psycopg.OperationalError as error:
        client.sendall(messages.failure(str(error).strip().rsplit("FATAL:", 1)[-1].strip()))
        return
    key = (server.info.backend_pid, secrets.randbits(31))
    with server:
        _running[key] = server
        try:
            client.sendall(messages.greeting(*key))
            _Relay(client, server, place).run()
        finally:
            del _running[key]


def _connected(user: str, password: str, name: str) -> tuple[psycopg.Connection[Any], Place | None]:
    """A session in the first database of this name that takes the user: namespaces share the endpoint.

    Raises psycopg.OperationalError: none does.
    """
    places: list[Place | None] = [
        (account, region, namespace)
        for (account, region), store in STORES.dump().items()
        for namespace in store.namespaces.values()
        if name in (namespace.database, namespace.database_name)
    ]
    refusal: psycopg.OperationalError | None = None
    for place in places or [None]:
        namespace = place[2] if place else None
        login = namespace.role if namespace and user == namespace.administrator else database.cut(user)
        try:
            server = psycopg.connect(
                host=settings.POSTGRES_HOST,
                port=settings.POSTGRES_PORT,
                user=login,
                password=password,
                dbname=namespace.database if namespace else name,
                options="-c timezone=UTC -c datestyle=ISO,MDY",
                autocommit=True,
            )
        except psycopg.OperationalError as error:
            refusal = error
        else:
            return server, place
    raise refusal or psycopg.OperationalError(f'database "{name}" does not exist')


class _Relay:
    def __init__(self, client: socket.socket, server: psycopg.Connection[Any], place: Place | None) -> None:
        self._client, self._server, self._place = client, server, place
        self._refusals: list[str] = []
        # libpq has made the session; from here on its socket is ours but while COPY runs.
        self._socket = socket.socket(fileno=os.dup(server.fileno()))
        self._socket.setblocking(True)

    def run(self) -> None:
        """Until one side is gone."""
        asking, answering = Buffer(), Buffer()
        with self._socket:
            while True:
                ready, _, _ = select.select([self._client, self._socket], [], [])
                if self._socket in ready:
                    answer = self._socket.recv(_CHUNK)
                    if not answer:
                        return
                    self._client.sendall(b"".join(self._answered(*one) for one in answering.whole(answer)))
                if self._client in ready:
                    asked = self._client.recv(_CHUNK)
                    if not asked:
                        return
                    for kind, body in asking.whole(asked):
                        self._socket.sendall(messages.message(kind, self._translated(kind, body)))

    def _translated(self, kind: bytes, body: bytes) -> bytes:
        if kind == b"Q":
            return messages.text(self._statement(body.rstrip(b"\0").decode()))
        if kind == b"P":
            name, text, rest = body.split(b"\0", 2)
            made = self._statement(text.decode())
            return name + b"\0" + messages.text(made) + (rest if made != _WRONG else b"\0\0")
        return body

    def _answered(self, kind: bytes, body: bytes) -> bytes:
        """PostgreSQL's answer; its error about a statement that was refused has the reason instead."""
        if kind == b"E" and self._refusals:
            return messages.failure(self._refusals.pop(0), "XX000", "ERROR")
        return messages.message(kind, body)

    def _statement(self, text: str) -> str:
        """SQL for PostgreSQL; for what is refused, a text that it refuses too."""
        try:
            found = parse(text)
            for statement in found:
                if statement.parameters:
                    raise Malformed('ERROR: syntax error at or near ":"')
            if any(statement.detail is not None for statement in found):
                return self._moved(found)
            return "; ".join(statement.postgres for statement in found)
        except psycopg.Error as error:
            self._refusals.append(wording(error).removeprefix("ERROR: "))
        except (Refused, roles.NotAssumable) as error:
            self._refusals.append(str(error).removeprefix("ERROR: "))
        return _WRONG

    def _moved(self, found: list[Any]) -> str:
        """COPY and UNLOAD run at once, in the session."""
        if len(found) > 1:
            raise Unsupported("COPY or UNLOAD among other statements of one query")
        if self._place is None:
            raise Unsupported("COPY or UNLOAD outside of a namespace's database")
        account, region, namespace = self._place
        detail = found[0].detail
        target = Target(account, region, "", "", namespace.name, namespace.database_name, "")
        s3 = roles.s3_of(target, detail.role)
        self._server.execute("SELECT 1")  # libpq learns whether there is a transaction
        if isinstance(detail, Copy):
            copying.copy(self._server, detail, s3)
        else:
            copying.unload(self._server, detail, s3)
        return _NOTHING
