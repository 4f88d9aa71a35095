"""A login with certificates connects only to a server that they prove, under the name that it connects to.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.Security.html
https://www.postgresql.org/docs/current/libpq-ssl.html
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from tests.support.engine_harness import in_engine
from warehouse import database
from warehouse.database import Login

SERVER = "localhost"
REFUSED = (
    b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"  # so that the client is through: it was asked who it is
)


@dataclass
class Server:
    """Speaks as much of PostgreSQL as is said before a login, with TLS or without.

    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
    """

    listener: socket.socket
    tls: ssl.SSLContext | None

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed
                return
            with connection, suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.recv(8)  # SSLRequest
        if self.tls is None:
            connection.sendall(b"N")
            connection.recv(1000)
            return
        connection.sendall(b"S")
        with self.tls.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(1000)
            encrypted.sendall(b"E" + (len(REFUSED) + 4).to_bytes(4, "big") + REFUSED)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    in_engine(Path(__file__).with_name("certificates_worker.py"), str(folder), SERVER)
    return folder


@pytest.fixture(params=["with TLS"])
def login(request: pytest.FixtureRequest, made: Path) -> Iterator[Login]:
    """A login whose certificates prove the server at its address."""
    tls = None
    if request.param == "with TLS":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(made / "server.pem", made / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=Server(listener, tls).serve, daemon=True).start()
        port = listener.getsockname()[1]
        yield Login(SERVER, port, "warehouse", "reader", "word", (made / "authority.pem").read_text())
        listener.shutdown(socket.SHUT_RDWR)


def said(login: Login) -> str:
    with pytest.raises(psycopg.OperationalError) as raised:
        login.connect("test")
    return str(raised.value)


def test_the_server_that_the_certificates_prove_is_asked_to_let_in(login: Login) -> None:
    assert "password authentication failed" in said(login)


def test_a_server_that_another_authority_vouches_for_is_refused(login: Login, made: Path) -> None:
    assert "certificate verify failed" in said(replace(login, certificates=(made / "other.pem").read_text()))


def test_one_of_several_authorities_suffices(login: Login, made: Path) -> None:
    bundle = (made / "other.pem").read_text() + login.certificates
    assert "password authentication failed" in said(replace(login, certificates=bundle))


def test_a_server_under_another_name_is_refused(login: Login) -> None:
    assert 'does not match host name "127.0.0.1"' in said(replace(login, host="127.0.0.1"))


@pytest.mark.parametrize("login", ["without TLS"], indirect=True)
def test_a_server_without_tls_is_refused(login: Login) -> None:
    assert "server does not support SSL, but SSL was required" in said(login)


def test_certificates_that_are_none_are_refused(login: Login) -> None:
    assert "could not read root certificate file" in said(replace(login, certificates="no certificate"))


def test_a_login_without_certificates_accepts_any_server(login: Login) -> None:
    assert "password authentication failed" in said(replace(login, certificates=""))


def test_invocations_at_once_write_one_file_that_is_never_half_there(
    login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        files = set(pool.map(lambda _: login.encryption["sslrootcert"], range(64)))
    assert [path.read_text() for path in tmp_path.iterdir()] == [login.certificates]
    assert files == {str(path) for path in tmp_path.iterdir()}
    assert database.Login.from_secret(login.to_secret()) == login
