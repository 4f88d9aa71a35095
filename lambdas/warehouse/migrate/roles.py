"""Database roles with passwords that only PostgreSQL (as a verifier) and Secrets Manager ever hold."""

import secrets as randomness
from dataclasses import replace
from typing import Any, Final

import psycopg
from psycopg import sql

from warehouse.database import Login

PREFIX: Final = "sluice_"
PASSWORD_BYTES: Final = 32

# No lock outlives a function that was frozen or killed in the middle of a transaction by more than a minute.
_SETTINGS: Final = {
    "loader": {"lock_timeout": "30s", "idle_in_transaction_session_timeout": "60s"},
    "reader": {
        "default_transaction_read_only": "on",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "60s",
    },
}


def ensure(connection: psycopg.Connection[Any], secrets: Any, arn: str, role: str, master: Login) -> str:
    """Makes the role, and a new password unless the one in its secret opens this database; "kept" or "made".

    The secret comes first: a function that dies before the role has the password finds that it opens nothing. A login
    that opens the database gets the master's certificates.
    """
    name = PREFIX + role
    identifier = sql.Identifier(name)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(identifier))
    for setting, value in _SETTINGS.get(role, {}).items():
        connection.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(identifier, sql.Identifier(setting), value))
    current = _current(secrets, arn)
    if current is not None and _opens(login := replace(current, certificates=master.certificates), name, master):
        if login != current:
            secrets.put_secret_value(SecretId=arn, SecretString=login.to_secret())
        return "kept"
    login = replace(master, username=name, password=randomness.token_urlsafe(PASSWORD_BYTES))
    secrets.put_secret_value(SecretId=arn, SecretString=login.to_secret())
    # The server, and its log, see the verifier only.
    password, user = login.password.encode(), name.encode()
    verifier = connection.pgconn.encrypt_password(password, user, b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(identifier, verifier))
    return "made"


def _current(secrets: Any, arn: str) -> Login | None:
    """The login in the secret; None when it holds none."""
    try:
        return Login.from_secret(secrets.get_secret_value(SecretId=arn)["SecretString"])
    except (secrets.exceptions.ResourceNotFoundException, ValueError):  # never set
        return None


def _opens(login: Login, name: str, master: Login) -> bool:
    if (login.username, login.host, login.port, login.dbname) != (
        name, master.host, master.port, master.dbname
    ):  # fmt: skip
        return False
    try:
        login.connect("migrate").close()
    except psycopg.OperationalError as error:
        # A server that does not answer says nothing about the password.
        if "authentication failed" in str(error) or "permission denied" in str(error):
            return False
        raise
    return True
