"""What a database cluster is on the engine's PostgreSQL: a master role, and a database that it owns.

There is one server, and in PostgreSQL roles belong to the server: two clusters cannot have a role or a database of one
name. What is made here carries a comment, so that nothing else is ever dropped.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from sluice_ext import settings

MARK: Final = "made by the RDS of sluice"
CONNECT_SECONDS: Final = 5
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
USERNAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
DATABASE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
RESERVED: Final = {"postgres", "template0", "template1", "rdsadmin", "public", "none"}


class NameTaken(ValueError):
    """The server has a role or database of this name that no cluster made."""


class Unreachable(RuntimeError):
    """PostgreSQL does not answer, or the engine was started without one."""


def create(username: str, password: str, database: str | None) -> None:
    """Makes the master role and its database, new and empty, as those of a new cluster are.

    What an earlier engine left behind under these names goes first: its clusters went with its memory.

    Raises:
        NameTaken: something else on the server has one of the names.
        Unreachable: there is no server.
    """
    with _administrator() as connection:
        drop_from(connection, username, database)
        role = sql.Identifier(username)
        # As the master of a cluster: no superuser, but it may make roles and databases.
        # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB").format(role))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, MARK))
        connection.execute(sql.SQL("GRANT pg_monitor, pg_signal_backend TO {}").format(role))
        _set_password(connection, username, password)
        if database:
            name = sql.Identifier(database)
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
            connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, MARK))


def set_password(username: str, password: str) -> None:
    with _administrator() as connection:
        _set_password(connection, username, password)


def drop(username: str, database: str | None) -> None:
    """Ends every session in the database and drops it with the master and every role that the master made."""
    with _administrator() as connection:
        drop_from(connection, username, database)


def drop_from(connection: psycopg.Connection[Any], username: str, database: str | None) -> None:
    """As `drop`; nothing to do when there is neither. Raises NameTaken rather than drop what is not ours."""
    for kind, name, found in (
        ("role", username, "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"),
        ("database", database, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"),
    ):
        row = connection.execute(found, (name,)).fetchone()
        if row and row[0] != MARK:
            raise NameTaken(f"the engine's PostgreSQL has a {kind} {name!r} that no cluster made")
    if database:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
    # Whoever makes a role is its administrator: https://www.postgresql.org/docs/current/role-attributes.html
    made = connection.execute(
        "WITH RECURSIVE made(oid) AS (SELECT oid FROM pg_roles WHERE rolname = %s UNION "
        "SELECT m.roleid FROM pg_auth_members m JOIN made ON m.member = made.oid WHERE m.admin_option) "
        "SELECT rolname FROM pg_roles JOIN made USING (oid) WHERE rolname !~ '^pg_' AND NOT rolsuper "
        "ORDER BY rolname = %s",
        (username, username),
    ).fetchall()
    for (role,) in made:  # the master last
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _set_password(connection: psycopg.Connection[Any], username: str, password: str) -> None:
    # The server, and its log, see the verifier only.
    verifier = connection.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(username), verifier))


@contextmanager
def _administrator() -> Iterator[psycopg.Connection[Any]]:
    if not settings.POSTGRES_HOST:
        raise Unreachable("the engine was started without a PostgreSQL (SLUICE_POSTGRES_HOST)")
    try:
        connection = psycopg.connect(
            host=settings.POSTGRES_HOST,
            port=settings.POSTGRES_PORT,
            user=settings.POSTGRES_USER,
            password=settings.POSTGRES_PASSWORD,
            dbname="postgres",
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,  # a database is not made in a transaction
        )
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL does not answer: {error}") from error
    with connection:
        yield connection
