"""A database cluster on the engine's PostgreSQL: a master role and the database that it owns.

There is one server, and in PostgreSQL roles belong to the server: two clusters cannot have a role or database of the
same name. Roles and databases created here have a comment, and only what has this comment is ever dropped.
"""

import re
from typing import Any, Final

import psycopg
from psycopg import sql

from sluice_ext import postgres
from sluice_ext.postgres import NameTaken

MARK: Final = "made by the RDS of sluice"
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
USERNAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
DATABASE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
RESERVED: Final = {"postgres", "template0", "template1", "rdsadmin", "public", "none"}


def create(username: str, password: str, database: str | None) -> None:
    """Create the master role and its empty database.

    A role and database that an earlier engine left under these names are dropped first.

    Raises:
        NameTaken: something else on the server has one of the names.
        Unreachable: there is no server.
    """
    with postgres.administrator() as connection:
        for give_way in postgres.GIVE_WAY:
            give_way(connection, "role", username)
            if database:
                give_way(connection, "database", database)
        drop_from(connection, username, database)
        role = sql.Identifier(username)
        # Like the master of a cluster: not a superuser, but it may create roles and databases.
        # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB").format(role))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, MARK))
        connection.execute(sql.SQL("GRANT pg_monitor, pg_signal_backend TO {}").format(role))
        postgres.set_password(connection, username, password)
        if database:
            name = sql.Identifier(database)
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
            connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, MARK))


def set_password(username: str, password: str) -> None:
    with postgres.administrator() as connection:
        postgres.set_password(connection, username, password)


def drop(username: str, database: str | None) -> None:
    """End every session in the database, then drop it, the master role and every role that the master created."""
    with postgres.administrator() as connection:
        drop_from(connection, username, database)


def drop_from(connection: psycopg.Connection[Any], username: str, database: str | None) -> None:
    """Like `drop`; does nothing if neither exists. Raises NameTaken for a role or database of another origin."""
    marks = {"role": postgres.role_mark(connection, username)}
    if database:
        marks["database"] = postgres.database_mark(connection, database)
    for kind, mark in marks.items():
        if mark not in (None, MARK):
            name = username if kind == "role" else database
            raise NameTaken(f"the engine's PostgreSQL has a {kind} {name!r} that no cluster created")
    if database:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
    for role in postgres.roles_made_by(connection, username):
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
