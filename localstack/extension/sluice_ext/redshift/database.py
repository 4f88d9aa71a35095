"""A namespace's database and its users on the engine's PostgreSQL.

A database has the name that the namespace gives it, when no other has it; else ``<name>@<namespace>``. The same holds
for the administrator. A cluster of RDS that needs such a name gets it. Users that IAM stands for (``IAM:<user>``,
``IAMR:<role>``) are known by all namespaces; only in a database that they have asked credentials for may they open a
session.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg import errors as postgres_errors
from psycopg import sql

from sluice_ext import postgres, settings
from sluice_ext.redshift import sql as redshift_sql
from sluice_ext.redshift.store import STORES, Namespace, all_namespaces

MARK: Final = "made by the Redshift of sluice"
_MAX_BYTES: Final = 63  # https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
# Timestamps as Redshift shows them, and its order of day and month.
_OPTIONS: Final = "-c timezone=UTC -c datestyle=ISO,MDY -c standard_conforming_strings=on"


def cut(name: str) -> str:
    """A name as PostgreSQL stores it: at most 63 bytes."""
    return name.encode()[:_MAX_BYTES].decode(errors="ignore")


def create(namespace: str, database: str, administrator: str, password: str) -> tuple[str, str]:
    """Make the database and its administrator. Returns the names that they have on the server. Raises Unreachable."""
    with postgres.administrator() as connection:
        held = all_namespaces()
        name = _free(connection, "database", database, namespace, {one.database for one in held})
        role = _free(connection, "role", administrator, namespace, {one.role for one in held})
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(sql.Identifier(role)))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), MARK))
        # Redshift's administrator may do what those may whom it makes.
        connection.execute(
            sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(sql.Identifier(role))
        )
        connection.execute(sql.SQL("GRANT pg_monitor, pg_signal_backend TO {}").format(sql.Identifier(role)))
        postgres.set_password(connection, role, password)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(role)))
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), MARK))
        connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    with postgres.administrator(name) as connection:
        # https://docs.aws.amazon.com/redshift/latest/dg/r_Schemas_and_tables.html
        connection.execute("GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC")
        redshift_sql.prepare(connection)
    return name, role


def _free(connection: psycopg.Connection[Any], kind: str, wanted: str, namespace: str, held: set[str]) -> str:
    """A name that nothing on the server has; what an earlier engine left under it is dropped."""
    mark = postgres.role_mark if kind == "role" else postgres.database_mark
    for name in (cut(wanted), cut(f"{wanted}@{namespace}")):
        found = mark(connection, name)
        if name not in held and found in (None, MARK):
            if found == MARK:
                _drop_role(connection, name) if kind == "role" else _drop_database(connection, name)
            if mark(connection, name) is None:
                return name
    raise postgres.NameTaken(f"the engine's PostgreSQL has the {kind}s {wanted!r} and {wanted}@{namespace!r} already")


def _give_way(connection: psycopg.Connection[Any], kind: str, name: str) -> None:
    """RDS needs this name: a namespace's database or administrator gets its longer one. What runs in it ends."""
    with STORES.lock:
        for one in all_namespaces():
            if kind == "role" and one.role == name:
                one.role = _renamed(connection, "ROLE", name, cut(f"{one.administrator}@{one.name}"))
            elif kind == "database" and one.database == name:
                end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.execute(end, (name,))
                one.database = _renamed(connection, "DATABASE", name, cut(f"{one.database_name}@{one.name}"))


def _renamed(connection: psycopg.Connection[Any], kind: LiteralString, name: str, new: str) -> str:
    rename = sql.SQL("ALTER {} {} RENAME TO {}")
    connection.execute(rename.format(sql.SQL(kind), sql.Identifier(name), sql.Identifier(new)))
    return new


postgres.GIVE_WAY.append(_give_way)


def drop(namespace: Namespace) -> None:
    """End every session in the database, then drop it and its users."""
    with postgres.administrator() as connection:
        _drop_database(connection, namespace.database)
        _drop_role(connection, namespace.role)


def _drop_database(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _drop_role(connection: psycopg.Connection[Any], name: str) -> None:
    """With the databases that it owns, and the users whom it has made and no other namespace has."""
    owned = "SELECT datname FROM pg_database JOIN pg_roles r ON r.oid = datdba WHERE r.rolname = %s"
    for (database,) in connection.execute(owned, (name,)).fetchall():
        _drop_database(connection, str(database))
    for role in postgres.roles_made_by(connection, name):
        identifier = sql.Identifier(role)
        try:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(identifier))  # what it has granted to others
            connection.execute(sql.SQL("DROP ROLE {}").format(identifier))
        except postgres_errors.DependentObjectsStillExist:  # another namespace has the same user
            if role == name:
                raise


def set_password(role: str, password: str) -> None:
    """Of a namespace's administrator."""
    with postgres.administrator() as connection:
        postgres.set_password(connection, role, password)


def ensure_user(namespace: Namespace, user: str, password: str, expires: datetime) -> None:
    """Make a user that IAM stands for, if it is new, and give it a password until a time."""
    name = cut(user)
    with postgres.administrator() as connection:
        identifier = sql.Identifier(name)
        if postgres.role_mark(connection, name) is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(identifier))
            connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(identifier, MARK))
        _join(connection, namespace, name)
        postgres.set_password(connection, name, password)
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN VALID UNTIL {}").format(identifier, expires.isoformat()))


def _join(connection: psycopg.Connection[Any], namespace: Namespace, name: str) -> None:
    """Let a user into the database, and its administrator do what the user may."""
    user, administrator = sql.Identifier(name), sql.Identifier(namespace.role)
    member = "SELECT pg_has_role(%s, %s, 'member'), has_database_privilege(%s, %s, 'connect')"
    row = connection.execute(member, (namespace.role, name, name, namespace.database)).fetchone()
    if row and not row[0]:
        grant = "GRANT {} TO {} WITH ADMIN TRUE, INHERIT TRUE, SET TRUE"
        connection.execute(sql.SQL(grant).format(user, administrator))
    if row and not row[1]:
        database = sql.Identifier(namespace.database)
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, user))


def admit(namespace: Namespace, user: str) -> None:
    """Let a user that SQL has made open sessions in the database; nothing happens when there is none."""
    with postgres.administrator() as connection:
        if postgres.role_mark(connection, cut(user)) is not None:
            _join(connection, namespace, cut(user))


def admit_made(namespace: Namespace) -> None:
    """Let every user whom the administrator has made open sessions in the database."""
    with postgres.administrator() as connection:
        for name in postgres.roles_made_by(connection, namespace.role):
            if name != namespace.role:
                _join(connection, namespace, name)


def connect(
    namespace: Namespace, user: str, password: str, parameters: Mapping[str, str] | None = None
) -> psycopg.Connection[Any]:
    """A session of a user in the database, without a transaction. ``parameters``: of the work group.

    Raises psycopg.OperationalError.
    """
    seconds = (parameters or {}).get("max_query_execution_time", "0")
    limit = f" -c statement_timeout={int(seconds) * 1000}" if seconds.isdigit() else ""
    return psycopg.connect(
        host=settings.POSTGRES_HOST,
        port=settings.POSTGRES_PORT,
        user=cut(user),
        password=password,
        dbname=namespace.database,
        connect_timeout=postgres.CONNECT_SECONDS,
        options=_OPTIONS + limit,
        application_name="redshift-data",
        autocommit=True,
    )
