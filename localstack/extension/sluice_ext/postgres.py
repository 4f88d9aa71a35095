"""The engine's PostgreSQL, as its administrator: what RDS and Redshift have in common.

There is one server. Databases belong to it, and so do roles: each service marks those that it makes with a comment, and
drops only what carries its own mark.
"""

import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from sluice_ext import settings

CONNECT_SECONDS: Final = 5
# Printable ASCII without the characters that RDS and Redshift refuse (/ " @ space) or that need quoting in a shell or a
# URL.
_ALPHABET: Final = string.ascii_letters + string.digits + "-_.~"
_PASSWORD_CHARACTERS: Final = 32


# What gives a role ("role") or a database ("database") another name when RDS needs it, whose users open sessions under
# exactly the names that they have asked for.
GIVE_WAY: list[Callable[[psycopg.Connection[Any], str, str], None]] = []


class NameTaken(ValueError):
    """The server has a role or database of this name that another service made."""


class Unreachable(RuntimeError):
    """PostgreSQL does not answer, or the engine was started without one."""


def new_password() -> str:
    """A password that the rules of RDS and Redshift accept: characters of both cases and a digit."""
    while True:
        made = "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_CHARACTERS))
        if any(c.islower() for c in made) and any(c.isupper() for c in made) and any(c.isdigit() for c in made):
            return made


@contextmanager
def administrator(database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
    """A connection of the administrator, without a transaction. Raises Unreachable."""
    if not settings.POSTGRES_HOST:
        raise Unreachable("the engine was started without a PostgreSQL (SLUICE_POSTGRES_HOST)")
    try:
        connection = psycopg.connect(
            host=settings.POSTGRES_HOST,
            port=settings.POSTGRES_PORT,
            user=settings.POSTGRES_USER,
            password=settings.POSTGRES_PASSWORD,
            dbname=database,
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,  # CREATE DATABASE cannot run in a transaction
        )
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL does not answer: {error}") from error
    with connection:
        yield connection


def set_password(connection: psycopg.Connection[Any], username: str, password: str) -> None:
    """Give a role a password."""
    # The server and its log get only the verifier, not the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(username), verifier))


def role_mark(connection: psycopg.Connection[Any], name: str) -> str | None:
    """The comment of a role; "" when it has none, None when there is no such role."""
    return _mark(connection, "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", name)


def database_mark(connection: psycopg.Connection[Any], name: str) -> str | None:
    """The comment of a database; "" when it has none, None when there is no such database."""
    return _mark(connection, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", name)


def _mark(connection: psycopg.Connection[Any], query: Any, name: str) -> str | None:
    row = connection.execute(query, (name,)).fetchone()
    return None if row is None else str(row[0] or "")


def roles_made_by(connection: psycopg.Connection[Any], username: str) -> list[str]:
    """The roles that a role has created, and those have, and the role itself, which is the last."""
    # The creator of a role is its administrator: https://www.postgresql.org/docs/current/role-attributes.html
    made = connection.execute(
        "WITH RECURSIVE made(oid) AS (SELECT oid FROM pg_roles WHERE rolname = %s UNION "
        "SELECT m.roleid FROM pg_auth_members m JOIN made ON m.member = made.oid WHERE m.admin_option) "
        "SELECT rolname FROM pg_roles JOIN made USING (oid) WHERE rolname !~ '^pg_' AND NOT rolsuper "
        "ORDER BY rolname = %s",
        (username, username),
    ).fetchall()
    return [str(role) for (role,) in made]
