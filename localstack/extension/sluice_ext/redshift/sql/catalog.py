"""What a database has beside its own tables: the functions and system views of Redshift."""

from importlib import resources
from typing import Any

import psycopg
from psycopg import sql

from sluice_ext.redshift.sql.functions import COMPATIBLE

_FILES = ("functions.sql", "aggregates.sql", "views.sql")


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make the schema redshift_compat again, and put it at the end of the database's search path.

    The connection is an administrator's. Views of users that name one of its functions keep working: what exists is
    replaced, not dropped. May be called again.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(7283)")
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(COMPATIBLE)))
        for name in _FILES:
            text = resources.files(__package__).joinpath(name).read_text()
            connection.execute(text.encode())
        database = connection.execute("SELECT current_database()").fetchone()
        connection.execute(
            sql.SQL('ALTER DATABASE {} SET search_path = "$user", public, {}').format(
                sql.Identifier(database[0] if database else ""), sql.Identifier(COMPATIBLE)
            )
        )
