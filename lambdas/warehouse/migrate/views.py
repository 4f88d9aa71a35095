"""A view ``silver.<dataset>_current`` for each dataset with a key. It follows its dataset, and goes with its key."""

import hashlib
from typing import Any, Final

import psycopg
from psycopg import sql

from sluice_pipeline.catalog.current import current_name, current_select
from sluice_pipeline.catalog.datasets import Catalog, Dataset
from warehouse.database import OBJECT_ID, SILVER, silver_table
from warehouse.migrate.tables import wanted as columns_of

# An object arrived once; a load that a former release wrote has no time, and runs of one object need not agree then.
_ARRIVALS: Final = (
    "(SELECT object_id, min(coalesce(received_at, loaded_at)) AS received_at "
    "FROM control.loads GROUP BY object_id) AS __loads"
)
# In the comment of a view that is made here, before its SELECT's hash.
_MARK: Final = "sluice: newest row of each key, "


class ViewInUse(RuntimeError):
    """A view must change, and an object that the operator made needs it."""


def ensure(connection: psycopg.Connection[Any], catalog: Catalog) -> dict[str, str]:
    """What was done to which view: "made" or "dropped". Tables are there, with all their columns.

    Raises:
        ViewInUse: nothing was changed then.
    """
    done = {}
    with connection.transaction():
        wanted = {current_name(d.name): _select(d) for d in catalog.datasets.values() if d.key}
        found = _views(connection)
        for name in sorted(found.keys() - wanted.keys()):
            _drop(connection, name)
            done[name] = "dropped"
        for name, select in wanted.items():
            mark = _MARK + hashlib.sha256(select.encode()).hexdigest()
            if found.get(name) == mark:
                continue
            if name in found:
                _drop(connection, name)
            view = silver_table(name)
            connection.execute(sql.SQL("CREATE VIEW {} AS ").format(view) + sql.SQL(select))
            connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(mark)))
            done[name] = "made"
    return done


def _select(dataset: Dataset) -> str:
    columns = list(columns_of(dataset))
    source = silver_table(dataset.name).as_string()
    return current_select(dataset, columns, source=source, arrivals=_ARRIVALS, object_id=OBJECT_ID, has=columns)


def _views(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The views that were made here, with their marks."""
    rows = connection.execute(
        "SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c "
        "WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'v' "
        "AND starts_with(obj_description(c.oid, 'pg_class'), %s)",
        (SILVER, _MARK),
    )
    return dict(rows.fetchall())


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    try:
        connection.execute(sql.SQL("DROP VIEW {}").format(silver_table(name)))
    except psycopg.errors.DependentObjectsStillExist as error:
        needs = " ".join((error.diag.message_detail or "").split())
        raise ViewInUse(
            f"{SILVER}.{name} must change with its dataset, and {needs}: drop what needs it, deploy, and make it again"
        ) from error
